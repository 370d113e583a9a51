//! `kubectl asm route fault`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{Fault, FaultRoute};

/// Makes requests of a rule fail or wait, to see how their callers take it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # one of ten requests is answered with 503
  kubectl asm route fault ratings --abort 503=10

  # every request waits five seconds
  kubectl asm route fault ratings --delay 5s

  # no faults any more
  kubectl asm route fault ratings --off

Output formats: json, yaml, name")]
pub struct FaultArgs {
    /// Name of the route (VirtualService)
    name: String,

    /// Rule of the route, by its name or its number from 1 [default: the only one]
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// Answer with this HTTP status
    #[arg(long, value_name = "STATUS[=PERCENT]", value_parser = Fault::abort, conflicts_with = "off")]
    abort: Option<Fault>,

    /// Wait this long first
    #[arg(long, value_name = "DURATION[=PERCENT]", value_parser = Fault::delay, conflicts_with = "off",
          required_unless_present_any = ["abort", "off"])]
    delay: Option<Fault>,

    /// Take the faults away
    #[arg(long)]
    off: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: FaultArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let namespace = context.globals.namespace.clone();
    let intent = FaultRoute { name: args.name, namespace, rule: args.rule, abort: args.abort, delay: args.delay };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
