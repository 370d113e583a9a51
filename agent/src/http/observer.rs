//! The admission observer: API servers of the targets tell it of changes of synced objects before they make them, with the
//! user's real name. It always says yes, and it says so also when it understands nothing: it must never be in anybody's way.
//!
//! What it is told is believed as far as the sender proved itself: by the token in the path, which only the webhook
//! configuration of the target holds, and by a client certificate where `client-ca.crt` is there. A sighting only puts a name
//! to a drift that the live object shows; it causes nothing.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use asm_shared::drift::{Sighting, Sightings};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::Listener;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::listener::{Connection, Limited, Limits};

/// An object and its successor, each as large as etcd takes it, and the frame around them.
const LARGEST: usize = 4 << 20;
/// How long a client may take to greet.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Connections that have greeted and wait.
const WAITING: usize = 16;

/// What was seen, shared with whoever judges drift.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Sightings>>);

impl Seen {
    /// Looks into it. A panic while it was held cannot leave it half changed.
    pub fn with<T>(&self, look: impl FnOnce(&mut Sightings) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes reviews.
pub struct Observer {
    listener: TcpListener,
    files: Arc<Files>,
    seen: Seen,
}

/// The mounted Secret: `tls.crt`, `tls.key`, `token`, and perhaps `client-ca.crt`. Read at every handshake and request, so
/// that renewed ones count at once.
struct Files(PathBuf);

impl Files {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let path = self.0.join(name);
        std::fs::read(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    fn token(&self) -> io::Result<Vec<u8>> {
        let token = self.read("token")?.trim_ascii().to_vec();
        if token.len() < 16 {
            return Err(io::Error::other(
                "token: at least 16 characters are needed, for example: openssl rand -hex 32",
            ));
        }
        Ok(token)
    }

    fn tls(&self) -> io::Result<Arc<ServerConfig>> {
        let wrong = |name: &str| {
            let name = name.to_owned();
            move |error: rustls::pki_types::pem::Error| io::Error::other(format!("{name}: {error}"))
        };
        let certificates = |name: &str, pem: &[u8]| {
            CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(wrong(name))
        };
        let chain = certificates("tls.crt", &self.read("tls.crt")?)?;
        let key = PrivateKeyDer::from_pem_slice(&self.read("tls.key")?).map_err(wrong("tls.key"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let builder = match self.read("client-ca.crt") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => builder.with_no_client_auth(),
            Err(error) => return Err(error),
            Ok(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("client-ca.crt", &pem)? {
                    roots.add(certificate).map_err(io::Error::other)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(io::Error::other)?)
            }
        };
        builder.with_single_cert(chain, key).map(Arc::new).map_err(io::Error::other)
    }
}

impl Observer {
    /// Takes the address and looks at the files, so that what is wrong is known before any work starts.
    pub async fn bind(address: SocketAddr, files: &Path, seen: Seen) -> io::Result<Self> {
        let files = Files(files.to_owned());
        files.tls()?;
        files.token()?;
        Ok(Self { listener: TcpListener::bind(address).await?, files: Arc::new(files), seen })
    }

    /// The address that was taken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes reviews until `stop`.
    pub async fn serve(self, stop: CancellationToken) -> io::Result<()> {
        let address = self.listener.local_addr()?;
        let (sender, greeted) = mpsc::channel(WAITING);
        let state = (Arc::clone(&self.files), self.seen);
        let router = Router::new().route("/observe/{token}", post(review)).with_state(state);
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = greet(Limited::new(self.listener, Limits::default()), self.files, sender) => Ok(()),
            ended = async { axum::serve(Greeted { greeted, address }, router).await } => ended,
        }
    }
}

/// Does the handshakes, each beside the others: one that takes its time must not hold up the rest.
async fn greet(mut listener: Limited, files: Arc<Files>, sender: mpsc::Sender<(TlsStream<Connection>, SocketAddr)>) {
    loop {
        let (stream, address) = listener.accept().await;
        let (files, sender) = (Arc::clone(&files), sender.clone());
        tokio::spawn(async move {
            let config = match files.tls() {
                Ok(config) => config,
                Err(error) => return tracing::warn!("the observer's certificate cannot be used: {error}"),
            };
            match tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
                Ok(Ok(stream)) => drop(sender.send((stream, address)).await),
                Ok(Err(error)) => tracing::debug!("a handshake failed: {error}"),
                Err(_) => {}
            }
        });
    }
}

/// Connections after their handshake.
struct Greeted {
    greeted: mpsc::Receiver<(TlsStream<Connection>, SocketAddr)>,
    address: SocketAddr,
}

impl Listener for Greeted {
    type Io = TlsStream<Connection>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.greeted.recv().await {
            Some(greeted) => greeted,
            // Cannot be while the handshakes run beside it.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

async fn review(
    State((files, seen)): State<(Arc<Files>, Seen)>,
    UrlPath(token): UrlPath<String>,
    request: Request,
) -> Response {
    let is_known = files.token().is_ok_and(|wanted| bool::from(wanted.ct_eq(token.as_bytes())));
    if !is_known {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    }
    let Ok(body) = to_bytes(request.into_body(), LARGEST).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "at most 4 MiB are taken\n").into_response();
    };
    let Ok(review) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "this is no AdmissionReview\n").into_response();
    };
    if let Some(sighting) = Sighting::of(&review, Timestamp::now()) {
        tracing::debug!(object = %sighting.object, user = &*sighting.user, "seen");
        seen.with(|sightings| sightings.see(sighting));
    }
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": true},
    });
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn files() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(dir.path().join("tls.crt"), made.cert.pem()).unwrap();
        std::fs::write(dir.path().join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(dir.path().join("token"), format!("{TOKEN}\n")).unwrap();
        dir
    }

    async fn ask(files: &Path, seen: &Seen, token: &str, body: String) -> (StatusCode, String) {
        let request = Request::builder().method("POST").body(axum::body::Body::from(body)).unwrap();
        let state = State((Arc::new(Files(files.to_owned())), seen.clone()));
        let answer = review(state, UrlPath(token.to_owned()), request).await;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), LARGEST).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn it_always_says_yes_and_believes_only_who_knows_the_token() {
        let (dir, seen) = (files(), Seen::default());
        let object = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {"applyset.kubernetes.io/part-of": "set"}}});
        let delete = json!({"request": {
            "uid": "r1", "operation": "DELETE", "kind": {"group": "", "kind": "ConfigMap"}, "name": "web", "namespace": "shop",
            "userInfo": {"username": "alice"}, "oldObject": object,
        }});
        let id = asm_shared::object::ObjectId::new("", "ConfigMap", Some("shop"), "web");
        let deleter = || seen.with(|seen| seen.deleter("set", &id, "u").map(|(user, _)| user.to_string()));
        let (status, _) = ask(dir.path(), &seen, "0123456789abcdef0123456789abcdee", delete.to_string()).await;
        assert_eq!((status, deleter()), (StatusCode::NOT_FOUND, None));
        let (status, body) = ask(dir.path(), &seen, TOKEN, delete.to_string()).await;
        assert_eq!((status, deleter().as_deref()), (StatusCode::OK, Some("alice")));
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["response"], json!({"uid": "r1", "allowed": true}));
        let (status, _) = ask(dir.path(), &seen, TOKEN, "{}".to_owned()).await;
        assert_eq!(status, StatusCode::OK);
        let (status, _) = ask(dir.path(), &seen, TOKEN, "[".to_owned()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let (status, _) = ask(dir.path(), &seen, TOKEN, " ".repeat(LARGEST + 1)).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_files_is_told_at_the_start() {
        let address: SocketAddr = ([127, 0, 0, 1], 0).into();
        let told = |dir: PathBuf| async move {
            Observer::bind(address, &dir, Seen::default())
                .await
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        let dir = files();
        assert_eq!(told(dir.path().to_owned()).await, "");
        std::fs::write(dir.path().join("token"), "short").unwrap();
        assert!(told(dir.path().to_owned()).await.contains("token: at least 16"));
        std::fs::write(dir.path().join("client-ca.crt"), "nonsense").unwrap();
        assert!(!told(dir.path().to_owned()).await.is_empty());
        std::fs::remove_file(dir.path().join("tls.key")).unwrap();
        assert!(told(dir.path().to_owned()).await.contains("tls.key"));
    }
}
