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
    /// Adds an item before the item at an index of the list at a JSON pointer, or at its end.
    Insert(String, usize, Value),
    /// Moves an item of the list at a JSON pointer to another index, counted without it.
    Move(String, usize, usize),
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

    /// Adds documents, written already, at the end of a file, which is made when it is not there.
    pub(super) fn add(&mut self, path: &str, documents: &str) -> Result<(), AuthoringError> {
        match self.edits.iter_mut().find(|edit| edit.path == path) {
            // Removed by an earlier change: it is written anew.
            Some(edit) if edit.after.is_none() => edit.after = Some(documents.to_owned()),
            None if self.tree.read(path).is_err() => self.create(path.to_owned(), documents.to_owned()),
            _ => return self.append(path, documents),
        }
        Ok(())
    }

    /// Removes a file.
    pub(super) fn delete(&mut self, path: &str) -> Result<(), AuthoringError> {
        self.open(path)?.after = None;
        Ok(())
    }

    /// Takes an object out of its file; a file that holds nothing else goes with it.
    pub(super) fn remove_object(&mut self, manifest: &Manifest) -> Result<(), AuthoringError> {
        let (path, document) = (&*manifest.position.file, &manifest.document);
        if !document.pointer.is_empty() {
            return self.change_document(path, document.index, &[Change::Remove(document.pointer.clone())]);
        }
        self.remove_document(path, document.index)
    }

    /// Takes one document out of its file; a file that holds nothing else goes with it.
    pub(super) fn remove_document(&mut self, path: &str, document: usize) -> Result<(), AuthoringError> {
        let text = self.open(path)?.after.clone().unwrap_or_default();
        let is_only = Editor::open(text).is_ok_and(|editor| editor.documents().len() == 1);
        if is_only { self.delete(path) } else { self.edit(path, |editor| editor.remove_document(document)) }
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
                Change::Insert(list, index, value) => editor.insert(document, list, *index, value),
                Change::Move(list, from, to) => editor.move_item(document, list, *from, *to),
                Change::Remove(pointer) => editor.remove(document, pointer),
            })
        })
    }

    /// Adds a document, written already, at the end of a file.
    pub(super) fn append(&mut self, path: &str, document: &str) -> Result<(), AuthoringError> {
        self.edit(path, |editor| editor.append_text(document))
    }

    /// Removes whole objects of one file; the file goes when it has no other.
    pub(super) fn remove_objects(&mut self, path: &str, objects: &[&Manifest]) -> Result<(), AuthoringError> {
        for object in objects {
            if let Some(patch) = &object.patched_by {
                return Err(AuthoringError::new(format!("{} is changed by the patch {patch}", object.id))
                    .at(&object.position)
                    .hint("remove the patch first: it would have nothing to change"));
            }
        }
        let mut places: Vec<_> = objects.iter().map(|o| (o.document.index, o.document.pointer.clone())).collect();
        // From the end, so that the numbers before stay right. An item of a `List` has a number in its pointer.
        places.sort_by_key(|(index, pointer)| {
            let item = pointer.rsplit('/').next().and_then(|number| number.parse::<usize>().ok());
            (*index, item)
        });
        places.dedup();
        self.edit(path, |editor| {
            places.iter().rev().try_for_each(|(index, pointer)| {
                if pointer.is_empty() { editor.remove_document(*index) } else { editor.remove(*index, pointer) }
            })
        })?;
        let edit = self.open(path)?;
        let text = edit.after.clone().unwrap_or_default();
        if crate::yaml::read(text.as_bytes(), &crate::yaml::Limits::default()).is_ok_and(|left| left.is_empty()) {
            edit.after = None;
        }
        Ok(())
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
            Self::Insert(pointer, index, value) => Self::Insert(at(pointer), *index, value.clone()),
            Self::Move(pointer, from, to) => Self::Move(at(pointer), *from, *to),
            Self::Remove(pointer) => Self::Remove(at(pointer)),
        }
    }
}
