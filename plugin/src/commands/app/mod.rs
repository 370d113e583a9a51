//! `kubectl asm app …`.

pub mod add;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// Sample applications.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum AppCommand {
    Add(add::AddArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: AppCommand) -> Result<Exit, CommandError> {
    match command {
        AppCommand::Add(args) => add::run(context, args),
    }
}
