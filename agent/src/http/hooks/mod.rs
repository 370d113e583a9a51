//! Hints from Git servers: "there is something new". A hint proves who sends it and leads to one look at the branch, which
//! the agent would have had sooner or later; nothing that a hint says is believed or even read.
//!
//! What an HMAC covers must be seen whole. GitHub sends up to 25 MiB, so that much is taken, but never held: the bytes go
//! through the HMAC and are gone. Senders that prove themselves by a header have no body read at all.
//!
//! Every replica takes hints, also one that stands by: it writes an annotation on the FleetSync, and the replica that works
//! sees it.

#[doc(hidden)]
pub mod fuzzing;
mod proof;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use asm_shared::api::{FleetSync, WebhookSpec, labels};
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::routing::post;
use futures::{StreamExt as _, pin_mut};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt as _};
use proof::Proof;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::listener::{Limited, Limits};
use crate::metrics::{HintOutcome, Metrics};

/// The largest delivery of any sender: GitHub's.
const LARGEST: u64 = 25 << 20;
/// How long a Secret is remembered, and how often a wrong one is read again.
const REMEMBER: Duration = Duration::from_secs(60);
const READ_AGAIN: Duration = Duration::from_secs(5);
/// Hints for one FleetSync that are looked at in one go, and how many more in a second. Whoever floods gets 429.
const BURST: f64 = 20.0;
const EACH_SECOND: f64 = 5.0;
/// Looks that hints lead to are this far apart; a hint in between leads to one look at the end.
const APART: Duration = Duration::from_secs(2);

/// Takes hints.
pub struct Hooks {
    listener: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    /// None: all of them.
    namespace: Option<String>,
    metrics: Arc<Metrics>,
    /// By name of the FleetSync, with its namespace in front if there may be several; only those that want hints, so nobody can make this grow.
    known: Mutex<HashMap<String, Hook>>,
}

struct Hook {
    spec: WebhookSpec,
    token: Option<(Instant, Option<Arc<str>>)>,
    allowance: f64,
    counted: Instant,
    /// A look will be asked for, or was asked for not long ago.
    asks: bool,
    again: bool,
}

impl Hook {
    fn new(spec: WebhookSpec) -> Self {
        Self { spec, token: None, allowance: BURST, counted: Instant::now(), asks: false, again: false }
    }

    /// May another delivery be looked at?
    fn may(&mut self, now: Instant) -> bool {
        self.allowance = (self.allowance + now.duration_since(self.counted).as_secs_f64() * EACH_SECOND).min(BURST);
        self.counted = now;
        let may = self.allowance >= 1.0;
        if may {
            self.allowance -= 1.0;
        }
        may
    }

    /// The secret, if it is remembered: `Some(None)` when it could not be read a moment ago.
    fn remembered(&self, now: Instant) -> Option<Option<Arc<str>>> {
        let (at, token) = self.token.as_ref()?;
        let fresh = if token.is_some() { REMEMBER } else { READ_AGAIN };
        (now.duration_since(*at) < fresh).then(|| token.clone())
    }
}

impl Hooks {
    /// Takes the address, so that a port in use is known before any work starts.
    /// `namespace`: that of the FleetSyncs; none for all.
    pub async fn bind(
        address: SocketAddr,
        client: Client,
        namespace: Option<&str>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (known, namespace) = (Mutex::default(), namespace.map(str::to_owned));
        Ok(Self { listener, shared: Arc::new(Shared { client, namespace, metrics, known }) })
    }

    /// The address that was taken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes hints until `stop`.
    pub async fn serve(self, stop: CancellationToken) -> io::Result<()> {
        let router = Router::new()
            .route("/hooks/{fleetsync}", post(hint))
            .route("/hooks/{namespace}/{fleetsync}", post(hint_in_namespace))
            .with_state(Arc::clone(&self.shared));
        let listener = Limited::new(self.listener, Limits::default());
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = follow(&self.shared) => Ok(()),
            ended = async { axum::serve(listener, router).await } => ended,
        }
    }
}

/// Keeps up with which FleetSyncs want hints.
async fn follow(shared: &Shared) {
    let api: Api<FleetSync> = match &shared.namespace {
        Some(namespace) => Api::namespaced(shared.client.clone(), namespace),
        None => Api::all(shared.client.clone()),
    };
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(stream);
    let mut listed: Vec<String> = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(sync)) => {
                listed.push(shared.key(&sync));
                shared.learn(&sync);
            }
            Ok(watcher::Event::InitDone) => shared.known().retain(|name, _| listed.contains(name)),
            Ok(watcher::Event::Apply(sync)) => shared.learn(&sync),
            Ok(watcher::Event::Delete(sync)) => drop(shared.known().remove(&shared.key(&sync))),
            // The work's own watch says what is wrong.
            Err(_) => {}
        }
    }
}

impl Shared {
    // A panic while the lock was held cannot leave the map half changed.
    fn known(&self) -> MutexGuard<'_, HashMap<String, Hook>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path after `/hooks/`.
    fn key(&self, sync: &FleetSync) -> String {
        match &self.namespace {
            Some(_) => sync.name_any(),
            None => format!("{}/{}", sync.namespace().unwrap_or_default(), sync.name_any()),
        }
    }

    /// Namespace and name of the FleetSync of a key.
    fn place<'k>(&'k self, key: &'k str) -> (&'k str, &'k str) {
        match &self.namespace {
            Some(namespace) => (namespace, key),
            None => key.split_once('/').unwrap_or_default(),
        }
    }

    fn learn(&self, sync: &FleetSync) {
        let (mut known, key) = (self.known(), self.key(sync));
        match &sync.spec.source.webhook {
            None => drop(known.remove(&key)),
            Some(spec) => match known.get_mut(&key) {
                Some(hook) if hook.spec == *spec => {}
                _ => drop(known.insert(key, Hook::new(spec.clone()))),
            },
        }
    }

    /// The shared secret, from memory or from the Secret.
    async fn token(&self, name: &str, spec: &WebhookSpec) -> Option<Arc<str>> {
        let now = Instant::now();
        let remembered = self.known().get(name).and_then(|hook| hook.remembered(now));
        if let Some(remembered) = remembered {
            return remembered;
        }
        if let Some(hook) = self.known().get_mut(name) {
            // Others that come meanwhile do not read it, too.
            hook.token = Some((now, None));
        }
        let read = crate::credentials::webhook(&self.client, self.place(name).0, &spec.secret_ref).await;
        let token = match read {
            Ok(token) => Some(Arc::<str>::from(token)),
            Err(error) => {
                tracing::warn!(fleetsync = name, "a hint cannot be judged: {error}");
                None
            }
        };
        if let Some(hook) = self.known().get_mut(name) {
            hook.token = Some((Instant::now(), token.clone()));
        }
        token
    }

    /// Asks for a look, now or when the last one is long enough ago.
    fn ask(self: &Arc<Self>, name: &str) {
        let first = self.known().get_mut(name).is_some_and(|hook| {
            hook.again = true;
            !std::mem::replace(&mut hook.asks, true)
        });
        if first {
            let (shared, name) = (Arc::clone(self), name.to_owned());
            tokio::spawn(async move { shared.keep_asking(&name).await });
        }
    }

    async fn keep_asking(&self, name: &str) {
        let (namespace, own_name) = self.place(name);
        let api: Api<FleetSync> = Api::namespaced(self.client.clone(), namespace);
        loop {
            let wanted = self.known().get_mut(name).is_some_and(|hook| {
                let wanted = std::mem::take(&mut hook.again);
                hook.asks = wanted;
                wanted
            });
            if !wanted {
                return;
            }
            let body = json!({"metadata": {"annotations": {labels::HINT_AT: Timestamp::now().to_string()}}});
            if let Err(error) = api.patch(own_name, &PatchParams::default(), &Patch::Merge(&body)).await {
                let error = asm_io::cluster::ClusterError::from(error);
                tracing::warn!(
                    fleetsync = name,
                    "a hint could not be passed on: {error}; the branch is polled all the same"
                );
            }
            tokio::time::sleep(APART).await;
        }
    }
}

async fn hint_in_namespace(
    state: State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
    request: Request,
) -> (StatusCode, &'static str) {
    hint(state, Path(format!("{namespace}/{name}")), request).await
}

async fn hint(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    request: Request,
) -> (StatusCode, &'static str) {
    let outcome = judge(&shared, &name, request).await;
    shared.metrics.hinted(outcome);
    match outcome {
        HintOutcome::Taken => {
            shared.ask(&name);
            (StatusCode::ACCEPTED, "the branch will be looked at\n")
        }
        HintOutcome::Unknown => (StatusCode::NOT_FOUND, "no FleetSync of this name takes hints\n"),
        HintOutcome::Refused => (StatusCode::UNAUTHORIZED, "the secret or signature is missing or wrong\n"),
        HintOutcome::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "at most 25 MiB are taken\n"),
        HintOutcome::Throttled => (StatusCode::TOO_MANY_REQUESTS, "too many hints\n"),
        HintOutcome::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "the secret cannot be read; see the agent's log\n")
        }
    }
}

/// Who is it? Everything that costs something comes after what costs nothing.
async fn judge(shared: &Shared, name: &str, request: Request) -> HintOutcome {
    let admitted = shared.known().get_mut(name).map(|hook| hook.may(Instant::now()).then(|| hook.spec.clone()));
    let spec = match admitted {
        None => return HintOutcome::Unknown,
        Some(None) => return HintOutcome::Throttled,
        Some(Some(spec)) => spec,
    };
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > LARGEST) {
        return HintOutcome::TooLarge;
    }
    let Some(token) = shared.token(name, &spec).await else { return HintOutcome::Unavailable };
    let now = Timestamp::now().as_millisecond();
    let mut proof = match proof::of(spec.kind, &token, request.headers(), now) {
        None => return HintOutcome::Refused,
        Some(Proof::Given) => return HintOutcome::Taken,
        Some(Proof::OfBody(proof)) => proof,
    };
    let mut body = request.into_body();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        // A sender that stops in the middle proves nothing.
        let Ok(frame) = frame else { return HintOutcome::Refused };
        if let Some(bytes) = frame.data_ref() {
            seen += bytes.len() as u64;
            if seen > LARGEST {
                return HintOutcome::TooLarge;
            }
            proof.read(bytes);
        }
    }
    if proof.holds() { HintOutcome::Taken } else { HintOutcome::Refused }
}

#[cfg(test)]
mod tests;
