//! What the machine must have, named with the command that installs it.

use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// Program, the arguments that make it answer, what it is for, how to get it.
const NEEDED: &[(&str, &str, &str, &str)] = &[
    ("cargo", "--version", "builds the project", "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"),
    (
        "go",
        "version",
        "builds the lab's control plane",
        "apt-get install golang, or see https://go.dev/doc/install (1.24 or later)",
    ),
    ("git", "--version", "keeps and serves fleets", "apt-get install git"),
    ("cc", "--version", "builds libgit2", "apt-get install build-essential"),
];

/// The same, for the full run only.
const NEEDED_BY_THE_FULL_RUN: &[(&str, &str, &str, &str)] =
    &[("python3", "-m pip --version", "downloads Envoy with pip", "apt-get install python3 python3-pip")];

/// Fails with everything that is missing.
pub(crate) fn check() -> Result<()> {
    check_all(NEEDED)
}

/// Fails with everything that is missing for the full run of the tests.
pub(crate) fn check_for_full_run() -> Result<()> {
    check_all(&[NEEDED, NEEDED_BY_THE_FULL_RUN].concat())
}

fn check_all(needed: &[(&str, &str, &str, &str)]) -> Result<()> {
    let missing: Vec<String> = needed
        .iter()
        .filter(|(program, arguments, ..)| !answers(program, arguments))
        .map(|(program, _, purpose, install)| format!("  {program} ({purpose}): {install}"))
        .collect();
    if !missing.is_empty() {
        bail!("this machine lacks\n{}", missing.join("\n"));
    }
    // git-http-backend is part of git, but some distributions put it into a package of its own.
    let exec_path = Command::new("git").arg("--exec-path").output()?;
    let dir = String::from_utf8_lossy(&exec_path.stdout).trim().to_owned();
    if !std::path::Path::new(&dir).join("git-http-backend").exists() {
        bail!(
            "this machine's git has no git-http-backend (serves fleets over HTTP): apt-get install git, or git-daemon"
        );
    }
    Ok(())
}

fn answers(program: &str, arguments: &str) -> bool {
    let status = Command::new(program).args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
