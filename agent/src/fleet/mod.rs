//! What the agent does with a commit: one supervisor per FleetSync, one task per target.
//!
//! `Git → FleetState → Desired per target → plan → apply → watch → drift and health → status`, one direction only.

mod brief;
mod commit;
mod conditions;
mod events;
mod expiry;
mod inventory;
mod lint;
mod numbers;
mod once;
mod progress;
mod status;
mod supervisor;
mod view;
mod worker;

pub use once::{Outcome, once};

use crate::context::FleetContext;
use asm_shared::api::FleetSync;
use futures::{StreamExt as _, pin_mut};
use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch as channel;
use tokio_util::task::AbortOnDropHandle;

/// Readiness check: the FleetSyncs have been listed.
const READY_CHECK: &str = "fleetsyncs";

/// Follows the FleetSyncs of the namespace for as long as this replica is one of those that share the work. Ends when the agent
/// ends.
pub async fn run(context: FleetContext) {
    context.readiness.expect(READY_CHECK);
    while context.wait_for_claim().await {
        let own = match context.begin() {
            Ok(own) => own,
            Err(error) => return tracing::error!("{error}"),
        };
        let tenure = own.tenure.clone();
        tokio::select! {
            () = take_part(&own) => return,
            // Everything that was started is dropped with the future: a replica that lost its claim must not write.
            () = tenure.over() => tracing::warn!("its claim is lost: this replica begins anew"),
        }
    }
}

/// A running supervisor.
struct Running {
    specs: channel::Sender<Arc<FleetSync>>,
    _task: AbortOnDropHandle<()>,
}

async fn take_part(context: &FleetContext) {
    let api: Api<FleetSync> = if context.all_namespaces {
        Api::all(context.client.clone())
    } else {
        Api::namespaced(context.client.clone(), &context.namespace)
    };
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(stream);
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    let mut listed: BTreeSet<String> = BTreeSet::new();
    loop {
        let event = tokio::select! {
            () = context.shutdown.cancelled() => return,
            event = stream.next() => event,
        };
        match event {
            Some(Ok(watcher::Event::Init)) => listed.clear(),
            Some(Ok(watcher::Event::InitApply(sync))) => {
                listed.insert(full_name(&sync));
                follow(context, &mut running, sync);
            }
            Some(Ok(watcher::Event::InitDone)) => {
                running.retain(|name, _| listed.contains(name) || left(context, name));
                context.readiness.ready(READY_CHECK);
            }
            Some(Ok(watcher::Event::Apply(sync))) => follow(context, &mut running, sync),
            Some(Ok(watcher::Event::Delete(sync))) => {
                // What was synced stays: deleting the FleetSync ends the syncing, not the fleet.
                let name = full_name(&sync);
                running.remove(&name);
                left(context, &name);
                tracing::info!(fleetsync = sync.name_any(), "deleted; what it synced is left as it is");
            }
            Some(Err(error)) => {
                let message = match error {
                    watcher::Error::InitialListFailed(error)
                    | watcher::Error::WatchStartFailed(error)
                    | watcher::Error::WatchFailed(error) => asm_io::cluster::ClusterError::from(error).message,
                    other => other.to_string(),
                };
                tracing::warn!("FleetSyncs cannot be watched: {message}");
                context.readiness.not_ready(READY_CHECK, message);
            }
            None => return,
        }
    }
}

/// `namespace/name`: two FleetSyncs of one name have nothing in common.
fn full_name(sync: &FleetSync) -> String {
    format!("{}/{}", sync.namespace().unwrap_or_default(), sync.name_any())
}

/// A FleetSync is gone. Gives back `false`: it is not to be kept.
fn left(context: &FleetContext, name: &str) -> bool {
    context.sets.release(name);
    context.views.forget(label(context, name));
    false
}

/// How metrics and the page call a FleetSync: by its name alone where all of them are in one namespace.
fn label<'a>(context: &FleetContext, full_name: &'a str) -> &'a str {
    let name = full_name.split_once('/').map_or(full_name, |(_, name)| name);
    if context.all_namespaces { full_name } else { name }
}

/// The wishes that were fulfilled last.
fn handled(sync: &FleetSync) -> (Option<&str>, Option<&str>) {
    let Some(status) = &sync.status else { return (None, None) };
    let reverted = status.last_handled_revert.as_ref().map(|reverted| reverted.id.as_str());
    (status.last_handled_reconcile_at.as_deref(), reverted)
}

fn follow(context: &FleetContext, running: &mut BTreeMap<String, Running>, sync: FleetSync) {
    let name = full_name(&sync);
    let sync = Arc::new(sync);
    // Deleted and made again while the watch was away: another FleetSync, with nothing of the old one's.
    let known = running.get(&name).filter(|known| known.specs.borrow().uid() == sync.uid());
    if let Some(known) = known {
        // The status is ours; only the wishes wake the supervisor, and that they are fulfilled.
        known.specs.send_if_modified(|last| {
            let same =
                last.spec == sync.spec && last.annotations() == sync.annotations() && handled(last) == handled(&sync);
            *last = sync;
            !same
        });
        return;
    }
    let (specs, receiver) = channel::channel(sync);
    // From here on nothing outside of its namespace is touched on the home cluster.
    let namespace = receiver.borrow().namespace().unwrap_or_else(|| context.namespace.clone());
    let own = FleetContext { namespace, ..context.clone() };
    let task = tokio::spawn(supervisor::run(own, receiver, None));
    running.insert(name, Running { specs, _task: AbortOnDropHandle::new(task) });
}

/// Sleeps until a time; for ever when there is none.
async fn at(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
