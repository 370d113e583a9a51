//! What tells that the load balancers of a member cluster are to be looked at again: Events on Services, and changes of the
//! Services that ASM makes. Two watches per cluster, whatever it holds: metadata, and Events reduced to a few words.

use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::asm::gateway::NAMESPACE;
use asm_shared::object::ObjectId;
use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::{Event, Service};
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::watcher::{self, watcher};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Signals on their way. A full channel makes the watches wait, not the memory grow.
const IN_FLIGHT: usize = 256;
/// A watch that is refused or breaks is tried again after this: nobody waits for it.
const RETRY: Duration = Duration::from_secs(15);
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
}

/// The running watches.
pub(super) struct Signals {
    _tasks: Vec<AbortOnDropHandle<()>>,
    /// Keeps the channel open when there is no watch.
    _sender: mpsc::Sender<Signal>,
    events: mpsc::Receiver<Signal>,
}

impl Signals {
    /// No watch: the mesh has no load balancers of its own.
    pub(super) fn none() -> Self {
        let (sender, events) = mpsc::channel(1);
        Self { _tasks: Vec::new(), _sender: sender, events }
    }

    /// Watches a member cluster.
    pub(super) fn start(client: &kube::Client) -> Self {
        let (sender, events) = mpsc::channel(IN_FLIGHT);
        let said = said(Api::all(client.clone()), sender.clone());
        let moved = moved(Api::namespaced(client.clone(), NAMESPACE), sender.clone());
        let tasks = vec![AbortOnDropHandle::new(tokio::spawn(said)), AbortOnDropHandle::new(tokio::spawn(moved))];
        Self { _tasks: tasks, _sender: sender, events }
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
