//! One run of the user's `git`.

use super::Git;
use crate::error::CommandError;
use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Most lines of Git's own words that are shown.
const LINES: usize = 12;

/// A call of Git that is being put together.
#[derive(Debug)]
pub(super) struct Call {
    command: Command,
    input: Vec<u8>,
}

impl Git<'_> {
    /// A call in the fleet's folder, with Git's words in English: some of them are read.
    pub(super) fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.root).arg("--literal-pathspecs").args(args);
        command.env("LC_ALL", "C").env("LANGUAGE", "C");
        Call { command, input: Vec::new() }
    }
}

impl Call {
    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(super) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs it; `Err` when there is no `git`.
    pub(super) fn output(mut self) -> Result<Output, CommandError> {
        let failed = |error: std::io::Error| {
            CommandError::input("cannot run git").caused_by(&error).hinted("install Git and have it on the PATH")
        };
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(failed)?;
        let (input, stdin) = (self.input, child.stdin.take());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // A Git that has heard enough closes its end.
                let _ = stdin.map(|mut stdin| stdin.write_all(&input));
            });
            child.wait_with_output().map_err(failed)
        })
    }

    /// What it says on stdout, or an error with what it says on stderr.
    pub(super) fn ask(self, what: &str) -> Result<String, CommandError> {
        let output = self.output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(CommandError::input(format!("cannot {what}")).because(told(&output)))
    }

    /// What it says on stdout, trimmed; `None` when it fails.
    pub(super) fn maybe(self) -> Option<String> {
        let output = self.output().ok().filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }
}

/// What Git says about a failure: the last lines, without marks and control characters.
pub(super) fn told(output: &Output) -> String {
    let text = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_end().trim_start_matches("remote:").trim_start())
        .map(|line| line.trim_start_matches("fatal: ").trim_start_matches("error: "))
        .filter(|line| !line.is_empty())
        .map(asm_shared::pull_request::plain)
        .collect();
    if lines.is_empty() {
        return format!("git ended with {}", output.status);
    }
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Paths as Git takes them from its input.
pub(super) fn nul_separated(paths: &[String]) -> Vec<u8> {
    paths.iter().flat_map(|path| path.bytes().chain([0])).collect()
}

/// Arguments that read paths from the input.
pub(super) const PATHS: [&str; 2] = ["--pathspec-from-file=-", "--pathspec-file-nul"];
