//! `kubectl asm route move`.

use super::place::PlaceArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::MoveRule;

/// Moves a rule of a route to another place: the first rule that matches a request decides.
///
/// The rule's text moves as it is, comments and all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm route move reviews testers --before everybody
  kubectl asm route move reviews 3 --first

Output formats: json, yaml, name")]
pub struct MoveArgs {
    /// Name of the route (VirtualService)
    name: String,

    /// The rule, by its name or its number from 1
    rule: String,

    #[command(flatten)]
    place: PlaceArgs,

    /// Move it although it hides another rule
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: MoveArgs) -> Result<Exit, CommandError> {
    let place = args
        .place
        .place()
        .ok_or_else(|| CommandError::usage("where to?").hinted("say --before RULE, --after RULE, --first or --last"))?;
    let repo = context.repo()?;
    let namespace = context.globals.namespace.clone();
    let intent = MoveRule { name: args.name, namespace, rule: args.rule, place, force: args.force };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
