//! The verdict on one live object: as Git wants it, taken over by someone without a visible change, or changed.

use super::fields_v1::{author_of, own_entry};
use super::managers::author_kind;
use crate::api::DriftedField;
use crate::diff::missing_from;
use crate::object::At as _;
use crate::object::{GroupKind, redact};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

/// What became of an object since we applied it.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every field has Git's value.
    InSync,
    /// Fields of ours that differ, each with its author where the API server keeps one.
    Modified(Vec<DriftedField>),
}

/// Said when a field is gone: nobody's entry gains anything when a field is removed.
const REMOVED: &str = "author not recorded: the API server keeps none for a removed field";
/// Said when the value differs but no other manager owns it.
const UNKNOWN: &str = "author not recorded by the API server";

/// Compares Git's object with the live one and names the author of each difference.
pub fn judge(group_kind: &GroupKind, wanted: &Value, live: &Value) -> Verdict {
    let changes = missing_from(wanted, live);
    if changes.is_empty() {
        return Verdict::InSync;
    }
    let entries = managed_fields(live);
    // Without an entry of ours the managedFields were reset or the object was made anew: then everything has an author
    // by accident, and naming one would be a guess.
    let trusted = own_entry(&entries).is_some();
    let fields = changes
        .into_iter()
        .map(|change| {
            let author = trusted.then(|| author_of(&entries, &change.path)).flatten();
            let note = match (&author, &change.after) {
                (Some(_), _) => None,
                (None, None) => Some(REMOVED.to_owned()),
                (None, Some(_)) => Some(UNKNOWN.to_owned()),
            };
            let show = |value: Option<Value>| value.map(|value| redact(group_kind, &change.path, &value));
            DriftedField {
                path: change.path.to_string(),
                wanted: show(change.before),
                found: show(change.after),
                manager: author.as_ref().map(|author| author.manager.clone()),
                user: None,
                author: author.as_ref().map(|author| author_kind(&author.manager)),
                operation: author.as_ref().map(|author| author.operation.clone()),
                subresource: author.as_ref().and_then(|author| author.subresource.clone()),
                time: author.and_then(|author| author.time),
                note,
            }
        })
        .collect();
    Verdict::Modified(fields)
}

/// The entries of a full object; nothing when they cannot be read.
pub(super) fn managed_fields(live: &Value) -> Vec<ManagedFieldsEntry> {
    live.at("/metadata/managedFields")
        .and_then(|entries| serde_json::from_value(entries.clone()).ok())
        .unwrap_or_default()
}
