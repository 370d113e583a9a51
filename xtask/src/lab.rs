//! `cargo xtask lab up|status|down`: a lab that stays until it is taken down.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant, SystemTime},
};

use anstream::stdout;
use anyhow::{Context, Result, bail, ensure};
use asm_lab::{Lab, LabOptions, Progress, Signal};
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Subcommand)]
enum LabCommand {
    /// Starts a lab in the background and waits until it is ready
    Up {
        /// Name of a member cluster; may be given several times
        #[arg(long = "member", value_name = "NAME", default_values = ["m1c1", "m1c2"])]
        members: Vec<String>,
    },
    /// Shows which API servers are ready, and where
    Status,
    /// Ends the lab
    Down,
    /// Is the lab: what `up` starts
    #[command(hide = true)]
    Serve {
        #[arg(long = "member")]
        members: Vec<String>,
    },
}

pub(crate) fn run(args: Args) -> Result<()> {
    let files = Files::new()?;
    match args.command {
        LabCommand::Up { members } => up(&files, &members),
        LabCommand::Status => status(&files),
        LabCommand::Down => down(&files),
        LabCommand::Serve { members } => serve(&files, members),
    }
}

/// What the background process and these commands tell each other by.
struct Files {
    /// Locked by the background process as long as it lives; whoever can lock it knows that none runs.
    lock: PathBuf,
    /// Held by an `up` until its lab is ready, against a second one.
    up: PathBuf,
    state: PathBuf,
    /// Progress lines while it starts.
    progress: PathBuf,
    log: PathBuf,
}

impl Files {
    fn new() -> Result<Self> {
        let dir = asm_lab::cache_dir()?.join("lab");
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let file = |name: &str| dir.join(name);
        Ok(Self {
            lock: file("lock"),
            up: file("up.lock"),
            state: file("state.json"),
            progress: file("progress"),
            log: file("log"),
        })
    }

    fn is_running(&self) -> Result<bool> {
        let file = File::options().create(true).append(true).open(&self.lock)?;
        // Shared: questions do not disturb each other.
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error).context("cannot ask whether a lab runs"),
        }
    }

    /// The state of the lab that runs, once it is ready.
    fn state(&self) -> Result<Option<Value>> {
        if !self.is_running()? {
            return Ok(None);
        }
        match fs::read(&self.state) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", self.state.display())),
        }
    }
}

fn up(files: &Files, members: &[String]) -> Result<()> {
    let mut out = stdout().lock();
    let waiting = File::create(&files.up)?;
    waiting.lock().context("cannot wait for another `lab up`")?;
    if let Some(state) = files.state()? {
        writeln!(out, "The lab is already running.")?;
        return show_how_to_use(&mut out, &state);
    }
    for file in [&files.state, &files.progress, &files.log] {
        let _ = fs::remove_file(file);
    }
    let log = File::create(&files.log)?;
    let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
    command.args(["lab", "serve"]);
    for member in members {
        command.args(["--member", member]);
    }
    // The end of its log is shown when it fails: a backtrace would push the message out.
    command.env("RUST_LIB_BACKTRACE", "0");
    let mut child =
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context("cannot start the lab")?;
    let mut shown = 0;
    loop {
        let text = fs::read_to_string(&files.progress).unwrap_or_default();
        for line in text.lines().skip(shown) {
            writeln!(out, "{line}")?;
            shown += 1;
        }
        if let Some(state) = files.state()?
            && state["pid"] == child.id()
        {
            return show_how_to_use(&mut out, &state);
        }
        if let Some(status) = child.try_wait()? {
            let log = asm_lab::tail(&files.log, 30);
            bail!("the lab did not start ({status}):\n{log}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn show_how_to_use(out: &mut impl Write, state: &Value) -> Result<()> {
    let text = |key: &str| state[key].as_str().unwrap_or_default();
    let kubeconfig = text("kubeconfig");
    let member = state["members"][0].as_str().unwrap_or_default();
    writeln!(out, "\nkubeconfig  {kubeconfig}")?;
    writeln!(out, "Git         {}", text("git"))?;
    for (name, id) in state["clusterIds"].as_object().into_iter().flatten() {
        writeln!(out, "cluster ID  {name}  {}", id.as_str().unwrap_or_default())?;
    }
    writeln!(out, "\n  export KUBECONFIG={kubeconfig}\n\nTry next:\n")?;
    writeln!(out, "  kubectl --context mesh get crd")?;
    writeln!(out, "  kubectl --context {member} get nodes,namespaces")?;
    writeln!(out, "  git clone {}", text("git"))?;
    writeln!(out, "  cargo xtask lab status")?;
    writeln!(out, "  cargo xtask lab down")?;
    Ok(())
}

fn status(files: &Files) -> Result<()> {
    let mut out = stdout().lock();
    let Some(state) = files.state()? else {
        if files.is_running()? {
            writeln!(out, "The lab is starting.")?;
        } else {
            writeln!(out, "No lab is running. Start one with: cargo xtask lab up")?;
        }
        return Ok(());
    };
    let kubeconfig = PathBuf::from(state["kubeconfig"].as_str().unwrap_or_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    writeln!(out, "{:<10} {:<10} ADDRESS", "CONTEXT", "STATE")?;
    for (context, server) in state["servers"].as_object().into_iter().flatten() {
        let ready = runtime.block_on(asm_lab::is_ready(&kubeconfig, context))?;
        let word = if ready { "ready" } else { "not ready" };
        writeln!(out, "{context:<10} {word:<10} {}", server.as_str().unwrap_or_default())?;
    }
    let started = Duration::from_secs(state["started"].as_u64().unwrap_or_default());
    let up = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.saturating_sub(started).as_secs();
    writeln!(out, "\nkubeconfig  {}", kubeconfig.display())?;
    writeln!(out, "Git         {}", state["git"].as_str().unwrap_or_default())?;
    writeln!(out, "up for      {} h {:02} min {:02} s (process {})", up / 3600, up / 60 % 60, up % 60, state["pid"])?;
    Ok(())
}

fn down(files: &Files) -> Result<()> {
    let mut out = stdout().lock();
    if !files.is_running()? {
        writeln!(out, "No lab is running.")?;
        return Ok(());
    }
    let pid = fs::read_to_string(&files.lock).context("cannot read which process the lab is")?;
    let pid: u32 = pid.trim().parse().context("the lab has not said yet which process it is; try again")?;
    asm_lab::signal(pid, Signal::Term)?;
    let wait = |limit: Duration| -> Result<bool> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if !files.is_running()? {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(false)
    };
    if !wait(Duration::from_secs(15))? {
        // Its children end by themselves when it is gone.
        asm_lab::signal(pid, Signal::Kill)?;
        ensure!(wait(Duration::from_secs(5))?, "process {pid} does not end");
    }
    let _ = fs::remove_file(&files.state);
    writeln!(out, "The lab is down.")?;
    Ok(())
}

fn serve(files: &Files, members: Vec<String>) -> Result<()> {
    // Fails only when this was started by hand as the leader of a group; then there is a terminal to stay with.
    let _ = asm_lab::detach_from_terminal();
    let mut lock = File::options().create(true).append(true).open(&files.lock)?;
    // More than once: somebody may just be asking whether a lab runs.
    let free = (0..20).any(|_| {
        let got = lock.try_lock().is_ok();
        if !got {
            std::thread::sleep(Duration::from_millis(50));
        }
        got
    });
    ensure!(free, "another lab is running");
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let end = async {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        };
        let work = async {
            let lab =
                Lab::start(LabOptions { members, progress: Some(progress(&files.progress)?), ..Default::default() })
                    .await?;
            write_state(files, &lab)?;
            // Until a signal comes; the lab is dropped then.
            std::future::pending::<()>().await;
            drop(lab);
            anyhow::Ok(())
        };
        tokio::select! {
            () = end => Ok(()),
            ended = work => ended,
        }
    })
}

fn progress(file: &Path) -> Result<Progress> {
    let file = Mutex::new(File::create(file)?);
    Ok(Box::new(move |line| {
        if let Ok(mut file) = file.lock() {
            let _ = writeln!(file, "{line}");
        }
    }))
}

fn write_state(files: &Files, lab: &Lab) -> Result<()> {
    let mut servers = serde_json::Map::new();
    for context in lab.contexts() {
        servers.insert(context.to_owned(), json!(lab.access().server(context)?));
    }
    let ids: serde_json::Map<_, _> = lab.members().iter().map(|m| (m.clone(), json!(lab.cluster_id(m)))).collect();
    let state = json!({
        "pid": std::process::id(),
        "started": SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs(),
        "kubeconfig": lab.kubeconfig(),
        "dir": lab.dir(),
        "git": lab.git().create_repo("fleet")?,
        "members": lab.members(),
        "clusterIds": ids,
        "servers": servers,
    });
    // Renamed into place: `up` and `status` never see half of it.
    let new = files.state.with_extension("new");
    fs::write(&new, serde_json::to_vec_pretty(&state)?)?;
    fs::rename(&new, &files.state).context("cannot write the lab's state")
}
