//! TLS in front of a test server, with a certificate of an authority made for the test.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// An authority.
pub(crate) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for this name, and its key (both PEM).
pub(super) fn leaf(by: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (Vec<u8>, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, by).unwrap();
    (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
}

/// Listens with a certificate for this name and passes everything on. The threads end with the test process.
pub(crate) fn in_front_of(server: SocketAddr, by: &CertifiedIssuer<'static, KeyPair>, name: &str) -> SocketAddr {
    listen(server, by, name, WebPkiClientVerifier::no_client_auth())
}

/// The same, for clients with a certificate of this authority only.
pub(super) fn for_clients_of(
    server: SocketAddr,
    by: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    clients: &CertifiedIssuer<'static, KeyPair>,
) -> SocketAddr {
    let mut roots = RootCertStore::empty();
    roots.add(clients.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    listen(server, by, name, WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap())
}

fn listen(
    server: SocketAddr,
    by: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    clients: Arc<dyn ClientCertVerifier>,
) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, by).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let back = TcpStream::connect(server).unwrap();
            std::thread::spawn(move || pass(StreamOwned::new(connection, stream), back));
        }
    });
    address
}

/// Passes bytes both ways by turns, until one side ends.
fn pass(mut front: StreamOwned<ServerConnection, TcpStream>, mut back: TcpStream) -> io::Result<()> {
    let turn = Some(Duration::from_millis(5));
    front.sock.set_read_timeout(turn)?;
    back.set_read_timeout(turn)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match front.read(&mut buffer) {
            Ok(0) => return back.shutdown(Shutdown::Both),
            Ok(count) => back.write_all(&buffer[..count])?,
            Err(error) if waits(&error) => {}
            Err(error) => return Err(error),
        }
        match back.read(&mut buffer) {
            Ok(0) => {
                front.conn.send_close_notify();
                return front.flush();
            }
            Ok(count) => front.write_all(&buffer[..count])?,
            Err(error) if waits(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
