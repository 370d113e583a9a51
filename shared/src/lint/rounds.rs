//! Fixes until nothing is left to mend: a fix may show the next fault, and fixes that move things wait for each other.

use super::finding::Finding;
use super::fix::mend;
use crate::authoring::{Edited, FileEdit};
use crate::fleet::{Position, Tree};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rounds at most: more means that two fixes undo each other.
const ROUNDS: usize = 50;

/// A fix that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The finding's rule.
    pub rule: &'static str,
    /// Where the finding was, in the file as it was in that round.
    pub position: Position,
    /// What was done.
    pub title: String,
    /// Was it safe?
    pub safe: bool,
}

/// What fixing came to.
#[derive(Debug, Default)]
pub struct Fixed {
    /// Files as they were and as they are to be; nothing has been written.
    pub edits: Vec<FileEdit>,
    /// Fixes in the order in which they were made.
    pub made: Vec<Made>,
    /// What is left.
    pub left: Vec<Finding>,
    /// Findings of those left (indices) whose fix could not be made, and why.
    pub refused: Vec<(usize, String)>,
    /// False when fixes kept undoing each other.
    pub settled: bool,
}

/// Fixes what `judge` finds until nothing is left to mend.
pub fn fix(tree: &dyn Tree, also_unsafe: bool, mut judge: impl FnMut(&dyn Tree) -> Vec<Finding>) -> Fixed {
    let mut fixed = Fixed::default();
    let mut edits: BTreeMap<Arc<str>, FileEdit> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let now = Edited::new(tree, edits.values());
        fixed.left = judge(&now);
        let mended = mend(&now, &fixed.left, also_unsafe);
        fixed.refused = mended.refused;
        if mended.made.is_empty() {
            fixed.settled = true;
            break;
        }
        fixed.made.extend(mended.made.iter().filter_map(|index| fixed.left.get(*index)).filter_map(|finding| {
            let fix = finding.fixes.iter().find(|fix| fix.safe || also_unsafe)?;
            let position = finding.place.position.clone();
            Some(Made { rule: finding.rule, position, title: fix.title.clone(), safe: fix.safe })
        }));
        drop(now);
        for (path, text) in mended.files {
            match edits.get_mut(&path) {
                Some(edit) => edit.after = Some(text),
                None => {
                    let before = tree.read(&path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                    edits.insert(path.clone(), FileEdit { path: path.to_string(), before, after: Some(text) });
                }
            }
        }
    }
    fixed.edits = edits.into_values().filter(|edit| edit.before != edit.after).collect();
    fixed
}
