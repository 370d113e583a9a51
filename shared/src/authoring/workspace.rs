//! The files of a fleet while they are edited: several changes of one file make one edit.

use super::{AuthoringError, FileEdit};
use crate::fleet::{Manifest, Tree};
use crate::yaml::edit::{EditError, Editor};
use serde_json::Value;

/// A change inside one document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Gives the field at a JSON pointer a value; the field is added when it is not there.
    Set(String, Value),
    /// Adds an item at the end of the list at a JSON pointer.
    Push(String, Value),
    /// Removes the field or item at a JSON pointer.
    Remove(String),
}

/// The files being edited.
pub(super) struct Workspace<'a> {
    tree: &'a dyn Tree,
    edits: Vec<FileEdit>,
}

impl<'a> Workspace<'a> {
    pub(super) fn new(tree: &'a dyn Tree) -> Self {
        Self { tree, edits: Vec::new() }
    }

    /// Adds a file.
    pub(super) fn create(&mut self, path: String, content: String) {
        self.edits.push(FileEdit::create(path, content));
    }

    /// Removes a file.
    pub(super) fn delete(&mut self, path: &str) -> Result<(), AuthoringError> {
        self.open(path)?.after = None;
        Ok(())
    }

    /// Changes an object where it stands. Changes are made in order: pointers are those after the change before.
    pub(super) fn change(&mut self, manifest: &Manifest, changes: &[Change]) -> Result<(), AuthoringError> {
        let document = &manifest.document;
        if let Some(patch) = &manifest.patched_by {
            return Err(AuthoringError::new(format!("{} is changed by the patch {patch}", manifest.id))
                .at(&manifest.position)
                .hint("edit the file or the patch by hand: an edit of the file may not be what comes out"));
        }
        let changes: Vec<_> = changes.iter().map(|change| change.below(&document.pointer)).collect();
        self.change_document(&manifest.position.file, document.index, &changes)
    }

    /// Changes one document of a file.
    pub(super) fn change_document(
        &mut self,
        path: &str,
        document: usize,
        changes: &[Change],
    ) -> Result<(), AuthoringError> {
        self.edit(path, |editor| {
            changes.iter().try_for_each(|change| match change {
                Change::Set(pointer, value) => editor.set(document, pointer, value),
                Change::Push(list, value) => editor.append(document, list, value),
                Change::Remove(pointer) => editor.remove(document, pointer),
            })
        })
    }

    /// Removes an object from its file, and the file when nothing is left in it.
    pub(super) fn remove_object(&mut self, manifest: &Manifest) -> Result<(), AuthoringError> {
        let document = &manifest.document;
        if !document.pointer.is_empty() {
            return self.change(manifest, &[Change::Remove(String::new())]);
        }
        let path = manifest.position.file.to_string();
        self.edit(&path, |editor| editor.remove_document(document.index))?;
        let edit = self.open(&path)?;
        let rest = Editor::open(edit.after.clone().unwrap_or_default());
        if rest.is_ok_and(|editor| editor.documents().is_empty()) {
            edit.after = None;
        }
        Ok(())
    }

    /// Adds a document, written already, at the end of a file.
    pub(super) fn append(&mut self, path: &str, document: &str) -> Result<(), AuthoringError> {
        self.edit(path, |editor| editor.append_text(document))
    }

    fn edit(
        &mut self,
        path: &str,
        work: impl FnOnce(&mut Editor) -> Result<(), EditError>,
    ) -> Result<(), AuthoringError> {
        let edit = self.open(path)?;
        let edited = Editor::open(edit.after.clone().unwrap_or_default()).and_then(|mut editor| {
            work(&mut editor)?;
            editor.finish()
        });
        let text = edited.map_err(|error| {
            AuthoringError::new(format!("{path}: {error}")).hint("nothing was written; make this change by hand")
        })?;
        edit.after = Some(text);
        Ok(())
    }

    /// All edits that change something.
    pub(super) fn finish(self) -> Vec<FileEdit> {
        self.edits.into_iter().filter(|edit| edit.before != edit.after).collect()
    }

    fn open(&mut self, path: &str) -> Result<&mut FileEdit, AuthoringError> {
        let index = match self.edits.iter().position(|edit| edit.path == path) {
            Some(index) => index,
            None => {
                let bytes = self.tree.read(path).map_err(|error| AuthoringError::new(error.to_string()))?;
                let text = String::from_utf8(bytes).map_err(|_| AuthoringError::new(format!("{path} is not UTF-8")))?;
                self.edits.push(FileEdit { path: path.to_owned(), before: Some(text.clone()), after: Some(text) });
                self.edits.len() - 1
            }
        };
        Ok(&mut self.edits[index])
    }
}

impl Change {
    /// The same change of a value that stands at a pointer.
    fn below(&self, base: &str) -> Self {
        let at = |pointer: &str| format!("{base}{pointer}");
        match self {
            Self::Set(pointer, value) => Self::Set(at(pointer), value.clone()),
            Self::Push(pointer, value) => Self::Push(at(pointer), value.clone()),
            Self::Remove(pointer) => Self::Remove(at(pointer)),
        }
    }
}
