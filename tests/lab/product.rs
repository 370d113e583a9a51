//! The two binaries under test: built once, found, run.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::{
    Lab,
    processes::{self, Signal, Supervised},
};

/// Where the built binaries are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `kubectl-asm`
    pub plugin: PathBuf,
    /// `asm-agent`
    pub agent: PathBuf,
}

/// Builds both binaries, once per process, with the profile and target directory of the running test; or takes them
/// from the directory `KUBECTL_ASM_BIN_DIR`.
pub fn binaries() -> Result<&'static Binaries> {
    static BINARIES: OnceLock<Result<Binaries, String>> = OnceLock::new();
    BINARIES.get_or_init(|| find().map_err(|e| format!("{e:#}"))).as_ref().map_err(|e| anyhow!("{e}"))
}

fn find() -> Result<Binaries> {
    let dir = match env::var_os("KUBECTL_ASM_BIN_DIR").filter(|d| !d.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => build()?,
    };
    let binary = |name: &str| {
        let path = dir.join(format!("{name}{}", env::consts::EXE_SUFFIX));
        ensure!(path.is_file(), "there is no {name} in {}", dir.display());
        Ok(path)
    };
    Ok(Binaries { plugin: binary("kubectl-asm")?, agent: binary("asm-agent")? })
}

/// Gives the directory `target/PROFILE` that the running program is in, after building into it.
fn build() -> Result<PathBuf> {
    let me = env::current_exe().context("where is this program?")?;
    // Tests are in target/PROFILE/deps, programs such as xtask in target/PROFILE.
    let mut dir = me.parent().context("a program is in a directory")?;
    if dir.ends_with("deps") || dir.ends_with("examples") {
        dir = dir.parent().context("`deps` is in the profile's directory")?;
    }
    let profile = dir.file_name().and_then(|n| n.to_str()).context("the profile's directory has a name")?;
    let profile = if profile == "debug" { "dev" } else { profile };
    let target = dir.parent().context("the profile's directory is in the target directory")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["build", "--quiet", "-p", "kubectl-asm", "-p", "asm-agent", "--profile", profile, "--target-dir"])
        .arg(target)
        // What cargo tells the crate of this program must not reach another build.
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_PKG_NAME")
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "cannot build kubectl-asm and asm-agent:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(dir.to_owned())
}

/// Runs `kubectl-asm` as the lab's admin and waits for it. For more than arguments see [`PluginCommand`].
pub fn plugin<S: Into<OsString>>(lab: &Lab, cwd: &Path, args: impl IntoIterator<Item = S>) -> Result<Output> {
    PluginCommand::new(lab, cwd)?.args(args).output()
}

/// A run of `kubectl-asm` in a clean environment.
#[derive(Debug)]
pub struct PluginCommand {
    command: Command,
    stdin: Option<Vec<u8>>,
}

impl PluginCommand {
    /// With the lab's kubeconfig, a home directory of its own and a fixed Git identity and date.
    pub fn new(lab: &Lab, cwd: &Path) -> Result<Self> {
        let mut command = Command::new(&binaries()?.plugin);
        command.current_dir(cwd);
        scrub(&mut command, lab)?;
        command.env("KUBECONFIG", lab.kubeconfig());
        for (role, name) in [("AUTHOR", "Lab Engineer"), ("COMMITTER", "Lab Engineer")] {
            command
                .env(format!("GIT_{role}_NAME"), name)
                .env(format!("GIT_{role}_EMAIL"), "engineer@example.com")
                .env(format!("GIT_{role}_DATE"), "2026-01-02T03:04:05Z");
        }
        Ok(Self { command, stdin: None })
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// Takes a variable away, such as `KUBECONFIG`.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Gives this on standard input.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Runs it to its end. Blocks.
    pub fn output(mut self) -> Result<Output> {
        let input = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child = self
            .command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run kubectl-asm")?;
        let writer = child.stdin.take().zip(self.stdin.take()).map(|(mut pipe, text)| {
            // From a thread of its own: both sides may fill their pipes at once.
            std::thread::spawn(move || pipe.write_all(&text))
        });
        let output = child.wait_with_output().context("cannot wait for kubectl-asm")?;
        if let Some(writer) = writer {
            // It need not read everything.
            let _ = writer.join();
        }
        Ok(output)
    }
}

/// Leaves nothing of the caller's environment but what programs need to run at all.
fn scrub(command: &mut Command, lab: &Lab) -> Result<()> {
    let (home, temp) = (lab.dir().join("home"), lab.dir().join("tmp"));
    fs::create_dir_all(&home)?;
    fs::create_dir_all(&temp)?;
    command.env_clear();
    for name in ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE", "RUST_BACKTRACE"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("HOME", home)
        // A killed program leaves its temporary files: they go with the lab.
        .env("TMPDIR", temp)
        .env("NO_COLOR", "1")
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    Ok(())
}

/// A running `asm-agent`. Killed when this value is dropped, and when the harness ends in any way.
#[derive(Debug)]
pub struct AgentProcess {
    supervisor: Supervised,
    pid: u32,
    log: PathBuf,
}

impl AgentProcess {
    /// Starts the agent with these arguments.
    pub fn spawn<S: Into<OsString>>(lab: &Lab, args: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::spawn_with(lab, args, &BTreeMap::new())
    }

    /// The same with more environment variables, such as `RUST_LOG`.
    pub fn spawn_with<S: Into<OsString>>(
        lab: &Lab,
        args: impl IntoIterator<Item = S>,
        env: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let n = lab.next_number();
        let (log, pid_file) = (lab.dir().join(format!("agent-{n}.log")), lab.dir().join(format!("agent-{n}.pid")));
        let mut command = lab.control_plane().supervise(&binaries()?.agent, Some(&pid_file));
        command.args(args.into_iter().map(Into::into));
        scrub(&mut command, lab)?;
        command.envs(env);
        let mut supervisor = Supervised::start("asm-agent", command, &log)?;
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(text) = fs::read_to_string(&pid_file) {
                let pid = text.trim().parse().context("the supervisor wrote no process ID")?;
                return Ok(Self { supervisor, pid, log });
            }
            if let Some(status) = supervisor.exited()? {
                bail!("asm-agent did not start ({status}):\n{}", supervisor.log_tail());
            }
            ensure!(Instant::now() < end, "asm-agent did not start within 20 s");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The agent's process ID.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A handle that can kill it from a proxy's hook.
    pub fn killer(&self) -> impl Fn() + Send + Sync + Clone + 'static {
        let pid = self.pid;
        move || {
            // It may have ended already.
            let _ = processes::signal(pid, Signal::Kill);
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        processes::signal(self.pid, Signal::Kill)?;
        self.supervisor.wait().map(drop)
    }

    /// SIGSTOP: nothing in it runs until [`Self::resume`].
    pub fn pause(&self) -> Result<()> {
        processes::signal(self.pid, Signal::Stop)
    }

    /// SIGCONT: it goes on in the middle of whatever it was at.
    pub fn resume(&self) -> Result<()> {
        processes::signal(self.pid, Signal::Continue)
    }

    /// SIGTERM, and waits until it has ended. Blocks.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        processes::signal(self.pid, Signal::Term)?;
        self.wait()
    }

    /// Waits until it has ended by itself. Blocks.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.supervisor.wait()
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.supervisor.exited()
    }

    /// Everything it has written.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The file that it writes to.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Its memory, in bytes (resident set).
    pub fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).context("the agent is gone")?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("it has no memory any more")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        // The program itself, not only its supervisor: whoever drops this counts on it being gone.
        if matches!(self.supervisor.exited(), Ok(None)) {
            let _ = self.kill();
        }
    }
}
