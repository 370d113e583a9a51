//! How drift ends: what an apply keeps, what it puts back, and what is written down of that.

use super::state::Drift;
use super::wanted::expected;
use super::{News, Worker};
use asm_shared::api::{Change, DriftMode, DriftOutcome, DriftedField};
use asm_shared::drift::{Keep, Kept, ManagerClass, Verdict, class_of, is_same_field, judge, loses_address, place_of};
use asm_shared::object::{FieldPath, ObjectId};
use asm_shared::plan::{Desired, DesiredObject};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::DynamicObject;
use serde_json::Value;

/// Said of a deleted object.
const NO_DELETER: &str = "the API server keeps no record of who deletes an object";
/// Said of a field that `Correct` mode does not put back.
const LEFT_TO_CONTROLLER: &str =
    "left to the controller, which would write it again; take it out of Git, or stop the controller";

/// Why an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Git wants something else.
    Commit,
    /// Mode `Correct`.
    Correct,
    /// Somebody asked for it.
    Asked,
}

/// What is said of an object that somebody deleted.
pub(super) fn deleted(id: &ObjectId, wanted: &DesiredObject, mode: DriftMode, user: Option<&str>) -> String {
    let who = user.map_or_else(|| NO_DELETER.to_owned(), |user| format!("deleted by {user}"));
    if mode != DriftMode::Correct || !loses_address(&id.group_kind, &wanted.object()) {
        return who;
    }
    format!(
        "{who}. It is not made again by itself, because its load balancer would get another address; if that is meant: \
         kubectl asm revert"
    )
}

/// How a drift ended that is not there any more without our doing.
pub(super) fn ended_by_itself(field: Option<&DriftedField>, frozen: &[FieldPath]) -> DriftOutcome {
    let path = field.and_then(|field| FieldPath::parse(&field.path));
    let is_frozen = path.is_some_and(|path| frozen.iter().any(|frozen| path.starts_with(frozen)));
    if is_frozen { DriftOutcome::Frozen } else { DriftOutcome::PutBack }
}

impl Worker {
    /// What an apply of a pass keeps of an object, and why it is applied.
    pub(super) fn keep_for(&mut self, desired: &Desired, id: &ObjectId) -> (Keep, Why) {
        if let Some(left) = self.state.correcting.remove(id) {
            return (Keep::Fields(left), Why::Correct);
        }
        let (Some(wanted), Some(applied)) = (desired.objects.get(id), self.state.inventory.get(id)) else {
            return (Keep::Nothing, Why::Commit);
        };
        let drift = self.state.drift.get(id);
        let keep = match (wanted.mode(self.order.mode), drift) {
            // An apply that has to make the object keeps nothing.
            _ if applied.uid.is_empty() => Keep::Nothing,
            (DriftMode::Report, Some(drift)) if drift.change == Change::Modified => {
                Keep::Theirs(Some(drift.seen.clone()))
            }
            (DriftMode::Report, _) => {
                let live = self.state.observed.get(id).filter(|live| live.uid == applied.uid);
                let left_alone = !wanted.frozen.is_empty();
                match live.is_some_and(|live| live.fingerprint.is_touched_since(applied.fingerprint, left_alone)) {
                    true => Keep::Theirs(None),
                    false => Keep::Nothing,
                }
            }
            (DriftMode::Correct, Some(drift)) => {
                let theirs = drift.fields.iter().filter(|field| is_controllers(field));
                match theirs.filter_map(place_of).collect::<Vec<_>>() {
                    paths if paths.is_empty() => Keep::Nothing,
                    paths => Keep::Fields(paths),
                }
            }
            (DriftMode::Correct, None) => Keep::Nothing,
        };
        (keep, Why::Commit)
    }

    /// The fields of a drifted object that are not put back; `None` when nothing is.
    pub(super) fn left_as_it_is(&mut self, id: &ObjectId, wanted: &DesiredObject) -> Option<Vec<FieldPath>> {
        let now = Timestamp::now();
        let (fights, drift) = (&self.state.fights, self.state.drift.get_mut(id)?);
        if drift.fields.is_empty() {
            let waits = drift.change == Change::Deleted && loses_address(&id.group_kind, &wanted.object());
            return (!waits && fights.may_correct(id, "", now)).then(Vec::new);
        }
        let mut left = Vec::new();
        let mut any = false;
        for field in &mut drift.fields {
            if is_controllers(field) {
                field.note = Some(LEFT_TO_CONTROLLER.to_owned());
                left.extend(place_of(field));
            } else if fights.may_correct(id, &field.path, now) {
                any = true;
            } else {
                left.extend(place_of(field));
            }
        }
        any.then_some(left)
    }

    /// Writes down how the drift of an object ended that has been applied. Gives back what is left of it.
    pub(super) fn end_of_drift(
        &mut self,
        wanted: &DesiredObject,
        id: &ObjectId,
        live: &DynamicObject,
        (why, kept): (Why, &Kept),
    ) -> Option<Drift> {
        let now = Timestamp::now();
        if why == Why::Commit {
            self.state.fights.end(id);
        }
        let before = self.state.drift.get(id).cloned();
        let left = (!kept.paths.is_empty()).then(|| left(wanted, id, live, before.as_ref(), now)).flatten();
        let Some(before) = before else { return left };
        let git = wanted.object();
        let remains = |field: &DriftedField| {
            left.iter().flat_map(|drift: &Drift| &drift.fields).any(|other| is_same_field(&other.path, &field.path))
        };
        let is_written = |field: &DriftedField| {
            let place = FieldPath::parse(&field.path);
            // Elements may have moved: then Git's value says whether it is the one that was live.
            let adopted = || place.as_ref().and_then(|place| place.resolve(&git)) == field.found.as_ref();
            let over = |path: &FieldPath| place.as_ref() == Some(path);
            let moved = |path: &FieldPath| is_same_field(&path.to_string(), &field.path);
            before.change != Change::Modified
                || kept.overwritten.iter().any(over)
                || (kept.overwritten.iter().any(moved) && !adopted())
        };
        self.state.end_drift(id, now, |field| match (why, field) {
            (_, Some(field)) if remains(field) => None,
            (Why::Correct, _) => Some(DriftOutcome::Corrected),
            (Why::Asked, _) => Some(DriftOutcome::Reverted),
            (Why::Commit, Some(field)) if !is_written(field) => Some(DriftOutcome::Adopted),
            (Why::Commit, _) => Some(DriftOutcome::Overwritten),
        });
        let gone = before.fields.iter().filter(|field| !remains(field));
        match why {
            Why::Correct => {
                let whole = before.fields.is_empty().then_some(("", None));
                for (path, other) in gone.map(|field| (&*field.path, field.manager.as_deref())).chain(whole) {
                    if let Some(contest) = self.state.fights.corrected(id, path, other, now) {
                        let note = contest.message();
                        tracing::warn!(target = %self.target(), "{note}");
                        self.news.push(News::Contested { note });
                    }
                }
            }
            Why::Commit => {
                let written: Vec<&DriftedField> = gone.filter(|field| is_written(field)).collect();
                if let Some(first) = written.first() {
                    let fields: Vec<&str> = written.iter().map(|field| &*field.path).collect();
                    let by = first.manager.as_deref().unwrap_or("not recorded").to_owned();
                    self.news.push(News::Overwritten { object: id.to_string(), fields: fields.join(", "), by });
                }
            }
            Why::Asked => {}
        }
        left
    }
}

/// What still differs after an apply that kept something.
fn left(
    wanted: &DesiredObject,
    id: &ObjectId,
    live: &DynamicObject,
    before: Option<&Drift>,
    now: Timestamp,
) -> Option<Drift> {
    let live = serde_json::to_value(live).ok()?;
    let expected = expected(wanted, &live);
    let Verdict::Modified(mut fields) = judge(&id.group_kind, &expected, &live) else { return None };
    before.into_iter().for_each(|before| remember_authors(&before.fields, &mut fields));
    let since = before.map_or(now, |before| before.since);
    Some(Drift { change: Change::Modified, fields, user: None, note: None, since, seen: Keep::seen(&expected, &live) })
}

impl Worker {
    /// Puts names of users to differences, where the observer saw them.
    pub(super) fn name_users(&self, id: &ObjectId, fields: &mut [DriftedField], live: &Value) {
        self.context.seen.with(|seen| {
            for field in fields {
                let path = FieldPath::parse(&field.path);
                let Some((user, at)) = path.and_then(|path| seen.author(&self.set, id, &path, live)) else { continue };
                if field.manager.is_none() {
                    field.note = None;
                    field.time = Some(Time(at));
                }
                field.user = Some(user.to_string());
            }
        });
    }

    /// Who deleted the object that was applied, if the observer saw it.
    pub(super) fn deleter(&self, id: &ObjectId) -> Option<String> {
        let uid = &self.state.inventory.get(id)?.uid;
        self.context.seen.with(|seen| seen.deleter(&self.set, id, uid)).map(|(user, _)| user.to_string())
    }
}

/// An apply that keeps an element of a list with one owner takes the list over, and the API server forgets who made the
/// element what it is. What was known of the same value stays known.
pub(super) fn remember_authors(known: &[DriftedField], fields: &mut [DriftedField]) {
    for field in fields.iter_mut().filter(|field| field.manager.is_none() && field.user.is_none()) {
        let same = |known: &&DriftedField| is_same_field(&known.path, &field.path) && known.found == field.found;
        let Some(known) = known.iter().find(same).filter(|known| known.manager.is_some() || known.user.is_some())
        else {
            continue;
        };
        *field = DriftedField { path: field.path.clone(), wanted: field.wanted.clone(), ..known.clone() };
    }
}

fn is_controllers(field: &DriftedField) -> bool {
    field.manager.as_deref().is_some_and(|manager| class_of(manager) == ManagerClass::Controller)
}
