//! What an import came to.

use super::reason::Reason;
use crate::authoring::{Action, FileEdit};
use crate::object::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;

/// What an import comes to: the edits, and what there is to say about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The edits, in the order in which people read them.
    pub edits: Vec<FileEdit>,
    /// What there is to say.
    pub report: ImportReport,
}

/// What was imported, what was left out and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Was nothing written?
    pub dry_run: bool,
    /// Name of the fleet.
    pub fleet: String,
    /// What was read, mesh first, then clusters by name.
    pub targets: Vec<TargetReport>,
    /// The files that are written; none when everything is in Git already.
    pub files: Vec<FileReport>,
    /// Objects that were not in Git.
    pub imported: Vec<Imported>,
    /// Objects that are not imported.
    pub left_out: Vec<LeftOut>,
    /// Kinds that were not read.
    pub not_read: Vec<NotRead>,
    /// What its author should know.
    pub warnings: Vec<String>,
}

/// One API server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetReport {
    /// `mesh` or the cluster's name.
    pub target: String,
    /// Objects that were looked at.
    pub read: usize,
    /// Objects that were not in Git.
    pub imported: usize,
    /// Objects that Git has already.
    pub in_git: usize,
    /// Objects that are left out.
    pub left_out: usize,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileReport {
    /// Path inside the fleet repository.
    pub path: String,
    /// What is done to it.
    pub action: Action,
}

/// One object that was imported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// The file that has it.
    pub path: String,
    /// Where it runs.
    pub targets: Vec<String>,
    /// Which object.
    #[serde(flatten)]
    pub id: ObjectId,
}

/// One object that was left out, on one or more targets for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Which object.
    #[serde(flatten)]
    pub id: ObjectId,
    /// Why.
    pub reason: Reason,
    /// The same as a sentence.
    pub message: String,
    /// Where it is.
    pub targets: Vec<String>,
}

/// One kind that was not read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotRead {
    /// Kind, with its group.
    pub kind: String,
    /// Why.
    pub message: String,
    /// Where.
    pub targets: Vec<String>,
}
