//! Asking the agent to put Git's values back now: an annotation on the FleetSync, answered once in its status.

#![allow(unreachable_pub, reason = "the types stand in the status of a custom resource")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The annotation [`super::labels::REVERT`], as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevertRequest {
    /// Another one than that of the request before: the time of the wish.
    pub id: String,
    /// The objects.
    pub objects: Vec<RevertObject>,
}

/// An object whose drift is to be put back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevertObject {
    /// `mesh` or the cluster's name.
    pub target: String,
    /// `Kind` or `Kind.group`.
    pub kind: String,
    /// Namespace; `default` when absent and the kind has namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl fmt::Display for RevertObject {
    /// `Service shop/door on m1c1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.split('.').next().unwrap_or_default();
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        write!(f, "{kind} {namespace}{} on {}", self.name, self.target)
    }
}

/// The request that was carried out last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevertStatus {
    /// Its `id`.
    pub id: String,
    /// What came of it, one entry per object of the request (at most 100).
    pub results: Vec<RevertResult>,
}

/// What came of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevertResult {
    /// The object, as it was asked for.
    #[serde(flatten)]
    pub object: RevertObject,
    /// What came of it.
    pub outcome: RevertOutcome,
    /// Why it was not put back, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What came of putting an object back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RevertOutcome {
    /// Git's values are live again.
    Reverted,
    /// They were live already.
    NotDrifted,
    /// It waits for an approval: it would lose a load balancer.
    HeldBack,
    /// Git has no such object for this target.
    NotInGit,
    /// It was refused.
    Failed,
    /// The target cannot be worked on.
    Unavailable,
}
