//! Git over SSH, in this process: the host key must be known, the key comes from the Secret, nothing is forwarded.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use hyper::body::Bytes;
use russh::client::{self, Msg};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh::{Channel, ChannelMsg, Preferred};
use ssh_key::HashAlg;

use super::super::SourceError;
use super::host_keys::HostKeys;
use super::{CONNECT, Gauge, Line, SILENCE};

/// What is kept of what the server says to people.
const LONGEST_WORD: usize = 1024;

pub(super) struct Ssh {
    line: Arc<Line>,
}

impl Ssh {
    pub(super) fn new(line: Arc<Line>) -> Self {
        Self { line }
    }
}

impl SmartSubtransport for Ssh {
    fn action(&self, _url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        match service {
            Service::UploadPackLs | Service::UploadPack => {
                let talk = open(&self.line).or_else(|why| self.line.end(why))?;
                Ok(Box::new(talk))
            }
            // The agent never pushes.
            _ => self.line.end(self.line.unreachable("the agent only fetches")),
        }
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Looks at the server's key.
struct Doorman {
    known: HostKeys,
    objection: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Doorman {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let verdict = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.known.check(key),
            PublicKeyOrCertificate::Certificate(_) => {
                Err("the server shows a certificate, which is not supported".into())
            }
        };
        let mut objection = self.objection.lock().unwrap_or_else(PoisonError::into_inner);
        *objection = verdict.err();
        Ok(objection.is_none())
    }
}

/// The private key of the Secret.
fn identity(line: &Line) -> Result<PrivateKey, SourceError> {
    let unusable = |reason: &str| SourceError::Identity { url: line.url.to_string(), reason: reason.to_owned() };
    let Some(text) = &line.credentials.identity else {
        return Err(unusable("there is none: SSH needs a private key under key identity"));
    };
    // Not the library's own words: they are about the key's content.
    decode_secret_key(text, line.credentials.password.as_deref()).map_err(|_| {
        unusable(
            "what is under key identity is no private key, or its passphrase under key password is wrong or missing",
        )
    })
}

fn host_keys(line: &Line) -> Result<HostKeys, SourceError> {
    let untrusted = |reason| SourceError::UntrustedHostKey {
        url: line.url.to_string(),
        host: line.url.host().to_owned(),
        port: line.url.port(),
        reason,
    };
    let Some(text) = &line.credentials.known_hosts else {
        return Err(untrusted("the Secret has no key known_hosts, and no server is trusted on first use".to_owned()));
    };
    HostKeys::of(text, line.url.host(), line.url.port()).map_err(untrusted)
}

fn open(line: &Arc<Line>) -> Result<Talk, SourceError> {
    let key = identity(line)?;
    let known = host_keys(line)?;
    let preferred = Preferred { key: Cow::Owned(known.algorithms()), ..Preferred::default() };
    let config = Arc::new(client::Config { preferred, nodelay: true, ..client::Config::default() });
    let objection = Arc::default();
    let doorman = Doorman { known, objection: Arc::clone(&objection) };
    let address = (line.url.host(), line.url.port());
    let failed = |error: russh::Error| {
        let objection = objection.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (objection, &error) {
            (Some(reason), _) => untrusted(line, reason),
            (None, russh::Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, .. }) => {
                untrusted(line, "the server has no key of a kind that known_hosts has for it".to_owned())
            }
            (None, _) => line.unreachable(format!("SSH: {error}")),
        }
    };
    let stream = line.wait("no connection", CONNECT, tokio::net::TcpStream::connect(address))?;
    let stream = stream.map_err(|error| line.unreachable(error.to_string()))?;
    let mut session =
        line.wait("no greeting", CONNECT, client::connect_stream(config, stream, doorman))?.map_err(failed)?;
    log_in(line, &mut session, key)?;
    let channel = line.wait("no channel", CONNECT, session.channel_open_session())?.map_err(failed)?;
    // `RemoteUrl` takes no path with a quote in it.
    let command = format!("git-upload-pack '{}'", line.url.path());
    line.wait("no start of git-upload-pack", CONNECT, channel.exec(true, command))?.map_err(failed)?;
    let gauge = Gauge::new(line);
    Ok(Talk { gauge, channel, _session: session, piece: Bytes::new(), word: Vec::new(), heard: false })
}

fn untrusted(line: &Line, reason: String) -> SourceError {
    let (host, port) = (line.url.host().to_owned(), line.url.port());
    SourceError::UntrustedHostKey { url: line.url.to_string(), host, port, reason }
}

fn log_in(line: &Line, session: &mut client::Handle<Doorman>, key: PrivateKey) -> Result<(), SourceError> {
    let failed = |error: russh::Error| line.unreachable(format!("SSH: {error}"));
    let hash = if key.algorithm().is_rsa() {
        let best = line.wait("no list of algorithms", CONNECT, session.best_supported_rsa_hash())?.map_err(failed)?;
        // Never SHA-1, also when the server does not say what it takes.
        Some(best.flatten().unwrap_or(HashAlg::Sha512))
    } else {
        None
    };
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
    let asked = session.authenticate_publickey(line.url.user(), key);
    let answer = line.wait("no answer to the log-in", CONNECT, asked)?.map_err(failed)?;
    if answer.success() {
        return Ok(());
    }
    Err(SourceError::Unauthorized { url: line.url.to_string(), presented: true })
}

/// The conversation with `git-upload-pack`.
struct Talk {
    gauge: Gauge,
    channel: Channel<Msg>,
    /// Ends the connection when it goes.
    _session: client::Handle<Doorman>,
    piece: Bytes,
    /// What the server says to people.
    word: Vec<u8>,
    heard: bool,
}

impl Talk {
    /// The next bytes; none at the end.
    fn fill(&mut self) -> io::Result<()> {
        while self.piece.is_empty() {
            let line = Arc::clone(&self.gauge.line);
            let said =
                line.wait("in the middle of an answer", SILENCE, self.channel.wait()).or_else(|w| line.cut(w))?;
            match said {
                Some(ChannelMsg::Data { data }) => {
                    self.heard = true;
                    self.gauge.read(&data)?;
                    self.piece = data;
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = LONGEST_WORD.saturating_sub(self.word.len());
                    self.word.extend(data.iter().take(room));
                }
                // The word about what went wrong comes before this.
                Some(ChannelMsg::Close | ChannelMsg::Failure) | None => return self.over(),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn over(&self) -> io::Result<()> {
        if self.heard {
            return Ok(());
        }
        let line = &self.gauge.line;
        let word = String::from_utf8_lossy(&self.word).split_whitespace().collect::<Vec<_>>().join(" ");
        let said = super::super::remote::clean(&line.credentials.scrub(&word), 300);
        let said = if said.is_empty() { "it ended the conversation without a word".to_owned() } else { said };
        line.cut(SourceError::Declined { url: line.url.to_string(), said })
    }
}

impl Read for Talk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let piece = self.piece.split_to(self.piece.len().min(buffer.len()));
        if let Some(place) = buffer.get_mut(..piece.len()) {
            place.copy_from_slice(&piece);
        }
        Ok(piece.len())
    }
}

impl Write for Talk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = &self.gauge.line;
        let sent = line.wait("it takes nothing", SILENCE, self.channel.data(bytes)).or_else(|why| line.cut(why))?;
        match sent {
            Ok(()) => Ok(bytes.len()),
            Err(error) => line.cut(line.unreachable(format!("SSH: {error}"))),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
