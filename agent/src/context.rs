//! What the reconcile core is given to work with.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::http::Seen;
use crate::lease::Claim;
use crate::metrics::Metrics;
use crate::readiness::Readiness;

/// Everything that `fleet` needs from the outside. Cheap to clone: one per FleetSync is fine.
#[derive(Clone)]
pub struct FleetContext {
    /// Client of the host cluster: where FleetSyncs, Secrets, inventories and the Lease live.
    pub client: kube::Client,
    /// The one namespace that the agent reads there.
    pub namespace: String,
    /// Folder for Git object stores; each source takes a folder of its own in it.
    pub data_dir: PathBuf,
    /// Numbers for `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Checks for `/readyz`.
    pub readiness: Readiness,
    /// Cancelled when the agent is to end. What is being written may be finished within the grace period.
    pub shutdown: CancellationToken,
    /// Whether this replica may write. Writers look again (`claim.borrow().is_current()`) before every write.
    pub claim: watch::Receiver<Claim>,
    /// What the admission observer saw; empty without one.
    pub seen: Seen,
    /// Name of this replica: holder of the Lease, reporting instance of Events.
    pub identity: String,
}

impl FleetContext {
    /// Whether this replica may write right now.
    pub fn may_write(&self) -> bool {
        self.claim.borrow().is_current()
    }

    /// Waits until this replica may write; `false` when the agent is told to end first.
    pub async fn wait_for_claim(&self) -> bool {
        let mut claim = self.claim.clone();
        loop {
            if claim.borrow_and_update().is_current() {
                return true;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return false,
                // An error means that the election is over: it ends only with the agent.
                changed = claim.changed() => if changed.is_err() { return false },
            }
        }
    }
}
