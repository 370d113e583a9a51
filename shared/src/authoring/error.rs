//! Why an intent cannot be turned into edits.

use crate::fleet::Position;
use std::fmt;

/// Why an intent cannot be turned into edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthoringError {
    /// The place in the fleet that stands in the way.
    pub position: Option<Position>,
    /// What is wrong, lower-case, without a full stop.
    pub message: String,
    /// What to do next.
    pub hints: Vec<String>,
}

impl AuthoringError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { position: None, message: message.into(), hints: Vec::new() }
    }

    pub(super) fn at<'a>(mut self, position: impl Into<Option<&'a Position>>) -> Self {
        self.position = position.into().cloned();
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(super) fn hints(mut self, hints: impl IntoIterator<Item = String>) -> Self {
        self.hints.extend(hints);
        self
    }
}

impl fmt::Display for AuthoringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for AuthoringError {}
