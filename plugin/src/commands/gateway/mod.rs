//! `kubectl asm gateway …`.

pub mod create;
pub mod delete;
pub mod edit;
pub mod list;
mod live;
pub mod settings;
pub mod share;
pub mod show;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// Ingress and egress gateways (IstioGateway).
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum GatewayCommand {
    // The flags of its settings are many; the other verbs should not carry their size.
    Create(Box<create::CreateArgs>),
    List(list::ListArgs),
    Show(show::ShowArgs),
    Edit(Box<edit::EditArgs>),
    Delete(delete::DeleteArgs),
    Share(share::ShareArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: GatewayCommand) -> Result<Exit, CommandError> {
    match command {
        GatewayCommand::Create(args) => create::run(context, *args),
        GatewayCommand::List(args) => list::run(context, args),
        GatewayCommand::Show(args) => show::run(context, args),
        GatewayCommand::Edit(args) => edit::run(context, *args),
        GatewayCommand::Delete(args) => delete::run(context, args),
        GatewayCommand::Share(args) => share::run(context, args),
    }
}

/// Gateways stand in one namespace only.
fn check_namespace(context: &Context) -> Result<(), CommandError> {
    match context.globals.namespace.as_deref().filter(|namespace| *namespace != "istio-system") {
        None => Ok(()),
        Some(namespace) => Err(CommandError::usage(format!("a gateway cannot stand in namespace {namespace}"))
            .because("ASM gives gateways their configuration in istio-system only")
            .hinted("leave --namespace out")),
    }
}
