//! What tells that something is to be looked at again that requests need to arrive: Events on Services, and changes of the
//! Services that ASM makes; two watches per member cluster, whatever it holds. Where the fleet has certificates or routes,
//! metadata of Secrets in the namespaces of gateways, and EndpointSlices reduced to names of pods.

use super::behind::{SliceSeen, slice};
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::asm::gateway::NAMESPACE;
use asm_shared::object::ObjectId;
use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::{Event, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::watcher::{self, watcher};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Signals on their way. A full channel makes the watches wait, not the memory grow.
const IN_FLIGHT: usize = 256;
/// A watch that is refused or breaks is tried again after this: nobody waits for it.
const RETRY: Duration = Duration::from_secs(15);
/// One that is waited for is tried again after this, doubled each time …
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// … up to this.
const LAST_RETRY: Duration = Duration::from_secs(5);
/// What the cloud controller tells with an Event that says how a load balancer stands.
const REASONS: &[&str] = &[
    "SyncLoadBalancerFailed",
    "EnsuredLoadBalancer",
    "CleanLoadBalancerFailed",
    "UnAvailableLoadBalancer",
    "FeatureNotSupported",
];

/// Something moved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Signal {
    /// The cloud controller said something of a Service.
    Said(ObjectId, Value),
    /// A Service in the namespace of the gateways changed, or is gone.
    Moved(ObjectId),
    /// A Secret in a namespace of certificates changed, or is gone.
    Secret(ObjectId),
    /// Of the pods behind Services; with the number of the watch that tells it.
    Slices(u64, SliceSeen),
}

/// What is watched only where the fleet needs it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Interest {
    /// Metadata of the Secrets of a namespace.
    Secrets(Arc<str>),
    /// EndpointSlices of a namespace, or of all; numbered, so that what an older watch still says is known.
    Slices(Option<Arc<str>>, u64),
}

/// The running watches.
pub(super) struct Signals {
    _tasks: Vec<AbortOnDropHandle<()>>,
    interests: BTreeMap<Interest, AbortOnDropHandle<()>>,
    /// None: a target without anything to watch.
    client: Option<kube::Client>,
    /// Keeps the channel open when there is no watch.
    sender: mpsc::Sender<Signal>,
    events: mpsc::Receiver<Signal>,
}

impl Signals {
    /// No watch: the mesh has no load balancers of its own.
    pub(super) fn none() -> Self {
        let (sender, events) = mpsc::channel(1);
        Self { _tasks: Vec::new(), interests: BTreeMap::new(), client: None, sender, events }
    }

    /// Watches a member cluster.
    pub(super) fn start(client: &kube::Client) -> Self {
        let (sender, events) = mpsc::channel(IN_FLIGHT);
        let said = said(Api::all(client.clone()), sender.clone());
        let moved = moved(Api::namespaced(client.clone(), NAMESPACE), sender.clone());
        let tasks = vec![AbortOnDropHandle::new(tokio::spawn(said)), AbortOnDropHandle::new(tokio::spawn(moved))];
        Self { _tasks: tasks, interests: BTreeMap::new(), client: Some(client.clone()), sender, events }
    }

    /// Watches exactly this besides.
    pub(super) fn follow(&mut self, interests: &BTreeSet<Interest>) {
        let Some(client) = &self.client else { return };
        self.interests.retain(|known, _| interests.contains(known));
        for interest in
            interests.iter().filter(|interest| !self.interests.contains_key(*interest)).cloned().collect::<Vec<_>>()
        {
            let sender = self.sender.clone();
            let task = match &interest {
                Interest::Secrets(namespace) => {
                    tokio::spawn(secrets(Api::namespaced(client.clone(), namespace), namespace.clone(), sender))
                }
                Interest::Slices(None, number) => tokio::spawn(slices(Api::all(client.clone()), *number, sender)),
                Interest::Slices(Some(namespace), number) => {
                    tokio::spawn(slices(Api::namespaced(client.clone(), namespace), *number, sender))
                }
            };
            self.interests.insert(interest, AbortOnDropHandle::new(task));
        }
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        match self.events.recv().await {
            Some(signal) => signal,
            // Cannot be: this struct holds a sender.
            None => std::future::pending().await,
        }
    }

    /// What has come already.
    pub(super) fn ready(&mut self) -> Option<Signal> {
        self.events.try_recv().ok()
    }
}

async fn said(api: Api<Event>, sender: mpsc::Sender<Signal>) {
    let stream = watcher(api, watcher::Config::default().fields("involvedObject.kind=Service"));
    pin_mut!(stream);
    while let Some(event) = stream.next().await {
        let signal = match event {
            Ok(watcher::Event::InitApply(event) | watcher::Event::Apply(event)) => reduce(&event),
            Ok(_) => None,
            Err(error) => pause("Events", &error).await,
        };
        if let Some(signal) = signal
            && sender.send(signal).await.is_err()
        {
            return;
        }
    }
}

async fn moved(api: Api<PartialObjectMeta<Service>>, sender: mpsc::Sender<Signal>) {
    let stream = watcher(api, watcher::Config::default());
    pin_mut!(stream);
    while let Some(event) = stream.next().await {
        let signal = match event {
            Ok(
                watcher::Event::InitApply(service) | watcher::Event::Apply(service) | watcher::Event::Delete(service),
            ) => service.metadata.name.map(|name| Signal::Moved(service_id(NAMESPACE, &name))),
            Ok(_) => None,
            Err(error) => pause("Services", &error).await,
        };
        if let Some(signal) = signal
            && sender.send(signal).await.is_err()
        {
            return;
        }
    }
}

async fn secrets(api: Api<PartialObjectMeta<Secret>>, namespace: Arc<str>, sender: mpsc::Sender<Signal>) {
    let stream = watcher(api, watcher::Config::default());
    pin_mut!(stream);
    while let Some(event) = stream.next().await {
        let signal = match event {
            Ok(watcher::Event::InitApply(secret) | watcher::Event::Apply(secret) | watcher::Event::Delete(secret)) => {
                let name = secret.metadata.name.unwrap_or_default();
                Some(Signal::Secret(ObjectId::new("", "Secret", Some(&namespace), &name)))
            }
            Ok(_) => None,
            Err(error) => pause("Secrets", &error).await,
        };
        if let Some(signal) = signal
            && sender.send(signal).await.is_err()
        {
            return;
        }
    }
}

async fn slices(api: Api<EndpointSlice>, number: u64, sender: mpsc::Sender<Signal>) {
    let stream = watcher(api, watcher::Config::default());
    pin_mut!(stream);
    let mut delay = FIRST_RETRY;
    while let Some(event) = stream.next().await {
        let mut pause = None;
        let seen = match event {
            Ok(watcher::Event::Init) => Some(SliceSeen::Started),
            Ok(watcher::Event::InitApply(found)) => slice(&found).map(SliceSeen::Listed),
            Ok(watcher::Event::InitDone) => {
                delay = FIRST_RETRY;
                Some(SliceSeen::Done)
            }
            Ok(watcher::Event::Apply(found)) => slice(&found).map(SliceSeen::Set),
            Ok(watcher::Event::Delete(found)) => slice(&found).map(SliceSeen::Gone),
            Err(error) => {
                tracing::debug!("EndpointSlices cannot be watched: {error}");
                let refused = is_refused(&error);
                pause = Some(if refused { RETRY } else { delay });
                // Whether requests arrive is not known before: this one is waited for.
                delay = (delay * 2).min(LAST_RETRY);
                refused.then_some(SliceSeen::Refused)
            }
        };
        if let Some(seen) = seen
            && sender.send(Signal::Slices(number, seen)).await.is_err()
        {
            return;
        }
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

/// Is it an answer that will be the same until somebody gives more rights, or something is installed?
fn is_refused(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => matches!(status.code, 403 | 404),
        _ => false,
    }
}

/// Without permission nothing is known, and health says less; that is no failure of the sync.
async fn pause(what: &str, error: &watcher::Error) -> Option<Signal> {
    tracing::debug!(what, "cannot be watched: {error}");
    tokio::time::sleep(RETRY).await;
    None
}

/// The Service of a name.
pub(super) fn service_id(namespace: &str, name: &str) -> ObjectId {
    ObjectId::new("", "Service", Some(namespace), name)
}

fn reduce(event: &Event) -> Option<Signal> {
    let reason = event.reason.as_deref().filter(|reason| REASONS.contains(reason))?;
    let about = &event.involved_object;
    let (namespace, name) = (about.namespace.as_deref()?, about.name.as_deref()?);
    let last = event.last_timestamp.as_ref().map(|time| time.0.to_string());
    let last = last.or_else(|| event.series.as_ref()?.last_observed_time.as_ref().map(|time| time.0.to_string()));
    let last = last.or_else(|| event.event_time.as_ref().map(|time| time.0.to_string()));
    let value = json!({
        "type": event.type_, "reason": reason, "message": event.message, "lastTimestamp": last,
        "involvedObject": {"kind": "Service", "name": name, "uid": about.uid},
    });
    Some(Signal::Said(service_id(namespace, name), value))
}

/// Is it an answer that says nothing but that it may not be asked?
pub(super) fn is_refusal(error: &ClusterError) -> bool {
    matches!(error.kind, ErrorKind::Forbidden | ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_how_a_load_balancer_stands_is_kept() {
        let event = |reason: &str| -> Event {
            serde_json::from_value(json!({
                "metadata": {"name": "e"}, "reason": reason, "type": "Warning", "message": "m",
                "lastTimestamp": "2026-01-01T00:00:00Z",
                "involvedObject": {"kind": "Service", "namespace": "shop", "name": "door", "uid": "u"}}))
            .expect("an Event")
        };
        assert_eq!(reduce(&event("EnsuringService")), None);
        let Some(Signal::Said(id, value)) = reduce(&event("SyncLoadBalancerFailed")) else {
            panic!("it says something")
        };
        assert_eq!(id, service_id("shop", "door"));
        assert_eq!(value["lastTimestamp"], "2026-01-01T00:00:00Z");
    }
}
