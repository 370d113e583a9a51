//! Child processes that never outlive the harness.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result};

/// A running child. It ends with this value, and when the harness ends in any way: its standard input is a pipe whose
/// other end only we hold, and it watches that (`controlplane/main.go`).
#[derive(Debug)]
pub struct Supervised {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Supervised {
    /// Starts `command`, with both outputs appended to `log`.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        command.stdout(out.try_clone()?).stderr(out);
        Self::spawn(name, command, log.to_owned())
    }

    /// Starts `command`, with the outputs of this process.
    pub fn attached(name: &str, command: Command) -> Result<Self> {
        Self::spawn(name, command, PathBuf::new())
    }

    fn spawn(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        let child = command
            .stdin(Stdio::piped())
            // Ctrl-C goes to the harness alone, which then ends its children in the right order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        tracing::debug!(name, pid = child.id(), "started");
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The process ID.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot ask for the state of {}", self.name))
    }

    /// Ends it with SIGKILL and waits for that.
    pub fn kill(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has ended by itself. Blocks.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        // `Child::wait` closes standard input, which would end the child: look instead.
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// The last lines that it wrote, for error messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log, 15)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last `lines` lines of a file; empty if it cannot be read.
#[must_use]
pub fn tail(file: &Path, lines: usize) -> String {
    let text = String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Whether a process with this ID runs (a zombie does not).
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    // "PID (name) STATE …"; the name may hold anything, also ')'.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

/// Sends a signal to a process; one that is gone already is not an error.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    let signal = match signal {
        Signal::Term => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
        Signal::Stop => rustix::process::Signal::STOP,
        Signal::Continue => rustix::process::Signal::CONT,
    };
    let id = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let id = id.with_context(|| format!("{pid} is no process ID"))?;
    match rustix::process::kill_process(id, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot signal process {pid}")),
    }
}

/// The signals that the lab sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Please end.
    Term,
    /// End now.
    Kill,
    /// Run nothing until told.
    Stop,
    /// Go on as if no time had passed.
    Continue,
}

/// Leaves the terminal's session, so that closing the terminal does not end this process.
pub fn detach_from_terminal() -> Result<()> {
    rustix::process::setsid().map(drop).context("cannot start a session of its own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_ends_with_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("cat");
        command.arg("-");
        let child = Supervised::start("cat", command, &dir.path().join("log")).unwrap();
        let pid = child.pid();
        assert!(is_alive(pid));
        drop(child);
        assert!(!is_alive(pid));
    }

    #[test]
    fn the_tail_is_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        fs::write(&file, "1\n2\n3\n").unwrap();
        assert_eq!(tail(&file, 2), "2\n3");
        assert_eq!(tail(&file, 9), "1\n2\n3");
        assert_eq!(tail(&dir.path().join("none"), 2), "");
    }
}
