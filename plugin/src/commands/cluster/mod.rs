//! `kubectl asm cluster …`.

pub mod add;
pub mod list;
pub mod remove;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// Member clusters of the fleet.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum ClusterCommand {
    Add(add::AddArgs),
    List(list::ListArgs),
    Remove(remove::RemoveArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: ClusterCommand) -> Result<Exit, CommandError> {
    match command {
        ClusterCommand::Add(args) => add::run(context, args),
        ClusterCommand::List(args) => list::run(context, args),
        ClusterCommand::Remove(args) => remove::run(context, args),
    }
}
