//! `kubectl asm revert`.

mod request;

use super::sync::timeout;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::host::{Host, resource_name};
use crate::live::wait;
use crate::output::{self, Document, OutputFormat};
use crate::ui::Table;
use crate::write;
use asm_shared::api::{FleetSync, RevertObject, RevertOutcome, RevertRequest, RevertStatus, labels};
use asm_shared::text::printable;
use kube::ResourceExt as _;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

/// Puts Git's values back on drifted objects now, also where drift is only reported.
///
/// The agent does it, once, with everything that guards a sync in force: what would lose a load balancer waits for an
/// approval, fields that are left alone (freeze) stay as they are. This command sets the annotation kubectl-asm.io/revert
/// on the FleetSync and waits for the answer. An object that has not drifted stays untouched.
///
/// Exit codes: 0 Git's values are live, 1 some are not, 2 usage or input error, 3 a cluster could not be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm revert mesh/VirtualService/default/bookinfo
  kubectl asm revert m1c2/svc/productpage m1c1/deploy/reviews-v3
  kubectl asm revert --all --timeout 5m

Output formats: json, yaml, name")]
pub struct RevertArgs {
    /// Objects, as `kubectl asm drift -o name` or kubectl names them; without a target, wherever they drifted
    #[arg(value_name = "[TARGET/]KIND/[NS/]NAME", required_unless_present = "all")]
    objects: Vec<String>,

    /// Everything that drifted
    #[arg(long, conflicts_with = "objects")]
    all: bool,

    /// Name of the FleetSync [default: the only one of the namespace]
    #[arg(long, value_name = "NAME")]
    fleet_sync: Option<String>,

    /// Do not wait for the result
    #[arg(long)]
    no_wait: bool,

    /// How long to wait, for example 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    timeout: String,
}

/// What came of putting values back.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RevertList<'a> {
    /// The objects.
    items: Vec<Item<'a>>,
}

/// One object.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    /// Which.
    #[serde(flatten)]
    object: &'a RevertObject,
    /// What came of it; absent when nobody waited for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<RevertOutcome>,
    /// Why it was not put back, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl Document for RevertList<'_> {
    const KIND: &'static str = "RevertList";
}

/// Runs it.
pub fn run(context: &Context, args: RevertArgs) -> Result<Exit, CommandError> {
    let format = context.output(&write::FORMATS)?;
    let limit = timeout(&args.timeout)?;
    context.block_on(async {
        let host = Host::connect(context).await?;
        let sync = host.fleet_sync(args.fleet_sync.as_deref()).await?;
        let reports = host.drift_reports(&sync).await?;
        let asked = if args.all { request::all(&reports) } else { request::named(&sync, &reports, &args.objects)? };
        if asked.is_empty() {
            context.ui().status("nothing has drifted: there is nothing to put back");
            return show(context, format, &sync, &[], None);
        }
        if asked.len() > request::MOST {
            return Err(CommandError::usage(format!("{} objects are too many for one request", asked.len()))
                .hinted(format!("name at most {}", request::MOST)));
        }
        if sync.spec.suspend {
            return Err(CommandError::input(format!(
                "{} is suspended, nothing would be applied",
                resource_name(&sync)
            ))
            .hinted(format!("go on with: kubectl asm resume {}", sync.name_any())));
        }
        let wish = RevertRequest { id: jiff::Timestamp::now().to_string(), objects: asked };
        let text = serde_json::to_string(&wish)
            .map_err(|error| CommandError::internal("cannot write the request").caused_by(&error))?;
        let patch = json!({"metadata": {"annotations": {labels::REVERT: text}}});
        let sync = host.patch(&sync, "ask for Git's values", &patch).await?;
        if args.no_wait {
            return show(context, format, &sync, &wish.objects, None);
        }
        let progress = context.ui().progress("asked the agent to put Git's values back");
        let is_done = |sync: &FleetSync| answer(sync, &wish.id).is_some();
        let waited = tokio::time::timeout(limit, wait::until(&host, &sync, is_done, |_| ())).await;
        drop(progress);
        let Ok(sync) = waited else {
            context.ui().warning(&format!("no answer within {}", args.timeout));
            context
                .ui()
                .hint(&format!("is the agent running? kubectl -n {} get pods", sync.namespace().unwrap_or_default()));
            show(context, format, &sync, &wish.objects, None)?;
            return Ok(Exit::Findings);
        };
        let sync = sync?;
        show(context, format, &sync, &wish.objects, answer(&sync, &wish.id))
    })
}

fn answer<'a>(sync: &'a FleetSync, id: &str) -> Option<&'a RevertStatus> {
    sync.status.as_ref()?.last_handled_revert.as_ref().filter(|answer| answer.id == id)
}

fn show(
    context: &Context,
    format: OutputFormat,
    sync: &FleetSync,
    asked: &[RevertObject],
    answer: Option<&RevertStatus>,
) -> Result<Exit, CommandError> {
    let ui = context.ui();
    let items: Vec<Item<'_>> = match answer {
        Some(answer) => request::meant(&answer.results)
            .map(|result| Item {
                object: &result.object,
                outcome: Some(result.outcome),
                message: result.message.as_deref(),
            })
            .collect(),
        None => asked.iter().map(|object| Item { object, outcome: None, message: None }).collect(),
    };
    match format {
        OutputFormat::Json | OutputFormat::Yaml => {
            output::print(ui, format, &output::of(&RevertList { items: items.iter().map(Item::copy).collect() })?)?;
        }
        OutputFormat::Name => items.iter().for_each(|item| ui.line(&request::name(item.object))),
        OutputFormat::Human | OutputFormat::Wide if answer.is_some() => ui.table(&table(&items)),
        OutputFormat::Human | OutputFormat::Wide => {
            items.iter().for_each(|item| ui.line(&format!("{} asked for", request::name(item.object))));
        }
    }
    exit(context, sync, &items)
}

impl<'a> Item<'a> {
    fn copy(&self) -> Self {
        Item { object: self.object, outcome: self.outcome, message: self.message }
    }

    fn is(&self, outcome: RevertOutcome) -> bool {
        self.outcome == Some(outcome)
    }
}

/// How the command ends.
fn exit(context: &Context, sync: &FleetSync, items: &[Item<'_>]) -> Result<Exit, CommandError> {
    let why = |outcome: RevertOutcome, error: CommandError| {
        items.iter().filter(|item| item.is(outcome)).fold(error, |error, item| {
            error.because(format!("{}: {}", item.object, printable(item.message.unwrap_or_default())))
        })
    };
    if items.iter().any(|item| item.is(RevertOutcome::Unavailable)) {
        let error = CommandError::unreachable("a cluster could not be reached");
        return Err(
            why(RevertOutcome::Unavailable, error).hinted(format!("see: kubectl asm status {}", sync.name_any()))
        );
    }
    if items.iter().any(|item| item.is(RevertOutcome::NotInGit)) {
        let error = CommandError::input("Git has nothing to put back");
        return Err(why(RevertOutcome::NotInGit, error).hinted("see what drifted: kubectl asm drift -o name"));
    }
    if items.iter().any(|item| item.is(RevertOutcome::HeldBack)) {
        context.ui().hint(&format!("the approval to write: kubectl asm status {}", sync.name_any()));
    }
    let bad = |item: &Item<'_>| item.is(RevertOutcome::HeldBack) || item.is(RevertOutcome::Failed);
    Ok(if items.iter().any(bad) { Exit::Findings } else { Exit::Clean })
}

fn table(items: &[Item<'_>]) -> Table {
    let mut table = Table::new(["Target", "Object", "Outcome", "Message"]);
    for item in items {
        let kind = item.object.kind.split('.').next().unwrap_or_default();
        let namespace = item.object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let outcome = match item.outcome {
            Some(RevertOutcome::Reverted) => "put back",
            Some(RevertOutcome::NotDrifted) => "not drifted",
            Some(RevertOutcome::HeldBack) => "held back",
            Some(RevertOutcome::NotInGit) => "not in Git",
            Some(RevertOutcome::Failed) => "failed",
            Some(RevertOutcome::Unavailable) => "unreachable",
            None => "",
        };
        table.row([
            item.object.target.clone(),
            format!("{kind} {namespace}{}", item.object.name),
            outcome.to_owned(),
            item.message.map(printable).unwrap_or_default(),
        ]);
    }
    table
}
