//! A real Git server for tests: `git http-backend` behind axum, and things that go wrong on the way to it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// What the server does with requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    /// Wants this user and password.
    Login(&'static str, &'static str),
    /// Wants this token.
    Bearer(&'static str),
    /// Sends whoever asks for the first repository to the second.
    Renamed(&'static str, &'static str),
    /// Lists branches without end.
    EndlessList,
    /// Says nothing for this long, then what it should.
    Silent(Duration),
    /// Sends them elsewhere.
    Redirect(String),
    /// Answers with this status.
    Status(u16),
    /// Answers 200 with a page for people.
    Page,
    /// Answers requests for packs with something else.
    BrokenPack,
}

struct Shared {
    root: PathBuf,
    mood: Mutex<Mood>,
    requests: AtomicU32,
    packs: AtomicU32,
    logins: AtomicU32,
}

pub(super) struct GitServer {
    folder: TempDir,
    shared: Arc<Shared>,
    address: std::net::SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl GitServer {
    /// A server with one empty repository, `fleet.git`.
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared {
            root: folder.path().to_owned(),
            mood: Mutex::new(Mood::Good),
            requests: AtomicU32::new(0),
            packs: AtomicU32::new(0),
            logins: AtomicU32::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let server = Self { folder, shared, address, _task: AbortOnDropHandle::new(task) };
        git(server.folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "fleet.git"]);
        git(server.folder.path(), &["init", "--quiet", "--initial-branch=main", "work"]);
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/fleet.git", self.address)
    }

    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    pub(super) fn repository(&self) -> PathBuf {
        self.folder.path().join("fleet.git")
    }

    pub(super) fn set(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Requests so far, and how many of them were for packs.
    pub(super) fn requests(&self) -> (u32, u32) {
        (self.shared.requests.load(Ordering::SeqCst), self.shared.packs.load(Ordering::SeqCst))
    }

    /// Requests with credentials so far.
    pub(super) fn logins(&self) -> u32 {
        self.shared.logins.load(Ordering::SeqCst)
    }

    /// Commits a file and pushes it; its ID.
    pub(super) fn commit(&self, file: &str, content: &[u8], message: &str) -> String {
        let work = self.work();
        std::fs::write(work.join(file), content).unwrap();
        git(&work, &["add", "--all"]);
        git(&work, &["commit", "--quiet", "--allow-empty", "-m", message]);
        self.push("main")
    }

    /// Pushes the present commit to a branch, by force; its ID.
    pub(super) fn push(&self, branch: &str) -> String {
        let work = self.work();
        let refspec = format!("+HEAD:refs/heads/{branch}");
        git(&work, &["push", "--quiet", self.repository().to_str().unwrap(), &refspec]);
        git(&work, &["rev-parse", "HEAD"])
    }

    /// Commits a file straight into the served repository, without a program; its ID.
    pub(super) fn commit_quickly(&self, file: &str, content: &str) -> String {
        let repository = git2::Repository::open_bare(self.repository()).unwrap();
        let head = repository.refname_to_id("refs/heads/main").unwrap();
        let head = repository.find_commit(head).unwrap();
        let blob = repository.blob(content.as_bytes()).unwrap();
        let mut update = git2::build::TreeUpdateBuilder::new();
        let tree = update.upsert(file, blob, git2::FileMode::Blob);
        let tree = tree.create_updated(&repository, &head.tree().unwrap()).unwrap();
        let (tree, who) =
            (repository.find_tree(tree).unwrap(), git2::Signature::now("Ann", "ann@example.com").unwrap());
        repository.commit(Some("refs/heads/main"), &who, &who, "Next", &tree, &[&head]).unwrap().to_string()
    }

    /// Gives another server the present state.
    pub(super) fn copy_to(&self, other: &Self) {
        git(&self.work(), &["push", "--quiet", other.repository().to_str().unwrap(), "+HEAD:refs/heads/main"]);
    }

    /// Puts the present commit elsewhere.
    pub(super) fn reset(&self, revision: &str) {
        git(&self.work(), &["reset", "--quiet", "--hard", revision]);
    }

    /// Begins a history that has nothing to do with the present one.
    pub(super) fn orphan(&self) {
        git(&self.work(), &["checkout", "--quiet", "--orphan", "fresh"]);
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }
}

/// Runs Git as if the machine had no configuration.
fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .current_dir(dir)
        .args(["-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", "/nonexistent"), ("GIT_CONFIG_GLOBAL", "/dev/null")])
        .envs([("GIT_AUTHOR_NAME", "Ann \u{7}Author"), ("GIT_AUTHOR_EMAIL", "ann@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Ann"), ("GIT_COMMITTER_EMAIL", "ann@example.com")])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let login = request.headers().get(header::AUTHORIZATION).cloned();
    if login.is_some() {
        shared.logins.fetch_add(1, Ordering::SeqCst);
    }
    let pack = request.uri().path().ends_with("/git-upload-pack");
    if pack {
        shared.packs.fetch_add(1, Ordering::SeqCst);
    }
    let mood = shared.mood.lock().unwrap().clone();
    match mood {
        Mood::Good => {}
        Mood::Login(user, password) => {
            let expected = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            if login.as_ref().and_then(|login| login.to_str().ok()) != Some(&format!("Basic {expected}")) {
                let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
                return (StatusCode::UNAUTHORIZED, ask, "no").into_response();
            }
        }
        Mood::Bearer(token) => {
            if login.as_ref().and_then(|login| login.to_str().ok()) != Some(&format!("Bearer {token}")) {
                return StatusCode::UNAUTHORIZED.into_response();
            }
        }
        Mood::Renamed(from, to) => {
            let asked = request.uri().path_and_query().unwrap().as_str();
            if asked.starts_with(from) {
                return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, asked.replace(from, to))]).into_response();
            }
        }
        Mood::EndlessList => {
            let kind = [(header::CONTENT_TYPE, "application/x-git-upload-pack-advertisement")];
            let line = format!("0043{} refs/heads/abcdefghij\n", "1".repeat(40));
            let first = "001e# service=git-upload-pack\n0000".to_owned();
            let piece = axum::body::Bytes::from(line.repeat(10_000));
            let pieces = std::iter::once(first.into()).chain(std::iter::repeat(piece)).map(Ok::<_, std::io::Error>);
            return (kind, Body::from_stream(futures::stream::iter(pieces))).into_response();
        }
        Mood::Silent(time) => tokio::time::sleep(time).await,
        Mood::Redirect(to) => {
            let to = format!("{to}{}", request.uri().path_and_query().unwrap());
            return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to)]).into_response();
        }
        Mood::Status(status) => return StatusCode::from_u16(status).unwrap().into_response(),
        Mood::Page => return ([(header::CONTENT_TYPE, "text/html")], "<html>log in here").into_response(),
        Mood::BrokenPack if pack => {
            let kind = [(header::CONTENT_TYPE, "application/x-git-upload-pack-result")];
            return (kind, "0008NAK\n0015PACK\0\0\0\x02\0\0\0\x01garbage").into_response();
        }
        Mood::BrokenPack => {}
    }
    backend(&shared.root, request).await
}

/// The CGI of Git.
async fn backend(root: &Path, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .envs([("GIT_HTTP_EXPORT_ALL", "1"), ("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", "/nonexistent")])
        .env("GIT_PROJECT_ROOT", root)
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", text(header::CONTENT_TYPE))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", text(header::CONTENT_ENCODING))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let write = async move {
        let _ = input.write_all(&body).await;
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), write);
    let output = output.unwrap().stdout;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut response = Response::new(Body::from(output[end + 4..].to_vec()));
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            *response.status_mut() = StatusCode::from_bytes(&value.as_bytes()[..3]).unwrap();
        } else {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
    }
    response
}
