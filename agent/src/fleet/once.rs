//! `asm-agent --once NAME`: brings a FleetSync to the head of its branch, waits until that settles, says how it went.

use super::supervisor;
use crate::context::FleetContext;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::{FleetSync, FleetSyncStatus, labels};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::Api;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio_util::task::AbortOnDropHandle;

/// How it went.
#[derive(Debug)]
pub enum Outcome {
    /// Every target is at the commit and works.
    Synced(Arc<FleetSyncStatus>),
    /// Something failed, waits for an approval, or took too long.
    NotSynced(Arc<FleetSyncStatus>),
    /// The Git server or a cluster did not answer.
    Unreachable(Arc<FleetSyncStatus>),
}

/// Runs one FleetSync until it settles or the time is over.
pub async fn once(context: FleetContext, name: &str, timeout: Duration) -> Result<Outcome, ClusterError> {
    let context = context.begin().map_err(|error| ClusterError::new(ErrorKind::Other, error.to_string()))?;
    let api: Api<FleetSync> = Api::namespaced(context.client.clone(), &context.namespace);
    let sync = api.get(name).await?;
    if sync.spec.suspend {
        let message = format!("FleetSync {name} is suspended; kubectl asm resume {name} goes on");
        return Err(ClusterError::new(ErrorKind::Invalid(Vec::new()), message));
    }
    let (_specs, receiver) = channel::channel(Arc::new(sync));
    let (snapshots, mut seen) = channel::channel(None);
    let shutdown = context.shutdown.clone();
    let _task = AbortOnDropHandle::new(tokio::spawn(supervisor::run(context, receiver, Some(snapshots))));
    let settled = async {
        loop {
            if seen.changed().await.is_err() {
                return;
            }
            if seen.borrow().as_deref().is_some_and(is_settled) {
                return;
            }
        }
    };
    tokio::select! {
        () = settled => {}
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(timeout) => {}
    }
    let last = seen.borrow().clone().unwrap_or_default();
    Ok(if is_true(&last, labels::READY) {
        Outcome::Synced(last)
    } else if is_unreachable(&last) {
        Outcome::Unreachable(last)
    } else {
        Outcome::NotSynced(last)
    })
}

fn condition<'a>(status: &'a FleetSyncStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

fn is_true(status: &FleetSyncStatus, kind: &str) -> bool {
    condition(status, kind).is_some_and(|condition| condition.status == "True")
}

/// Reasons of `SourceReady` that mean that the commit is here.
const FETCHED: &[&str] = &["Fetched", "FetchedFromMirror"];
/// Reasons of `SourceReady` that pass by themselves, so that waiting makes sense.
const PASSING: &[&str] = &["NotFetched", "Unreachable", "Timeout", "StillRunning"];
/// Reasons of `SourceReady` that mean that the Git server did not let us in or was not there.
const NOT_REACHED: &[&str] = &[
    "Unreachable",
    "Timeout",
    "StillRunning",
    "Unauthorized",
    "UntrustedCertificate",
    "ClientCertificate",
    "UntrustedHostKey",
    "IdentityUnusable",
    "Declined",
    "RepositoryMissing",
];

fn reason<'a>(status: &'a FleetSyncStatus, kind: &str) -> &'a str {
    condition(status, kind).map(|condition| condition.reason.as_str()).unwrap_or_default()
}

/// Will waiting change nothing more? Ready, or a reason that only people can mend. What passes by itself (a load balancer
/// that is being made, an API server that does not answer) is waited for until the time is over.
fn is_settled(status: &FleetSyncStatus) -> bool {
    if is_true(status, labels::READY) {
        return true;
    }
    let source = reason(status, labels::SOURCE_READY);
    let source_failed = !FETCHED.contains(&source) && !PASSING.contains(&source);
    // Files that cannot be read stay so; but the rest of the commit is still applied, and that is waited for.
    let files_wrong = reason(status, labels::FLEET_VALID) == "NoFleet"
        || (!is_true(status, labels::FLEET_VALID) && reason(status, labels::SYNCED) == "SomeFilesWrong");
    source_failed || files_wrong || matches!(reason(status, labels::SYNCED), "HeldBack" | "SomeObjectsFailed")
}

fn is_unreachable(status: &FleetSyncStatus) -> bool {
    NOT_REACHED.contains(&reason(status, labels::SOURCE_READY)) || reason(status, labels::SYNCED) == "TargetUnavailable"
}
