//! A real forge: Gitea, built once from its own Go module, on loopback.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    controlplane::{ControlPlane, cache_dir, go, key, no_go, once},
    ports,
    processes::{Supervised, tail},
};

/// The newest version whose modules the Go module proxy serves; with its checksum, so that nothing else is built.
const MODULE: (&str, &str) = ("code.gitea.io/gitea@v1.23.8", "h1:j1r14vyW6n2JHBBQPi52VLwa8C3iylUHVpPIqoS+XQY=");
/// Without `bindata`: that would need generated code, which the module does not hold. Files are read from [`STATIC`].
const TAGS: &str = "sqlite sqlite_unlock_notify";
/// What Gitea reads while it runs.
const STATIC: [&str; 3] = ["options", "public", "templates"];
const SETTINGS: &str = include_str!("forge/app.ini");
/// Only for loopback, and only while the test runs.
const PASSWORD: &str = "lab-password-1";

/// A running Gitea with one user. Ends with this value.
#[derive(Debug)]
pub struct Forge {
    url: String,
    token: String,
    process: Supervised,
    dir: TempDir,
}

impl Forge {
    /// Is Gitea in the cache already?
    #[must_use]
    pub fn is_built() -> bool {
        cache_dir().is_ok_and(|cache| place(&cache).exists())
    }

    /// Builds Gitea if it is not in the cache (some minutes), and starts it. Blocks.
    pub fn start() -> Result<Self> {
        let program = build(&cache_dir()?)?;
        let supervisor = ControlPlane::prepare()?;
        let dir = tempfile::Builder::new().prefix("kubectl-asm-forge-").tempdir()?;
        let port = ports::free_port()?;
        let settings = dir.path().join("app.ini");
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is no UTF-8");
        let filled = SETTINGS
            .replace("$DIR", &text(dir.path())?)
            .replace("$PORT", &port.to_string())
            .replace("$STATIC", &text(&program)?);
        fs::write(&settings, filled)?;
        let binary = program.join("gitea");
        let run = |args: &[&str]| -> Result<String> {
            let mut command = Command::new(&binary);
            command.arg("--config").arg(&settings).args(args).stdin(Stdio::null());
            surroundings(&mut command, dir.path());
            let output = command.output().context("cannot run Gitea")?;
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(
                output.status.success(),
                "gitea {}: {told}{}",
                args.join(" "),
                String::from_utf8_lossy(&output.stdout)
            );
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        run(&["migrate"])?;
        run(&[
            "admin",
            "user",
            "create",
            "--username",
            "shop",
            "--password",
            PASSWORD,
            "--email",
            "shop@example.com",
            "--admin",
            "--must-change-password=false",
        ])?;
        let token = run(&["admin", "user", "generate-access-token", "--username", "shop", "--scopes", "all", "--raw"])?;
        // Warnings stand on stdout too, before it.
        let token = token.split_whitespace().last().context("Gitea makes no token")?.to_owned();
        let mut command = supervisor.supervise(&binary, None);
        command.arg("--config").arg(&settings).arg("web");
        surroundings(&mut command, dir.path());
        let process = Supervised::start("gitea", command, &dir.path().join("gitea.log"))?;
        let mut forge = Self { url: format!("http://127.0.0.1:{port}"), token, process, dir };
        forge.wait_ready()?;
        Ok(forge)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if self.call("GET", "/version", None).is_ok_and(|(code, _)| code == 200) {
                return Ok(());
            }
            let log = || tail(&self.dir.path().join("gitea.log"), 30);
            if let Some(status) = self.process.exited()? {
                bail!("Gitea has ended ({status}):\n{}", log());
            }
            ensure!(Instant::now() < end, "Gitea does not answer:\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token of the user `shop`, who may do everything.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The address of a repository with the user's name and password in it.
    #[must_use]
    pub fn url_with_password(&self, path: &str) -> String {
        format!("{}/{path}.git", self.url.replace("http://", &format!("http://shop:{PASSWORD}@")))
    }

    /// The password in such addresses.
    #[must_use]
    pub fn password(&self) -> &str {
        PASSWORD
    }

    /// A call of the API, below `/api/v1`, as the user: status and answer.
    pub fn call(&self, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value)> {
        let host = self.url.trim_start_matches("http://");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "{method} /api/v1{path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: token {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("Gitea answers with no headers")?;
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("Gitea answers with no status")?;
        Ok((code, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    /// Asks until the answer is as it should be: Gitea does much of its work after a push has ended.
    pub fn ask_until(&self, path: &str, is_right: impl Fn(&Value) -> bool) -> Result<Value> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.ask("GET", path, None)?;
            if is_right(&answer) {
                return Ok(answer);
            }
            ensure!(Instant::now() < end, "{path} stays as it is: {answer}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A call that must succeed.
    pub fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value> {
        let (code, answer) = self.call(method, path, body)?;
        ensure!((200..300).contains(&code), "{method} {path}: {code} {answer}");
        Ok(answer)
    }
}

/// Nothing of the user's settings, and root is allowed: the lab runs in containers too.
fn surroundings(command: &mut Command, dir: &Path) {
    crate::git_server::scrub(command);
    // Gitea writes to the global settings, by a new file in the place of the old one: as root, in the place of /dev/null.
    command.env_remove("GIT_CONFIG_GLOBAL");
    command.env("HOME", dir).env("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true").env_remove("GITEA_WORK_DIR");
}

/// The directory with the binary and what it reads.
fn place(cache: &Path) -> PathBuf {
    cache.join(format!("gitea-{}", key(&[MODULE, ("tags", TAGS)])))
}

fn build(cache: &Path) -> Result<PathBuf> {
    let target = place(cache);
    once(&target, |dir| {
        let _ = writeln!(std::io::stderr(), "Building the forge {} (once; takes some minutes)…", MODULE.0);
        let source = download(dir)?;
        // The module cache is read-only, and Go wants to build a main module.
        let copy = dir.join("source");
        copy_tree(&source, &copy)?;
        let made = dir.join("made");
        fs::create_dir(&made)?;
        let status = go(&copy)
            .args(["build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-tags", TAGS, "-o"])
            .arg(made.join("gitea"))
            .arg(".")
            .status()
            .map_err(no_go)?;
        ensure!(status.success(), "go build of Gitea failed ({status}); its messages are above");
        for part in STATIC {
            fs::rename(copy.join(part), made.join(part)).with_context(|| format!("Gitea's module has no {part}"))?;
        }
        fs::rename(&made, &target).with_context(|| format!("cannot move the build to {}", target.display()))
    })?;
    Ok(target)
}

/// The module's directory, if it is what it should be.
fn download(dir: &Path) -> Result<PathBuf> {
    let output =
        go(dir).args(["mod", "download", "-json", MODULE.0]).stderr(Stdio::inherit()).output().map_err(no_go)?;
    let answer: Value =
        serde_json::from_slice(&output.stdout).context("`go mod download -json` does not answer in JSON")?;
    if let Some(error) = answer["Error"].as_str() {
        bail!("cannot download Gitea's module: {error}");
    }
    ensure!(answer["Sum"] == MODULE.1, "Gitea's module has the checksum {}, not {}", answer["Sum"], MODULE.1);
    Ok(PathBuf::from(answer["Dir"].as_str().context("`go mod download -json` names no directory")?))
}

/// A copy whose files can be changed.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            // Not `fs::copy`: that keeps the mode, and with it what nobody may change.
            fs::write(&target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}
