//! `kubectl asm clb remove`.

use super::lost::LostArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::RemoveClb;
use std::collections::BTreeMap;

/// Retires a load balancer: removes its Service from Git and writes the approval to lose its address.
///
/// Without the Service the cloud controller deletes the load balancer, and nobody gets the address back. The agent holds
/// such a step back until an Approval in Git names the object, its cluster and every address: this command writes it to
/// approvals/delete-CLUSTER-NAME.yaml. Commit both together. With --live the approval is for this Service only, not for a
/// later one of the same name.
///
/// The Service that ASM generates for a gateway goes only with the gateway.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # see what would be lost
  kubectl asm clb remove istio-ingressgateway-2 --cluster m1c1 --live --dry-run

  # ask the cluster for the address
  kubectl asm clb remove istio-ingressgateway-2 --cluster m1c1 --live --confirm istio-ingressgateway-2

  # without access to the cluster; the approval ends in a week
  kubectl asm clb remove istio-ingressgateway-2 --cluster m1c1 --address 198.51.100.7 --expires 7d --confirm istio-ingressgateway-2

Output formats: json, yaml, name")]
pub struct RemoveArgs {
    /// Name of the Service
    name: String,

    /// Member clusters, by their names in fleet.yaml [default: the only one that has it]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    #[command(flatten)]
    lost: LostArgs,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: RemoveArgs) -> Result<Exit, CommandError> {
    // A wrong format is said before a cluster is asked, and before the name is.
    context.output(&write::FORMATS)?;
    let repo = context.repo()?;
    let mut intent = RemoveClb {
        name: args.name,
        namespace: context.globals.namespace.clone(),
        clusters: args.cluster,
        addresses: BTreeMap::new(),
        expires: args.lost.expires,
        reason: args.lost.reason.clone(),
    };
    intent.clusters = intent.clusters(&repo.state)?;
    let namespace = intent.namespace.as_deref().unwrap_or("istio-system");
    intent.addresses = args.lost.addresses(context, &repo, namespace, &intent.name, &intent.clusters)?;
    let plan = intent.plan(&repo.tree, &repo.state)?;
    if !args.write.is_dry_run() {
        args.lost.confirm(context, &intent.name, &plan.warnings)?;
    }
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff; then push both in one commit")
}
