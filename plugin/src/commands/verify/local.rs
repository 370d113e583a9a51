//! Asking from this machine.

use super::Settings;
use super::tls::{self, Seen};
use asm_shared::verify::{Answer, Ask, Failure, Layer, TlsProblem};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error as TlsError};
use std::io::{Error as IoError, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Bytes of a body that are read to find the version.
const BODY: usize = 1 << 20;

/// Makes one request.
pub(super) async fn ask(settings: &Settings, address: &str, ask: &Ask) -> Answer {
    match attempt(settings, address, ask).await {
        Ok(answer) => answer,
        Err(failure) => Answer::Failed(failure),
    }
}

async fn attempt(settings: &Settings, address: &str, ask: &Ask) -> Result<Answer, Failure> {
    let stream = connect(settings, address, ask).await?;
    if ask.layer == Layer::Tcp {
        return Ok(Answer::Connected);
    }
    if !ask.tls {
        return request(settings, stream, address, ask).await;
    }
    let (config, seen) = settings.roots.client().map_err(Failure::Other)?;
    let stream = handshake(settings, stream, address, ask, config, &seen).await?;
    if ask.layer == Layer::Tls { Ok(Answer::Connected) } else { request(settings, stream, address, ask).await }
}

async fn connect(settings: &Settings, address: &str, ask: &Ask) -> Result<TcpStream, Failure> {
    let (host, port) = settings.route(address, ask.host_or(address), ask.port);
    let bare = host.trim_matches(['[', ']']);
    let places: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => match timeout(settings.timeout, tokio::net::lookup_host((bare, port))).await {
            Err(_) => return Err(Failure::Timeout("answer of DNS")),
            Ok(Err(error)) => return Err(Failure::Name(error.to_string())),
            Ok(Ok(found)) => found.collect(),
        },
    };
    match timeout(settings.timeout, TcpStream::connect(&places[..])).await {
        Err(_) => Err(Failure::Timeout("connection")),
        Ok(Ok(stream)) => {
            // Small requests, each waited for.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(match error.kind() {
            ErrorKind::ConnectionRefused => Failure::Refused,
            ErrorKind::TimedOut => Failure::Timeout("connection"),
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Failure::Cut("connection"),
            _ => Failure::Other(format!("no connection: {error}")),
        }),
    }
}

async fn handshake(
    settings: &Settings,
    stream: TcpStream,
    address: &str,
    ask: &Ask,
    mut config: ClientConfig,
    seen: &Seen,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Failure> {
    // Without a name the certificate is held against the address, and nothing is said in the handshake.
    config.enable_sni = ask.server_name.is_some();
    let name = ask.server_name.as_deref().unwrap_or(address).trim_matches(['[', ']']);
    let name =
        ServerName::try_from(name.to_owned()).map_err(|_| Failure::Other(format!("{name} is no name for TLS")))?;
    let connector = TlsConnector::from(Arc::new(config));
    match timeout(settings.timeout, connector.connect(name, stream)).await {
        Err(_) => Err(Failure::Timeout("TLS handshake")),
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(tls_failure(&error, seen)),
    }
}

fn tls_failure(error: &IoError, seen: &Seen) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(tls) => Failure::Tls(tls::problem(tls, seen)),
        None if is_cut(error) => Failure::Cut("TLS handshake"),
        None => Failure::Tls(TlsProblem::Other(error.to_string())),
    }
}

fn is_cut(error: &IoError) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

async fn request<S>(settings: &Settings, stream: S, address: &str, ask: &Ask) -> Result<Answer, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| http_failure(&error))?;
    // Ends with the connection, whichever side closes it.
    let driver = tokio::spawn(connection);
    let answer = timeout(settings.timeout, async {
        let response = sender.send_request(built(address, ask)?).await.map_err(|error| http_failure(&error))?;
        read(settings, response).await
    })
    .await
    .unwrap_or(Err(Failure::Timeout("answer")));
    driver.abort();
    answer
}

fn built(address: &str, ask: &Ask) -> Result<Request<Empty<Bytes>>, Failure> {
    let default = if ask.tls { 443 } else { 80 };
    let host = ask.host_or(address);
    let authority = if ask.port == default { host.to_owned() } else { format!("{host}:{}", ask.port) };
    let mut request = Request::builder().method(ask.method.as_str()).uri(ask.path.as_str());
    let own = |name: &str| ask.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    if !own("host") {
        request = request.header("host", authority);
    }
    if !own("user-agent") {
        request = request.header("user-agent", concat!("kubectl-asm/", env!("CARGO_PKG_VERSION")));
    }
    for (name, value) in &ask.headers {
        request = request.header(name.as_str(), value.as_str());
    }
    request.body(Empty::new()).map_err(|error| Failure::Other(format!("the request cannot be made: {error}")))
}

async fn read(settings: &Settings, response: Response<Incoming>) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let headers: Vec<(String, String)> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    // A body that is too long or cut is no matter where the headers say the version.
    let body = match Limited::new(response.into_body(), BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Bytes::new(),
        Err(_) => return Err(Failure::Cut("answer")),
    };
    let version = settings.version_from.read(&headers, &body);
    Ok(Answer::Http { status, headers, version })
}

fn http_failure(error: &hyper::Error) -> Failure {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Failure::Cut("answer");
    }
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<IoError>());
    match io {
        Some(io) if is_cut(io) => Failure::Cut("answer"),
        Some(io) => Failure::Other(format!("the answer fails: {io}")),
        None if error.is_parse() => Failure::Other(format!("the answer is no HTTP: {error}")),
        None => Failure::Other(format!("the answer fails: {error}")),
    }
}
