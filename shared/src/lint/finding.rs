//! What a rule finds.

use crate::fleet::{Position, Target};
use crate::object::ObjectId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// Probably not what is meant, or it will bite later.
    Warning,
    /// It does not work: a request fails, an object is refused, an address is lost.
    Error,
}

impl Severity {
    /// The word in the output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A place in an object of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// File, line and column.
    pub position: Position,
    /// The object; `None` where a file or a comment is meant.
    pub object: Option<ObjectId>,
    /// The field: `spec.http[0].route[1].destination`; empty for the object as a whole.
    pub path: String,
}

/// Another place that belongs to a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Related {
    /// Where.
    pub place: Place,
    /// What is there, a few words.
    pub label: String,
}

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule's ID.
    pub rule: &'static str,
    /// How bad.
    pub severity: Severity,
    /// Code of the same finding in `istioctl analyze`, where it has one.
    pub code: Option<&'static str>,
    /// What is wrong and why: one sentence without a full stop.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
    /// Where.
    pub place: Place,
    /// Other places that belong to it.
    pub related: Vec<Related>,
    /// The targets it holds for, mesh first; empty when it is about none in particular.
    pub targets: Vec<Target>,
    /// Ways to mend it.
    pub fixes: Vec<Fix>,
}

/// A way to mend a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// What it does, as an order: `name the subset v2`.
    pub title: String,
    /// It changes nothing but what is wrong. What is not safe is only made when it is asked for.
    pub safe: bool,
    /// The edits, made in this order.
    pub edits: Vec<Edit>,
}

/// One edit of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The file.
    pub file: Arc<str>,
    /// Which document of the file, from 0.
    pub document: usize,
    /// What is done.
    pub op: EditOp,
}

/// What an edit does. Places are JSON pointers in the document.
#[derive(Clone, Debug, PartialEq)]
pub enum EditOp {
    /// Gives a field this value; it is added if it is not there.
    Set(String, Value),
    /// Puts an item into a list, before the one at this index.
    Insert(String, usize, Value),
    /// Puts an item at the end of a list.
    Append(String, Value),
    /// Moves an item of a list.
    Move(String, usize, usize),
    /// Gives a field another name.
    Rename(String, String),
    /// Takes a field or an item away.
    Remove(String),
}

/// By place, then by rule.
pub(super) fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| (&a.place, a.rule, &a.message).cmp(&(&b.place, b.rule, &b.message)));
}
