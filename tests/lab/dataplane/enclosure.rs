//! A program once more, in namespaces of its own: users, network, mounts and processes.
//!
//! In there it may make bridges and give itself any address, without privileges and without touching the machine. It is
//! the first process of its PID namespace, so the kernel ends everything that it started when it ends in any way; and it
//! ends when the program outside does (`controlplane run` holds a pipe of that one, `unshare` is killed with it).

use std::{
    env,
    ffi::OsString,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::OnceLock,
};

use anyhow::{Context as _, Result, ensure};

use crate::{ControlPlane, Supervised};

/// Set for the program inside.
const INSIDE: &str = "KUBECTL_ASM_LAB_ENCLOSED";
/// `--mount-proc`: /proc must show the inner process IDs, or `nsenter` enters the wrong process's namespace.
const UNSHARE: &[&str] = &["--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
/// What the data plane asks of the kernel, tried once.
const PROBE: &str = "ip link set lo up && ip link add br0 type bridge && \
     ip link add v0 type veth peer name v1 && ip addr add 203.0.113.1/32 dev lo && unshare --net true";

/// Whether this process is the one inside.
#[must_use]
pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Why this machine can make no such namespaces, if it cannot.
pub fn unavailable() -> Option<&'static str> {
    static WHY: OnceLock<Option<String>> = OnceLock::new();
    WHY.get_or_init(probe).as_deref()
}

fn probe() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("network namespaces are a thing of Linux".to_owned());
    }
    for (program, package) in [("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")] {
        let answer = Command::new(program).arg("-V").stdin(Stdio::null()).output();
        if answer.is_err() {
            return Some(format!("`{program}` is not on the PATH: apt-get install {package}"));
        }
    }
    let tried = Command::new("unshare").args(UNSHARE).args(["--", "sh", "-c", PROBE]).stdin(Stdio::null()).output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            Some(format!(
                "no network namespace can be made here ({said}); needed are unprivileged user namespaces \
                 (kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0) or root"
            ))
        }
        Err(error) => Some(format!("cannot run unshare: {error}")),
    }
}

/// A command that runs `program` in namespaces of its own, and ends it with everything that it started when the
/// command's standard input ends.
pub fn enclose(control_plane: &ControlPlane, program: &Path) -> Command {
    let mut command = control_plane.supervise("unshare", None);
    command.args(UNSHARE).arg("--").arg(program).env(INSIDE, "1");
    command
}

/// Where what the program inside prints goes.
#[derive(Debug, Clone, Copy)]
pub enum Output<'a> {
    /// To the terminal of the one outside.
    Terminal,
    /// Into a file.
    Log(&'a Path),
}

/// Runs this program once more inside, and waits for it.
pub fn again(args: &[OsString], output: Output<'_>) -> Result<ExitStatus> {
    ensure!(!is_inside(), "this program runs in namespaces of its own already");
    let me = env::current_exe().context("where is this program?")?;
    // Built out here: inside there is no network.
    let control_plane = ControlPlane::prepare()?;
    crate::istio_crds()?;
    super::Programs::prepare()?;
    let binaries = crate::binaries()?.plugin.parent().context("a program is in a directory")?;
    let mut command = enclose(&control_plane, &me);
    command.args(args).env("KUBECTL_ASM_BIN_DIR", binaries);
    let mut child = match output {
        Output::Terminal => Supervised::attached("the program inside", command)?,
        Output::Log(file) => Supervised::start("the program inside", command, file)?,
    };
    child.wait()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write as _, thread::sleep, time::Duration};

    /// The processes that have this word among their arguments.
    fn running(word: &str) -> usize {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let arguments = processes.filter_map(|p| fs::read(p.path().join("cmdline")).ok());
        arguments.filter(|text| text.split(|b| *b == 0).any(|argument| argument == word.as_bytes())).count()
    }

    fn until(holds: impl Fn() -> bool) {
        for _ in 0..500 {
            if holds() {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        panic!("waited in vain");
    }

    #[test]
    fn what_is_started_inside_ends_with_the_command() {
        if let Some(why) = unavailable() {
            let _ = writeln!(std::io::stderr(), "what_is_started_inside_ends_with_the_command skipped: {why}");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        // A number that no other process sleeps for.
        let word = format!("9{}.25", std::process::id());
        let mut command = enclose(&ControlPlane::prepare().unwrap(), Path::new("sh"));
        // One that ignores what asks it to end, one in a session of its own: the kernel ends both.
        command.args(["-c", &format!("trap '' TERM INT HUP; setsid sleep {word} & sleep {word}")]);
        let child = Supervised::start("sh", command, &dir.path().join("log")).unwrap();
        until(|| running(&word) == 2);
        drop(child);
        until(|| running(&word) == 0);
    }
}
