//! `kubectl asm app place`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::PlaceApp;

/// Lets services, or versions of them, run in more clusters than they do.
///
/// The new cluster gets the Deployment as it is elsewhere, its Service and its account, and the Services that it calls. Whom a
/// service calls is known for bookinfo; of others, what their environment names, and what --calls says.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # reviews v3 in m1c2 too
  kubectl asm app place reviews-v3=m1c2

  # an application of your own, which calls ratings
  kubectl asm app place cart=m1c2 --calls ratings

Output formats: json, yaml, name")]
pub struct PlaceArgs {
    /// What runs where from now on, too
    #[arg(value_name = "SERVICE[-VERSION]=CLUSTER,…", required = true)]
    rules: Vec<String>,

    /// Service that they call; may be repeated
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    calls: Vec<String>,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: PlaceArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let mut rules = Vec::new();
    for text in &args.rules {
        rules.extend(PlaceApp::parse_rules(text)?);
    }
    let intent = PlaceApp { rules, namespace: context.globals.namespace.clone(), calls: args.calls };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
