//! Every test of the project: units first, they need no lab; then the lab.

use crate::prerequisites;
use anyhow::{Context as _, Result, bail};
use std::process::Command;

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also run what takes longer: every point of a crash, long idling, routes judged by a real Istio, live traffic, the demos
    #[arg(long)]
    full: bool,
    /// Only units: no lab
    #[arg(long, conflicts_with = "full")]
    units: bool,
}

/// Crates whose tests need no lab.
const UNITS: &[&str] = &["asm-shared", "asm-io", "kubectl-asm", "asm-agent", "asm-fuzz", "xtask"];

/// The module that holds Istio's samples; the version of `shared/tests/lint_samples.rs`.
const ISTIO_SAMPLES: &str = "istio.io/istio@v0.0.0-20260827124520-eed52ebb66ad";

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.full {
        prerequisites::check_for_full_run()?
    } else {
        prerequisites::check()?
    }
    if args.full {
        // Istio's samples stay in Istio's module: the test of them says that it is skipped where nobody has downloaded it.
        let mut download = Command::new("go");
        step(
            "download of Istio's samples",
            download.args(["mod", "download", ISTIO_SAMPLES]).env("GOFLAGS", "-mod=mod"),
        )?;
    }
    let mut units = cargo(&["test"]);
    for name in UNITS {
        units.args(["--package", name]);
    }
    step("units", &mut units)?;
    if args.units {
        return Ok(());
    }
    if asm_lab::browser::find().is_none() {
        anstream::eprintln!("── page (the live page in a browser) skipped: {}", asm_lab::browser::MISSING);
    }
    // Each lab test starts control planes of its own. They wait more than they work: two at a time take half as long.
    let mut lab = cargo(&["test", "--package", "asm-tests", "--", "--test-threads", "2"]);
    if args.full {
        lab.env("KUBECTL_ASM_FULL", "1");
    }
    step("lab", &mut lab)?;
    if args.full {
        step("demo", &mut cargo(&["run", "--quiet", "--package", "xtask", "--", "demo"]))?;
        match asm_lab::dataplane::enclosure::unavailable() {
            Some(why) => anstream::eprintln!("── demo --traffic skipped: {why}"),
            None => {
                let mut traffic = cargo(&["run", "--quiet", "--package", "xtask", "--", "demo", "--traffic"]);
                step("demo of traffic", &mut traffic)?;
            }
        }
    }
    Ok(())
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(crate::generate::root());
    command
}

fn step(name: &str, command: &mut Command) -> Result<()> {
    anstream::eprintln!("── {name}");
    let status = command.status().with_context(|| format!("cannot run the {name} tests"))?;
    if !status.success() {
        bail!("the {name} tests failed");
    }
    Ok(())
}
