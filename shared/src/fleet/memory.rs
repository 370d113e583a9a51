//! Files as they were read last: whoever reads a fleet again and again, as an editor or a page does, parses what has changed.

use super::parse::Parsed;
use std::collections::HashMap;
use std::sync::Arc;

/// Files as they were read last, by path. Texts are kept and compared as they are: a file counts as known only if every byte is
/// the same.
#[derive(Default)]
pub struct Memory {
    files: HashMap<Arc<str>, (Vec<u8>, Parsed)>,
    /// Those of the reading that is under way.
    next: HashMap<Arc<str>, (Vec<u8>, Parsed)>,
}

impl std::fmt::Debug for Memory {
    /// Without the texts: they may hold secrets, and debug output ends up in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} files", self.files.len())
    }
}

impl Memory {
    /// What the file held, if it holds the same now; it is kept for the next time.
    pub(super) fn take(&mut self, path: &str, text: &[u8]) -> Option<Parsed> {
        let (path, (known, parsed)) = self.files.remove_entry(path)?;
        if known != text {
            return None;
        }
        self.next.insert(path, (known, parsed.clone()));
        Some(parsed)
    }

    /// Keeps what was parsed.
    pub(super) fn keep(&mut self, path: &str, text: Vec<u8>, parsed: &Parsed) {
        self.next.insert(path.into(), (text, parsed.clone()));
    }

    /// All files of a fleet are read: those that are gone are forgotten.
    pub(super) fn end(&mut self) {
        self.files = std::mem::take(&mut self.next);
    }
}
