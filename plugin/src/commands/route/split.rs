//! `kubectl asm route split`.

use super::{ApiVersionArg, steps};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{SplitRoute, SubsetSpec, Weight};

/// Splits the requests for a Service among its versions, inside the mesh.
///
/// Declares the subsets and makes the route of the Service, or changes them when they are there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # everything to v3, with three versions to choose from later
  kubectl asm route split reviews --subset v1,v2,v3 --to v3=100

  # equal shares
  kubectl asm route split reviews --subset v1,v2,v3

  # back to nine to one
  kubectl asm route split reviews --to v1=90,v2=10

  # all requests to v3 in three steps, each a commit
  kubectl asm route split reviews --to v3=100 --steps 10,50,100

Output formats: json, yaml, name")]
pub struct SplitArgs {
    /// Name of the Service
    host: String,

    /// Subset to declare; may be repeated
    #[arg(long = "subset", value_name = "NAME[:LABEL=VALUE]", value_delimiter = ',')]
    subsets: Vec<SubsetSpec>,

    /// Share of a subset; may be repeated [default: equal shares of all --subset]
    #[arg(long = "to", value_name = "SUBSET=PERCENT", value_delimiter = ',')]
    weights: Vec<Weight>,

    /// Version of the Istio API to write
    #[arg(long, value_name = "VERSION", default_value = "v1beta1")]
    api_version: ApiVersionArg,

    /// Accept names that the fleet does not know
    #[arg(long)]
    allow_unknown: bool,

    /// Shares on the way of the destination that grows; each step is a commit on the current branch
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=100))]
    steps: Vec<u32>,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: SplitArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let intent = SplitRoute {
        host: args.host,
        namespace: context.globals.namespace.clone(),
        subsets: args.subsets,
        weights: args.weights,
        api_version: args.api_version.into(),
        allow_unknown: args.allow_unknown,
    };
    if !args.steps.is_empty() {
        let steps = intent.steps(&repo.tree, &repo.state, &args.steps)?;
        return steps::run(context, &repo, &steps, args.write);
    }
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
