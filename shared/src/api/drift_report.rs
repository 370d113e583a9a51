//! `DriftReport`: what differs from Git on one target, which field, who and when. Bounded in size.

#![allow(unreachable_pub, reason = "KubeSchema repeats the struct in a place of its own, where pub reaches nobody")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The drift of one target of one FleetSync. Written by the agent only; named `<fleetsync>-<target>`.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "kubectl-asm.io",
    version = "v1alpha1",
    kind = "DriftReport",
    namespaced,
    status = "DriftReportStatus",
    shortname = "drift",
    category = "kubectl-asm",
    printcolumn = r#"{"name":"Target","type":"string","jsonPath":".spec.target"}"#,
    printcolumn = r#"{"name":"Drifted","type":"integer","jsonPath":".status.total"}"#,
    printcolumn = r#"{"name":"Revision","type":"string","jsonPath":".status.revision"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct DriftReportSpec {
    /// Name of the FleetSync.
    pub fleet_sync: String,
    /// `mesh` or the cluster's name.
    pub target: String,
}

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftReportStatus {
    /// Commit that the live objects were compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Drifted objects in all; `objects` may hold fewer.
    #[serde(default)]
    pub total: u32,
    /// The drifted objects, in order of kind, namespace, name.
    #[serde(default)]
    pub objects: Vec<DriftedObject>,
    /// Fields that are left alone in all; `frozen` may hold fewer.
    #[serde(default)]
    pub frozen_total: u32,
    /// Fields that Git says to leave alone (`ignoreDifferences` of `fleet.yaml`), whatever they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<FrozenReport>,
    /// Drift that is over, the latest first; at most 64 KiB of it, the oldest goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastDrift>,
}

/// A drift that is over: one field, or a whole object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastDrift {
    /// `Kind.group`.
    pub kind: String,
    /// Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// What had happened to the object.
    pub change: Change,
    /// The field, who and when; absent when the whole object was gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<DriftedField>,
    /// The authenticated user who deleted the object, where an admission observer saw that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When the agent noticed.
    #[schemars(with = "String")]
    pub since: MicroTime,
    /// When it was over.
    #[schemars(with = "String")]
    pub ended: MicroTime,
    /// How it ended.
    pub outcome: DriftOutcome,
}

/// How a drift ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftOutcome {
    /// The agent put Git's value back (mode `Correct`).
    Corrected,
    /// The agent put Git's value back because somebody asked for it.
    Reverted,
    /// Somebody else put Git's value back.
    PutBack,
    /// A commit took the live value into Git.
    Adopted,
    /// A commit changed the field, and was applied over the live value.
    Overwritten,
    /// Git says to leave the field alone by now.
    Frozen,
    /// The object has left Git.
    LeftGit,
}

impl DriftOutcome {
    /// The same, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Corrected => "corrected by the agent",
            Self::Reverted => "reverted on request",
            Self::PutBack => "put back by hand",
            Self::Adopted => "adopted into Git",
            Self::Overwritten => "overwritten by a commit",
            Self::Frozen => "frozen",
            Self::LeftGit => "left Git",
        }
    }
}

/// Who is behind a field manager, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuthorKind {
    /// A tool that a person drives: kubectl, the console, …
    Human,
    /// Anything else.
    Controller,
}

/// A field that is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FrozenReport {
    /// `Kind.group`.
    pub kind: String,
    /// Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// The field.
    pub path: String,
    /// Why.
    pub reason: String,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Where Git says so: `file:line:column`.
    pub declared_at: String,
}

/// One drifted object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftedObject {
    /// `Kind.group`.
    pub kind: String,
    /// Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// What happened to it.
    pub change: Change,
    /// Where Git declares it: `file:line:column`.
    pub declared_at: String,
    /// When the agent noticed.
    #[schemars(with = "String")]
    pub since: MicroTime,
    /// The drifted fields; empty when the object is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<DriftedField>,
    /// Fields left out to keep the report small.
    #[serde(default)]
    pub more_fields: u32,
    /// The authenticated user who deleted it, where an admission observer saw that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What the API does not tell (for example who deleted it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Change {
    /// Fields differ.
    Modified,
    /// It was deleted.
    Deleted,
    /// It was deleted and made again by someone (another UID).
    Replaced,
}

/// One drifted field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftedField {
    /// Path for people: `spec.http[0].route[1].weight`, `metadata.labels["a/b"]`.
    pub path: String,
    /// Git's value; absent when Git has none. Secrets are redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub wanted: Option<Value>,
    /// The live value; absent when the field is gone. Secrets are redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub found: Option<Value>,
    /// Field manager that owns it now; absent when the API server records none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// The authenticated user, where an admission observer saw the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A person's tool, or a controller; absent when no manager is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<AuthorKind>,
    /// `Apply` or `Update`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Subresource it was written through (`scale`, `status`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
    /// When the manager last changed its fields, as the API server recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// Said when there is no author: a removed field has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
