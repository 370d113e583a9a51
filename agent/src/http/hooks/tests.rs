//! Against a server that knows one FleetSync and one Secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::Hooks;
use crate::metrics::Metrics;

const TOKEN: &str = "It's a Secret to Everybody";
const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

#[derive(Default)]
struct Api {
    reads: AtomicU32,
    hints: AtomicU32,
}

async fn api(State(api): State<Arc<Api>>, request: Request) -> Response {
    let sync = |kind: &str| {
        json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync",
            "metadata": {"name": kind.to_lowercase(), "namespace": "n", "uid": kind, "resourceVersion": "1"},
            "spec": {"source": {"url": "https://x/y", "webhook": {"type": kind, "secretRef": {"name": kind.to_lowercase()}}}},
        })
    };
    let path = request.uri().path().to_owned();
    let answer = |value: Value| ([("content-type", "application/json")], value.to_string()).into_response();
    if request.method() == Method::PATCH {
        api.hints.fetch_add(1, Ordering::SeqCst);
        return answer(sync("GitHub"));
    }
    if path.ends_with("/secrets/github") || path.ends_with("/secrets/gitlab") {
        use base64::Engine as _;
        api.reads.fetch_add(1, Ordering::SeqCst);
        let token = base64::engine::general_purpose::STANDARD.encode(TOKEN);
        return answer(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": {"token": token}}),
        );
    }
    if request.uri().query().unwrap_or_default().contains("watch=") {
        std::future::pending::<()>().await;
    }
    if path.ends_with("/fleetsyncs") {
        let items = ["GitHub", "GitLab", "Gitea"].map(sync);
        return answer(
            json!({"apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSyncList", "metadata": {"resourceVersion": "1"}, "items": items}),
        );
    }
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found"});
    (StatusCode::NOT_FOUND, status.to_string()).into_response()
}

struct Setup {
    api: Arc<Api>,
    metrics: Arc<Metrics>,
    address: std::net::SocketAddr,
    stop: CancellationToken,
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn setup() -> Setup {
    let state = Arc::<Api>::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let router = Router::new().fallback(api).with_state(Arc::clone(&state));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = kube::Client::try_from(kube::Config::new(format!("http://{server}").parse().unwrap())).unwrap();
    let metrics = Arc::new(Metrics::default());
    let hooks = Hooks::bind(([127, 0, 0, 1], 0).into(), client, Some("n"), Arc::clone(&metrics)).await.unwrap();
    let (address, stop) = (hooks.address().unwrap(), CancellationToken::new());
    let shared = Arc::clone(&hooks.shared);
    tokio::spawn(hooks.serve(stop.clone()));
    while shared.known().len() < 3 {
        tokio::task::yield_now().await;
    }
    Setup { api: state, metrics, address, stop }
}

impl Setup {
    async fn post(&self, path: &str, headers: &str, body: &[u8]) -> u16 {
        let head = format!("content-length: {}\r\n{headers}", body.len());
        self.raw(path, &head, body).await
    }

    async fn raw(&self, path: &str, headers: &str, body: &[u8]) -> u16 {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(body).await;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
    }

    async fn hinted(&self, times: u32) {
        while self.api.hints.load(Ordering::SeqCst) < times {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_hint_that_proves_itself_asks_for_a_look() {
    let setup = setup().await;
    let signed = format!("x-hub-signature-256: {SIGNATURE}\r\n");
    assert_eq!(setup.post("/hooks/github", &signed, b"Hello, World!").await, 202);
    setup.hinted(1).await;
    let token = format!("x-gitlab-token: {TOKEN}\r\n");
    assert_eq!(setup.post("/hooks/gitlab", &token, b"not even JSON").await, 202);
    setup.hinted(2).await;
    assert!(setup.metrics.encode().unwrap().contains("asm_agent_webhooks_total{outcome=\"Taken\"} 2"));
    // The Secret is remembered.
    assert_eq!(setup.post("/hooks/gitlab", &token, b"").await, 202);
    assert_eq!(setup.api.reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn attack_hints_are_judged_before_their_body_is_read() {
    let setup = setup().await;
    // A gigabyte is announced; nobody waits for it.
    let huge = "content-length: 1073741824\r\n";
    let signed = format!("x-hub-signature-256: {SIGNATURE}\r\n");
    assert_eq!(setup.raw("/hooks/github", &format!("{huge}{signed}"), b"").await, 413);
    assert_eq!(setup.raw("/hooks/github", "content-length: 1000000\r\n", b"").await, 401, "no signature: no body");
    assert_eq!(setup.raw("/hooks/gitlab", "content-length: 1000000\r\nx-gitlab-token: wrong\r\n", b"").await, 401);
    assert_eq!(
        setup.raw("/hooks/gitlab", &format!("content-length: 1000000\r\nx-gitlab-token: {TOKEN}\r\n"), b"").await,
        202
    );
    setup.hinted(1).await;
    assert_eq!(setup.post("/hooks/github", &signed, b"Hello, World").await, 401);
    assert_eq!(setup.post("/hooks/nobody", &signed, b"Hello, World!").await, 404);
    assert_eq!(setup.post("/hooks/gitea", "x-gitea-signature: 00\r\n", b"").await, 503, "its Secret is not there");
    assert_eq!(setup.api.hints.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn attack_a_body_without_end_is_cut_and_never_held() {
    let setup = setup().await;
    let mut stream = TcpStream::connect(setup.address).await.unwrap();
    let head = format!(
        "POST /hooks/github HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nx-hub-signature-256: {SIGNATURE}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let flood = tokio::spawn(async move {
        let chunk = [b"100000\r\n".as_slice(), &vec![b'x'; 1 << 20], b"\r\n"].concat();
        for megabytes in 0..1000_u32 {
            if write.write_all(&chunk).await.is_err() {
                return megabytes;
            }
        }
        1000
    });
    let mut answer = vec![0; 12];
    read.read_exact(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"413"), "{}", String::from_utf8_lossy(&answer));
    drop(read);
    assert!(flood.await.unwrap() < 200, "the connection is cut");
}

#[tokio::test]
async fn attack_a_flood_is_throttled_and_many_hints_are_few_looks() {
    let setup = setup().await;
    let token = format!("x-gitlab-token: {TOKEN}\r\n");
    let (mut taken, mut throttled) = (0, 0);
    for _ in 0..60 {
        match setup.post("/hooks/gitlab", &token, b"").await {
            202 => taken += 1,
            429 => throttled += 1,
            other => panic!("{other}"),
        }
    }
    assert!(taken >= 20 && throttled > 0, "{taken} {throttled}");
    setup.hinted(1).await;
    assert!(setup.api.hints.load(Ordering::SeqCst) <= 2);
    assert_eq!(setup.api.reads.load(Ordering::SeqCst), 1);
    // Others are not affected.
    let signed = format!("x-hub-signature-256: {SIGNATURE}\r\n");
    assert_eq!(setup.post("/hooks/github", &signed, b"Hello, World!").await, 202);
}
