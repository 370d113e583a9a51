//! A Git server: `git http-backend` behind a small HTTP server that can misbehave on demand.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use axum::{Router, body::Body, extract::State, response::Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::Command,
    task::AbortHandle,
};
use tokio_util::io::{ReaderStream, StreamReader};

/// How the server treats requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mode {
    /// As it should.
    #[default]
    Ok,
    /// Answers 401 unless the request carries these credentials (basic authentication).
    Unauthorized {
        /// User name.
        user: String,
        /// Password or token.
        password: String,
    },
    /// Answers every request with this status.
    Status(u16),
    /// Takes requests and never answers.
    Hang,
    /// Pauses this long before each piece of an answer.
    Slow(Duration),
}

/// A running server with bare repositories. Ends with this value.
#[derive(Debug)]
pub struct GitServer {
    url: String,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    mode: Mutex<Mode>,
    requests: AtomicU64,
    packs: AtomicU64,
}

impl GitServer {
    /// Serves the repositories below `root` (created) on 127.0.0.1.
    pub async fn start(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen for Git")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            mode: Mutex::default(),
            requests: AtomicU64::new(0),
            packs: AtomicU64::new(0),
        });
        let app = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, app).await }).abort_handle();
        Ok(Self { url, shared, task })
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes an empty bare repository whose default branch is `main`; gives its URL.
    pub fn create_repo(&self, name: &str) -> Result<String> {
        let dir = self.repo_path(name);
        let run = |args: &[&str]| -> Result<()> {
            let mut command = std::process::Command::new("git");
            scrub(&mut command);
            let output = command.args(args).output().context("cannot run `git`: is it installed?")?;
            ensure!(output.status.success(), "git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
            Ok(())
        };
        let path = dir.to_str().context("the lab's directory is no UTF-8")?;
        run(&["init", "--quiet", "--bare", "--initial-branch=main", path])?;
        run(&["-C", path, "config", "http.receivepack", "true"])?;
        Ok(self.repo_url(name))
    }

    /// The URL of a repository.
    #[must_use]
    pub fn repo_url(&self, name: &str) -> String {
        format!("{}/{name}.git", self.url)
    }

    /// The directory of a repository, to look at it or to change it behind the server's back.
    #[must_use]
    pub fn repo_path(&self, name: &str) -> PathBuf {
        self.shared.root.join(format!("{name}.git"))
    }

    /// Changes how requests are treated from now on.
    pub fn set_mode(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// How many packs have been asked for: fetches of something new.
    #[must_use]
    pub fn packs(&self) -> u64 {
        self.shared.packs.load(Ordering::Relaxed)
    }

    /// How many requests have come.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes the user's own Git settings out of the way.
pub(crate) fn scrub(command: &mut std::process::Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    if request.method() == http::Method::POST && request.uri().path().ends_with("/git-upload-pack") {
        shared.packs.fetch_add(1, Ordering::Relaxed);
    }
    let mode = shared.mode.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut user = None;
    match &mode {
        Mode::Ok | Mode::Slow(_) => {}
        Mode::Hang => std::future::pending().await,
        Mode::Status(code) => {
            let status = StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return answer(status, "the lab's Git server was told to answer this\n");
        }
        Mode::Unauthorized { user: wanted, password } => {
            let value = format!("Basic {}", STANDARD.encode(format!("{wanted}:{password}")));
            if request.headers().get(header::AUTHORIZATION).is_none_or(|h| h.as_bytes() != value.as_bytes()) {
                let mut response = answer(StatusCode::UNAUTHORIZED, "credentials needed\n");
                let challenge = HeaderValue::from_static("Basic realm=\"lab\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                return response;
            }
            user = Some(wanted.clone());
        }
    }
    let pause = if let Mode::Slow(pause) = mode { Some(pause) } else { None };
    match backend(&shared.root, request, user, pause).await {
        Ok(response) => response,
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}\n")),
    }
}

fn answer(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}

/// Runs `git http-backend` for one request; both bodies are streamed.
async fn backend(
    root: &Path,
    request: Request<Body>,
    user: Option<String>,
    pause: Option<Duration>,
) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let mut command = std::process::Command::new("git");
    scrub(&mut command);
    command.arg("http-backend");
    command
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REMOTE_USER", user.as_deref().unwrap_or("lab"));
    for (name, variable) in [
        (header::CONTENT_TYPE, "CONTENT_TYPE"),
        (header::CONTENT_LENGTH, "CONTENT_LENGTH"),
        (header::CONTENT_ENCODING, "HTTP_CONTENT_ENCODING"),
        (HeaderName::from_static("git-protocol"), "GIT_PROTOCOL"),
    ] {
        if let Some(value) = parts.headers.get(name).and_then(|v| v.to_str().ok()) {
            command.env(variable, value);
        }
    }
    let mut child = Command::from(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot run `git http-backend`")?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("git http-backend has no pipes");
    };
    tokio::spawn(async move {
        let mut body = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
        // It may end before it has read everything, when it refuses a push.
        let _ = tokio::io::copy(&mut body, &mut input).await;
        let _ = input.shutdown().await;
    });
    let mut output = BufReader::new(output);
    let head = read_head(&mut output).await?;
    let stream = ReaderStream::new(output).then(move |piece| {
        let hold = pause;
        async move {
            if let Some(pause) = hold {
                tokio::time::sleep(pause).await;
            }
            piece
        }
    });
    // The child lives as long as its answer is read, and is reaped then.
    let child = Arc::new(Mutex::new(child));
    let stream = stream.inspect(move |_| drop(child.lock()));
    let mut response = Response::new(Body::from_stream(stream));
    *response.status_mut() = head.status;
    for (name, value) in head.headers {
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

#[derive(Debug, PartialEq)]
struct Head {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Reads the header block that a CGI program writes before its body.
async fn read_head(from: &mut BufReader<impl AsyncRead + Unpin>) -> Result<Head> {
    let mut head = Head { status: StatusCode::OK, headers: Vec::new() };
    loop {
        let mut line = String::new();
        ensure!(from.read_line(&mut line).await? > 0, "git http-backend ended before its headers did");
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Ok(head);
        }
        let (name, value) = line.split_once(':').with_context(|| format!("{line:?} is no CGI header"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split_whitespace().next().unwrap_or_default();
            head.status = StatusCode::from_bytes(code.as_bytes()).with_context(|| format!("status {value:?}"))?;
        } else {
            head.headers.push((HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_cgi_headers_up_to_the_body() {
        let text: &[u8] = b"Status: 403 Forbidden\r\nContent-Type: text/plain\nX-A: b: c\r\n\r\nbody";
        let mut reader = BufReader::new(text);
        let head = read_head(&mut reader).await.unwrap();
        assert_eq!(head.status, StatusCode::FORBIDDEN);
        assert_eq!(head.headers[0], (header::CONTENT_TYPE, HeaderValue::from_static("text/plain")));
        assert_eq!(head.headers[1].1, "b: c");
        let mut rest = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut rest).await.unwrap();
        assert_eq!(rest, "body");
        assert!(read_head(&mut BufReader::new(&b"Content-Type: x\n"[..])).await.is_err());
        assert!(read_head(&mut BufReader::new(&b"nonsense\n\n"[..])).await.is_err());
    }

    fn git(dir: &Path, args: &[&str]) -> std::process::Output {
        let mut command = std::process::Command::new("git");
        scrub(&mut command);
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        command.current_dir(dir).args(who).args(args).output().unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pushes_clones_and_misbehaves() {
        let dir = tempfile::tempdir().unwrap();
        let server = GitServer::start(&dir.path().join("repos")).await.unwrap();
        let url = server.create_repo("fleet").unwrap();
        let work = dir.path().join("work");
        std::fs::create_dir(&work).unwrap();
        git(&work, &["init", "-q", "-b", "main"]);
        // Larger than the 1 MiB after which Git sends in chunks.
        std::fs::write(work.join("big"), crate::pki::random().unwrap().repeat(20_000)).unwrap();
        git(&work, &["add", "."]);
        git(&work, &["commit", "-qm", "one"]);
        let pushed = git(&work, &["push", "-q", &url, "main"]);
        assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
        let cloned = git(dir.path(), &["clone", "-q", &url, "copy"]);
        assert!(cloned.status.success(), "{}", String::from_utf8_lossy(&cloned.stderr));
        assert!(dir.path().join("copy/big").exists() && server.requests() > 3);

        server.set_mode(Mode::Unauthorized { user: "bot".into(), password: "s3cret".into() });
        assert!(!git(&work, &["ls-remote", &url]).status.success());
        let with = url.replace("http://", "http://bot:s3cret@");
        assert!(git(&work, &["ls-remote", &with]).status.success());
        server.set_mode(Mode::Status(503));
        assert!(!git(&work, &["ls-remote", &url]).status.success());
        server.set_mode(Mode::Slow(Duration::from_millis(20)));
        assert!(git(&work, &["ls-remote", &url]).status.success());
    }
}
