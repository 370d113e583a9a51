//! `kubectl asm pr …`.

pub mod create;
mod publish;
mod remotes;
pub(crate) mod report;
mod survey;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// Pull requests for changes of the fleet.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum PrCommand {
    Create(create::CreateArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: PrCommand) -> Result<Exit, CommandError> {
    match command {
        PrCommand::Create(args) => create::run(context, &args),
    }
}
