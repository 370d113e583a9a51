//! What an admission observer saw: the real user behind a change, a removed field, a deleted object. The API server asks the
//! observer before it stores; whether it then did, the live object says: a sighting counts only where its value is there.

use crate::api::labels;
use crate::diff::between;
use crate::object::At as _;
use crate::object::{FieldPath, ObjectId};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Sightings that are kept of one object …
const MOST_OF_OBJECT: usize = 16;
/// … and in all: the oldest go.
const MOST: usize = 4096;
/// Changed fields that are kept of one sighting; of a larger one only that the object was written.
const MOST_FIELDS: usize = 64;

/// One request that an API server was about to carry out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// The set's label on the object.
    pub set: Arc<str>,
    /// The object.
    pub object: ObjectId,
    /// Its UID before the request.
    pub uid: Arc<str>,
    /// Name of the authenticated user.
    pub user: Arc<str>,
    /// When it was seen.
    pub at: Timestamp,
    /// What was to be done.
    pub what: Seen,
}

/// What was to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The object is deleted.
    Delete,
    /// Fields change; each with a hash of its new value, `None` when it is removed.
    Fields(Vec<(FieldPath, Option<u64>)>),
    /// So many fields change that they are not kept.
    Many,
}

impl Sighting {
    /// Reads an `AdmissionReview`. `None` when it is about nothing of ours: another operation, a dry run, an object without the
    /// label.
    pub fn of(review: &Value, at: Timestamp) -> Option<Self> {
        let request = review.get("request")?;
        if request.get("dryRun").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        let word = |pointer: &str| request.at(pointer).and_then(Value::as_str).filter(|word| !word.is_empty());
        let (old, new) = (request.get("oldObject"), request.get("object"));
        let old = old.filter(|object| object.is_object())?;
        let set = old.at("/metadata/labels")?.get(labels::PART_OF)?.as_str()?;
        let what = match (word("/operation")?, new.filter(|object| object.is_object())) {
            ("DELETE", _) => Seen::Delete,
            ("UPDATE", Some(new)) => {
                let changes = between(old, new);
                let kept = changes.iter().map(|change| (change.path.clone(), change.after.as_ref().map(hash)));
                let fields: Vec<_> = kept.take(MOST_FIELDS + 1).collect();
                match fields.len() {
                    0 => return None,
                    number if number > MOST_FIELDS => Seen::Many,
                    _ => Seen::Fields(fields),
                }
            }
            _ => return None,
        };
        let name = word("/name").or_else(|| old.at("/metadata/name").and_then(Value::as_str))?;
        let group = word("/kind/group").unwrap_or_default();
        Some(Self {
            set: set.into(),
            object: ObjectId::new(group, word("/kind/kind")?, word("/namespace"), name),
            uid: old.at("/metadata/uid").and_then(Value::as_str).unwrap_or_default().into(),
            user: word("/userInfo/username")?.into(),
            at,
            what,
        })
    }
}

fn hash(value: &Value) -> u64 {
    let digest = Sha256::digest(value.to_string().as_bytes());
    digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// What was seen lately.
#[derive(Debug, Default)]
pub struct Sightings {
    of: BTreeMap<(Arc<str>, ObjectId), VecDeque<Sighting>>,
    order: VecDeque<(Arc<str>, ObjectId)>,
}

impl Sightings {
    /// Remembers one.
    pub fn see(&mut self, sighting: Sighting) {
        let key = (sighting.set.clone(), sighting.object.clone());
        let own = self.of.entry(key.clone()).or_default();
        if own.len() >= MOST_OF_OBJECT {
            own.pop_front();
        } else {
            self.order.push_back(key);
        }
        own.push_back(sighting);
        while self.order.len() > MOST {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(own) = self.of.get_mut(&oldest) {
                own.pop_front();
                if own.is_empty() {
                    self.of.remove(&oldest);
                }
            }
        }
    }

    fn latest(&self, set: &str, object: &ObjectId) -> impl Iterator<Item = &Sighting> {
        self.of.get(&(set.into(), object.clone())).into_iter().flatten().rev()
    }

    /// Who deleted this incarnation of an object, and when.
    pub fn deleter(&self, set: &str, object: &ObjectId, uid: &str) -> Option<(Arc<str>, Timestamp)> {
        let seen = self.latest(set, object).find(|seen| seen.what == Seen::Delete && *seen.uid == *uid)?;
        Some((seen.user.clone(), seen.at))
    }

    /// Who gave a field the value that it has now (`None`: removed it), and when.
    pub fn author(
        &self,
        set: &str,
        object: &ObjectId,
        path: &FieldPath,
        live: &Value,
    ) -> Option<(Arc<str>, Timestamp)> {
        let is_it = |seen: &&Sighting| match &seen.what {
            Seen::Fields(fields) => fields.iter().any(|(changed, value)| {
                (path.starts_with(changed) || changed.starts_with(path)) && changed.resolve(live).map(hash) == *value
            }),
            Seen::Many | Seen::Delete => false,
        };
        self.latest(set, object).find(is_it).map(|seen| (seen.user.clone(), seen.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "web", "namespace": "shop", "uid": "u1", "labels": {labels::PART_OF: "set"}}, "data": data})
    }

    fn review(user: &str, operation: &str, old: Value, new: Value) -> Value {
        json!({"request": {
            "uid": "r", "kind": {"group": "", "version": "v1", "kind": "ConfigMap"}, "name": "web", "namespace": "shop",
            "operation": operation, "userInfo": {"username": user}, "oldObject": old, "object": new,
        }})
    }

    fn id() -> ObjectId {
        ObjectId::new("", "ConfigMap", Some("shop"), "web")
    }

    fn see(sightings: &mut Sightings, review: &Value) {
        sightings.see(Sighting::of(review, Timestamp::UNIX_EPOCH).expect("a sighting"));
    }

    #[test]
    fn a_removed_field_and_a_deleted_object_have_an_author() {
        let mut sightings = Sightings::default();
        let (old, new) = (object(json!({"a": "1", "b": "2"})), object(json!({"b": "2"})));
        see(&mut sightings, &review("alice", "UPDATE", old, new.clone()));
        let a = FieldPath::of_fields(["data", "a"]);
        let who = |sightings: &Sightings, live: &Value| {
            sightings.author("set", &id(), &a, live).map(|(user, _)| user.to_string())
        };
        assert_eq!(who(&sightings, &new).as_deref(), Some("alice"));
        // The request came to nothing, or somebody else was there since: nobody is named.
        assert_eq!(who(&sightings, &object(json!({"a": "9"}))), None);
        see(&mut sightings, &review("bob", "UPDATE", new.clone(), object(json!({"a": "9", "b": "2"}))));
        assert_eq!(who(&sightings, &object(json!({"a": "9", "b": "2"}))).as_deref(), Some("bob"));
        see(&mut sightings, &review("carol", "DELETE", new, Value::Null));
        assert_eq!(sightings.deleter("set", &id(), "u1").map(|(user, _)| user.to_string()).as_deref(), Some("carol"));
        assert_eq!(sightings.deleter("set", &id(), "u2"), None);
        assert_eq!(sightings.deleter("other", &id(), "u1"), None);
    }

    #[test]
    fn what_is_none_of_ours_is_not_kept() {
        let mine = object(json!({"a": "1"}));
        let mut without = mine.clone();
        without["metadata"]["labels"] = json!({});
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(Sighting::of(&review("a", "UPDATE", without, mine.clone()), at), None);
        assert_eq!(Sighting::of(&review("a", "UPDATE", mine.clone(), mine.clone()), at), None);
        assert_eq!(Sighting::of(&review("a", "CREATE", Value::Null, mine.clone()), at), None);
        assert_eq!(Sighting::of(&review("", "DELETE", mine.clone(), Value::Null), at), None);
        let mut dry = review("a", "DELETE", mine, Value::Null);
        dry["request"]["dryRun"] = json!(true);
        assert_eq!(Sighting::of(&dry, at), None);
        for odd in [json!(null), json!([]), json!({"request": 1}), json!({"request": {"oldObject": {"metadata": 1}}})] {
            assert_eq!(Sighting::of(&odd, at), None);
        }
    }

    #[test]
    fn it_does_not_grow() {
        let mut sightings = Sightings::default();
        for n in 0..3 * MOST {
            let mut old = object(json!({"a": n.to_string()}));
            old["metadata"]["name"] = json!(format!("web-{}", n % (MOST / 2)));
            let mut review = review("a", "UPDATE", old.clone(), object(json!({})));
            review["request"]["name"] = old["metadata"]["name"].clone();
            see(&mut sightings, &review);
        }
        let kept: usize = sightings.of.values().map(VecDeque::len).sum();
        assert!(kept <= MOST && sightings.order.len() <= MOST, "{kept}");
        for n in 0..100 {
            see(&mut sightings, &review("a", "UPDATE", object(json!({"a": n.to_string()})), object(json!({}))));
        }
        assert_eq!(sightings.latest("set", &id()).count(), MOST_OF_OBJECT);
    }
}
