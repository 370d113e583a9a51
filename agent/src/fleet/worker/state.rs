//! What one target's task knows: plain values that tests drive without a client.

use super::behind::Behind;
use super::certificates::{Certificates, Ending};
use super::fronts::Fronts;
use super::parting::Parting;
use asm_shared::api::{Change, DriftOutcome, DriftedField, HeldChange, PastDrift, SyncProblem};
use asm_shared::drift::{Fights, Fingerprint, Mark, is_same_field};
use asm_shared::health::ways::Told;
use asm_shared::object::{FieldPath, GroupKind, ObjectId};
use asm_shared::plan::{Applied, Desired, Inventory, Observed, PruneLimits, TargetPlan, is_elsewhere};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Kind with the version it is addressed by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WatchedKind {
    /// Group and kind.
    pub(crate) group_kind: GroupKind,
    /// `apiVersion`.
    pub(crate) api_version: Arc<str>,
}

/// A change that a watch reports, reduced to what is needed.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// A new initial list begins.
    ListStarted,
    /// Part of the initial list.
    Listed(ObjectId, Observed),
    /// The list is complete: what it did not name is gone.
    ListDone,
    /// Made or changed.
    Changed(ObjectId, Observed),
    /// Deleted, or it lost the set's label.
    Gone(ObjectId),
    /// The watch stands again after it broke; nothing has changed since.
    Answers,
    /// The watch broke and is tried again.
    Broken(WatchFailure),
}

/// Why a watch does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchFailure {
    /// The API server could not be reached at all.
    pub(crate) unreachable: bool,
    /// The credentials were refused.
    pub(crate) unauthorized: bool,
    /// Sentence for people.
    pub(crate) message: String,
}

/// An object that differs from Git.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drift {
    /// What happened.
    pub(crate) change: Change,
    /// Fields, for `Modified`.
    pub(crate) fields: Vec<DriftedField>,
    /// Who deleted it, if that was seen.
    pub(crate) user: Option<String>,
    /// What the API does not tell.
    pub(crate) note: Option<String>,
    /// When the agent noticed.
    pub(crate) since: Timestamp,
    /// The differences, in a form that is told again after a commit.
    pub(crate) seen: BTreeSet<u64>,
}

/// How the watch of a kind stands.
#[derive(Debug, Default)]
struct KindState {
    /// Names collected since the list began.
    listing: Option<BTreeSet<ObjectId>>,
    /// A list was complete at least once.
    ready: bool,
    /// The last failure, cleared by the next complete list or event.
    failure: Option<WatchFailure>,
}

/// The state.
#[derive(Debug, Default)]
pub(crate) struct TargetState {
    /// What was applied.
    pub(crate) inventory: Inventory,
    /// What the watches saw.
    pub(crate) observed: BTreeMap<ObjectId, Observed>,
    kinds: BTreeMap<WatchedKind, KindState>,
    /// Objects to be fetched and judged.
    pub(crate) suspects: BTreeSet<ObjectId>,
    /// What differs from Git.
    pub(crate) drift: BTreeMap<ObjectId, Drift>,
    /// Objects whose status is to be looked at again.
    pub(crate) look_again: BTreeSet<ObjectId>,
    /// Objects that do not work yet, and why.
    pub(crate) unhealthy: BTreeMap<ObjectId, String>,
    /// Since when they do not.
    ailing: BTreeMap<ObjectId, Timestamp>,
    /// Addresses that load balancers and gateways hold.
    pub(crate) addresses: BTreeMap<ObjectId, Vec<String>>,
    /// Changes that wait for an approval.
    pub(crate) held: Vec<HeldChange>,
    /// Objects that lint holds back and that run otherwise, or not at all.
    pub(crate) withheld: BTreeSet<ObjectId>,
    /// Objects that would rely on what lint holds back, and wait.
    pub(crate) waiting: BTreeSet<ObjectId>,
    /// Objects that the last pass did not bring to where Git wants them.
    pub(crate) stuck: BTreeSet<ObjectId>,
    /// Objects that could not be applied, read or removed in the last pass.
    pub(crate) problems: Vec<SyncProblem>,
    /// Why removals wait.
    pub(crate) hold: Option<String>,
    /// LoadBalancer Services.
    pub(crate) fronts: Fronts,
    /// Secrets that Gateways name.
    pub(crate) certificates: Certificates,
    /// Certificates that are about to end.
    pub(crate) ending: Vec<Ending>,
    /// Pods that requests end at.
    pub(crate) behind: Behind,
    /// How the ways of the commit's routes stand here.
    pub(crate) ways: Option<Told>,
    /// What requests need to arrive has not been looked at yet for this commit.
    pub(crate) unseen: bool,
    /// What has left Git, until it has been gone for long enough.
    pub(crate) parting: Parting,
    /// What waits for that, for people.
    pub(crate) parting_note: Option<String>,
    /// Commit that is fully applied.
    pub(crate) revision: Option<Arc<str>>,
    /// Objects that were asked to go and are not gone yet.
    pub(crate) leaving: BTreeSet<ObjectId>,
    /// Drift that is over and has not been told.
    pub(crate) ended: Vec<PastDrift>,
    /// What is put back again and again.
    pub(crate) fights: Fights,
    /// Objects that the next pass corrects, with the fields that it leaves.
    pub(crate) correcting: BTreeMap<ObjectId, Vec<FieldPath>>,
}

impl TargetState {
    /// With what is known from before, and nothing seen yet.
    pub(crate) fn with(inventory: Inventory) -> Self {
        Self { inventory, ..Self::default() }
    }

    /// Kinds that have to be watched for this commit: wanted ones, and those of which something is left.
    pub(crate) fn kinds_for(&self, desired: &Desired) -> BTreeSet<WatchedKind> {
        let mut kinds: BTreeMap<GroupKind, Arc<str>> = BTreeMap::new();
        // Of several versions of one kind one watch is enough. The first one in Git wins over what was applied before.
        for (id, wanted) in &desired.objects {
            kinds.entry(id.group_kind.clone()).or_insert_with(|| wanted.api_version.clone());
        }
        kinds.retain(|kind, _| !is_elsewhere(&desired.target, kind));
        for (id, applied) in self.inventory.iter().filter(|(id, _)| !is_elsewhere(&desired.target, &id.group_kind)) {
            kinds.entry(id.group_kind.clone()).or_insert_with(|| applied.api_version.clone());
        }
        kinds.into_iter().map(|(group_kind, api_version)| WatchedKind { group_kind, api_version }).collect()
    }

    /// Forgets the watches that are not needed any more.
    pub(crate) fn retain_kinds(&mut self, kinds: &BTreeSet<WatchedKind>) {
        self.kinds.retain(|kind, _| kinds.contains(kind));
    }

    /// Takes in what a watch saw.
    pub(crate) fn see(&mut self, kind: &WatchedKind, seen: Seen) {
        let state = self.kinds.entry(kind.clone()).or_default();
        match seen {
            Seen::ListStarted => state.listing = Some(BTreeSet::new()),
            Seen::Listed(id, live) => {
                if let Some(listing) = &mut state.listing {
                    listing.insert(id.clone());
                }
                self.object_seen(id, live);
            }
            Seen::ListDone => {
                let listed = state.listing.take().unwrap_or_default();
                state.ready = true;
                state.failure = None;
                let of_kind = |id: &&ObjectId| id.group_kind == kind.group_kind && !listed.contains(*id);
                let gone: Vec<ObjectId> = self.observed.keys().filter(of_kind).cloned().collect();
                let missing: Vec<ObjectId> = self.inventory.keys().filter(of_kind).cloned().collect();
                for id in gone.into_iter().chain(missing) {
                    self.object_gone(id);
                }
            }
            Seen::Changed(id, live) => {
                state.failure = None;
                self.object_seen(id, live);
            }
            Seen::Gone(id) => {
                state.failure = None;
                self.object_gone(id);
            }
            Seen::Answers => state.failure = None,
            Seen::Broken(failure) => state.failure = Some(failure),
        }
    }

    fn object_seen(&mut self, mut id: ObjectId, mut live: Observed) {
        if let Some((known, applied)) = self.inventory.get_key_value(&id) {
            // Names and UIDs are held once.
            id = known.clone();
            if applied.uid == live.uid {
                live.uid = applied.uid.clone();
            }
            let touched = applied.fingerprint != live.fingerprint || applied.uid != live.uid;
            if touched || live.deleting || self.drift.contains_key(&id) {
                self.suspects.insert(id.clone());
            }
        }
        if asm_shared::health::has_status(&id.group_kind) {
            self.look_again.insert(id.clone());
        }
        self.observed.insert(id, live);
    }

    fn object_gone(&mut self, id: ObjectId) {
        self.observed.remove(&id);
        self.look_again.remove(&id);
        self.leaving.remove(&id);
        self.addresses.remove(&id);
        if self.inventory.contains_key(&id) {
            self.suspects.insert(id);
        }
    }

    /// Is it known of all these kinds whether they can be listed? A kind that cannot must not hold up the others.
    pub(crate) fn is_settled(&self, kinds: &BTreeSet<WatchedKind>) -> bool {
        kinds.iter().all(|kind| self.kinds.get(kind).is_some_and(|state| state.ready || state.failure.is_some()))
    }

    /// Does any watch fail at present?
    pub(crate) fn is_failing(&self) -> bool {
        self.kinds.values().any(|state| state.failure.is_some())
    }

    /// Kinds of these whose list is not complete, with the failure if there is one.
    pub(crate) fn not_ready<'a>(
        &'a self,
        kinds: &'a BTreeSet<WatchedKind>,
    ) -> impl Iterator<Item = (&'a WatchedKind, Option<&'a WatchFailure>)> {
        kinds.iter().filter_map(|kind| match self.kinds.get(kind) {
            Some(state) if state.ready => None,
            Some(state) => Some((kind, state.failure.as_ref())),
            None => Some((kind, None)),
        })
    }

    /// The API server cannot be reached, as far as the watches know: every watch fails that way.
    pub(crate) fn unreachable(&self) -> Option<&WatchFailure> {
        let mut last = None;
        for state in self.kinds.values() {
            match &state.failure {
                Some(failure) if failure.unreachable || failure.unauthorized => last = Some(failure),
                _ => return None,
            }
        }
        last
    }

    /// What a watch said that was refused for its credentials.
    pub(crate) fn unauthorized(&self) -> Option<String> {
        let mut failures = self.kinds.values().filter_map(|state| state.failure.as_ref());
        failures.find(|failure| failure.unauthorized).map(|failure| failure.message.clone())
    }

    /// Makes the plan for a commit.
    pub(crate) fn plan(&self, desired: &Desired, unlisted: &BTreeSet<GroupKind>, limits: PruneLimits) -> TargetPlan {
        TargetPlan::make(desired, &self.inventory, &self.observed, unlisted, limits)
    }

    /// Remembers that an object is about to be created. `true` when that is news, to be saved before the creation.
    pub(crate) fn about_to_create(&mut self, id: &ObjectId, api_version: &Arc<str>) -> bool {
        if self.inventory.contains_key(id) {
            return false;
        }
        let fingerprint = Fingerprint { entry: 0, generation: 0 };
        let applied = Applied { api_version: api_version.clone(), uid: "".into(), hash: 0, fingerprint };
        self.inventory.insert(id.clone(), applied);
        true
    }

    /// Was it applied, and is not among those with our label any more?
    pub(crate) fn is_unseen(&self, id: &ObjectId) -> bool {
        !self.observed.contains_key(id) && self.inventory.get(id).is_some_and(|applied| !applied.uid.is_empty())
    }

    /// Remembers that an object is about to be removed: should Git want it again, it is made anew, whatever became of the
    /// removal. `true` when that is news, to be saved before the removal.
    pub(crate) fn about_to_remove(&mut self, id: &ObjectId) -> bool {
        self.inventory.get_mut(id).is_some_and(|applied| std::mem::take(&mut applied.hash) != 0)
    }

    /// Remembers that an object was applied.
    ///
    /// One that is on its way out is not what Git wants, whatever was applied to it: it is made anew once it is gone.
    pub(crate) fn applied(&mut self, id: &ObjectId, api_version: &Arc<str>, hash: u64, live: Observed) {
        let hash = if live.deleting { 0 } else { hash };
        if live.deleting {
            self.leaving.insert(id.clone());
        } else {
            self.leaving.remove(id);
        }
        let applied =
            Applied { api_version: api_version.clone(), uid: live.uid.clone(), hash, fingerprint: live.fingerprint };
        self.inventory.insert(id.clone(), applied);
        self.observed.insert(id.clone(), live);
        self.drift.remove(id);
        self.suspects.remove(id);
    }

    /// Remembers why an object is accepted that is not altogether as Git wants it.
    pub(crate) fn accept(&mut self, id: &ObjectId, why: Mark) {
        if let Some(applied) = self.inventory.get_mut(id) {
            applied.fingerprint = applied.fingerprint.marked(why);
        }
    }

    /// Has everything judged anew of which fields are, or were, left alone.
    pub(crate) fn suspect_frozen(&mut self, desired: &Desired) {
        let frozen = desired.objects.iter().filter(|(_, object)| !object.frozen.is_empty()).map(|(id, _)| id);
        let known: Vec<ObjectId> = frozen.filter(|id| self.inventory.contains_key(*id)).cloned().collect();
        self.suspects.extend(known);
    }

    /// Remembers how the drift of an object ended, of the fields for which `how` says it (`None` in its place: the whole
    /// object). The fields that it says nothing of are forgotten.
    pub(crate) fn end_drift(
        &mut self,
        id: &ObjectId,
        now: Timestamp,
        how: impl Fn(Option<&DriftedField>) -> Option<DriftOutcome>,
    ) {
        let Some(drift) = self.drift.remove(id) else { return };
        self.remember(id, &drift, now, how);
    }

    /// Notes a drift; fields of an older one that differ no more were put back by somebody.
    pub(crate) fn note_drift(&mut self, id: &ObjectId, drift: Drift) {
        if let Some(known) = self.drift.remove(id) {
            let now = Timestamp::now();
            self.remember(id, &known, now, |field| {
                let still = |field: &DriftedField| drift.fields.iter().any(|new| is_same_field(&new.path, &field.path));
                match field {
                    Some(field) => (!still(field) && drift.change == Change::Modified).then_some(DriftOutcome::PutBack),
                    None => (drift.change == Change::Modified).then_some(DriftOutcome::PutBack),
                }
            });
        }
        self.drift.insert(id.clone(), drift);
    }

    fn remember(
        &mut self,
        id: &ObjectId,
        drift: &Drift,
        now: Timestamp,
        how: impl Fn(Option<&DriftedField>) -> Option<DriftOutcome>,
    ) {
        let whole = drift.fields.is_empty().then_some(None);
        for field in drift.fields.iter().map(Some).chain(whole) {
            let Some(outcome) = how(field) else { continue };
            self.ended.push(PastDrift {
                kind: id.group_kind.to_string(),
                namespace: id.namespace.as_deref().map(str::to_owned),
                name: id.name.to_string(),
                change: drift.change,
                field: field.cloned(),
                user: drift.user.clone(),
                since: MicroTime(drift.since),
                ended: MicroTime(now),
                outcome,
            });
        }
    }

    /// Remembers that an object is gone for good.
    pub(crate) fn forget(&mut self, id: &ObjectId) {
        self.inventory.remove(id);
        self.end_drift(id, Timestamp::now(), |_| Some(DriftOutcome::LeftGit));
        self.fights.end(id);
        self.correcting.remove(id);
        self.works(id);
        self.addresses.remove(id);
        self.suspects.remove(id);
        self.leaving.remove(id);
    }

    /// Remembers why an object does not work. For how long it has not stays, whatever the reason becomes.
    pub(crate) fn ails(&mut self, id: &ObjectId, why: String) {
        self.ailing.entry(id.clone()).or_insert_with(Timestamp::now);
        self.unhealthy.insert(id.clone(), why);
    }

    /// It works.
    pub(crate) fn works(&mut self, id: &ObjectId) {
        self.ailing.remove(id);
        self.unhealthy.remove(id);
    }

    /// What does not work, why and since when.
    pub(crate) fn ailments(&self) -> BTreeMap<ObjectId, String> {
        let told = self.unhealthy.iter().map(|(id, why)| {
            let since = self.ailing.get(id).map_or_else(String::new, |since| format!(" (since {})", seconds(*since)));
            (id.clone(), format!("{why}{since}"))
        });
        told.collect()
    }

    /// Remembers which addresses an object holds.
    pub(crate) fn holds(&mut self, id: &ObjectId, addresses: Vec<String>) {
        if addresses.is_empty() {
            self.addresses.remove(id);
        } else {
            self.addresses.insert(id.clone(), addresses);
        }
    }
}

/// A time without fractions, as the API shows times.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::object::kinds;

    fn kind() -> WatchedKind {
        WatchedKind { group_kind: GroupKind::new("", "ConfigMap"), api_version: "v1".into() }
    }

    fn id(name: &str) -> ObjectId {
        ObjectId::new("", "ConfigMap", Some("default"), name)
    }

    fn live(uid: &str, entry: u64) -> Observed {
        Observed { uid: uid.into(), fingerprint: Fingerprint { entry, generation: 0 }, deleting: false }
    }

    fn synced() -> TargetState {
        let mut state = TargetState::default();
        state.see(&kind(), Seen::ListStarted);
        state.see(&kind(), Seen::ListDone);
        for name in ["a", "b"] {
            state.applied(&id(name), &"v1".into(), 7, live(name, 1));
        }
        state
    }

    #[test]
    fn our_own_write_coming_back_is_no_suspect() {
        let mut state = synced();
        state.see(&kind(), Seen::Changed(id("a"), live("a", 1)));
        assert!(state.suspects.is_empty());
    }

    #[test]
    fn somebody_elses_write_a_deletion_and_a_recreation_are() {
        for seen in [
            Seen::Changed(id("a"), live("a", 2)),
            Seen::Changed(id("a"), live("z", 1)),
            Seen::Gone(id("a")),
            Seen::Changed(id("a"), Observed { deleting: true, ..live("a", 1) }),
        ] {
            let mut state = synced();
            state.see(&kind(), seen);
            assert_eq!(state.suspects.iter().collect::<Vec<_>>(), [&id("a")]);
        }
    }

    #[test]
    fn what_is_applied_to_an_object_on_its_way_out_is_applied_again_when_it_is_gone() {
        let mut state = synced();
        assert!(state.about_to_remove(&id("a")) && !state.about_to_remove(&id("a")));
        assert_eq!(state.inventory[&id("a")].hash, 0);
        state.applied(&id("a"), &"v1".into(), 7, Observed { deleting: true, ..live("a", 1) });
        assert_eq!((state.inventory[&id("a")].hash, state.leaving.len()), (0, 1));
        state.applied(&id("a"), &"v1".into(), 7, live("z", 1));
        assert_eq!((state.inventory[&id("a")].hash, state.leaving.len()), (7, 0));
    }

    #[test]
    fn what_is_not_altogether_as_git_wants_it_stays_a_suspect() {
        let mut state = synced();
        state.accept(&id("a"), Mark::Frozen);
        state.see(&kind(), Seen::Changed(id("a"), live("a", 1)));
        assert_eq!(state.suspects.iter().collect::<Vec<_>>(), [&id("a")]);
        // Our own entry is still told from another one.
        assert_eq!(state.inventory[&id("a")].fingerprint.entry, 1);
    }

    fn drift(paths: &[&str]) -> Drift {
        let field = |path: &&str| serde_json::from_value(serde_json::json!({"path": path, "found": 1})).unwrap();
        Drift {
            change: Change::Modified,
            fields: paths.iter().map(field).collect(),
            user: None,
            note: None,
            since: Timestamp::UNIX_EPOCH,
            seen: BTreeSet::new(),
        }
    }

    #[test]
    fn how_a_drift_ended_is_remembered_field_by_field() {
        let mut state = synced();
        state.note_drift(&id("a"), drift(&["data.x", "spec.http[0].timeout"]));
        // The element has moved: the same field.
        state.note_drift(&id("a"), drift(&["spec.http[1].timeout", "data.y"]));
        state.end_drift(&id("a"), Timestamp::UNIX_EPOCH, |field| {
            (field.is_some_and(|field| field.path == "data.y")).then_some(DriftOutcome::Corrected)
        });
        state.note_drift(&id("b"), Drift { change: Change::Deleted, ..drift(&[]) });
        state.forget(&id("b"));
        let told: Vec<(String, DriftOutcome)> = std::mem::take(&mut state.ended)
            .into_iter()
            .map(|past| (past.field.map_or(past.name, |field| field.path), past.outcome))
            .collect();
        let wanted =
            [("data.x", DriftOutcome::PutBack), ("data.y", DriftOutcome::Corrected), ("b", DriftOutcome::LeftGit)];
        assert_eq!(told, wanted.map(|(name, outcome)| (name.to_owned(), outcome)));
        assert!(state.drift.is_empty());
    }

    #[test]
    fn since_when_something_does_not_work_stays_when_the_reason_changes() {
        let mut state = synced();
        state.ails(&id("a"), "0 of 2 pods".to_owned());
        let since = state.ailing[&id("a")];
        state.ails(&id("a"), "1 of 2 pods".to_owned());
        assert_eq!(state.ailments()[&id("a")], format!("1 of 2 pods (since {})", seconds(since)));
        state.works(&id("a"));
        assert!(state.ailments().is_empty() && state.ailing.is_empty());
    }

    #[test]
    fn what_a_new_list_does_not_name_is_gone() {
        let mut state = synced();
        state.see(&kind(), Seen::ListStarted);
        state.see(&kind(), Seen::Listed(id("b"), live("b", 1)));
        assert!(state.suspects.is_empty());
        state.see(&kind(), Seen::ListDone);
        assert_eq!(state.suspects.iter().collect::<Vec<_>>(), [&id("a")]);
        assert!(!state.observed.contains_key(&id("a")));
    }

    #[test]
    fn a_kind_that_cannot_be_listed_is_not_ready_and_the_target_is_unreachable_only_when_every_kind_is() {
        let mut state = synced();
        let other = WatchedKind { group_kind: GroupKind::new(kinds::ASM, "IstioGateway"), api_version: "v1".into() };
        let both: BTreeSet<WatchedKind> = [kind(), other.clone()].into();
        let failure = WatchFailure { unreachable: true, unauthorized: false, message: "refused".to_owned() };
        state.see(&other, Seen::Broken(failure.clone()));
        assert!(state.is_settled(&both) && state.is_failing());
        assert_eq!(state.not_ready(&both).collect::<Vec<_>>(), [(&other, Some(&failure))]);
        assert_eq!(state.unreachable(), None);
        state.see(&kind(), Seen::Broken(failure.clone()));
        assert_eq!(state.unreachable(), Some(&failure));
    }
}
