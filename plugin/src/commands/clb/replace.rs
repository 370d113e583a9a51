//! `kubectl asm clb replace`.

use super::live;
use super::lost::LostArgs;
use super::settings::SettingsArgs;
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::git::Git;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{FileEdit, FinishClb, LoadBalancerService, RemoveClb, ReplaceClb};
use std::collections::BTreeMap;

/// Exchanges a load balancer for one with other attributes, in steps that keep clients connected.
///
/// What is fixed on a load balancer (network, zones, CLB or NLB…) takes a new one with a new address. This command never does
/// it in one go. It makes two commits on the current branch, with your own Git, and DNS is shifted between them:
///
///   1. kubectl asm clb replace NAME …           commit: a new Service beside the old one, like it but for the flags
///   2. push; when the new one has an address, point the DNS records to it and wait for their TTL: that is yours
///   3. kubectl asm clb replace NAME --finish …  commit: the old Service goes, with the approval to lose its address
///
/// Refuses while the working tree has uncommitted changes. The new Service carries the label kubectl-asm.io/replaces until
/// the last step.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # from public to internal: the new one first
  kubectl asm clb replace istio-ingressgateway-2 --cluster m1c1 --internal

  # after DNS points to the new one
  kubectl asm clb replace istio-ingressgateway-2 --cluster m1c1 --finish --live --confirm istio-ingressgateway-2

  # look first
  kubectl asm clb replace istio-ingressgateway-2 --cluster m1c1 --nlb --zone cn-hangzhou-h:vsw-1,cn-hangzhou-i:vsw-2 --dry-run

Output formats: json, yaml, name")]
pub struct ReplaceArgs {
    /// Name of the Service
    name: String,

    /// Member clusters, by their names in fleet.yaml [default: the only one that has it]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    /// The last step: retire the old one
    #[arg(long)]
    finish: bool,

    /// Name of the new Service [default: istio-GATEWAY-2, -3…]
    #[arg(long, value_name = "NAME", conflicts_with = "finish")]
    new_name: Option<String>,

    /// A CLB in place of an NLB
    #[arg(long, conflicts_with_all = ["nlb", "finish"])]
    clb: bool,

    #[command(flatten)]
    settings: SettingsArgs,

    #[command(flatten)]
    lost: LostArgs,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: ReplaceArgs) -> Result<Exit, CommandError> {
    // A wrong format is said before a cluster is asked, and before the name is.
    context.output(&write::FORMATS)?;
    let repo = context.repo()?;
    if !args.write.is_dry_run() {
        let git = Git::new(&repo.root);
        git.ensure_clean()?;
        git.ensure_branch()?;
    }
    if args.finish { finish(context, &repo, args) } else { begin(context, &repo, args) }
}

fn begin(context: &Context, repo: &FleetRepo, args: ReplaceArgs) -> Result<Exit, CommandError> {
    if args.settings.is_empty() && !args.clb {
        return Err(CommandError::usage(format!("what is to be different from {}?", args.name))
            .hinted("say it with a flag, for example --internal or --spec slb.s2.small --charge-type PayBySpec")
            .hinted(format!(
                "if the new one is there already: kubectl asm clb replace {} --finish --live",
                args.name
            )));
    }
    let intent = ReplaceClb {
        name: args.name,
        clusters: args.cluster,
        new_name: args.new_name,
        clb: args.clb,
        settings: args.settings.into(),
    };
    let replacement = intent.plan(&repo.tree, &repo.state)?;
    let (old, new, clusters) = (&intent.name, &replacement.new_name, replacement.clusters.join(","));
    let next = format!("kubectl asm clb replace {old} --cluster {clusters} --finish --live --confirm {old}");
    let subject = format!("clb: {new} beside {old} in {}", replacement.clusters.join(", "));
    let body = format!(
        "{new} will take the place of {old}. Once it has an address and DNS points to it, the old one is retired by\n\n    {next}"
    );
    commit(context, repo, &replacement.plan.edits, args.write, &subject, &body)?;
    let ui = context.ui();
    replacement.plan.warnings.iter().for_each(|warning| ui.warning(warning));
    if !args.write.is_dry_run() {
        let hosts = LoadBalancerService::hosts(&repo.state, &replacement.gateway);
        let records = if hosts.is_empty() {
            "the DNS records that hold an address of the old one".to_owned()
        } else {
            format!("the DNS records of {} that hold an address of the old one", hosts.join(", "))
        };
        ui.status("Now, in this order:");
        ui.status(&format!("  1. push, and wait for the new address: kubectl asm clb show {new} --live"));
        ui.status(&format!(
            "  2. point {records} (kubectl asm clb show {old} --live) to the new one, and wait for their TTL"
        ));
        ui.status(&format!("  3. {next}"));
    }
    Ok(Exit::Clean)
}

fn finish(context: &Context, repo: &FleetRepo, args: ReplaceArgs) -> Result<Exit, CommandError> {
    if !args.settings.is_empty() {
        return Err(CommandError::usage(
            "--finish only retires the old load balancer: it takes no flags about a new one",
        ));
    }
    let mut intent = FinishClb {
        remove: RemoveClb {
            name: args.name,
            namespace: None,
            clusters: args.cluster,
            addresses: BTreeMap::new(),
            expires: args.lost.expires,
            reason: args.lost.reason.clone(),
        },
    };
    let replacements = intent.replacements(&repo.state)?;
    intent.remove.clusters = replacements.iter().map(|(cluster, _)| cluster.clone()).collect();
    let name = intent.remove.name.clone();
    if args.lost.live {
        ensure_address(context, repo, &replacements)?;
    }
    intent.remove.addresses = args.lost.addresses(context, repo, "istio-system", &name, &intent.remove.clusters)?;
    let mut plan = intent.plan(&repo.tree, &repo.state)?;
    if !args.lost.live {
        let new: Vec<&str> = replacements.iter().map(|(_, new)| new.as_str()).collect();
        plan.warnings.push(format!("without --live nobody has looked whether {} has an address", new.join(", ")));
    }
    if !args.write.is_dry_run() {
        args.lost.confirm(context, &name, &plan.warnings)?;
    }
    let lost: Vec<&str> =
        intent.remove.addresses.values().flat_map(|known| &known.addresses).map(String::as_str).collect();
    let news: Vec<&str> = replacements.iter().map(|(_, new)| new.as_str()).collect();
    let subject = format!("clb: retire {name} in {}", intent.remove.clusters.join(", "));
    let lost = if lost.is_empty() { "It has no address.".to_owned() } else { format!("Gives up {}.", lost.join(", ")) };
    let body = format!("{} has taken its place. {lost}", news.join(", "));
    commit(context, repo, &plan.edits, args.write, &subject, &body)?;
    plan.warnings.iter().for_each(|warning| context.ui().warning(warning));
    Ok(Exit::Clean)
}

/// The old one goes only when the new one answers somewhere.
fn ensure_address(context: &Context, repo: &FleetRepo, replacements: &[(String, String)]) -> Result<(), CommandError> {
    let keys: Vec<live::Key> =
        replacements.iter().map(|(cluster, name)| (cluster.clone(), "istio-system".to_owned(), name.clone())).collect();
    let mut answers = live::read(context, repo.fleet()?, &keys)?;
    let services = std::mem::take(&mut answers.services);
    if let Some(error) = answers.error() {
        return Err(error.hinted("nothing was written"));
    }
    let waiting = services.iter().find(|(_, live)| live.as_ref().is_none_or(|live| live.addresses.is_empty()));
    match waiting {
        None => Ok(()),
        Some(((cluster, _, name), live)) => {
            let state = if live.is_some() { "has no address yet" } else { "is not there yet" };
            Err(CommandError::input(format!("{name} in {cluster} {state}: without the old one nobody would answer"))
                .hinted("push the first commit, and wait for the agent: kubectl asm status")
                .hinted(format!("look at it with: kubectl asm clb show {name} --live")))
        }
    }
}

/// Checks, writes, commits and reports one step.
fn commit(
    context: &Context,
    repo: &FleetRepo,
    edits: &[FileEdit],
    args: WriteArgs,
    subject: &str,
    body: &str,
) -> Result<(), CommandError> {
    let format = context.output(&write::FORMATS)?;
    let all: Vec<&FileEdit> = edits.iter().collect();
    write::check(repo, &all)?;
    if args.is_dry_run() {
        return write::report(context, format, &all, args);
    }
    let git = Git::new(&repo.root);
    let id = git.write_and_commit(repo, edits, &format!("{subject}\n\n{body}"))?;
    write::report(context, format, &all, args)?;
    context.ui().status(&format!("committed {id} on {}: {subject}", git.ensure_branch()?));
    Ok(())
}
