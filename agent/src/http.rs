//! `/healthz`, `/readyz`, `/metrics`: read only, small, and hard to keep busy.

mod hooks;
mod listener;
mod observer;

pub use hooks::Hooks;
#[doc(hidden)]
pub use hooks::fuzzing;
pub(crate) use listener::{Limited, Limits};
pub use observer::{Observer, Seen};

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::readiness::Readiness;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A listening server that has not begun to answer.
pub struct Server {
    listener: TcpListener,
    router: Router,
}

impl Server {
    /// Takes the address, so that a port in use is known before any work starts.
    pub async fn bind(address: SocketAddr, metrics: Arc<Metrics>, readiness: Readiness) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready).with_state(readiness))
            .route("/metrics", get(numbers).with_state(metrics));
        Ok(Self { listener, router })
    }

    /// The address that was taken (of interest when port 0 was asked for).
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop`; connections that are open then are cut.
    pub async fn serve(self, stop: CancellationToken) -> io::Result<()> {
        let listener = Limited::new(self.listener, Limits::default());
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = async { axum::serve(listener, self.router).await } => ended,
        }
    }
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    let mut text = String::from("not ready\n");
    for (check, reason) in missing {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{check}: {reason}");
    }
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn numbers(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the numbers could not be written\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_util::sync::CancellationToken;

    use super::Server;
    use crate::metrics::Metrics;
    use crate::readiness::Readiness;

    async fn ask(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("{request} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn says_what_is_not_ready_and_answers_reads_only() {
        let readiness = Readiness::default();
        let metrics = Arc::new(Metrics::default());
        let server = Server::bind(([127, 0, 0, 1], 0).into(), Arc::clone(&metrics), readiness.clone()).await.unwrap();
        let address = server.address().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.serve(stop.clone()));

        assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200"));
        readiness.not_ready("watch of FleetSyncs", "no answer from the API server");
        let answer = ask(address, "GET /readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.ends_with("not ready\nwatch of FleetSyncs: no answer from the API server\n"), "{answer}");
        readiness.ready("watch of FleetSyncs");
        assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 200"));

        metrics.leader(true);
        let answer = ask(address, "GET /metrics").await;
        assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
        assert!(answer.lines().any(|line| line == "asm_agent_leader 1"), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");

        assert!(ask(address, "POST /healthz").await.starts_with("HTTP/1.1 405"));
        assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 404"));

        stop.cancel();
        task.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
