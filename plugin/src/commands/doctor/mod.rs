//! `kubectl asm doctor …`.

pub mod chain;
pub mod clb_access;
pub mod gateway;
pub mod route;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Subcommand;
use std::fmt::Write as _;

/// Finds out why something does not work, and what helps.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "the help text of a verb is the documentation of its arguments")]
pub enum DoctorCommand {
    Gateway(gateway::GatewayArgs),
    Route(route::RouteArgs),
    ClbAccess(clb_access::ClbAccessArgs),
}

/// Runs one of them.
pub fn run(context: &Context, command: DoctorCommand) -> Result<Exit, CommandError> {
    match command {
        DoctorCommand::Gateway(args) => gateway::run(context, args),
        DoctorCommand::Route(args) => route::run(context, args),
        DoctorCommand::ClbAccess(args) => clb_access::run(context, args),
    }
}

/// Breaks a sentence into lines that fit a terminal, all but the first one indented.
fn wrapped(text: &str, indent: &str) -> String {
    const WIDTH: usize = 98;
    let (mut result, mut column) = (String::with_capacity(text.len()), indent.len());
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent.len() && column + 1 + length > WIDTH {
            // Writing to a string does not fail.
            let _ = write!(result, "\n{indent}");
            column = indent.len();
        } else if column > indent.len() {
            result.push(' ');
            column += 1;
        }
        result.push_str(word);
        column += length;
    }
    result
}
