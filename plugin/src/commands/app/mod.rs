//! `kubectl asm app …`.

pub mod add;
pub mod r#move;
pub mod place;
pub mod remove;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// Applications: Bookinfo, and your own Deployments with their Services.
///
/// A name is looked up in the caller's own cluster, even when the pods behind it run in another: a Service stands in every
/// cluster where a caller runs.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum AppCommand {
    Add(add::AddArgs),
    Place(place::PlaceArgs),
    Move(r#move::MoveArgs),
    Remove(remove::RemoveArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: AppCommand) -> Result<Exit, CommandError> {
    match command {
        AppCommand::Add(args) => add::run(context, args),
        AppCommand::Place(args) => place::run(context, args),
        AppCommand::Move(args) => r#move::run(context, args),
        AppCommand::Remove(args) => remove::run(context, args),
    }
}
