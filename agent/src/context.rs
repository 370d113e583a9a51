//! What the reconcile core is given to work with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use asm_shared::object::ObjectId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::credentials::{CredentialsError, Fence, Limits, fenced_host_client};
use crate::http::Seen;
use crate::lease::{Claim, Shards, Tenure};
use crate::metrics::Metrics;
use crate::notify::Reach;
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
    /// How long an API server may take.
    pub limits: Limits,
    /// Where notifications may go.
    pub reach: Reach,
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
/// another one that is still there and still wants it.
#[derive(Clone)]
pub struct Sets(Arc<watch::Sender<BTreeMap<String, Kept>>>);

/// One set.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    /// The FleetSync, `namespace/name`.
    owner: String,
    /// What has left its repository and is not removed yet: whoever wants it may have it.
    leaving: Arc<BTreeSet<ObjectId>>,
}

impl Default for Sets {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }
}

impl Sets {
    /// A set belongs to this FleetSync (`namespace/name`).
    pub fn claim(&self, set: String, owner: &str) {
        self.0.send_if_modified(|sets| {
            let kept = sets.get(&set).filter(|kept| kept.owner == owner).cloned();
            let kept = kept.unwrap_or_else(|| Kept { owner: owner.to_owned(), leaving: Arc::default() });
            sets.insert(set, kept.clone()) != Some(kept)
        });
    }

    /// What of a set has left its repository and is still there.
    pub fn leaving(&self, set: &str, ids: BTreeSet<ObjectId>) {
        self.0.send_if_modified(|sets| {
            let Some(kept) = sets.get_mut(set).filter(|kept| *kept.leaving != ids) else { return false };
            kept.leaving = Arc::new(ids);
            true
        });
    }

    /// The first of what has left its repository and is still there, for other replicas.
    pub fn left(&self, set: &str, most: usize) -> Vec<ObjectId> {
        let sets = self.0.borrow();
        sets.get(set).map(|kept| kept.leaving.iter().take(most).cloned().collect()).unwrap_or_default()
    }

    /// A FleetSync is gone: whoever wants its objects may have them.
    pub fn release(&self, owner: &str) {
        self.0.send_if_modified(|sets| {
            let before = sets.len();
            sets.retain(|_, known| known.owner != owner);
            sets.len() < before
        });
    }

    /// The FleetSync that a set belongs to, if it is another one.
    pub fn other(&self, set: &str, owner: &str) -> Option<String> {
        self.0.borrow().get(set).map(|kept| kept.owner.clone()).filter(|known| known != owner)
    }

    /// The FleetSync that has an object of this set and still wants it, if it is another one.
    pub fn other_wants(&self, set: &str, id: &ObjectId, owner: &str) -> Option<String> {
        let sets = self.0.borrow();
        let kept = sets.get(set).filter(|kept| kept.owner != owner && !kept.leaving.contains(id))?;
        Some(kept.owner.clone())
    }

    /// Are there FleetSyncs besides this one?
    pub fn has_others(&self, owner: &str) -> bool {
        self.0.borrow().values().any(|known| known.owner != owner)
    }

    /// Tells when any of it changes.
    pub fn subscribe(&self) -> watch::Receiver<impl Sized + use<>> {
        self.0.subscribe()
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
        let client = fenced_host_client(&self.host, Fence::new(tenure.clone()), self.limits)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_one_fleet_sync_is_free_for_another_one() {
        let sets = Sets::default();
        let id = |name: &str| ObjectId::new("", "ConfigMap", Some("default"), name);
        sets.claim("set-a".to_owned(), "ns/a");
        let mut heard = sets.subscribe();
        let wants = |id: &ObjectId| sets.other_wants("set-a", id, "ns/b");
        assert_eq!(wants(&id("x")).as_deref(), Some("ns/a"));
        assert_eq!(sets.other_wants("set-a", &id("x"), "ns/a"), None);
        sets.leaving("set-a", [id("x")].into());
        assert!(heard.has_changed().unwrap());
        heard.mark_unchanged();
        assert_eq!((wants(&id("x")), wants(&id("y")).as_deref()), (None, Some("ns/a")));
        assert_eq!((sets.left("set-a", 9), sets.left("set-a", 0), sets.left("b", 9)), (vec![id("x")], vec![], vec![]));
        // Said again it is no news, and a claim forgets nothing.
        sets.leaving("set-a", [id("x")].into());
        sets.claim("set-a".to_owned(), "ns/a");
        assert!(!heard.has_changed().unwrap() && wants(&id("x")).is_none());
        sets.leaving("set-a", BTreeSet::new());
        assert!(wants(&id("x")).is_some());
        sets.release("ns/a");
        assert!(wants(&id("x")).is_none() && !sets.has_others("ns/b"));
    }
}
