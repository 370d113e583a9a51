//! `kubectl asm sync`.

mod outcome;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::host::{Host, resource_name};
use crate::live::report::{Shown, short};
use crate::live::wait;
use crate::output::{self, OutputFormat};
use asm_shared::api::{FleetSync, labels};
use kube::ResourceExt as _;
use outcome::{Outcome, outcome};
use serde_json::json;
use std::time::Duration;

/// Asks the agent to read Git and reconcile now, and waits for the result.
///
/// Sets the annotation kubectl-asm.io/reconcile-at on the FleetSync; nothing else is changed. What passes by itself (a load
/// balancer that is being made, a cluster that does not answer) is waited for until the timeout.
///
/// Exit codes: 0 everything is synced, 1 it is not, 2 usage or input error, 3 a cluster could not be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm sync
  kubectl asm sync shop --timeout 5m")]
pub struct SyncArgs {
    /// Name of the FleetSync [default: the only one of the namespace]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Wait for the result (the default)
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,

    /// Do not wait for the result
    #[arg(long)]
    pub no_wait: bool,

    /// How long to wait, for example 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    pub timeout: String,
}

/// Runs it.
pub fn run(context: &Context, args: SyncArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name])?;
    let limit = timeout(&args.timeout)?;
    context.block_on(async {
        let host = Host::connect(context).await?;
        let sync = host.fleet_sync(args.name.as_deref()).await?;
        if sync.spec.suspend {
            return Err(CommandError::input(format!(
                "{} is suspended, nothing would be applied",
                resource_name(&sync)
            ))
            .hinted(format!("go on with: kubectl asm resume {}", sync.name_any())));
        }
        let wish = jiff::Timestamp::now().to_string();
        let patch = json!({"metadata": {"annotations": {labels::RECONCILE_AT: wish}}});
        let sync = host.patch(&sync, "ask for a sync", &patch).await?;
        if args.no_wait {
            return done(context, format, &sync, None);
        }
        let progress = context.ui().progress("asked the agent to sync");
        let waited = tokio::time::timeout(
            limit,
            wait::until(
                &host,
                &sync,
                |sync| outcome(sync, &wish).is_settled(),
                |sync| progress.set(&doing(sync, &wish)),
            ),
        )
        .await;
        drop(progress);
        match waited {
            Ok(settled) => {
                let sync = settled?;
                let outcome = outcome(&sync, &wish);
                done(context, format, &sync, Some(outcome))
            }
            Err(_) => {
                // What is known at the end of the time is still worth showing.
                let sync = host.answer("read the FleetSync", host.api(&sync).get(&sync.name_any()).await)?;
                let outcome = outcome(&sync, &wish);
                context.ui().warning(&format!("not settled within {}", args.timeout));
                done(context, format, &sync, Some(outcome))
            }
        }
    })
}

/// The value of `--timeout`.
pub(super) fn timeout(text: &str) -> Result<Duration, CommandError> {
    crate::kubeconfig::request_timeout(text).ok().flatten().ok_or_else(|| {
        CommandError::usage(format!("--timeout {text}: not a duration above zero"))
            .hinted("write for example 30s, 2m or 1m30s")
    })
}

/// What the agent is at, for the spinner.
fn doing(sync: &FleetSync, wish: &str) -> String {
    let Some(status) = sync.status.as_ref().filter(|status| status.last_handled_reconcile_at.as_deref() == Some(wish))
    else {
        return "waiting for the agent".to_owned();
    };
    let revision = status.source.as_ref().and_then(|source| source.revision.as_deref()).unwrap_or_default();
    let done = status.targets.iter().filter(|target| target.revision.as_deref() == Some(revision)).count();
    format!("{}: {done} of {} targets", short(revision), status.targets.len())
}

fn done(
    context: &Context,
    format: OutputFormat,
    sync: &FleetSync,
    outcome: Option<Outcome>,
) -> Result<Exit, CommandError> {
    let ui = context.ui();
    match (format, &outcome) {
        (OutputFormat::Json | OutputFormat::Yaml, _) => output::print(ui, format, &output::of(&Shown::new(sync))?)?,
        (OutputFormat::Name, _) => ui.line(&resource_name(sync)),
        (_, None) => ui.line(&format!("{} asked to sync", resource_name(sync))),
        (_, Some(outcome)) => {
            ui.table(&outcome::table(sync));
            ui.line(&format!("{} {}", resource_name(sync), outcome.words()));
        }
    }
    match outcome {
        None | Some(Outcome::Synced) => Ok(Exit::Clean),
        Some(Outcome::Unreachable(why)) => {
            Err(CommandError::unreachable("a cluster or the Git server could not be reached")
                .because(why)
                .hinted(format!("see: kubectl asm status {}", sync.name_any())))
        }
        Some(Outcome::NotSynced(_)) => {
            ui.hint(&format!("see: kubectl asm status {}", sync.name_any()));
            Ok(Exit::Findings)
        }
        Some(Outcome::Waiting) => {
            ui.hint(&format!("is the agent running? kubectl -n {} get pods", sync.namespace().unwrap_or_default()));
            Ok(Exit::Findings)
        }
        Some(Outcome::Progressing(_)) => {
            ui.hint(&format!("the agent goes on; look again with: kubectl asm status {}", sync.name_any()));
            Ok(Exit::Findings)
        }
    }
}
