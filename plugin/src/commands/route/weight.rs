//! `kubectl asm route weight`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{WeighRoute, Weight};

/// Shifts the weights of a route's destinations.
///
/// Weights add up to 100. A declared subset that is not in the rule yet joins it; a destination that is not named leaves
/// it. Name `v2=0` to keep one without requests.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # one of ten requests to v2
  kubectl asm route weight reviews v1=90 v2=10

  # all requests to v2
  kubectl asm route weight reviews v2=100

  # one rule of a route with several
  kubectl asm route weight reviews --rule beta v2=50 v3=50

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
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
