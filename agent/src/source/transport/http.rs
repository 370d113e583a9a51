//! Git over https: a question for the branches, a question for the objects.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::super::SourceError;
use super::super::url::Scheme;
use super::{CONNECT, Gauge, Line, SILENCE, tls};

/// Many servers choose what they say by this name.
const AGENT: &str = concat!("git/2.0 (asm-agent ", env!("CARGO_PKG_VERSION"), ")");
/// Redirects of the first question that are followed: repositories that were renamed, or a missing `.git`.
const MOST_REDIRECTS: usize = 3;
/// Longest list of branches and tags.
const LONGEST_LIST: u64 = 16 << 20;
const LIST: &str = "/info/refs?service=git-upload-pack";

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub(super) struct Http {
    line: Arc<Line>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    client: Option<HttpClient>,
    /// The repository's URL, after redirects.
    base: Option<String>,
}

impl Http {
    pub(super) fn new(line: Arc<Line>) -> Self {
        Self { line, state: Arc::default() }
    }
}

impl SmartSubtransport for Http {
    fn action(&self, _url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        match service {
            Service::UploadPackLs => {
                let answer = list(&self.line, &self.state).or_else(|why| self.line.end(why))?;
                Ok(Box::new(Listing { line: Arc::clone(&self.line), body: Body::new(answer), received: 0 }))
            }
            Service::UploadPack => Ok(Box::new(Exchange {
                gauge: Gauge::new(&self.line),
                state: Arc::clone(&self.state),
                question: Vec::new(),
                body: None,
            })),
            // The agent never pushes.
            _ => self.line.end(self.line.unreachable("the agent only fetches")),
        }
    }

    fn close(&self) -> Result<(), Error> {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
        Ok(())
    }
}

fn client(line: &Line) -> Result<HttpClient, SourceError> {
    let url = || line.url.to_string();
    let config = tls::config(&line.credentials);
    let config = config.map_err(|reason| SourceError::UntrustedCertificate { url: url(), reason })?;
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new().with_tls_config(config);
    let connector = match line.url.scheme() {
        Scheme::Https => builder.https_only().enable_http1().wrap_connector(connector),
        _ => builder.https_or_http().enable_http1().wrap_connector(connector),
    };
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// Asks for the branches, following redirects that stay with the same server.
fn list(line: &Line, state: &Mutex<State>) -> Result<Response<Incoming>, SourceError> {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let client = match &state.client {
        Some(client) => client.clone(),
        None => state.client.insert(client(line)?).clone(),
    };
    let mut base = line.url.to_string();
    for _ in 0..=MOST_REDIRECTS {
        let request = request(line, Method::GET, &format!("{base}{LIST}"))?;
        let answer = ask(line, &client, request.body(Full::default()))?;
        if !answer.status().is_redirection() {
            let answer = accepted(line, answer, "application/x-git-upload-pack-advertisement")?;
            state.base = Some(base);
            return Ok(answer);
        }
        base = follow(line, &base, &answer)?;
    }
    Err(line.unreachable(format!("more than {MOST_REDIRECTS} redirects")))
}

/// Where a redirect leads, if that is the same server by the same scheme: anything else would get the credentials.
fn follow(line: &Line, base: &str, answer: &Response<Incoming>) -> Result<String, SourceError> {
    let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
    let shown = super::super::remote::clean(to.split('?').next().unwrap_or_default(), 200);
    let elsewhere = || {
        line.unreachable(format!(
            "the server redirects to {shown}, which is not the same server: nothing was sent there; if it is meant, \
             write that URL into the FleetSync"
        ))
    };
    let from: Uri = base.parse().map_err(|_| elsewhere())?;
    let target = if to.starts_with('/') && !to.starts_with("//") {
        format!("{}://{}{to}", from.scheme_str().unwrap_or_default(), from.authority().ok_or_else(elsewhere)?)
    } else {
        to.to_owned()
    };
    let target = target.strip_suffix(LIST).ok_or_else(elsewhere)?;
    // By the same strict grammar as the FleetSync's own URL.
    let target = super::super::url::RemoteUrl::parse(target).map_err(|_| elsewhere())?;
    let origin = |url: &super::super::url::RemoteUrl| (url.scheme(), url.host().to_ascii_lowercase(), url.port());
    if origin(&target) != origin(&line.url) {
        return Err(elsewhere());
    }
    Ok(target.to_string())
}

fn request(line: &Line, method: Method, url: &str) -> Result<hyper::http::request::Builder, SourceError> {
    let mut request = Request::builder().method(method).uri(url).header(USER_AGENT, AGENT);
    // `https_only` and `RemoteUrl` see to it that this never goes in clear text.
    if line.url.scheme() == Scheme::Https
        && let Some(authorization) = line.credentials.authorization()
    {
        let mut value = HeaderValue::try_from(authorization)
            .map_err(|_| line.unreachable("user, password or token have characters that no header can have"))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    Ok(request)
}

fn ask(
    line: &Line,
    client: &HttpClient,
    request: Result<Request<Full<Bytes>>, hyper::http::Error>,
) -> Result<Response<Incoming>, SourceError> {
    let request = request.map_err(|error| line.unreachable(error.to_string()))?;
    let answer = line.wait("no answer", SILENCE, client.request(request))?;
    answer.map_err(|error| tls::explain(line, &error))
}

/// An answer of the kind that was asked for.
fn accepted(line: &Line, answer: Response<Incoming>, kind: &str) -> Result<Response<Incoming>, SourceError> {
    let url = || line.url.to_string();
    let presented = line.credentials.authorization().is_some();
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(SourceError::Unauthorized { url: url(), presented });
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(SourceError::RepositoryMissing { url: url() }),
        status => return Err(line.unreachable(format!("the server answered with HTTP status {status}"))),
    }
    let found = answer.headers().get(CONTENT_TYPE).and_then(|found| found.to_str().ok()).unwrap_or_default();
    if found != kind {
        let found = super::super::remote::clean(found, 60);
        return Err(line.unreachable(format!("what answered is no Git server (it sent {found:?})")));
    }
    Ok(answer)
}

/// The bytes of an answer as they come.
struct Body {
    incoming: Incoming,
    piece: Bytes,
}

impl Body {
    fn new(answer: Response<Incoming>) -> Self {
        Self { incoming: answer.into_body(), piece: Bytes::new() }
    }

    /// The next bytes; none at the end. `true`: they have just come in.
    fn fill(&mut self, line: &Line) -> io::Result<bool> {
        while self.piece.is_empty() {
            let frame =
                line.wait("in the middle of an answer", SILENCE, self.incoming.frame()).or_else(|w| line.cut(w))?;
            match frame {
                None => return Ok(false),
                Some(Ok(frame)) => self.piece = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return line.cut(tls::explain(line, &error)),
            }
            if !self.piece.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let piece = self.piece.split_to(self.piece.len().min(buffer.len()));
        if let Some(place) = buffer.get_mut(..piece.len()) {
            place.copy_from_slice(&piece);
        }
        piece.len()
    }
}

/// The list of branches.
struct Listing {
    line: Arc<Line>,
    body: Body,
    received: u64,
}

impl Read for Listing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.body.fill(&self.line)? {
            self.received += self.body.piece.len() as u64;
            if self.received > LONGEST_LIST {
                let reason = format!("its list of branches is longer than {}", super::super::error::size(LONGEST_LIST));
                return self.line.cut(SourceError::TooLarge { url: self.line.url.to_string(), reason });
            }
        }
        Ok(self.body.take(buffer))
    }
}

impl Write for Listing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One question for objects and its answer.
struct Exchange {
    gauge: Gauge,
    state: Arc<Mutex<State>>,
    question: Vec<u8>,
    body: Option<Body>,
}

impl Exchange {
    fn ask(&mut self) -> Result<Body, SourceError> {
        let line = &self.gauge.line;
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(client), Some(base)) = (&state.client, &state.base) else {
            return Err(line.unreachable("the connection was closed"));
        };
        let request = request(line, Method::POST, &format!("{base}/git-upload-pack"))?
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header(ACCEPT, "application/x-git-upload-pack-result");
        let question = Bytes::from(std::mem::take(&mut self.question));
        // A redirect here is not followed: `accepted` takes 200 alone.
        let answer = ask(line, client, request.body(Full::new(question)))?;
        accepted(line, answer, "application/x-git-upload-pack-result").map(Body::new)
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.question.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.body.is_none() {
            let asked = self.ask();
            self.body = Some(asked.or_else(|why| self.gauge.line.cut(why))?);
        }
        let Some(body) = &mut self.body else { return Ok(0) };
        if body.fill(&self.gauge.line)? {
            self.gauge.read(&body.piece)?;
        }
        Ok(body.take(buffer))
    }
}
