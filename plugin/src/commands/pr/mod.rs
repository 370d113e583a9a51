//! `kubectl asm pr …`.

pub mod args;
mod body;
mod create;
mod publish;
mod remotes;
pub(crate) mod report;
mod run;
mod survey;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// Pull requests for changes of the fleet.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum PrCommand {
    Create(args::CreateArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: PrCommand) -> Result<Exit, CommandError> {
    match command {
        PrCommand::Create(args) => create::run(context, &args),
    }
}
