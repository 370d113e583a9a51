//! Making fixes: edits that keep every other byte, one round at a time.

use super::finding::{Edit, EditOp, Finding, Fix};
use crate::fleet::Tree;
use crate::yaml::edit::{EditError, Editor};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a round of fixes did.
#[derive(Debug, Default)]
pub struct Mended {
    /// New texts of files.
    pub files: BTreeMap<Arc<str>, String>,
    /// Findings that were mended (indices).
    pub made: Vec<usize>,
    /// Findings whose fix could not be made (indices), and why.
    pub refused: Vec<(usize, String)>,
}

/// Makes the first fix of every finding that has one, safe ones only unless told otherwise. A fix that would edit a file
/// in which this round has already moved things waits for the next round: lint again and call again until nothing is made.
pub fn mend(tree: &dyn Tree, findings: &[Finding], also_unsafe: bool) -> Mended {
    let mut mended = Mended::default();
    let mut moved: BTreeSet<Arc<str>> = BTreeSet::new();
    for (index, finding) in findings.iter().enumerate() {
        let Some(fix) = finding.fixes.iter().find(|fix| fix.safe || also_unsafe) else { continue };
        if fix.edits.iter().any(|edit| moved.contains(&edit.file)) {
            continue;
        }
        match texts(tree, &mended.files, fix) {
            Ok(files) => {
                mended.files.extend(files);
                mended.made.push(index);
                moved.extend(fix.edits.iter().filter(|edit| moves(edit)).map(|edit| edit.file.clone()));
            }
            Err(why) => mended.refused.push((index, why)),
        }
    }
    mended
}

/// Do places in the file mean something else afterwards?
fn moves(edit: &Edit) -> bool {
    !matches!(edit.op, EditOp::Set(..) | EditOp::Append(..))
}

/// The texts of the files that a fix edits: all of its edits, or none.
fn texts(tree: &dyn Tree, done: &BTreeMap<Arc<str>, String>, fix: &Fix) -> Result<BTreeMap<Arc<str>, String>, String> {
    let mut files: BTreeMap<Arc<str>, String> = BTreeMap::new();
    for edit in &fix.edits {
        let before = match files.get(&edit.file).or_else(|| done.get(&edit.file)) {
            Some(text) => text.clone(),
            None => {
                let bytes = tree.read(&edit.file).map_err(|error| error.to_string())?;
                String::from_utf8(bytes).map_err(|_| format!("{}: it is not UTF-8", edit.file))?
            }
        };
        let after = one(before, edit).map_err(|error| format!("{}: {error}", edit.file))?;
        files.insert(edit.file.clone(), after);
    }
    Ok(files)
}

fn one(text: String, edit: &Edit) -> Result<String, EditError> {
    let mut editor = Editor::open(text)?;
    match &edit.op {
        EditOp::Set(at, value) => editor.set(edit.document, at, value)?,
        EditOp::Insert(list, index, value) => editor.insert(edit.document, list, *index, value)?,
        EditOp::Append(list, value) => editor.append(edit.document, list, value)?,
        EditOp::Move(list, from, to) => editor.move_item(edit.document, list, *from, *to)?,
        EditOp::Rename(at, name) => editor.rename(edit.document, at, name)?,
        EditOp::Remove(at) => editor.remove(edit.document, at)?,
    }
    editor.finish()
}
