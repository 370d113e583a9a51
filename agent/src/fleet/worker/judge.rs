//! Judging what somebody touched: fetch it, compare it with Git, name the author; in `Correct` mode put Git's value back.

use super::Worker;
use super::ending::{Why, deleted, ended_by_itself, remember_authors};
use super::resources::{MOST_PAGES, Resources};
use super::stage::live;
use super::state::Drift;
use super::wanted::{apply_wanted, expected, is_provisional};
use super::watch::observed;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::{Change, DriftMode, labels};
use asm_shared::drift::{Keep, Mark, Verdict, judge};
use asm_shared::object::{GroupKind, ObjectId};
use asm_shared::plan::{Desired, DesiredObject};
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Fetches in flight.
const IN_FLIGHT: usize = 8;
/// So many objects of one kind are listed instead of fetched one by one, if they are one in so many of those that are there:
/// a list brings all of them.
const LIST_FROM: usize = 8;
/// See [`LIST_FROM`].
const LIST_SHARE: usize = 20;
/// Objects per page of a list.
const PAGE: u32 = 200;
/// Said of an object that was deleted and made again.
const REMADE: &str = "deleted and made again by someone; the API server keeps no record of who deleted it";

/// What `look` was asked about.
struct Asked {
    desired: Arc<Desired>,
    /// Those that may have drifted; of the others only the health is judged.
    suspects: BTreeSet<ObjectId>,
}

impl Worker {
    /// Looks at everything that was touched or whose status moved. `true` when a pass is needed.
    pub(super) async fn look(&mut self) -> bool {
        if !self.identity.trusted {
            return false;
        }
        let asked = Asked { desired: self.order.desired.clone(), suspects: std::mem::take(&mut self.state.suspects) };
        let mut again = std::mem::take(&mut self.state.look_again);
        again.extend(self.state.fronts.dark.iter().cloned());
        let all: BTreeSet<ObjectId> = asked.suspects.iter().chain(&again).cloned().collect();
        let mut pass_needed = false;
        let (kinds, mut singles) = self.sorted(all);
        for (kind, ids) in kinds {
            let (needed, rest) = self.look_through(&asked, &kind, ids).await;
            pass_needed |= needed;
            singles.extend(rest);
        }
        let work: Vec<_> = singles.into_iter().map(|id| (self.version_of(&id), id)).collect();
        let resources = self.resources.clone();
        let read = |(version, id)| read(resources.clone(), id, version);
        let mut answers = futures::stream::iter(work).map(read).buffer_unordered(IN_FLIGHT);
        while let Some((id, answer)) = answers.next().await {
            pass_needed |= self.look_at(&asked, id, answer).await;
        }
        self.look_at_arrival().await;
        pass_needed
    }

    /// Looks at one object.
    async fn look_at(&mut self, asked: &Asked, id: ObjectId, answer: Result<Option<Value>, ClusterError>) -> bool {
        let is_suspect = asked.suspects.contains(&id);
        let found = match answer {
            Ok(found) => found,
            Err(error) => {
                // Asked again with the next event, or when the watch has recovered.
                tracing::warn!(target = %self.target(), object = %id, "cannot be read: {}", error.message);
                self.count_error(&error);
                if is_suspect {
                    self.state.suspects.insert(id);
                    self.look_later = true;
                }
                return false;
            }
        };
        if is_front(&asked.desired, &id, found.as_ref()) {
            self.state.look_again.remove(&id);
            self.judge_front(&id, found.as_ref()).await;
        } else if let Some(found) = &found {
            self.judge_health(&id, found);
        }
        if !is_suspect {
            return false;
        }
        match asked.desired.objects.get(&id) {
            Some(wanted) => self.judge_one(&asked.desired, &id, wanted, found.as_ref()).await,
            // It has left Git: the next pass removes it, or forgets it when it is gone, or another one's.
            None => found.is_none() || self.is_others(found.as_ref()),
        }
    }

    /// Which kinds are read by one list each, and what is read one by one.
    fn sorted(&self, ids: BTreeSet<ObjectId>) -> (BTreeMap<GroupKind, BTreeSet<ObjectId>>, Vec<ObjectId>) {
        // What ASM makes does not carry our label, so that a list of ours does not have it.
        let (mut singles, ids): (Vec<ObjectId>, Vec<ObjectId>) =
            ids.into_iter().partition(|id| self.order.desired.generated.contains(id));
        let mut kinds: BTreeMap<GroupKind, BTreeSet<ObjectId>> = BTreeMap::new();
        for id in ids {
            kinds.entry(id.group_kind.clone()).or_default().insert(id);
        }
        let mut there: BTreeMap<&GroupKind, usize> = BTreeMap::new();
        for id in self.state.observed.keys().filter(|id| kinds.contains_key(&id.group_kind)) {
            *there.entry(&id.group_kind).or_default() += 1;
        }
        kinds.retain(|kind, ids| {
            let listed = ids.len() >= LIST_FROM && ids.len() * LIST_SHARE >= there.get(kind).copied().unwrap_or(0);
            if !listed {
                singles.extend(std::mem::take(ids));
            }
            listed
        });
        (kinds, singles)
    }

    /// Reads the objects of a kind that carry the set's label and looks at those that were asked for, page by page: the objects
    /// of one page are all that is held. Gives back whether a pass is needed, and what was not seen.
    async fn look_through(
        &mut self,
        asked: &Asked,
        kind: &GroupKind,
        mut ids: BTreeSet<ObjectId>,
    ) -> (bool, BTreeSet<ObjectId>) {
        let mut pass_needed = false;
        let Some(version) = ids.first().map(|id| self.version_of(id)) else { return (false, ids) };
        let Ok(api) = self.resources.api(kind, &version, None).await else { return (false, ids) };
        let mut params = ListParams::default().labels(&format!("{}={}", labels::PART_OF, self.set)).limit(PAGE);
        for _ in 0..MOST_PAGES {
            let Ok(page) = api.list(&params).await else { return (pass_needed, ids) };
            for object in page.items {
                let name = object.metadata.name.as_deref().unwrap_or_default();
                let id = ObjectId::new(&kind.group, &kind.kind, object.metadata.namespace.as_deref(), name);
                if ids.remove(&id) {
                    let live = serde_json::to_value(&object).map(Some);
                    let answer = live.map_err(|error| ClusterError::new(ErrorKind::Other, error.to_string()));
                    pass_needed |= self.look_at(asked, id, answer).await;
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                // Gone, or without the label: which of the two, the object itself says.
                None => return (pass_needed, ids),
            }
        }
        (pass_needed, ids)
    }

    /// The version an object is addressed by.
    fn version_of(&self, id: &ObjectId) -> Arc<str> {
        let wanted = self.order.desired.objects.get(id).map(|wanted| wanted.api_version.clone());
        let applied = || self.state.inventory.get(id).map(|applied| applied.api_version.clone());
        // What ASM makes is neither: a Service.
        wanted.or_else(applied).unwrap_or_else(|| "v1".into())
    }

    /// Judges one object that Git wants. `true` when a pass is needed.
    async fn judge_one(
        &mut self,
        desired: &Arc<Desired>,
        id: &ObjectId,
        wanted: &DesiredObject,
        found: Option<&Value>,
    ) -> bool {
        if self.state.withheld.contains(id) {
            self.judge_held(id, found);
            return false;
        }
        let Some(applied) = self.state.inventory.get(id).cloned() else { return true };
        if applied.hash != wanted.hash {
            // Not drift: Git wants something else by now.
            return true;
        }
        let Some(found) = found else {
            let user = self.deleter(id);
            let note = deleted(id, wanted, self.mode_of(wanted), user.as_deref());
            self.drifted(id, Change::Deleted, Vec::new(), Some(&note));
            self.state.drift.entry(id.clone()).and_modify(|drift| drift.user = user);
            return self.correct(desired, id, wanted, None).await;
        };
        if let Some(note) = taken(&wanted.object(), found) {
            // Whoever took it writes it; two that write the same object would go on for ever.
            self.drifted(id, Change::Modified, Vec::new(), Some(&note));
            return false;
        }
        let metadata = metadata_of(found);
        let now = observed(&metadata);
        let remade = now.uid != applied.uid;
        match judge(&id.group_kind, &expected(wanted, found), found) {
            Verdict::InSync if remade => self.drifted(id, Change::Replaced, Vec::new(), Some(REMADE)),
            Verdict::InSync => {
                let frozen = wanted.frozen_at(Timestamp::now());
                self.state.end_drift(id, Timestamp::now(), |field| Some(ended_by_itself(field, &frozen)));
                let taken = now.fingerprint.entry != applied.fingerprint.entry;
                let provisional = is_provisional(wanted, found);
                // Whose the frozen fields are does not matter: such an object is judged at every event.
                if taken && !provisional && !self.order.suspended {
                    // Somebody changed our field and changed it back, or owns it now: the value is Git's, so applying it
                    // changes nothing but makes the field ours again, and its next change visible.
                    return self.take_back(desired, id, wanted, Keep::Nothing).await;
                }
                self.state.observed.insert(id.clone(), now.clone());
                let seen = now.fingerprint;
                let seen = if provisional { seen.marked(Mark::Frozen) } else { seen };
                if let Some(applied) = self.state.inventory.get_mut(id)
                    && applied.fingerprint != seen
                {
                    applied.fingerprint = seen;
                    self.dirty = true;
                }
                return false;
            }
            Verdict::Modified(mut fields) => {
                self.name_users(id, &mut fields, found);
                self.state.drift.get(id).into_iter().for_each(|known| remember_authors(&known.fields, &mut fields));
                let (change, note) = if remade { (Change::Replaced, Some(REMADE)) } else { (Change::Modified, None) };
                self.drifted(id, change, fields, note);
            }
        }
        if let Some(drift) = self.state.drift.get_mut(id) {
            drift.seen = Keep::seen(&expected(wanted, found), found);
        }
        self.correct(desired, id, wanted, Some(found)).await
    }

    /// Notes a drift; what was noticed before keeps its time.
    pub(super) fn drifted(
        &mut self,
        id: &ObjectId,
        change: Change,
        fields: Vec<asm_shared::api::DriftedField>,
        note: Option<&str>,
    ) {
        let known = self.state.drift.get(id);
        let since = known.map_or_else(Timestamp::now, |drift| drift.since);
        let drift = Drift { change, fields, user: None, note: note.map(str::to_owned), since, seen: BTreeSet::new() };
        if known.is_none() {
            let fields: Vec<&str> = drift.fields.iter().map(|field| field.path.as_str()).collect();
            let name = |field: &'_ asm_shared::api::DriftedField| field.user.clone().or_else(|| field.manager.clone());
            let by = drift.fields.iter().find_map(name).unwrap_or_else(|| "not recorded".to_owned());
            tracing::warn!(target = %self.target(), object = %id, ?change, fields = fields.join(", "), by = &*by, "drift");
            self.news.push(super::News::Drift { object: id.to_string(), change, fields: fields.join(", "), by });
        }
        self.state.note_drift(id, drift);
    }

    /// What is done about live changes of an object.
    fn mode_of(&self, wanted: &DesiredObject) -> DriftMode {
        wanted.mode(self.order.mode)
    }

    /// Puts Git's value back in `Correct` mode: what people changed, unless that is fought about. `true` when a pass is needed.
    async fn correct(
        &mut self,
        desired: &Arc<Desired>,
        id: &ObjectId,
        wanted: &DesiredObject,
        found: Option<&Value>,
    ) -> bool {
        if self.mode_of(wanted) != DriftMode::Correct || self.order.suspended || self.is_others(found) {
            return false;
        }
        let Some(left) = self.left_as_it_is(id, wanted) else { return false };
        if asm_shared::plan::wants_look(&id.group_kind) {
            // A correction can lose a load balancer as any change can (someone turned a Service into a LoadBalancer):
            // the pass knows how to ask for consent.
            if let Some(applied) = self.state.inventory.get_mut(id) {
                applied.hash = 0;
            }
            self.state.correcting.insert(id.clone(), left);
            return true;
        }
        self.take_back(desired, id, wanted, Keep::Fields(left)).await
    }

    async fn take_back(&mut self, desired: &Arc<Desired>, id: &ObjectId, wanted: &DesiredObject, keep: Keep) -> bool {
        if !self.context.may_write() {
            return false;
        }
        match apply_wanted(&self.resources, id, wanted, &wanted.object(), &keep).await {
            Ok((live, kept)) => {
                let healed = self.state.drift.contains_key(id);
                self.take_in(desired, id, &live, wanted.hash, (Why::Correct, &kept));
                if healed {
                    self.news.push(super::News::Corrected { object: id.to_string() });
                }
                false
            }
            Err(refusal) => {
                self.problem(wanted.position.to_string(), format!("{id}: {}", refusal.message()));
                // A pass tries again, with its back-off.
                if let Some(applied) = self.state.inventory.get_mut(id) {
                    applied.hash = 0;
                }
                refusal.is_passing()
            }
        }
    }
}

/// Owns what it uses, so that many of them can be in flight.
async fn read(
    resources: Resources,
    id: ObjectId,
    api_version: Arc<str>,
) -> (ObjectId, Result<Option<Value>, ClusterError>) {
    let answer = live(&resources, &id, &api_version).await;
    (id, answer)
}

/// Is it a Service with a load balancer, or one that ASM should have made?
fn is_front(desired: &Desired, id: &ObjectId, found: Option<&Value>) -> bool {
    let kind = found.and_then(|found| found.pointer("/spec/type")).and_then(Value::as_str);
    desired.generated.contains(id) || (id.group_kind.is("", "Service") && kind == Some("LoadBalancer"))
}

/// Says so when another set has taken an object over: its label is that set's now.
pub(super) fn taken(wanted: &Value, found: &Value) -> Option<String> {
    let set = |object: &Value| object.pointer("/metadata/labels")?.get(labels::PART_OF)?.as_str().map(str::to_owned);
    let (ours, now) = (set(wanted)?, set(found)?);
    (ours != now).then(|| {
        format!(
            "another FleetSync has taken it over (its label {} says {now}) and it is in both repositories; take it out of one",
            labels::PART_OF
        )
    })
}

fn metadata_of(object: &Value) -> ObjectMeta {
    object.get("metadata").and_then(|metadata| serde_json::from_value(metadata.clone()).ok()).unwrap_or_default()
}
