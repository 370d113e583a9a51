//! `clusters/<name>/patches/*`: what one cluster wants different from what its groups give it.

use super::file::Metadata;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A change to one object that a group gives this cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// `kubectl-asm.io/v1alpha1`.
    pub api_version: String,
    /// `Patch`.
    pub kind: String,
    /// Name of this patch.
    pub metadata: Metadata,
    /// What is changed, and how.
    pub spec: PatchSpec,
}

/// What is changed, and how: exactly one of `merge` and `json6902`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchSpec {
    /// The object.
    pub target: PatchTarget,
    /// JSON merge patch (RFC 7386): fields replace fields, `null` removes one, lists are replaced as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub merge: Option<Value>,
    /// JSON patch (RFC 6902): operations on JSON pointers, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<PatchOperation>>")]
    pub json6902: Option<json_patch::Patch>,
}

/// The object that a patch changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchTarget {
    /// `apiVersion` of the object; needed only when two groups have the same kind. Its version does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the object.
    pub kind: String,
    /// Namespace of the object; `default` when absent and the kind has namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: String,
}

/// One operation of RFC 6902.
// Here for the schema only; `json_patch` reads and applies operations.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct PatchOperation {
    /// What to do.
    op: PatchOp,
    /// JSON pointer to the field; `/-` at the end of a list appends.
    path: String,
    /// JSON pointer to the source of `move` and `copy`.
    #[serde(default)]
    from: Option<String>,
    /// The value of `add`, `replace` and `test`.
    #[serde(default)]
    value: Option<Value>,
}

/// Operations of RFC 6902.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum PatchOp {
    /// Adds a field or an item.
    Add,
    /// Removes a field or an item.
    Remove,
    /// Replaces a field or an item.
    Replace,
    /// Moves a field or an item.
    Move,
    /// Copies a field or an item.
    Copy,
    /// Fails the patch unless the field has this value.
    Test,
}

impl PatchSpec {
    /// Changes an object. The error says why it could not be done; the object may then be half changed.
    pub(super) fn apply(&self, object: &mut Value) -> Result<(), String> {
        if let Some(merge) = &self.merge {
            json_patch::merge(object, merge);
        }
        if let Some(operations) = &self.json6902 {
            json_patch::patch(object, operations).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
