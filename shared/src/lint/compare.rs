//! What is new since a base.

use super::finding::Finding;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

/// How findings compare with those of a base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Per finding: does the base not have it?
    pub new: Vec<bool>,
    /// Findings of the base that are gone.
    pub fixed: usize,
}

impl Finding {
    /// What makes it the same finding after an edit of the file: rule, object, field and message, not the line. Where there
    /// is no object, the file, and the message without its numbers, which are often lines.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update(text.as_bytes());
            hash.update([0]);
        };
        part(self.rule);
        match &self.place.object {
            Some(object) => {
                part(&object.group_kind.group);
                part(&object.to_string());
                part(&self.place.path);
                part(&self.message);
            }
            None => {
                part(&self.place.position.file);
                part(&self.message.replace(|c: char| c.is_ascii_digit(), ""));
            }
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Compares findings with those of a base. Alike findings count one by one.
pub fn compare(base: &[Finding], now: &[Finding]) -> Compared {
    let mut known: HashMap<String, usize> = HashMap::new();
    for finding in base {
        *known.entry(finding.fingerprint()).or_default() += 1;
    }
    let mut is_new = |finding: &Finding| match known.get_mut(&finding.fingerprint()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    let new = now.iter().map(&mut is_new).collect();
    Compared { new, fixed: known.values().sum() }
}
