//! What a target tells about itself.

use super::certificates::Ending;
use super::state::{Drift, TargetState};
use asm_shared::api::{HeldChange, HeldObject, RevertStatus, SyncProblem};
use asm_shared::drift::Contest;
use asm_shared::fleet::Target;
use asm_shared::health::ways::Told;
use asm_shared::object::ObjectId;
use asm_shared::plan::FrozenField;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A snapshot of a target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TargetReport {
    /// Which.
    pub(crate) target: Target,
    /// Commit that it is to be brought to.
    pub(crate) wanted: Arc<str>,
    /// Commit that is fully applied.
    pub(crate) revision: Option<Arc<str>>,
    /// Objects in Git.
    pub(crate) objects: usize,
    /// What differs from Git, with the place in the files.
    pub(crate) drift: BTreeMap<ObjectId, (Drift, String)>,
    /// What is put back again and again, and left as it is for a while.
    pub(crate) contested: Vec<String>,
    /// What does not work yet, why and since when.
    pub(crate) unhealthy: BTreeMap<ObjectId, String>,
    /// What requests need to arrive has not been looked at yet.
    pub(crate) unseen: bool,
    /// How the ways of the commit's routes stand here, if that is known.
    pub(crate) ways: Option<Told>,
    /// Certificates of Gateways that are about to end.
    pub(crate) ending: Vec<Ending>,
    /// Addresses that load balancers and gateways hold.
    pub(crate) addresses: BTreeMap<ObjectId, Vec<String>>,
    /// What waits for an approval.
    pub(crate) held: Vec<HeldChange>,
    /// What lint holds back, and what waits for that.
    pub(crate) lint: Vec<HeldObject>,
    /// What could not be synced.
    pub(crate) problems: Vec<SyncProblem>,
    /// Why the target cannot be worked on at all (credentials, unreachable, inventory).
    pub(crate) blocked: Option<String>,
    /// Why removals wait.
    pub(crate) hold: Option<String>,
    /// What is removed in a while.
    pub(crate) parting: Option<String>,
    /// The API server of a member cluster also answers for Istio's kinds, which are the mesh's.
    pub(crate) serves_istio: bool,
    /// Objects that are on their way out.
    pub(crate) leaving: usize,
    /// The wish to sync (annotation value) that was fulfilled last.
    pub(crate) request: Option<Arc<str>>,
    /// Fields that are left alone.
    pub(crate) frozen: Vec<(ObjectId, FrozenField)>,
    /// The request to put Git's values back that was carried out last, as far as it concerned this target.
    pub(crate) reverted: Option<Arc<RevertStatus>>,
    /// The last pass over this commit ended.
    pub(crate) settled: bool,
    /// When the credentials end, if they say so.
    pub(crate) expires: Option<Timestamp>,
}

impl TargetReport {
    pub(crate) fn new(target: &Target, wanted: &Arc<str>) -> Self {
        Self {
            target: target.clone(),
            wanted: wanted.clone(),
            revision: None,
            objects: 0,
            drift: BTreeMap::new(),
            contested: Vec::new(),
            unhealthy: BTreeMap::new(),
            unseen: false,
            ways: None,
            ending: Vec::new(),
            addresses: BTreeMap::new(),
            held: Vec::new(),
            lint: Vec::new(),
            problems: Vec::new(),
            blocked: None,
            hold: None,
            parting: None,
            serves_istio: false,
            leaving: 0,
            request: None,
            frozen: Vec::new(),
            reverted: None,
            settled: false,
            expires: None,
        }
    }

    /// Takes over what the state says.
    pub(super) fn fill(&mut self, state: &TargetState, declared_at: impl Fn(&ObjectId) -> String) {
        self.revision = state.revision.clone();
        self.drift = state.drift.iter().map(|(id, drift)| (id.clone(), (drift.clone(), declared_at(id)))).collect();
        self.contested = state.fights.contested(Timestamp::now()).iter().map(Contest::message).collect();
        self.unhealthy = state.ailments();
        self.unseen = state.unseen;
        self.ways = state.ways.clone();
        self.ending = state.ending.clone();
        self.addresses = state.addresses.clone();
        self.held = state.held.clone();
        self.problems = state.problems.clone();
        self.hold = state.hold.clone();
        self.parting = state.parting_note.clone();
        self.leaving = state.leaving.len();
    }

    /// Is the wanted commit fully applied, with nothing waiting?
    pub(crate) fn is_synced(&self) -> bool {
        self.blocked.is_none() && self.revision.as_ref() == Some(&self.wanted) && self.leaving == 0
    }
}
