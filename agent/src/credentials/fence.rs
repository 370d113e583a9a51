//! Clients that write nothing once this replica's claim has run out.
//!
//! Asking before a request is not enough: a process that is stopped (SIGSTOP, a frozen machine) goes on in the middle of one,
//! with the rest of it in a buffer; and what an API server has put off (429) is sent again later, by the client itself. So
//! the claim is asked right before bytes go into a socket, below TLS, and those of a claim that is over never do. What had
//! left before lands within the margin that a claim ends before others may take over ([`crate::lease`]).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ConfigExt as _};
use kube::{Client, Config};
use tower::retry::RetryLayer;
use tower::{BoxError, Service, ServiceBuilder};

use super::limits::Bounds;
use crate::lease::Tenure;

/// Whether anything may be written.
#[derive(Clone)]
pub struct Fence(Tenure);

impl Fence {
    /// As long as this claim is good. Not when this replica has another one: connections may live that long.
    pub fn new(tenure: Tenure) -> Self {
        Self(tenure)
    }

    fn check(&self) -> io::Result<()> {
        if self.0.is_current() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "this replica's Lease has run out: it writes nothing"))
    }
}

/// A client behind a fence, whose server can neither fill much memory with one answer nor keep anybody waiting. As `kube::ClientBuilder` makes it,
/// but for the fence below TLS; proxies are not for it.
pub(super) fn fenced(config: &Config, fence: Fence, bounds: Bounds) -> Result<Client, kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let https = config.rustls_https_connector_with_connector(Fenced { inner: tcp, fence })?;
    let mut connector = TimeoutConnector::new(https);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let client: legacy::Client<_, Body> = legacy::Builder::new(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(bounds)
        .layer(config.base_uri_layer())
        .option_layer(config.default_retry.then(|| RetryLayer::new(RetryPolicy::server_retry())))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// Makes connections that pass the fence with every write.
#[derive(Clone)]
struct Fenced<C> {
    inner: C,
    fence: Fence,
}

impl<C> Service<Uri> for Fenced<C>
where
    C: Service<Uri, Future: Send + 'static>,
{
    type Response = FencedStream<C::Response>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let (connecting, fence) = (self.inner.call(server), self.fence.clone());
        Box::pin(async move { Ok(FencedStream { inner: connecting.await?, fence }) })
    }
}

struct FencedStream<S> {
    inner: S,
    fence: Fence,
}

impl<S: Connection> Connection for FencedStream<S> {
    fn connected(&self) -> Connected {
        self.inner.connected()
    }
}

impl<S: Read + Unpin> Read for FencedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: Write + Unpin> Write for FencedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.fence.check()?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.fence.check()?;
        Pin::new(&mut self.inner).poll_write_vectored(context, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fence, fenced};
    use crate::credentials::limits::FAR;
    use crate::lease::{Claim, Tenure};
    use axum::Router;
    use axum::routing::any;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, DeleteParams, Patch, PatchParams};
    use kube::{Client, Config};
    use serde_json::json;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::watch;

    /// An API server with one object that counts what it is asked.
    async fn server() -> (String, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let answer = move || {
            count.fetch_add(1, Ordering::SeqCst);
            async { json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}).to_string() }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(answer))).await });
        (address, asked)
    }

    fn fenced_client(server: &str, claim: watch::Receiver<Claim>) -> Client {
        fenced(&Config::new(server.parse().unwrap()), Fence::new(Tenure::of(claim)), FAR).unwrap()
    }

    #[tokio::test]
    async fn a_claim_that_is_over_lets_nothing_out_of_connections_that_are_open_or_new() {
        let (server, asked) = server().await;
        let (claim, receiver) = watch::channel(Claim::unchallenged("a").borrow().clone());
        let maps = |client: Client| Api::<ConfigMap>::namespaced(client, "default");
        let open = maps(fenced_client(&server, receiver.clone()));
        open.get("a").await.unwrap();
        open.patch("a", &PatchParams::default(), &Patch::Merge(json!({}))).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2);

        let fresh = maps(fenced_client(&server, receiver));
        // Over, and over with another claim in its place.
        for now in [Claim::none(), Claim::unchallenged("b").borrow().clone()] {
            claim.send_replace(now);
            refused(&open).await;
            refused(&fresh).await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2, "something got out");
        claim.send_replace(Claim::unchallenged("a").borrow().clone());
        open.get("a").await.unwrap();
    }

    async fn refused(api: &Api<ConfigMap>) {
        let error = api.patch("a", &PatchParams::default(), &Patch::Merge(json!({}))).await.unwrap_err();
        let told = crate::log::chain(&error);
        assert!(told.contains("Lease has run out"), "{told}");
        assert!(api.delete("a", &DeleteParams::default()).await.is_err());
    }
}
