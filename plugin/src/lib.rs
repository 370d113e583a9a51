//! `kubectl asm`: authors, checks and compares a fleet of Alibaba Cloud Service Mesh gateways kept as YAML in Git.
//!
//! Data flows one way: `Tree → FleetState → {lint, route, diff} → output` for reading, `intent → edits → check → write`
//! for authoring. The logic is in `asm_shared`; this crate does the terminal, the files and the clusters.

pub mod cli;
pub mod commands;
mod commit;
pub mod context;
pub mod error;
pub mod exit;
pub mod forge;
mod git;
pub mod globals;
pub mod kubeconfig;
pub mod live;
mod loose;
pub mod output;
mod pager;
mod parallel;
mod prompt;
pub mod schemas;
mod signals;
pub mod ui;
mod watch;
mod when;
pub mod write;

use crate::cli::{Cli, Invocation};
use crate::context::Context;
use crate::ui::Ui;
use clap::FromArgMatches as _;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command line, the name of the program included.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut invocation = Invocation::new(args);
    let parsed = invocation.parse().and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut invocation.command))?;
        Ok((invocation.defines_own_cluster_flag(&matches), cli))
    });
    let (own_cluster_flag, cli) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help asked for goes to stdout with 0, usage errors go to stderr with 2. A closed pipe is no failure.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let ui = Ui::new(cli.globals.color, cli.globals.no_headers);
    let context = Context::new(cli.globals, own_cluster_flag, ui);
    let result = commands::run(&context, cli.command).and_then(|exit| context.ui().finish().map(|()| exit));
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.print(context.ui());
            error.exit_code()
        }
    }
}
