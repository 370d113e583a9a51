//! What is wrong with a fleet, and where. Reading never stops at the first problem.

use crate::yaml::{Document, YamlError};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// A place in a file. Lines and columns count from 1; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub struct Position {
    /// Path inside the fleet repository.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One problem: what, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where; `None` when the fleet as a whole is meant (a missing `fleet.yaml`).
    #[serde(flatten)]
    pub position: Option<Position>,
    /// What is wrong and why, one sentence without a full stop.
    pub message: String,
    /// The next step for the reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Names of the targets that this problem keeps from being synced as written; empty = every target (the fleet file).
    /// A problem that concerns no target names the folder instead, with a slash, which no target's name has:
    /// `approvals/`, `tests/`, `groups/` (a group without clusters), `clusters/` (a fleet without clusters).
    pub targets: Vec<Arc<str>>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        write!(f, "{}", self.message)
    }
}

/// A problem inside a file, before it is known which targets it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileError {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl FileError {
    /// An error about the field at a pointer.
    pub(super) fn at(document: &Document, pointer: &str, message: String) -> Self {
        let (line, column) = document.position_of(pointer).unwrap_or((1, 1));
        Self { line, column, message, hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn into_problem(self, file: &Arc<str>, targets: Vec<Arc<str>>) -> Problem {
        let position = Position { file: file.clone(), line: self.line, column: self.column };
        Problem { position: Some(position), message: self.message, hint: self.hint, targets }
    }
}

impl From<YamlError> for FileError {
    fn from(error: YamlError) -> Self {
        Self { line: error.line, column: error.column, message: error.message, hint: error.hint }
    }
}
