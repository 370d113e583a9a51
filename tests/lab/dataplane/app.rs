//! What runs in pods: an HTTP server that says who it is.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    serve::ListenerExt as _,
};
use http::header;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::AbortHandle};

use super::{client, network::PodNetwork};

/// Who answers.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) app: String,
    pub(super) version: String,
    pub(super) cluster: String,
    pub(super) pod: String,
}

/// A running server; ends with this value.
pub(super) enum App {
    Here(AbortHandle),
    /// In a pod's network namespace, on a thread that has moved there.
    Inside(Option<oneshot::Sender<()>>),
}

impl Drop for App {
    fn drop(&mut self) {
        match self {
            Self::Here(task) => task.abort(),
            // The thread looks for this.
            Self::Inside(stop) => drop(stop.take()),
        }
    }
}

impl App {
    /// In this network namespace.
    pub(super) async fn here(ip: Ipv4Addr, port: u16, who: Who) -> Result<Self> {
        let listener = listen(ip, port).await?;
        Ok(Self::Here(tokio::spawn(serve(listener, who, None)).abort_handle()))
    }

    /// In a pod's. `mesh` is where its sidecar takes requests to other services.
    pub(super) async fn inside(network: &PodNetwork, ip: Ipv4Addr, port: u16, who: Who, mesh: u16) -> Result<Self> {
        let enter = network.door()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, start) = oneshot::channel();
        let work = move || {
            let begin = || {
                // Sockets belong to the namespace that their thread is in; this runtime has no other thread.
                enter()?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let listener = runtime.block_on(listen(ip, port))?;
                anyhow::Ok((runtime, listener))
            };
            match begin() {
                Ok((runtime, listener)) => {
                    let _ = started.send(Ok(()));
                    runtime.block_on(async {
                        tokio::select! {
                            () = serve(listener, who, Some(mesh)) => {}
                            _ = stopped => {}
                        }
                    });
                    // Connections that are still open go at once.
                    runtime.shutdown_timeout(Duration::ZERO);
                }
                Err(error) => drop(started.send(Err(error))),
            }
        };
        std::thread::Builder::new().name("pod".to_owned()).spawn(work).context("cannot start a thread")?;
        start.await.context("a pod's thread ended")??;
        Ok(Self::Inside(Some(stop)))
    }
}

async fn listen(ip: Ipv4Addr, port: u16) -> Result<TcpListener> {
    TcpListener::bind((ip, port)).await.with_context(|| format!("cannot listen on {ip}:{port}"))
}

#[derive(Clone)]
struct Served {
    who: Who,
    mesh: Option<u16>,
}

async fn serve(listener: TcpListener, who: Who, mesh: Option<u16>) {
    // With Nagle's algorithm an answer takes 40 ms, and short errors stay unseen.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let router = Router::new().fallback(answer).with_state(Served { who, mesh });
    if let Err(error) = axum::serve(listener, router).await {
        tracing::debug!(%error, "app");
    }
}

async fn answer(State(served): State<Served>, request: Request) -> Response {
    let Served { who, mesh } = served;
    let path = request.uri().path().to_owned();
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let mut said = json!({
        "app": who.app, "version": who.version, "cluster": who.cluster, "pod": who.pod, "path": path, "host": host,
    });
    if let Some(mesh) = mesh
        && path.starts_with("/productpage")
    {
        said["reviews"] = reviews(mesh).await;
    }
    ([(header::CONTENT_TYPE, "application/json")], said.to_string()).into_response()
}

/// Bookinfo's page shows reviews. The request goes to the pod's sidecar, as redirection makes it in a real pod.
async fn reviews(mesh: u16) -> Value {
    let sidecar = SocketAddr::from((Ipv4Addr::LOCALHOST, mesh));
    match client::ask(sidecar, "reviews:9080", "/reviews/1").await {
        Ok(answer) if answer.status == 200 => answer.body,
        Ok(answer) => json!({"status": answer.status, "body": answer.body}),
        Err(error) => json!({"status": 0, "body": format!("{error:#}")}),
    }
}
