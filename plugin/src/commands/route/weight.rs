//! `kubectl asm route weight`.

use super::steps;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{WeighRoute, Weight};

/// Shifts the weights of a route's destinations.
///
/// Weights add up to 100. A declared subset that is not in the rule yet joins it; a destination that is not named leaves
/// it. Name `v2=0` to keep one without requests.
///
/// With --steps the shift is made in steps, each committed with your own Git; the tree must have no other changes. Push the
/// commits one after the other to let traffic follow.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # one of ten requests to v2
  kubectl asm route weight reviews v1=90 v2=10

  # all requests to v2
  kubectl asm route weight reviews v2=100

  # one rule of a route with several
  kubectl asm route weight reviews --rule beta v2=50 v3=50

  # all requests to v3 in three steps, each a commit
  kubectl asm route weight reviews v3=100 --steps 10,50,100

Output formats: json, yaml, name")]
pub struct WeightArgs {
    /// Name of the route (VirtualService)
    name: String,

    /// Subsets (or hosts) and their shares
    #[arg(value_name = "SUBSET=PERCENT", required = true, value_delimiter = ',')]
    weights: Vec<Weight>,

    /// Rule of the route, by its name or its number from 1 [default: the only one]
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// Shares on the way of the destination that grows; each step is a commit on the current branch
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=100))]
    steps: Vec<u32>,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: WeightArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let intent = WeighRoute {
        name: args.name,
        namespace: context.globals.namespace.clone(),
        rule: args.rule,
        weights: args.weights,
    };
    if !args.steps.is_empty() {
        let steps = intent.steps(&repo.tree, &repo.state, &args.steps)?;
        return steps::run(context, &repo, &steps, args.write);
    }
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
