//! `kubectl asm gateway create`.

mod questions;
mod wizard;
mod words;

use super::settings::SettingArgs;
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::prompt::{Answerer as _, Person};
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{CreateGateway, Hosting, SHARING_RISKS};

/// Creates a gateway: mesh/gateways/NAME.yaml.
///
/// A serverless gateway is run by ASM and reaches the pods of every cluster of the mesh through one address. Any other
/// gateway runs in the member clusters that are named, with one load balancer in each. What is not said gets the
/// console's defaults. With --interactive the page of the console is asked on the terminal, question by question; flags
/// that are given are not asked again.
///
/// TLS acceleration (MultiBuffer) has no documented form in YAML: it stays a switch of the console.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # one serverless gateway for all clusters
  kubectl asm gateway create ingressgateway --serverless

  # a gateway in two clusters, reachable from the VPC only, with a pod label that a Gateway can select
  kubectl asm gateway create ingressgateway --cluster m1c1,m1c2 --replicas 2 --address-type intranet --pod-label team=edge

  # scale from 2 to 5 pods, on different nodes, with time for connections to end
  kubectl asm gateway create ingressgateway --cluster m1c1 --min-replicas 2 --max-replicas 5 --cpu-target 80 --spread --graceful-shutdown 30

  # an NLB
  kubectl asm gateway create ingressgateway --cluster m1c1 --load-balancer nlb --zone-map cn-hangzhou-h=vsw-1 --zone-map cn-hangzhou-i=vsw-2

  # be asked, as at the console
  kubectl asm gateway create --interactive

  # look at the YAML first
  kubectl asm gateway create ingressgateway --serverless --dry-run

Output formats: json, yaml, name")]
pub struct CreateArgs {
    // First: it looks at the flags before the others take theirs.
    #[command(flatten)]
    given: words::Given,

    /// Name of the gateway; the pods get the labels istio=NAME and app=istio-NAME
    #[arg(required_unless_present = "interactive")]
    name: Option<String>,

    /// Let ASM run the gateway, in no member cluster
    #[arg(long, conflicts_with_all = ["cluster", "egress"], required_unless_present_any = ["cluster", "interactive"])]
    serverless: bool,

    /// Member clusters to run it in, by their names in fleet.yaml
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    /// For traffic that leaves the mesh
    #[arg(long)]
    egress: bool,

    #[command(flatten)]
    settings: SettingArgs,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: CreateArgs) -> Result<Exit, CommandError> {
    super::check_namespace(context)?;
    if !args.given.interactive {
        return create(context, args, &context.repo()?, None);
    }
    context.output(&write::FORMATS)?;
    let instead =
        "say it with flags: kubectl asm gateway create NAME --cluster A,B (or --serverless), and what --help lists";
    let mut person = Person::at_the_terminal(context, instead)?;
    if args.settings.reads_stdin() {
        return Err(CommandError::usage("--from - reads the stdin that answers come from").hinted("name a file"));
    }
    let repo = context.repo()?;
    let given = args.given.words;
    let risks_said = !given.iter().any(|word| word.flag == words::REUSE);
    let words = wizard::ask(context, &repo, given, &mut person)?;
    let args = words::understood(&words)?;
    create(context, args, &repo, Some(Asked { words: &words, risks_said, person: &mut person }))
}

/// What is to be made.
fn intent(args: CreateArgs) -> Result<CreateGateway, CommandError> {
    Ok(CreateGateway {
        name: wizard::name(&args)?.to_owned(),
        hosting: if args.serverless { Hosting::Serverless } else { Hosting::Clusters(args.cluster) },
        settings: args.settings.settings(args.egress)?,
    })
}

/// Somebody was asked, and is asked once more before anything is written.
struct Asked<'a> {
    words: &'a [words::Word],
    /// What sharing a load balancer means was said with the question.
    risks_said: bool,
    person: &'a mut Person,
}

/// Makes it, after somebody who was asked has seen it.
fn create(
    context: &Context,
    args: CreateArgs,
    repo: &FleetRepo,
    asked: Option<Asked<'_>>,
) -> Result<Exit, CommandError> {
    let write = args.write;
    let intent = intent(args)?;
    let mut plan = intent.plan(&repo.tree, &repo.state)?;
    if !intent.settings.reuse.is_empty() && !asked.as_ref().is_some_and(|asked| asked.risks_said) {
        SHARING_RISKS.iter().for_each(|risk| context.ui().warning(risk));
    }
    if let Some(asked) = asked {
        // A dry run shows it by itself.
        let shown = plan.edits.iter().filter(|_| !write.is_dry_run()).filter_map(|edit| edit.after.as_deref());
        wizard::show(context, asked.words, &shown.collect::<String>());
        // Said once, before the last question.
        std::mem::take(&mut plan.warnings).iter().for_each(|warning| context.ui().warning(warning));
        let paths: Vec<_> = plan.edits.iter().map(|edit| edit.path.as_str()).collect();
        if !write.is_dry_run() && !asked.person.confirm(&format!("Write {}?", paths.join(", ")))? {
            return Err(CommandError::usage("nothing was written"));
        }
    }
    let next = if intent.settings.egress {
        "kubectl asm diff".to_owned()
    } else {
        format!(
            "kubectl asm route add NAME --gateway NAME-gateway --create-gateway --selector istio={} --host HOST --to SERVICE:PORT",
            intent.name
        )
    };
    write::finish(context, repo, &plan, write, &next)
}
