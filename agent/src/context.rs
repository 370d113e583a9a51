//! What the reconcile core is given to work with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::credentials::{CredentialsError, Fence, fenced_host_client};
use crate::http::Seen;
use crate::lease::{Claim, Shards, Tenure};
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::web::Views;

/// Everything that `fleet` needs from the outside. Cheap to clone: one per FleetSync is fine.
#[derive(Clone)]
pub struct FleetContext {
    /// How the host cluster is reached.
    pub host: kube::Config,
    /// Client of the host cluster: where FleetSyncs, Secrets and inventories live. It writes nothing once the tenure is over.
    pub client: kube::Client,
    /// The namespace of the FleetSync at hand, and the only one in which anything is read or written for it. Before it is
    /// known which: that of the Leases.
    pub namespace: String,
    /// FleetSyncs of every namespace are followed.
    pub all_namespaces: bool,
    /// Who targets are worked on as, when a FleetSync says nothing.
    pub default_service_account: Option<Arc<str>>,
    /// Whose the sets are that this agent keeps.
    pub sets: Sets,
    /// Folder for Git object stores; each source takes a folder of its own in it.
    pub data_dir: PathBuf,
    /// Numbers for `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Checks for `/readyz`.
    pub readiness: Readiness,
    /// What the live page shows.
    pub views: Views,
    /// Cancelled when the agent is to end. What is being written may be finished within the grace period.
    pub shutdown: CancellationToken,
    /// Whether this replica may write at all.
    pub claim: watch::Receiver<Claim>,
    /// The claim under which everything with this context works. Writers look again before every write.
    pub tenure: Tenure,
    /// Which targets are its own.
    pub shards: Shards,
    /// What the admission observer saw; empty without one.
    pub seen: Seen,
    /// Name of this replica: the beginning of its name in Leases, reporting instance of Events.
    pub identity: String,
}

/// The sets of all FleetSyncs (values of the label on their objects) and whose they are: no FleetSync takes an object from
/// another one that is still there.
#[derive(Clone, Default)]
pub struct Sets(Arc<Mutex<BTreeMap<String, String>>>);

impl Sets {
    // A panic while the lock was held cannot leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A set belongs to this FleetSync (`namespace/name`).
    pub fn claim(&self, set: String, owner: &str) {
        self.lock().insert(set, owner.to_owned());
    }

    /// A FleetSync is gone: whoever wants its objects may have them.
    pub fn release(&self, owner: &str) {
        self.lock().retain(|_, known| known != owner);
    }

    /// The FleetSync that a set belongs to, if it is another one.
    pub fn other(&self, set: &str, owner: &str) -> Option<String> {
        self.lock().get(set).filter(|known| *known != owner).cloned()
    }

    /// Are there FleetSyncs besides this one?
    pub fn has_others(&self, owner: &str) -> bool {
        self.lock().values().any(|known| known != owner)
    }
}

impl FleetContext {
    /// Whether this replica may write right now.
    pub fn may_write(&self) -> bool {
        self.tenure.is_current()
    }

    /// A context for what begins now, under the present claim.
    ///
    /// # Errors
    /// No client can be made for it.
    pub fn begin(&self) -> Result<Self, CredentialsError> {
        let tenure = Tenure::of(self.claim.clone());
        let client = fenced_host_client(&self.host, Fence::new(tenure.clone()))?;
        Ok(Self { client, tenure, ..self.clone() })
    }

    /// Waits until this replica writes the status of FleetSyncs; `false` when the agent is told to end first.
    pub async fn wait_for_lead(&self) -> bool {
        let mut share = self.shards.subscribe();
        tokio::select! {
            () = self.shutdown.cancelled() => false,
            leads = share.wait_for(|share| share.leads) => leads.is_ok(),
        }
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
