//! `kubectl asm app remove`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::RemoveApp;

/// Removes an application, a service of it, or one version, everywhere or from one cluster.
///
/// Refuses while a route sends requests to what would be gone. A Service stays wherever a caller runs.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "rm",
    after_help = "Examples:
  # one version, from one of its clusters
  kubectl asm app remove reviews-v3 --cluster m1c1

  # all of bookinfo
  kubectl asm app remove bookinfo

Output formats: json, yaml, name"
)]
pub struct RemoveArgs {
    /// bookinfo, SERVICE, SERVICE-VERSION or the name of a Deployment
    name: String,

    /// Only from this cluster
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<String>,

    /// Remove it although a route still sends requests there
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: RemoveArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let namespace = context.globals.namespace.clone();
    let intent = RemoveApp { name: args.name, cluster: args.cluster, namespace, force: args.force };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
