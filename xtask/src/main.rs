//! The project's own commands: `cargo xtask <command>`. One file per command.

mod bench;
mod demo;
mod fuzz;
mod generate;
mod lab;
mod prerequisites;
mod schemas;
mod soak;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The main story on real API servers, step by step
    Demo(demo::Args),
    /// Run the tests: units, then the lab
    Test(test::Args),
    /// A fleet on this machine: real API servers, simulated cloud
    Lab(lab::Args),
    /// Mutated inputs for every reader of what strangers send
    Fuzz(fuzz::Args),
    /// Write every generated file: CRDs, JSON schemas, the command reference
    Gen(generate::Args),
    /// Write the schemas that lint judges by, from their sources (downloads Istio's module)
    Schemas,
    /// The agent under commits, drift and faults, for so many minutes: memory must not grow
    Soak(soak::Args),
    /// Measure what users wait for and write docs/benchmarks.md
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => match demo::run(&args) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Test(args) => test::run(&args),
        Command::Lab(args) => lab::run(args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Gen(args) => generate::run(&args),
        Command::Schemas => schemas::run(),
        Command::Soak(args) => soak::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // `cargo xtask … | head`: whoever read has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
