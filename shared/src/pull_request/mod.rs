//! What a pull request says about a change of the fleet: which branch it has, its title, its commit message, its body.
//!
//! Everything follows from the [`ChangeSet`]. The same set always gives the same [`id`](ChangeSet::id), and with it the
//! same branch and the same pull request.

mod body;
mod message;
mod words;

pub use body::{MINIMAL_BUDGET, Page};
pub use message::{Message, cut};
pub use words::plain;

use crate::diff::FleetDiff;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// The trailer of commits and bodies that names the change set.
pub const TRAILER: &str = "Asm-Change-Id";

/// A file of the fleet that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangedFile {
    /// Its path in the fleet.
    pub path: String,
    /// What it held, as Git names contents; `None` when it was not there.
    pub before: Option<String>,
    /// What it holds; `None` when it is gone.
    pub after: Option<String>,
}

/// Everything that one pull request changes.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    files: Vec<ChangedFile>,
    diff: FleetDiff,
}

impl ChangeSet {
    /// The files that differ and what that means for objects.
    pub fn new(mut files: Vec<ChangedFile>, diff: FleetDiff) -> Self {
        files.sort();
        Self { files, diff }
    }

    /// The files, by path.
    pub fn files(&self) -> &[ChangedFile] {
        &self.files
    }

    /// The objects.
    pub fn diff(&self) -> &FleetDiff {
        &self.diff
    }

    /// 40 hexadecimal digits that follow from the files alone: not from the commit, its author or its time.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        for file in &self.files {
            for part in [Some(&file.path), file.before.as_ref(), file.after.as_ref()] {
                // Lengths keep the parts apart; what is missing is not what is empty.
                hash.update((part.map_or(u64::MAX, |part| part.len() as u64)).to_le_bytes());
                hash.update(part.map_or("", String::as_str));
            }
        }
        let mut id = String::new();
        for byte in hash.finalize().iter().take(20) {
            // Writing to a string does not fail.
            let _ = write!(id, "{byte:02x}");
        }
        id
    }

    /// `asm/<topic>-<first eight digits of the id>`.
    pub fn branch(&self) -> String {
        let id = self.id();
        format!("asm/{}-{}", self.topic(), id.get(..8).unwrap_or(&id))
    }
}

#[cfg(test)]
mod tests;
