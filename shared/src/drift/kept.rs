//! What an apply leaves as it is live, besides what Git says to leave alone.
//!
//! * Mode `Report`: a new commit does not undo what people changed of an object, but for fields that the commit changes
//!   itself: about those Git has decided anew. Everything else stays, and stays reported.
//! * Mode `Correct`: what controllers have taken is left to them (they would write it again, for ever), and so is what is
//!   fought about.

use super::fields_v1::{author_of, own_entry};
use super::verdict::managed_fields;
use crate::api::DriftedField;
use crate::diff::{FieldChange, missing_from};
use crate::object::{FieldPath, Segment};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// What an apply keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: Git's object as it is.
    #[default]
    Nothing,
    /// These fields.
    Fields(Vec<FieldPath>),
    /// What others changed since our last apply. `seen`: the differences that were known before the commit came
    /// ([`Keep::seen`]); without that it is not known which fields the commit changes, and all are kept that somebody is
    /// on record for.
    Theirs(Option<BTreeSet<u64>>),
}

/// The fields of one object that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Their places, for [`super::frozen`].
    pub paths: Vec<FieldPath>,
    /// Fields that differ and are not kept: Git's values are written over them.
    pub overwritten: Vec<FieldPath>,
}

impl Keep {
    /// Differences in a form that can be told again when the places of elements have moved. No value is kept.
    pub fn seen(wanted: &Value, live: &Value) -> BTreeSet<u64> {
        missing_from(wanted, live).iter().map(mark).collect()
    }

    /// What of the live object is kept when `wanted` is applied.
    pub fn of(&self, wanted: &Value, live: &Value) -> Kept {
        match self {
            Self::Nothing => Kept::default(),
            Self::Fields(paths) => Kept { paths: paths.clone(), overwritten: Vec::new() },
            Self::Theirs(seen) => {
                let entries = managed_fields(live);
                // Without an entry of ours nobody can say who changed what.
                let trusted = own_entry(&entries).is_some();
                let is_theirs = |change: &FieldChange| match seen {
                    Some(seen) => seen.contains(&mark(change)),
                    // What was kept before is ours as well as theirs.
                    None => trusted && author_of(&entries, &change.path).is_some(),
                };
                let mut kept = Kept::default();
                for change in missing_from(wanted, live) {
                    if is_theirs(&change) {
                        kept.paths.push(whole(change));
                    } else {
                        kept.overwritten.push(change.path);
                    }
                }
                kept
            }
        }
    }
}

/// The place that has to be kept for a field of a report; `None` when its path says nothing.
pub fn place_of(field: &DriftedField) -> Option<FieldPath> {
    let path = FieldPath::parse(&field.path)?;
    Some(whole(FieldChange { path, before: field.wanted.clone(), after: field.found.clone() }))
}

/// The same field, wherever the elements of lists without keys have moved to meanwhile?
pub fn is_same_field(path: &str, other: &str) -> bool {
    let plain = |path: &str| {
        let parsed = FieldPath::parse(path)?;
        Some(parsed.0.into_iter().filter(|segment| !matches!(segment, Segment::Index(_))).collect::<Vec<_>>())
    };
    path == other || plain(path).is_some_and(|plain_path| Some(plain_path) == plain(other))
}

/// The place that has to be kept for a difference. An element that came has no place in Git's list: its list is kept.
fn whole(change: FieldChange) -> FieldPath {
    match change.path.0.last() {
        Some(Segment::Index(_) | Segment::Key(_)) if change.before.is_none() => {
            change.path.parent().unwrap_or_default()
        }
        _ => change.path,
    }
}

/// Field, Git's value, live value; without the places of elements in lists.
fn mark(change: &FieldChange) -> u64 {
    let mut hash = Sha256::new();
    for segment in change.path.segments() {
        match segment {
            Segment::Field(name) => hash.update(name.as_bytes()),
            Segment::Key(_) => hash.update(segment.label().as_bytes()),
            Segment::Index(_) => {}
        }
        hash.update([0]);
    }
    for value in [&change.before, &change.after] {
        hash.update(value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string));
        hash.update([0]);
    }
    hash.finalize().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::frozen;
    use serde_json::json;

    fn route(weights: [u32; 2], timeout: &str, before: Option<Value>) -> Value {
        let route = json!({"name": "x", "timeout": timeout, "route": [
            {"destination": {"host": "a"}, "weight": weights[0]}, {"destination": {"host": "b"}, "weight": weights[1]}
        ]});
        let http: Vec<Value> = before.into_iter().chain([route]).collect();
        json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"}, "spec": {"http": http}})
    }

    #[test]
    fn a_commit_changes_what_it_touches_and_leaves_what_people_changed() {
        let old = route([90, 10], "1s", None);
        let live = route([50, 50], "1s", None);
        let seen = Keep::seen(&old, &live);
        // A timeout, and a rule before it: the places of the weights have moved.
        let new = route([90, 10], "2s", Some(json!({"name": "new", "route": [{"destination": {"host": "c"}}]})));
        let kept = Keep::Theirs(Some(seen.clone())).of(&new, &live);
        assert_eq!(frozen(&new, &live, &kept.paths), route([50, 50], "2s", Some(new["spec"]["http"][0].clone())));
        let told: Vec<String> = kept.overwritten.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["spec.http[0]", "spec.http[1].timeout"]);
        // The same field: Git has decided anew.
        let new = route([80, 20], "1s", None);
        let kept = Keep::Theirs(Some(seen)).of(&new, &live);
        assert_eq!((kept.paths.len(), kept.overwritten.len()), (0, 2));
    }

    #[test]
    fn without_memory_what_somebody_is_on_record_for_is_kept() {
        let service = |team: &str, managed: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": managed}, "data": {"a": team, "b": "old"}});
        let entry = |manager: &str, operation: &str, fields: Value| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields});
        let entries = json!([
            entry("asm-agent", "Apply", json!({"f:data": {"f:b": {}}})),
            entry("kubectl-edit", "Update", json!({"f:data": {"f:a": {}}})),
        ]);
        let live = service("me", entries);
        let mut wanted = service("web", json!([]));
        wanted["data"] = json!({"a": "web", "b": "new", "c": "new"});
        let kept = Keep::Theirs(None).of(&wanted, &live);
        assert_eq!(kept.paths, [FieldPath::of_fields(["data", "a"])]);
        assert_eq!(kept.overwritten, [FieldPath::of_fields(["data", "b"]), FieldPath::of_fields(["data", "c"])]);
        // Reset entries: nobody is on record.
        assert_eq!(Keep::Theirs(None).of(&wanted, &service("me", json!([]))).paths, []);
    }
}
