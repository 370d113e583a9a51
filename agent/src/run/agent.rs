//! The agent as a service: election around the work, an orderly end.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Ending, Failure, failure};
use crate::context::{FleetContext, Sets};
use crate::credentials::Limits;
use crate::http::Seen;
use crate::lease::{self, Claim, Election, KubeLeases, LeaseParams};
use crate::metrics::Metrics;
use crate::notify::Reach;
use crate::readiness::Readiness;
use crate::web::Views;

/// Name of the Lease.
const LEASE: &str = "asm-agent";
/// Readiness check: it is known who leads.
pub(super) const LEASE_CHECK: &str = "lease";
/// Where Kubernetes tells a pod its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// Where it is installed by default.
const NAMESPACE: &str = "asm-system";

/// What both ways of running the agent start from.
pub(super) struct Parts {
    pub(super) client: kube::Client,
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

/// Does the work while the election runs beside it. The order of the end matters: first the writing ends (or its grace
/// period does: none), then the Lease is given back.
pub(super) async fn with_claim<W, F>(parts: Parts, work: W) -> Result<Option<Ending>, Failure>
where
    W: FnOnce(FleetContext) -> F,
    F: Future<Output = Result<Ending, Failure>>,
{
    let identity = identity();
    let release = CancellationToken::new();
    let (claim, election) = match parts.lease {
        Some((duration, renew)) => {
            let leases = KubeLeases::new(parts.client.clone(), &parts.namespace, LEASE);
            let Election { claim, task } =
                lease::start(leases, LeaseParams::new(&identity, duration, renew), release.clone());
            (claim, Some(task))
        }
        None => (Claim::unchallenged(&identity), None),
    };
    let shown =
        tokio::spawn(show(claim.clone(), Arc::clone(&parts.metrics), parts.readiness.clone(), parts.views.clone()));
    let shutdown = parts.shutdown.clone();
    let context = FleetContext {
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
        claim,
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
    if let Some(task) = election {
        // Its requests have a limit of their own; this one is for the case that they do not keep it.
        let _ = timeout(Duration::from_secs(10), task).await;
    }
    shown.abort();
    ended.transpose()
}

/// Shows in numbers, readiness and on the page who leads.
async fn show(mut claim: watch::Receiver<Claim>, metrics: Arc<Metrics>, readiness: Readiness, views: Views) {
    loop {
        // The election publishes the end of a claim, too.
        let now = claim.borrow_and_update().clone();
        metrics.leader(now.is_current());
        let known = !now.holder.is_empty();
        readiness.standby(known && !now.holder_is_me);
        views.led_by((known && !now.holder_is_me).then_some(&*now.holder));
        if known {
            readiness.ready(LEASE_CHECK);
        } else {
            readiness.not_ready(LEASE_CHECK, "who leads is not known: the Lease could not be read or written yet");
        }
        if claim.changed().await.is_err() {
            // Nobody publishes a claim that never changes.
            std::future::pending::<()>().await;
        }
    }
}

/// A name that no other process has, nor this pod's earlier start: the pod's name (for people) and a random part.
fn identity() -> String {
    let pod =
        std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_else(|_| "asm-agent".to_owned());
    format!("{pod}_{:08x}", rand::rng().random::<u32>())
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
