//! The judge of routes: what Istio's compiler and a real Envoy make of a request, without any cluster.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{controlplane::cache_dir, envoy::envoy, meshplane};

/// A running judge. It ends with this value, and when this process ends in any way: it reads cases from a pipe whose
/// other end only we hold. The Envoys that it starts end with it.
#[derive(Debug)]
pub struct Judge {
    child: Child,
    cases: Option<ChildStdin>,
    results: BufReader<ChildStdout>,
    /// What it was started with.
    with: Started,
}

#[derive(Clone, Debug)]
struct Started {
    temp: PathBuf,
    program: PathBuf,
    envoy: PathBuf,
    /// More memory than this, and it is ended and started anew before the next case.
    memory: u64,
}

/// What a judge may have: istiod's caches keep something of every mesh.
const MOST_MEMORY: u64 = 1 << 30;
/// From here on it collects its garbage harder, so that one case alone does not take all that there is.
const SOFT_LIMIT: &str = "768MiB";

impl Judge {
    /// Are Istio and Envoy in the cache already?
    #[must_use]
    pub fn is_built() -> bool {
        cache_dir().is_ok_and(|cache| meshplane::place(&cache).exists())
    }

    /// Builds Istio and downloads Envoy if they are not in the cache (some minutes), and starts a judge. Blocks.
    pub fn start() -> Result<Self> {
        Self::start_within(MOST_MEMORY)
    }

    /// The same with another bound for its memory, in bytes.
    pub fn start_within(memory: u64) -> Result<Self> {
        Self::start_with(Started { temp: env::temp_dir(), program: meshplane::meshplane()?, envoy: envoy()?, memory })
    }

    fn start_with(with: Started) -> Result<Self> {
        let mut child = Command::new(&with.program)
            .args(["judge", "-serve", "-envoy"])
            .arg(&with.envoy)
            .arg("-temp")
            .arg(&with.temp)
            .env("GOMEMLIMIT", SOFT_LIMIT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C goes to the harness alone.
            .process_group(0)
            .spawn()
            .context("cannot start the judge")?;
        let results = BufReader::new(child.stdout.take().context("the judge has no output")?);
        Ok(Self { cases: child.stdin.take(), results, child, with })
    }

    /// The answers to a case; `meshplane/judge.go` says what is in both.
    pub fn ask<R: DeserializeOwned>(&mut self, case: &impl Serialize) -> Result<R> {
        if memory(self.pid()).is_some_and(|bytes| bytes > self.with.memory) {
            // The old one first: both together would have what one must not.
            self.end();
            *self = Self::start_with(self.with.clone())?;
        }
        let mut line = serde_json::to_vec(case)?;
        line.push(b'\n');
        let cases = self.cases.as_mut().context("the judge has ended")?;
        cases.write_all(&line).and_then(|()| cases.flush()).context("the judge takes no more cases")?;
        let mut answer = String::new();
        self.results.read_line(&mut answer).context("the judge does not answer")?;
        ensure!(!answer.is_empty(), "the judge has ended; its messages are above");
        let value: Value = serde_json::from_str(&answer).context("the judge does not answer in JSON")?;
        if let Some(error) = value["error"].as_str() {
            anyhow::bail!("the judge cannot take the case: {error}");
        }
        serde_json::from_value(value).context("the judge's answer is not understood")
    }

    /// Its process ID.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Resident memory of a process.
fn memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

impl Judge {
    /// It ends after the case that it works at, and takes its files along.
    fn end(&mut self) {
        self.cases = None;
        let _ = self.child.wait();
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.end();
    }
}
