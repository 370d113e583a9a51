//! Telling people elsewhere what happens: DingTalk, Lark, Slack, or whatever takes a JSON document.
//!
//! * Whatever becomes an Event on the FleetSync is told, as far as `spec.notifications` asks for it (`severity`, `reasons`).
//! * Each receiver has a task of its own. What happens within some seconds is one message, and messages are apart from each
//!   other, so a receiver gets few of them whatever happens (DingTalk takes 20 a minute). Nobody waits for a receiver: what
//!   does not fit into its queue is counted and told as a number.
//! * The address comes out of the Secret only, never out of the repository; it must be https, redirects are not followed, and
//!   it stands in no message, as the address is what lets one write there. Private addresses are asked only where the agent was
//!   started so, metadata services and link-local addresses never (`reach`).

mod message;
mod reach;
mod send;

pub(crate) use reach::Reach;

use crate::context::FleetContext;
use crate::credentials;
use crate::metrics::{Metrics, NotificationOutcome};
use asm_shared::api::{NotificationSeverity, NotificationSpec};
use asm_shared::object::redact_text;
use jiff::Timestamp;
use message::{Notice, Told};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// What happens within this time is one message.
const GATHER: Duration = Duration::from_secs(5);
/// Messages to one receiver are this far apart.
const APART: Duration = Duration::from_secs(10);
/// Things that wait to be told to one receiver.
const QUEUE: usize = 256;
/// Pauses before a message that could not be sent is tried again; then it is given up.
const AGAIN: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(300)];

/// Tells the receivers of one FleetSync.
pub(crate) struct Notifier {
    setting: Arc<Setting>,
    receivers: Vec<Receiver>,
}

struct Setting {
    client: kube::Client,
    namespace: String,
    fleetsync: String,
    metrics: Arc<Metrics>,
    reach: Reach,
}

/// One receiver's queue and task.
struct Receiver {
    spec: NotificationSpec,
    queue: mpsc::Sender<Notice>,
    /// What did not fit.
    missed: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Notifier {
    pub(crate) fn new(context: &FleetContext, fleetsync: &str) -> Self {
        let setting = Setting {
            client: context.client.clone(),
            namespace: context.namespace.clone(),
            fleetsync: fleetsync.to_owned(),
            metrics: context.metrics.clone(),
            reach: context.reach,
        };
        Self { setting: Arc::new(setting), receivers: Vec::new() }
    }

    /// Takes up what the spec says; receivers that are as before go on.
    pub(crate) fn follow(&mut self, specs: &[NotificationSpec]) {
        let mut before = std::mem::take(&mut self.receivers);
        for spec in specs {
            let same = before.iter().position(|known| known.spec == *spec).map(|at| before.swap_remove(at));
            self.receivers.push(same.unwrap_or_else(|| start(&self.setting, spec)));
        }
    }

    /// Something happened. Never waits.
    pub(crate) fn tell(&self, is_warning: bool, reason: &str, text: &str) {
        for receiver in self.receivers.iter().filter(|receiver| wants(&receiver.spec, is_warning, reason)) {
            let notice =
                Notice { at: Timestamp::now(), is_warning, reason: reason.to_owned(), text: redact_text(text) };
            if receiver.queue.try_send(notice).is_err() {
                receiver.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Does a receiver want to hear of it?
fn wants(spec: &NotificationSpec, is_warning: bool, reason: &str) -> bool {
    (is_warning || spec.severity == NotificationSeverity::Normal)
        && (spec.reasons.is_empty() || spec.reasons.iter().any(|wanted| wanted == reason))
}

fn start(setting: &Arc<Setting>, spec: &NotificationSpec) -> Receiver {
    let (queue, heard) = mpsc::channel(QUEUE);
    let missed = Arc::new(AtomicUsize::new(0));
    let task = tokio::spawn(run(setting.clone(), spec.clone(), heard, missed.clone()));
    Receiver { spec: spec.clone(), queue, missed, _task: AbortOnDropHandle::new(task) }
}

/// Sends what is told, in messages.
async fn run(
    setting: Arc<Setting>,
    spec: NotificationSpec,
    mut heard: mpsc::Receiver<Notice>,
    missed: Arc<AtomicUsize>,
) {
    while let Some(first) = heard.recv().await {
        tokio::time::sleep(GATHER).await;
        let mut notices = vec![first];
        while let Ok(notice) = heard.try_recv() {
            notices.push(notice);
        }
        let told = Told::new(&setting.namespace, &setting.fleetsync, notices, missed.swap(0, Ordering::Relaxed));
        deliver(&setting, &spec, &told).await;
        tokio::time::sleep(APART).await;
    }
}

/// Sends a message, again and again for a while if that may help.
async fn deliver(setting: &Setting, spec: &NotificationSpec, told: &Told) {
    let mut pauses = AGAIN.iter();
    loop {
        let failure = match attempt(setting, spec, told).await {
            Ok(()) => return setting.metrics.notified(spec.kind, NotificationOutcome::Sent),
            Err(failure) => failure,
        };
        let again = if failure.may_pass { pauses.next() } else { None };
        let Some(pause) = again else {
            tracing::warn!(
                fleetsync = setting.fleetsync,
                notification = spec.name,
                "a notification was given up: {}",
                failure.why
            );
            return setting.metrics.notified(spec.kind, NotificationOutcome::GivenUp);
        };
        tracing::debug!(fleetsync = setting.fleetsync, notification = spec.name, "trying again: {}", failure.why);
        setting.metrics.notified(spec.kind, NotificationOutcome::Retried);
        tokio::time::sleep(*pause).await;
    }
}

/// Reads the Secret anew each time, so that a renewed one counts at once.
async fn attempt(setting: &Setting, spec: &NotificationSpec, told: &Told) -> Result<(), send::Failure> {
    let secret = credentials::notification(&setting.client, &setting.namespace, &spec.secret_ref).await;
    let secret = secret.map_err(|error| send::Failure { may_pass: true, why: error.to_string() })?;
    let message = message::make(spec.kind, told, secret.secret.as_deref(), Timestamp::now());
    send::post(&secret, spec.kind, message, setting.reach).await
}

#[cfg(test)]
mod tests;
