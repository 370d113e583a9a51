//! `kubectl asm gateway …`.

pub mod create;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// Ingress gateways (IstioGateway).
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum GatewayCommand {
    Create(create::CreateArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: GatewayCommand) -> Result<Exit, CommandError> {
    match command {
        GatewayCommand::Create(args) => create::run(context, args),
    }
}
