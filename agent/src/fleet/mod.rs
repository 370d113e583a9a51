//! What the agent does with a commit: one supervisor per FleetSync, one task per target.
//!
//! `Git → FleetState → Desired per target → plan → apply → watch → drift and health → status`, one direction only.

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
use crate::lease::Claim;
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

/// Follows the FleetSyncs of the namespace for as long as this replica leads. Ends when the agent ends.
pub async fn run(context: FleetContext) {
    context.readiness.expect(READY_CHECK);
    while context.wait_for_claim().await {
        let mut claim = context.claim.clone();
        tokio::select! {
            () = lead(&context) => return,
            // Everything that was started is dropped with the future: a replica that lost its claim must not write.
            () = lost(&mut claim) => tracing::warn!("another replica leads; standing by"),
        }
    }
}

/// Waits until the claim is lost. A closed channel means that there is no election and the claim stays for ever.
async fn lost(claim: &mut channel::Receiver<Claim>) {
    if claim.wait_for(|claim| !claim.is_current()).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A running supervisor.
struct Running {
    specs: channel::Sender<Arc<FleetSync>>,
    _task: AbortOnDropHandle<()>,
}

async fn lead(context: &FleetContext) {
    let api: Api<FleetSync> = Api::namespaced(context.client.clone(), &context.namespace);
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
                listed.insert(sync.name_any());
                follow(context, &mut running, sync);
            }
            Some(Ok(watcher::Event::InitDone)) => {
                running.retain(|name, _| {
                    let stays = listed.contains(name);
                    if !stays {
                        context.views.forget(name);
                    }
                    stays
                });
                context.readiness.ready(READY_CHECK);
            }
            Some(Ok(watcher::Event::Apply(sync))) => follow(context, &mut running, sync),
            Some(Ok(watcher::Event::Delete(sync))) => {
                // What was synced stays: deleting the FleetSync ends the syncing, not the fleet.
                running.remove(&sync.name_any());
                context.views.forget(&sync.name_any());
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

fn follow(context: &FleetContext, running: &mut BTreeMap<String, Running>, sync: FleetSync) {
    let name = sync.name_any();
    let sync = Arc::new(sync);
    // Deleted and made again while the watch was away: another FleetSync, with nothing of the old one's.
    let known = running.get(&name).filter(|known| known.specs.borrow().uid() == sync.uid());
    if let Some(known) = known {
        // The status is ours; only the wishes wake the supervisor.
        known.specs.send_if_modified(|last| {
            let same = last.spec == sync.spec && last.annotations() == sync.annotations();
            *last = sync;
            !same
        });
        return;
    }
    let (specs, receiver) = channel::channel(sync);
    let task = tokio::spawn(supervisor::run(context.clone(), receiver, None));
    running.insert(name, Running { specs, _task: AbortOnDropHandle::new(task) });
}

/// Sleeps until a time; for ever when there is none.
async fn at(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
