//! `kubectl asm route mirror`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{Destination, MirrorRoute, Share};

/// Sends copies of a rule's requests to a second destination as well.
///
/// Clients get the answers of the first; those of the second are dropped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # a copy of every tenth request to the next version
  kubectl asm route mirror reviews --to reviews@v3 --percent 10

  # no copies any more
  kubectl asm route mirror reviews --off

Output formats: json, yaml, name")]
pub struct MirrorArgs {
    /// Name of the route (VirtualService)
    name: String,

    /// Rule of the route, by its name or its number from 1 [default: the only one]
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// Where the copies go
    #[arg(long, value_name = "DESTINATION", required_unless_present = "off", conflicts_with = "off")]
    to: Option<Destination>,

    /// Share of the requests that are copied [default: 100]
    #[arg(long, value_name = "PERCENT", conflicts_with = "off")]
    percent: Option<Share>,

    /// Take the mirror away
    #[arg(long)]
    off: bool,

    /// Accept names that the fleet does not know
    #[arg(long)]
    allow_unknown: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: MirrorArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let intent = MirrorRoute {
        name: args.name,
        namespace: context.globals.namespace.clone(),
        rule: args.rule,
        to: args.to,
        percent: args.percent,
        allow_unknown: args.allow_unknown,
    };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
