//! `kubectl asm cluster remove`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::RemoveCluster;

/// Removes a member cluster from fleet.yaml and from its groups.
///
/// Refuses while clusters/NAME/ has files, unless --with-files removes them too. Says which load balancers the cluster
/// has; the agent deletes those only with an approval.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # see what it would change
  kubectl asm cluster remove m1c2 --with-files --dry-run

  kubectl asm cluster remove m1c2 --with-files

Output formats: json, yaml, name")]
pub struct RemoveArgs {
    /// Name in the fleet
    name: String,

    /// Remove the files under clusters/NAME/ as well
    #[arg(long)]
    with_files: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: RemoveArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let intent = RemoveCluster { name: args.name, with_files: args.with_files };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
