//! Light API servers for many member clusters, all in this process, for tests of how the agent scales. They hold ConfigMaps and
//! Gizmos (`example.com/v2`), and know no more of Kubernetes than what the agent asks a cluster with nothing else: lists and
//! watches of metadata, server-side applies with one manager, which cluster it is. What a real API server does is tested on the
//! real ones. Each can fall ill, for tests of what that is to the others.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::AbortHandle};
use tokio_rustls::TlsAcceptor;

use crate::Pki;

/// How long a watch is open, as with a real API server.
const WATCH: Duration = Duration::from_secs(290);

type AnyBody = UnsyncBoxBody<Bytes, Infallible>;

/// How one of them is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ailment {
    /// It answers at once.
    None,
    /// Requests vanish on their way to it, and open watches say nothing; what was asked is answered when it is well again.
    BlackHole,
    /// Every answer comes so much later.
    Slow(Duration),
    /// The conversion webhook of Gizmos is broken: nothing of that kind can be read or written.
    Conversion,
}

/// A write to one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeWrite {
    /// The cluster.
    pub cluster: String,
    /// The object.
    pub name: String,
    /// What its data (of a Gizmo: its spec) says under `round`.
    pub round: String,
    /// The client, as it calls itself.
    pub user_agent: String,
    /// When it was stored.
    pub at: Instant,
}

/// The servers. They end with this value.
pub struct FakeClusters {
    url: String,
    ca_pem: String,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    clusters: HashMap<String, Cluster>,
    writes: Mutex<Vec<FakeWrite>>,
    /// By user agent: requests, and those of them that are watches.
    requests: Mutex<BTreeMap<String, (u64, u64)>>,
}

struct Cluster {
    store: Mutex<Store>,
    version: watch::Sender<u64>,
    ailment: watch::Sender<Ailment>,
}

impl Cluster {
    fn new() -> Self {
        Self { store: Mutex::default(), version: watch::Sender::new(0), ailment: watch::Sender::new(Ailment::None) }
    }

    /// Waits as long as its ailment makes everybody wait. One that is well again lets nobody wait any longer.
    async fn suffer(&self) {
        let mut ailment = self.ailment.subscribe();
        loop {
            let now = *ailment.borrow_and_update();
            let well = tokio::time::sleep(match now {
                Ailment::None | Ailment::Conversion => return,
                Ailment::Slow(late) => late,
                Ailment::BlackHole => Duration::MAX,
            });
            tokio::select! {
                () = well => return,
                changed = ailment.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[derive(Default)]
struct Store {
    version: u64,
    /// By plural and name.
    objects: BTreeMap<(String, String), Value>,
    /// Events of the watches: version, plural, line.
    events: Vec<(u64, String, Bytes)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeClusters {
    /// Starts one API server for each of these clusters, told apart by the path in their URLs.
    pub async fn start(names: &[String]) -> Result<Self> {
        let pki = Pki::new()?;
        let tls = TlsAcceptor::from(Arc::new(pki.server_cert()?.rustls_config()?));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for fake clusters")?;
        let url = format!("https://{}", listener.local_addr()?);
        let clusters = names.iter().map(|name| (name.clone(), Cluster::new())).collect();
        let shared = Arc::new(Shared { clusters, ..Shared::default() });
        let served = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, shared) = (tls.clone(), served.clone());
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let service = service_fn(move |request| answer(shared.clone(), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self { url, ca_pem: pki.ca_pem().to_owned(), shared, task: task.abort_handle() })
    }

    /// A kubeconfig for one of them.
    #[must_use]
    pub fn kubeconfig(&self, cluster: &str) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {
                "server": format!("{}/c/{cluster}", self.url),
                "certificate-authority-data": STANDARD.encode(&self.ca_pem),
            }}],
            "users": [{"name": "u", "user": {"token": "a-token-of-no-use"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        })
        .to_string()
    }

    /// How one of them is from now on.
    pub fn ail(&self, cluster: &str, ailment: Ailment) -> Result<()> {
        let cluster =
            self.shared.clusters.get(cluster).with_context(|| format!("there is no fake cluster {cluster}"))?;
        cluster.ailment.send_replace(ailment);
        Ok(())
    }

    /// All writes so far, in their order.
    #[must_use]
    pub fn writes(&self) -> Vec<FakeWrite> {
        lock(&self.shared.writes).clone()
    }

    /// Requests so far by user agent, and how many of them were watches.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, (u64, u64)> {
        lock(&self.shared.requests).clone()
    }
}

impl Drop for FakeClusters {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<AnyBody>, Infallible> {
    let (parts, body) = request.into_parts();
    let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let is_watch = query.contains("watch=true");
    {
        let mut requests = lock(&shared.requests);
        let count = requests.entry(agent.to_owned()).or_default();
        count.0 += 1;
        count.1 += u64::from(is_watch);
    }
    let path = parts.uri.path().to_owned();
    let mut rest = path.trim_start_matches("/c/").splitn(2, '/');
    let (name, path) = (rest.next().unwrap_or_default(), rest.next().unwrap_or_default());
    let Some(cluster) = shared.clusters.get(name) else { return Ok(error(404)) };
    cluster.suffer().await;
    let words: Vec<&str> = path.split('/').collect();
    let kind = words.iter().find_map(|word| matches!(*word, "configmaps" | "gizmos").then_some(*word));
    if kind == Some("gizmos") && *cluster.ailment.borrow() == Ailment::Conversion {
        return Ok(broken_conversion());
    }
    Ok(match (&parts.method, words.as_slice()) {
        (&Method::GET, ["api", "v1", "namespaces", space]) => {
            one(json!({"name": space, "uid": format!("{name}-{space}"), "resourceVersion": "1"}))
        }
        (&Method::GET, ["apis", "example.com", "v2"]) => json_answer(&json!({
            "apiVersion": "v1", "kind": "APIResourceList", "groupVersion": "example.com/v2",
            "resources": [{"name": "gizmos", "singularName": "gizmo", "kind": "Gizmo", "namespaced": true, "verbs": ["list"]}],
        })),
        (&Method::GET, [.., "configmaps" | "gizmos"]) if is_watch => {
            watch_objects(shared.clone(), name, kind.unwrap_or_default(), &query)
        }
        (&Method::GET, [.., plural @ ("configmaps" | "gizmos")]) => list(cluster, plural),
        (&Method::GET, ["api", "v1", .., "events" | "services"]) if is_watch => silence(),
        (&Method::GET, ["api", "v1", .., "events" | "services"]) => {
            json_answer(&json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": []}))
        }
        (&Method::GET, [.., "namespaces", _, plural @ ("configmaps" | "gizmos"), object]) => {
            let key = ((*plural).to_owned(), (*object).to_owned());
            lock(&cluster.store).objects.get(&key).map_or_else(|| error(404), json_answer)
        }
        (&Method::PATCH, [.., "namespaces", space, plural @ ("configmaps" | "gizmos"), object]) => {
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let Ok(wanted) = serde_json::from_slice(&body) else { return Ok(error(400)) };
            let stored = apply(cluster, (space, plural, object), wanted);
            let round = stored.pointer("/data/round").or_else(|| stored.pointer("/spec/round"));
            let round = round.and_then(Value::as_str).unwrap_or_default().to_owned();
            let (cluster, name, at) = (name.to_owned(), (*object).to_owned(), Instant::now());
            lock(&shared.writes).push(FakeWrite { cluster, name, round, user_agent: agent.to_owned(), at });
            json_answer(&stored)
        }
        _ => error(404),
    })
}

/// Server-side apply of an object that nobody else writes.
fn apply(cluster: &Cluster, (space, plural, name): (&str, &str, &str), mut wanted: Value) -> Value {
    let mut store = lock(&cluster.store);
    let key = (plural.to_owned(), name.to_owned());
    let before = store.objects.get(&key);
    let fields = |value: &Value| {
        let fields = value.as_object().into_iter().flatten();
        Value::Object(fields.map(|(key, _)| (format!("f:{key}"), json!({}))).collect())
    };
    let content = if plural == "gizmos" { "spec" } else { "data" };
    let whole = |value: &Value| (value[content].clone(), value["metadata"]["labels"].clone());
    if let Some(same) = before.filter(|before| whole(before) == whole(&wanted)) {
        return same.clone();
    }
    let created = before.is_none();
    let version = store.version + 1;
    let mut owned = json!({"f:metadata": {"f:labels": fields(&wanted["metadata"]["labels"])}});
    owned[format!("f:{content}")] = fields(&wanted[content]);
    wanted["metadata"] = json!({
        "name": name, "namespace": space, "labels": wanted["metadata"]["labels"],
        "uid": format!("{name}-uid"), "resourceVersion": version.to_string(),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{
            "manager": "asm-agent", "operation": "Apply", "apiVersion": wanted["apiVersion"], "fieldsType": "FieldsV1",
            "time": jiff::Timestamp::from_second(1_767_225_600 + i64::try_from(version).unwrap_or_default())
                .map(|time| time.to_string()).unwrap_or_default(),
            "fieldsV1": owned,
        }],
    });
    let event = json!({"type": if created { "ADDED" } else { "MODIFIED" }, "object": metadata(&wanted)});
    store.version = version;
    store.events.push((version, plural.to_owned(), Bytes::from(format!("{event}\n"))));
    store.objects.insert(key, wanted.clone());
    cluster.version.send_replace(version);
    wanted
}

fn metadata(object: &Value) -> Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]})
}

fn one(about: Value) -> Response<AnyBody> {
    json_answer(&json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": about}))
}

fn list(cluster: &Cluster, plural: &str) -> Response<AnyBody> {
    let store = lock(&cluster.store);
    let of_kind = store.objects.iter().filter(|((of, _), _)| of == plural);
    let items: Vec<Value> = of_kind.map(|(_, object)| metadata(object)).collect();
    json_answer(&json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": store.version.to_string()}, "items": items,
    }))
}

/// Everything of a kind after the version that is asked for, as it comes.
fn watch_objects(shared: Arc<Shared>, name: &str, plural: &str, query: &str) -> Response<AnyBody> {
    let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion="));
    let from: u64 = from.and_then(|version| version.parse().ok()).unwrap_or_default();
    let (name, plural) = (name.to_owned(), plural.to_owned());
    let events = futures::stream::unfold(from, move |from| {
        let (shared, name, plural) = (shared.clone(), name.clone(), plural.clone());
        async move {
            let cluster = shared.clusters.get(&name)?;
            let mut version = cluster.version.subscribe();
            let news = tokio::time::timeout(WATCH, version.wait_for(|version| *version > from)).await;
            let to = *news.ok()?.ok()?;
            cluster.suffer().await;
            let store = lock(&cluster.store);
            let lines =
                store.events.iter().filter(|(version, of, _)| *of == plural && *version > from && *version <= to);
            let text: Vec<u8> = lines.flat_map(|(_, _, line)| line.to_vec()).collect();
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from(text))), to))
        }
    });
    streamed(StreamBody::new(events).boxed_unsync())
}

/// A watch in which nothing ever happens.
fn silence() -> Response<AnyBody> {
    let end = futures::stream::once(async {
        tokio::time::sleep(WATCH).await;
        Ok::<_, Infallible>(Frame::data(Bytes::new()))
    });
    streamed(StreamBody::new(end).boxed_unsync())
}

fn streamed(body: AnyBody) -> Response<AnyBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn json_answer(value: &Value) -> Response<AnyBody> {
    streamed(Full::new(Bytes::from(value.to_string())).boxed_unsync())
}

fn error(code: u16) -> Response<AnyBody> {
    failure(code, "NotFound", "this fake cluster has no such thing")
}

/// What a real API server says when it cannot ask the webhook.
fn broken_conversion() -> Response<AnyBody> {
    let message = "conversion webhook for example.com/v1, Kind=Gizmo failed: Post \"https://127.0.0.1:1/convert?timeout=30s\": \
                   dial tcp 127.0.0.1:1: connect: connection refused";
    failure(500, "InternalError", message)
}

fn failure(code: u16, reason: &str, message: &str) -> Response<AnyBody> {
    let mut response = json_answer(&json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
        "message": message,
    }));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
