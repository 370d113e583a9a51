//! `kubectl asm app move`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::MoveApp;

/// Lets a service, or one version of it, run in another cluster instead of where it runs.
///
/// Its Service stays wherever a caller runs, or may run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm app move reviews-v3 --to m1c2

  # gently: first in both, then only in the new one
  kubectl asm app place reviews-v3=m1c2
  kubectl asm app remove reviews-v3 --cluster m1c1

Output formats: json, yaml, name")]
pub struct MoveArgs {
    /// SERVICE, SERVICE-VERSION or the name of a Deployment
    name: String,

    /// The cluster it runs in from now on
    #[arg(long, value_name = "CLUSTER")]
    to: String,

    /// Service that it calls; may be repeated
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    calls: Vec<String>,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: MoveArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let namespace = context.globals.namespace.clone();
    let intent = MoveApp { name: args.name, to: args.to, namespace, calls: args.calls };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
