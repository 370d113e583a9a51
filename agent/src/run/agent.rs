//! The agent as a service: a membership around the work, an orderly end.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Ending, Failure, failure};
use crate::context::{FleetContext, Sets};
use crate::credentials::Limits;
use crate::http::Seen;
use crate::lease::{Claim, KubeLeases, LeaseParams, Membership, Shards, Tenure};
use crate::metrics::Metrics;
use crate::notify::Reach;
use crate::readiness::Readiness;
use crate::web::Views;

/// Readiness check: this replica has joined the others.
pub(super) const LEASE_CHECK: &str = "lease";
/// Where Kubernetes tells a pod its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// Where it is installed by default.
const NAMESPACE: &str = "asm-system";

/// What both ways of running the agent start from.
pub(super) struct Parts {
    pub(super) client: kube::Client,
    pub(super) host: kube::Config,
    pub(super) namespace: String,
    pub(super) all_namespaces: bool,
    pub(super) default_service_account: Option<Arc<str>>,
    pub(super) data_dir: PathBuf,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Readiness,
    pub(super) views: Views,
    pub(super) shutdown: CancellationToken,
    pub(super) lease: Option<(Duration, Duration)>,
    pub(super) limits: Limits,
    pub(super) reach: Reach,
    pub(super) alone: bool,
    pub(super) grace_period: Duration,
    pub(super) seen: Seen,
}

/// Follows FleetSyncs until told to end.
pub(super) async fn run(parts: Parts) -> Result<Ending, Failure> {
    let (shutdown, grace) = (parts.shutdown.clone(), parts.grace_period);
    let work = |context| async move {
        crate::fleet::run(context).await;
        Ok(Ending::Done)
    };
    let ending = with_claim(parts, work).await?;
    match ending {
        Some(ending) if shutdown.is_cancelled() => Ok(ending),
        // Kubernetes starts it again, which is better than an agent that does nothing.
        Some(_) => Err(failure(Ending::Unreachable, "the work ended by itself; see the log above")),
        None => {
            tracing::warn!("what was being written was not finished within {} s", grace.as_secs());
            Ok(Ending::Done)
        }
    }
}

/// Does the work as one replica of several. The order of the end matters: first the writing ends (or its grace period does:
/// none), then the member Lease is given back.
pub(super) async fn with_claim<W, F>(parts: Parts, work: W) -> Result<Option<Ending>, Failure>
where
    W: FnOnce(FleetContext) -> F,
    F: Future<Output = Result<Ending, Failure>>,
{
    let identity = identity();
    let release = CancellationToken::new();
    let (claim, shards, membership) = match parts.lease {
        Some((duration, renew)) => {
            let leases = KubeLeases::new(parts.client.clone(), &parts.namespace);
            let params = LeaseParams { alone: parts.alone, ..LeaseParams::new(&identity, duration, renew) };
            let membership = Membership::start(leases, params, release.clone());
            (membership.claim.clone(), membership.shards.clone(), Some(membership))
        }
        None => (Claim::unchallenged(&identity), Shards::unshared(), None),
    };
    let (metrics, readiness) = (Arc::clone(&parts.metrics), parts.readiness.clone());
    let shown = tokio::spawn(show(claim.clone(), shards.clone(), metrics, readiness, parts.views.clone()));
    let shutdown = parts.shutdown.clone();
    let context = FleetContext {
        host: parts.host,
        client: parts.client,
        namespace: parts.namespace,
        all_namespaces: parts.all_namespaces,
        default_service_account: parts.default_service_account,
        sets: Sets::default(),
        data_dir: parts.data_dir,
        metrics: parts.metrics,
        readiness: parts.readiness,
        views: parts.views,
        shutdown: parts.shutdown,
        limits: parts.limits,
        reach: parts.reach,
        tenure: Tenure::of(claim.clone()),
        claim,
        shards,
        seen: parts.seen,
        identity,
    };
    let grace = parts.grace_period;
    let over = async move {
        shutdown.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    let ended = tokio::select! {
        ended = work(context) => Some(ended),
        () = over => None,
    };
    release.cancel();
    if let Some(membership) = membership {
        // Its requests have a limit of their own; this one is for the case that they do not keep it.
        let _ = timeout(Duration::from_secs(10), membership.ended()).await;
    }
    shown.abort();
    ended.transpose()
}

/// Shows in numbers, readiness and on the page whether this replica has joined and leads.
async fn show(
    mut claim: watch::Receiver<Claim>,
    shards: Shards,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    views: Views,
) {
    let mut share = shards.subscribe();
    let mut had_joined = false;
    loop {
        // The end of a claim is published, too.
        let joined = claim.borrow_and_update().is_current();
        let (leads, leader) = {
            let share = share.borrow_and_update();
            (share.leads, share.leader.clone())
        };
        metrics.leader(joined && leads);
        had_joined |= joined;
        views.led_by((had_joined && !joined).then_some(&*leader));
        if joined {
            readiness.ready(LEASE_CHECK);
        } else {
            readiness
                .not_ready(LEASE_CHECK, "this replica has not joined the others: its Lease could not be written yet");
        }
        tokio::select! {
            changed = claim.changed() => if changed.is_err() {
                // Nobody publishes a claim that never changes.
                std::future::pending::<()>().await;
            },
            // Nor how the work is shared, when it is not.
            Ok(()) = share.changed() => {}
        }
    }
}

/// The pod's name, for people.
fn identity() -> String {
    std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_else(|_| "asm-agent".to_owned())
}

/// The namespace the pod runs in.
pub(super) fn own_namespace(in_cluster: bool) -> String {
    let own = if in_cluster { std::fs::read_to_string(NAMESPACE_FILE).ok() } else { None };
    own.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| NAMESPACE.to_owned())
}

/// The folder for Git objects; a temporary one goes when the guard does.
pub(super) fn data_dir(chosen: Option<PathBuf>) -> Result<(PathBuf, Option<TempDir>), Failure> {
    let (dir, guard) = match chosen {
        Some(dir) => {
            std::fs::create_dir_all(&dir).map_err(|error| {
                failure(Ending::Usage, format!("--data-dir {}: {error}; choose a writable folder", dir.display()))
            })?;
            (dir, None)
        }
        None => {
            let guard = tempfile::Builder::new().prefix("asm-agent-").tempdir().map_err(|error| {
                failure(Ending::Usage, format!("no temporary folder: {error}; give a writable one with --data-dir"))
            })?;
            (guard.path().to_owned(), Some(guard))
        }
    };
    Ok((dir, guard))
}
