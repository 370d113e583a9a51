//! `kubectl asm doctor …`.

pub mod clb_access;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// Finds out why something does not work, and what helps.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum DoctorCommand {
    ClbAccess(clb_access::ClbAccessArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: DoctorCommand) -> Result<Exit, CommandError> {
    match command {
        DoctorCommand::ClbAccess(args) => clb_access::run(context, args),
    }
}
