//! The agent on real API servers under commits, drift and faults, for as long as somebody likes.

use anyhow::{Context as _, Result, ensure};
use std::process::{Command, Stdio};

/// Options of `cargo xtask soak`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--package", "asm-tests", "--example", "bench_agent", "--", "soak"]);
    command.arg(args.minutes.to_string()).current_dir(crate::generate::root()).stdout(Stdio::null());
    ensure!(command.status().context("cannot run cargo")?.success(), "the soak failed, or could not run");
    Ok(())
}
