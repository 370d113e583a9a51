//! `kubectl asm clb …`.

pub mod add;
pub mod list;
mod live;
mod lost;
pub mod remove;
pub mod replace;
mod settings;
pub mod show;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;

/// Load balancers (CLB, NLB) of gateways.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum ClbCommand {
    Add(add::AddArgs),
    List(list::ListArgs),
    Show(show::ShowArgs),
    Remove(remove::RemoveArgs),
    Replace(replace::ReplaceArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: ClbCommand) -> Result<Exit, CommandError> {
    match command {
        ClbCommand::Add(args) => add::run(context, args),
        ClbCommand::List(args) => list::run(context, args),
        ClbCommand::Show(args) => show::run(context, args),
        ClbCommand::Remove(args) => remove::run(context, args),
        ClbCommand::Replace(args) => replace::run(context, args),
    }
}
