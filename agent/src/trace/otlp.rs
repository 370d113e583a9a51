//! Sends spans to a collector, by OTLP over HTTP (protobuf). In batches, by a thread of its own: nobody waits for a collector,
//! and what it does not take is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{SPANS, Taker};

/// How long a collector may take to answer.
const TIME: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const LONGEST: usize = 64 << 10;
/// How long the last spans may take when the agent ends.
const LAST: Duration = Duration::from_secs(5);

/// Sends spans, until it is ended.
pub(crate) struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Sends what is left. Not for a thread of the runtime: the sending needs those.
    pub(crate) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST) {
            tracing::debug!("the last traces could not be sent: {error}");
        }
    }
}

/// Sends spans to this collector (its address without `/v1/traces`); without one, where the standard's variables say, if
/// they do.
pub(crate) fn start(endpoint: Option<&str>, runtime: &Handle) -> Result<Option<(Exporter, Taker)>, String> {
    if endpoint.is_none() && !super::is_named_by_environment() {
        return Ok(None);
    }
    let unusable = |error: &dyn std::fmt::Display| format!("traces cannot be sent: {error}; look at --otlp-endpoint");
    let collector = Collector::new(runtime).map_err(|error| unusable(&error))?;
    let mut exporter =
        SpanExporter::builder().with_http().with_http_client(collector).with_protocol(Protocol::HttpBinary);
    if let Some(endpoint) = endpoint {
        exporter = exporter.with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')));
    }
    let exporter = exporter.build().map_err(|error| unusable(&error))?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
    let taker = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("asm-agent"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(SPANS, LevelFilter::TRACE));
    Ok(Some((Exporter(provider), Box::new(taker))))
}

/// Who sends them.
fn resource() -> Resource {
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("asm-agent");
    }
    if let Ok(pod) = std::env::var("POD_NAME") {
        resource = resource.with_attribute(KeyValue::new("service.instance.id", pod));
    }
    resource.build()
}

/// The client that everything else here uses, too, for a thread that is not of the runtime.
#[derive(Debug)]
struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    fails: AtomicBool,
}

impl Collector {
    fn new(runtime: &Handle) -> Result<Self, String> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(TIME));
        let tls = crate::source::tls_config(None)?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, runtime: runtime.clone(), fails: AtomicBool::new(false) })
    }

    /// Says that it fails, and that it does no more: once each, not with each batch.
    fn note(&self, result: Result<(), String>) {
        match result {
            Ok(()) if self.fails.swap(false, Ordering::Relaxed) => tracing::info!("the collector takes traces again"),
            Err(why) if !self.fails.swap(true, Ordering::Relaxed) => {
                tracing::warn!("the collector does not take traces, which are dropped meanwhile: {why}");
            }
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let asked = async move {
            let answer = client.request(request.map(Full::new)).await.map_err(|error| crate::log::chain(&error))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LONGEST).collect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>(Response::from_parts(head, body.to_bytes()))
        };
        // Its clock and its sockets are the runtime's: nothing of it is made on this thread.
        let asked = self.runtime.spawn(async move { tokio::time::timeout(TIME, asked).await });
        let answer = match asked.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(format!("no answer within {} s", TIME.as_secs())),
            Err(_) => Err("the agent ends".to_owned()),
        };
        self.note(match &answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("it answers {}", answer.status())),
            Err(why) => Err(why.clone()),
        });
        answer.map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Syncing, plan, stage};
    use super::start;
    use asm_shared::fleet::Target;
    use asm_shared::plan::Stage;
    use axum::Router;
    use axum::body::Bytes;
    use axum::http::{HeaderMap, Uri};
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt as _;

    /// Path, content type and body of what was sent.
    type Got = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

    async fn collector() -> (SocketAddr, Got) {
        let got = Got::default();
        let into = got.clone();
        let take = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
            into.lock().unwrap().push((uri.path().to_owned(), kind, body.to_vec()));
            async { "" }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
        (address, got)
    }

    #[test]
    fn attack_a_collector_hears_of_targets_and_numbers_and_of_nothing_else() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (address, got) = runtime.block_on(collector());
        let (exporter, taker) = start(Some(&format!("http://{address}/")), runtime.handle()).unwrap().unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(taker), || {
            let sync = Syncing::begin("asm-system/shop", "0123abcd");
            {
                let target = Target::Cluster("m1c1".into());
                let pass = sync.pass("asm-system/shop", &target, "0123abcd", 1234);
                let _inside = pass.enter();
                let planning = plan();
                planning.record("apply", 77);
                let applying = stage(Stage::Workload, 77);
                applying.record("failed", 1);
                // What others say, and the log, is not for it.
                let _other = tracing::error_span!("other", token = "c4n4ry").entered();
                tracing::error!(secret = "c4n4ry", "c4n4ry");
            }
            sync.end(2, "Synced");
            // It is over: what comes later is no part of it, and is told all the same.
            drop(sync.pass("asm-system/shop", &Target::Mesh, "0123abcd", 1));
        });
        exporter.end();
        let got = got.lock().unwrap();
        let (path, kind, _) = got.first().expect("something was sent");
        assert_eq!((path.as_str(), kind.as_str()), ("/v1/traces", "application/x-protobuf"));
        // Texts stand in protobuf as they are.
        let all: Vec<u8> = got.iter().flat_map(|(_, _, body)| body.clone()).collect();
        let has = |text: &str| all.windows(text.len()).any(|part| part == text.as_bytes());
        for text in [
            "sync",
            "pass",
            "plan",
            "stage",
            "Workload",
            "asm-system/shop",
            "m1c1",
            "mesh",
            "0123abcd",
            "Synced",
            "asm-agent",
        ] {
            assert!(has(text), "{text} was not sent");
        }
        assert!(!has("c4n4ry") && !has("other"), "{}", String::from_utf8_lossy(&all));
    }

    #[test]
    fn a_collector_that_is_not_there_holds_nobody_up() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (exporter, taker) = start(Some("http://127.0.0.1:1"), runtime.handle()).unwrap().unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(taker), || {
            drop(Syncing::begin("shop", "a"));
        });
        exporter.end();
    }
}
