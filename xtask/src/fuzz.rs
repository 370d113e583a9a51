//! Mutated inputs for every reader of what strangers send; see `fuzz/`.

use anyhow::{Context as _, Result, bail};
use std::process::Command;

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this target (yaml, fields_v1, kubeconfig, webhook, git_pack, git_object, patch, url)
    target: Option<String>,
    /// How long each target is run
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Another seed makes another run
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // With checks of overflow and the like: what only wraps in a release is a fault, too.
    command.args(["run", "--quiet", "--package", "asm-fuzz", "--"]).current_dir(crate::generate::root());
    command.args(&args.target).args(["--seconds", &args.seconds.to_string(), "--seed", &args.seed.to_string()]);
    if !command.status().context("cannot run the fuzzer")?.success() {
        bail!("the fuzzer found something, or could not run");
    }
    Ok(())
}
