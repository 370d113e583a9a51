//! Changed objects as a whole, before and after: for patches and for diff programs of one's own.

use super::{FieldChange, ObjectChange, apply};
use crate::fleet::Target;
use crate::object::{FieldPath, GroupKind, fold_string_data, redact, server_owned};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// An object on one target as it came in, secrets and all.
#[derive(Clone, PartialEq)]
pub(super) struct Sides {
    /// The left side is an API server's.
    pub(super) is_live: bool,
    pub(super) before: Option<Arc<Value>>,
    pub(super) after: Option<Arc<Value>>,
}

impl fmt::Debug for Sides {
    /// Without the objects: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sides").field("is_live", &self.is_live).finish_non_exhaustive()
    }
}

/// An object before and after, the same on these targets. Secrets are redacted.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Where.
    pub targets: Vec<Target>,
    /// The object as it is; `None` when it is created.
    pub before: Option<Value>,
    /// The object as it will be; `None` when it is destroyed.
    pub after: Option<Value>,
}

impl ObjectChange {
    /// The object before and after, once for all targets where it is the same.
    ///
    /// Both sides differ in what the diff announces and in nothing else: no defaults, nothing that servers own, no texts
    /// that mean the same. `literally`: the objects as they are in the files and on the API server.
    pub fn versions(&self, literally: bool) -> Vec<Version> {
        let mut versions: Vec<Version> = Vec::new();
        for (target, sides) in self.targets.iter().zip(&self.sides) {
            let (before, after) = self.version(sides, literally);
            match versions.iter_mut().find(|version| version.before == before && version.after == after) {
                Some(version) => version.targets.push(target.clone()),
                None => versions.push(Version { targets: vec![target.clone()], before, after }),
            }
        }
        versions
    }

    /// A changed field in words: elements of lists by their names, where they have one.
    pub fn path_in_words(&self, field: &FieldChange) -> String {
        let Some(sides) = self.sides.first() else { return field.path.to_string() };
        // What goes is named by its place in the old object, everything else by its place in the new one.
        let side = if field.after.is_some() { &sides.after } else { &sides.before };
        side.as_deref().map_or_else(|| field.path.to_string(), |object| field.path.named(object))
    }

    fn version(&self, sides: &Sides, literally: bool) -> (Option<Value>, Option<Value>) {
        let kind = &self.id.group_kind;
        let wanted = sides.after.as_deref();
        let before = sides.before.as_deref().map(|before| match (sides.is_live, literally) {
            (true, false) => shown(kind, &server_owned::strip(before, wanted)),
            (false, false) => shown(kind, &fold_string_data(before)),
            (_, true) => shown(kind, before),
        });
        let after = match (&before, wanted) {
            (Some(_), Some(after)) if literally && !sides.is_live => Some(shown(kind, after)),
            // Values that were redacted one by one are what they would be in a redacted object.
            (Some(before), Some(_)) => Some(apply(kind, before, &self.fields)),
            (None, Some(after)) => Some(shown(kind, &fold_string_data(after))),
            (_, None) => None,
        };
        (before, after)
    }
}

fn shown(kind: &GroupKind, object: &Value) -> Value {
    redact(kind, &FieldPath::root(), object)
}
