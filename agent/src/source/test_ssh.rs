//! A real SSH server for tests: russh in front of `git upload-pack`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;

use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// What clients asked for.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) users: Vec<String>,
    pub(super) commands: Vec<String>,
    pub(super) agents: u32,
    /// With which algorithms logins were signed.
    pub(super) algorithms: Vec<String>,
}

pub(super) struct SshServer {
    pub(super) address: SocketAddr,
    /// Line of `known_hosts`.
    pub(super) known_hosts: String,
    pub(super) seen: Arc<Mutex<Seen>>,
    _task: AbortOnDropHandle<()>,
}

pub(super) fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), algorithm).unwrap()
}

/// As it stands in a file.
pub(super) fn pem(key: &PrivateKey) -> String {
    key.to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap().to_string()
}

impl SshServer {
    /// Serves this folder's repositories to whoever has this key. It shows the first of its own keys that the client takes.
    pub(super) async fn start(root: PathBuf, client: &PublicKey, own: Vec<PrivateKey>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let public = own[0].public_key().to_openssh().unwrap();
        let known_hosts = format!("[127.0.0.1]:{} {public}\n", address.port());
        let config = Arc::new(russh::server::Config {
            keys: own,
            auth_rejection_time: std::time::Duration::ZERO,
            ..russh::server::Config::default()
        });
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (guest, client) = (Arc::clone(&seen), client.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let guest =
                    Guest { root: root.clone(), client: client.clone(), seen: Arc::clone(&guest), channel: None };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, stream, guest).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self { address, known_hosts, seen, _task: AbortOnDropHandle::new(task) }
    }

    pub(super) fn url(&self) -> String {
        format!("ssh://git@{}/fleet.git", self.address)
    }
}

struct Guest {
    root: PathBuf,
    client: PublicKey,
    seen: Arc<Mutex<Seen>>,
    channel: Option<Channel<Msg>>,
}

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.seen.lock().unwrap().users.push(user.to_owned());
        self.seen.lock().unwrap().algorithms.push(key.algorithm.to_string());
        let fits = key.public_key.fingerprint(HashAlg::Sha256) == self.client.fingerprint(HashAlg::Sha256);
        Ok(if fits { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn agent_request(&mut self, _: ChannelId, _: &mut Session) -> Result<bool, Self::Error> {
        self.seen.lock().unwrap().agents += 1;
        Ok(false)
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        let command = String::from_utf8(command.to_vec()).unwrap();
        self.seen.lock().unwrap().commands.push(command.clone());
        session.channel_success(id)?;
        let channel = self.channel.take().unwrap();
        let path = command.strip_prefix("git-upload-pack '").and_then(|rest| rest.strip_suffix('\'')).unwrap();
        let repository = self.root.join(path.trim_start_matches('/'));
        tokio::spawn(serve(channel, repository));
        Ok(())
    }
}

async fn serve(channel: Channel<Msg>, repository: PathBuf) {
    if !repository.exists() {
        let _ = channel.extended_data(1, &b"ERROR: Repository not found.\n"[..]).await;
        let _ = channel.exit_status(1).await;
        let _ = channel.close().await;
        return;
    }
    let mut child = tokio::process::Command::new("git")
        .arg("upload-pack")
        .arg(&repository)
        .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", "/nonexistent")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut read, write) = channel.split();
    let question = tokio::spawn(async move {
        while let Some(message) = read.wait().await {
            match message {
                // It ends when it has what it wants; the rest is not missed.
                russh::ChannelMsg::Data { data } => drop(input.write_all(&data).await),
                russh::ChannelMsg::Eof | russh::ChannelMsg::Close => return,
                _ => {}
            }
        }
    });
    let mut buffer = vec![0; 32 << 10];
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        if write.data(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = write.exit_status(0).await;
    let _ = write.eof().await;
    let _ = write.close().await;
    question.abort();
}
