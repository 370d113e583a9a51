//! A TLS proxy before one API server, for tests that need something to happen at the n-th request, or on the way.

mod lines;

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use anyhow::{Context, Result};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use kube::client::ConfigExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};
use tokio_rustls::TlsAcceptor;

use self::lines::Turns;
use crate::{Lab, access::Access, users};

/// A request on its way.
#[derive(Debug, Clone)]
pub struct ProxyRequest {
    /// Its number, from 1, among all requests.
    pub n: u64,
    /// Its number, from 1, among writes; none if it is no write.
    pub write: Option<u64>,
    /// HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: String,
    /// The client, as it calls itself.
    pub user_agent: String,
    /// Its credentials: the header `Authorization`.
    pub authorization: String,
}

/// What a request asks of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// All of a kind.
    List,
    /// What becomes of them.
    Watch,
    /// One object.
    Get,
    /// To make or change one.
    Write,
    /// To remove one.
    Delete,
    /// Anything else: what kinds there are, who may do what.
    Other,
}

impl ProxyRequest {
    /// What it asks.
    #[must_use]
    pub fn call(&self) -> Call {
        let (path, query) = self.uri.split_once('?').unwrap_or((&self.uri, ""));
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        // After `api/VERSION` or `apis/GROUP/VERSION`: perhaps a namespace, the kind, perhaps a name.
        let rest = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] if !rest.is_empty() => rest,
            _ => return Call::Other,
        };
        let names = match rest {
            ["namespaces", _, kind @ ..] if !kind.is_empty() => kind.len() - 1,
            all => all.len() - 1,
        };
        match self.method {
            _ if !is_write(&self.method, &self.uri) && self.method != Method::GET => Call::Other,
            Method::DELETE => Call::Delete,
            Method::GET if query.split('&').any(|part| part == "watch=true" || part == "watch=1") => Call::Watch,
            Method::GET if names == 0 => Call::List,
            Method::GET => Call::Get,
            _ => Call::Write,
        }
    }
}

/// What to do with a request, or with its answer.
#[derive(Debug, Clone, Default)]
pub enum Verdict {
    /// Let it pass.
    #[default]
    Pass,
    /// Let it pass later.
    Delay(Duration),
    /// Answer with this status and a Kubernetes `Status` object instead.
    Answer(u16),
    /// Answer with this status and a `Retry-After` of so many seconds.
    RetryAfter(u16, u32),
    /// Cut the connection (RST) without an answer.
    Reset,
    /// Say nothing, and keep the connection open.
    Nothing,
    /// Of an answer: send its first half as if it were all. Of a request: as [`Verdict::Nothing`].
    Half,
}

type RequestHook = Arc<dyn Fn(&ProxyRequest) -> Verdict + Send + Sync>;
type ResponseHook = Arc<dyn Fn(&ProxyRequest, StatusCode) -> Verdict + Send + Sync>;

/// A running proxy. Ends with this value.
pub struct ApiProxy {
    context: String,
    url: String,
    access: Access,
    shared: Arc<Shared>,
    task: AbortHandle,
}

type AnyBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
type Upstream = Client<hyper_rustls::HttpsConnector<HttpConnector>, AnyBody>;

#[derive(Default)]
struct Shared {
    requests: AtomicU64,
    writes: AtomicU64,
    on_request: Mutex<Option<RequestHook>>,
    on_response: Mutex<Option<ResponseHook>>,
    turns: watch::Sender<Turns>,
}

impl ApiProxy {
    /// Starts a proxy before the API server of `context`.
    pub async fn start(lab: &Lab, context: &str) -> Result<Self> {
        let access = lab.access().clone();
        let upstream = access.server(context)?.to_owned();
        let tls = TlsAcceptor::from(Arc::new(lab.pki().server_cert()?.rustls_config()?));
        // Without a token of its own: requests bring theirs.
        let mut config = access.config(context, users::LAB, "asm-lab-proxy")?;
        config.auth_info = Default::default();
        let shared = Arc::new(Shared::default());
        let serve = Arc::clone(&shared);
        let (url, task) = lab
            .handle()
            .spawn(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen for the proxy")?;
                let url = format!("https://{}", listener.local_addr()?);
                let mut builder = Client::builder(TokioExecutor::new());
                // Else hyper sends a request again on its own, and counts would be wrong.
                builder.retry_canceled_requests(false);
                let client: Upstream = builder.build(config.rustls_https_connector()?);
                let task = tokio::spawn(accept(listener, tls, client, upstream, serve)).abort_handle();
                anyhow::Ok((url, task))
            })
            .await??;
        Ok(Self { context: context.to_owned(), url, access, shared, task })
    }

    /// `https://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig that goes through the proxy.
    pub fn kubeconfig_text(&self, user: &str) -> Result<String> {
        self.access.kubeconfig_via(&self.context, user, &self.url)
    }

    /// How many requests have come.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many of them were writes: not reads, dry runs or questions about rights.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.shared.writes.load(Ordering::SeqCst)
    }

    /// Counts from 0 again.
    pub fn reset_counts(&self) {
        self.shared.requests.store(0, Ordering::SeqCst);
        self.shared.writes.store(0, Ordering::SeqCst);
    }

    /// Calls `hook` before a request is forwarded. It runs on the proxy's thread and may block shortly.
    pub fn on_request(&self, hook: impl Fn(&ProxyRequest) -> Verdict + Send + Sync + 'static) {
        *self.shared.on_request.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// Calls `hook` when the API server has answered, before the answer is passed on: the write has happened and the
    /// client does not know.
    pub fn on_response(&self, hook: impl Fn(&ProxyRequest, StatusCode) -> Verdict + Send + Sync + 'static) {
        *self.shared.on_response.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// The watches that are open now say nothing any more, and do not end. Others are not concerned.
    pub fn silence_watches(&self) {
        self.shared.turns.send_modify(|turns| turns.silenced += 1);
    }

    /// Breaks (RST) every answer that is on its way, watches among them.
    pub fn cut_connections(&self) {
        self.shared.turns.send_modify(|turns| turns.cut += 1);
    }

    /// Lets everything pass again.
    pub fn clear_hooks(&self) {
        *self.shared.on_request.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.shared.on_response.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, client: Upstream, upstream: String, shared: Arc<Shared>) {
    // Connections end with the proxy: dropping the set aborts them.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (tls, client, upstream, shared) = (tls.clone(), client.clone(), upstream.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            let reset = Arc::new(AtomicBool::new(false));
            let Ok(stream) = tls.accept(Cuttable { stream, reset: Arc::clone(&reset) }).await else { return };
            let service = service_fn(move |request| {
                let (client, upstream, shared) = (client.clone(), upstream.clone(), Arc::clone(&shared));
                let reset = Arc::clone(&reset);
                async move {
                    forward(request, &client, &upstream, &shared, &reset).await.inspect_err(|_| {
                        reset.store(true, Ordering::SeqCst);
                    })
                }
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The answer instead of an HTTP response: hyper then drops the connection.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by the test")
    }
}

impl std::error::Error for Cut {}

async fn forward(
    request: Request<Incoming>,
    client: &Upstream,
    upstream: &str,
    shared: &Shared,
    reset: &Arc<AtomicBool>,
) -> Result<Response<AnyBody>, Cut> {
    let (mut parts, body) = request.into_parts();
    let uri = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let write = is_write(&parts.method, &uri).then(|| shared.writes.fetch_add(1, Ordering::SeqCst) + 1);
    let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let told = ProxyRequest {
        n: shared.requests.fetch_add(1, Ordering::SeqCst) + 1,
        write,
        method: parts.method.clone(),
        user_agent: header(header::USER_AGENT),
        authorization: header(header::AUTHORIZATION),
        uri,
    };
    let hook = shared.on_request.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(instead) = judge(hook.map(|h| h(&told)).unwrap_or_default()).await? {
        return Ok(instead);
    }
    match format!("{upstream}{}", told.uri).parse::<Uri>() {
        Ok(uri) => parts.uri = uri,
        Err(error) => return Ok(status(502, &error.to_string())),
    }
    parts.headers.remove(header::HOST);
    let response = match client.request(Request::from_parts(parts, body.map_err(Into::into).boxed_unsync())).await {
        Ok(response) => response,
        // The API server is down: a client without a proxy would see its connection refused, so cut this one.
        Err(error) => {
            tracing::debug!(%error, "proxy");
            return Err(Cut);
        }
    };
    let hook = shared.on_response.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match hook.map(|h| h(&told, response.status())).unwrap_or_default() {
        Verdict::Half => {
            let (mut parts, body) = response.into_parts();
            let half = lines::first_half(body).await?;
            parts.headers.remove(header::CONTENT_LENGTH);
            Ok(Response::from_parts(parts, full(half)))
        }
        other => {
            if let Some(instead) = judge(other).await? {
                return Ok(instead);
            }
            let (turns, is_watch) = (shared.turns.subscribe(), told.call() == Call::Watch);
            Ok(response.map(|body| lines::watched(body, turns, is_watch, Arc::clone(reset))))
        }
    }
}

async fn judge(verdict: Verdict) -> Result<Option<Response<AnyBody>>, Cut> {
    match verdict {
        Verdict::Pass => Ok(None),
        Verdict::Delay(time) => {
            tokio::time::sleep(time).await;
            Ok(None)
        }
        Verdict::Answer(code) => Ok(Some(status(code, "the lab's proxy was told to answer this"))),
        Verdict::RetryAfter(code, seconds) => {
            let mut response = status(code, "the lab's proxy was told to answer this");
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(Some(response))
        }
        Verdict::Reset => Err(Cut),
        Verdict::Nothing | Verdict::Half => std::future::pending().await,
    }
}

fn status(code: u16, message: &str) -> Response<AnyBody> {
    let body = serde_json::json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": code, "message": message,
        "reason": match code {
            401 => "Unauthorized",
            409 => "Conflict",
            429 => "TooManyRequests",
            _ => "InternalError",
        },
    });
    let mut response = Response::new(full(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn full(body: Bytes) -> AnyBody {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn is_write(method: &Method, uri: &str) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        && !uri.contains("dryRun=All")
        && !uri.starts_with("/apis/authorization.k8s.io/")
        && !uri.starts_with("/apis/authentication.k8s.io/")
}

/// A connection that can be ended by RST instead of by FIN.
struct Cuttable {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst) {
            // Closing with a linger time of zero sends RST.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.reset.load(Ordering::SeqCst) {
            // Nothing more, not even TLS's goodbye.
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_each_other() {
        let call = |method: Method, uri: &str| {
            let (uri, user_agent, authorization) = (uri.to_owned(), String::new(), String::new());
            ProxyRequest { n: 1, write: None, method, uri, user_agent, authorization }.call()
        };
        for (uri, wanted) in [
            ("/api/v1/configmaps?limit=500", Call::List),
            ("/api/v1/namespaces", Call::List),
            ("/api/v1/namespaces/a", Call::Get),
            ("/api/v1/namespaces/a/configmaps", Call::List),
            ("/apis/apps/v1/namespaces/a/deployments/b", Call::Get),
            ("/apis/apps/v1/deployments?labelSelector=x&watch=true", Call::Watch),
            ("/apis/apps/v1", Call::Other),
            ("/version", Call::Other),
        ] {
            assert_eq!(call(Method::GET, uri), wanted, "{uri}");
        }
        assert_eq!(call(Method::PATCH, "/api/v1/namespaces/a/configmaps/b"), Call::Write);
        assert_eq!(call(Method::DELETE, "/api/v1/namespaces/a/configmaps/b"), Call::Delete);
        assert_eq!(call(Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"), Call::Other);
    }

    #[test]
    fn writes_are_told_from_reads_and_questions() {
        let write = |method, uri| is_write(&method, uri);
        assert!(write(Method::PATCH, "/api/v1/namespaces/a/services/b?fieldManager=x"));
        assert!(!write(Method::PATCH, "/api/v1/namespaces/a/services/b?fieldManager=x&dryRun=All"));
        assert!(!write(Method::GET, "/api/v1/pods"));
        assert!(!write(Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"));
    }
}
