//! Changes a file in place: every byte that a change does not need stays.
//!
//! A change is a splice of text, computed from the places of the fields. Whatever the splice did, it counts only after
//! the whole file has been read again: all documents must be what the same change makes of the plain values, and no line
//! outside the changed field may differ. Otherwise the change is refused and the text stays as it was.
//!
//! (yaml-edit was tried first. It loses track of comments when items are inserted or removed and knows no spans in bytes, so
//! most of the work would have been splicing around it.)

mod lines;
mod model;
mod splice;

use super::{Document, Limits, YamlError, read};
use crate::object::At as _;
use crate::yaml::write::write;
use lines::Text;
use model::{Operation, join, split};
use serde_json::Value;
use splice::Splice;

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is no YAML to begin with.
    #[error("the file cannot be edited: {0}")]
    Unreadable(#[from] YamlError),
    /// There is nothing to change at this place.
    #[error("{what}: {reason}")]
    Impossible {
        /// The change.
        what: String,
        /// Why it makes no sense.
        reason: String,
    },
    /// The change could not be made without touching something else.
    #[error("{what} is left to you: {reason}")]
    Refused {
        /// The change.
        what: String,
        /// What would have happened.
        reason: String,
    },
}

/// A file being edited. Every operation is checked on its own; one that fails leaves the text as it was.
#[derive(Debug)]
pub struct Editor {
    text: String,
    documents: Vec<Document>,
    limits: Limits,
}

impl Editor {
    /// Opens a file's text.
    ///
    /// # Errors
    /// When the text cannot be read.
    pub fn open(text: impl Into<String>) -> Result<Self, EditError> {
        Self::open_with(text, Limits::default())
    }

    /// Opens a file's text with other limits.
    ///
    /// # Errors
    /// When the text cannot be read.
    pub fn open_with(text: impl Into<String>, limits: Limits) -> Result<Self, EditError> {
        let text = text.into();
        let documents = read(text.as_bytes(), &limits)?;
        Ok(Self { text, documents, limits })
    }

    /// The documents as they are now.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The text as it is now.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the field at a JSON pointer a value. A field that is missing is added, with the maps that lead to it; the
    /// step `-` adds an item to a list. A map or list is changed field by field, so comments inside it stay.
    ///
    /// # Errors
    /// When there is no place for the field, or when something else would change.
    pub fn set(&mut self, document: usize, pointer: &str, value: &Value) -> Result<(), EditError> {
        if let Some(list) = pointer.strip_suffix("/-")
            && !self.value(document)?.at(list).is_some_and(Value::is_object)
        {
            return self.append(document, list, value);
        }
        let Some(old) = self.value(document)?.at(pointer) else { return self.add(document, pointer, value) };
        if old == value {
            return Ok(());
        }
        let (old, text) = (old.clone(), self.text.clone());
        if self.refine(document, pointer, &old, value).is_ok() {
            return Ok(());
        }
        // Field by field did not work (an anchor, say): back to where it began, and replace the value as a whole.
        if self.text != text {
            self.documents = read(text.as_bytes(), &self.limits)?;
            self.text = text;
        }
        self.perform(document, &Operation::Set(pointer, value))
    }

    /// Puts an item into the list at a JSON pointer, before the item at `index` and the comment that belongs to it.
    ///
    /// # Errors
    /// When there is no such list, or when something else would change.
    pub fn insert(&mut self, document: usize, list: &str, index: usize, value: &Value) -> Result<(), EditError> {
        self.perform(document, &Operation::Insert(list, index, value))
    }

    /// Moves an item of the list at a JSON pointer to another index (counted without it), text, comments and all.
    ///
    /// # Errors
    /// When there is no such item, or when something else would change.
    pub fn move_item(&mut self, document: usize, list: &str, from: usize, to: usize) -> Result<(), EditError> {
        if from == to {
            return Ok(());
        }
        self.perform(document, &Operation::Move(list, from, to))
    }

    /// Puts an item at the end of the list at a JSON pointer.
    ///
    /// # Errors
    /// When there is no such list, or when something else would change.
    pub fn append(&mut self, document: usize, list: &str, value: &Value) -> Result<(), EditError> {
        let count = self.value(document)?.at(list).and_then(Value::as_array).map_or(0, Vec::len);
        self.insert(document, list, count, value)
    }

    /// Removes the field or item at a JSON pointer with the comments that belong to it: those directly above it and those
    /// further right below it.
    ///
    /// # Errors
    /// When there is no such field, or when something else would change.
    pub fn remove(&mut self, document: usize, pointer: &str) -> Result<(), EditError> {
        self.perform(document, &Operation::Remove(pointer))
    }

    /// Gives the field at a JSON pointer another name. Its value, the comments around it and its place stay.
    ///
    /// # Errors
    /// When there is no such field, when the map has one of that name, or when something else would change.
    pub fn rename(&mut self, document: usize, pointer: &str, name: &str) -> Result<(), EditError> {
        self.perform(document, &Operation::Rename(pointer, name))
    }

    /// Adds a document at the end of the file.
    ///
    /// # Errors
    /// When the documents before it would change (a text that ends inside a block scalar).
    pub fn append_document(&mut self, value: &Value) -> Result<(), EditError> {
        self.append_text(&write(value))
    }

    /// Adds documents that are written already, with their comments, at the end of the file.
    ///
    /// # Errors
    /// When they cannot be read, or when the documents before them would change.
    pub fn append_text(&mut self, documents: &str) -> Result<(), EditError> {
        let what = "adding a document".to_owned();
        let added = read(documents.as_bytes(), &self.limits)?;
        let text = Text::new(&self.text);
        let splice = splice::append_document(&text, documents, self.count() == 0);
        let old = self.documents.iter().chain(&added).map(|document| Value::clone(&document.value)).collect();
        self.accept(&what, splice, old)
    }

    /// Removes a document with its separator and the comments above it.
    ///
    /// # Errors
    /// When there is no such document, or when another one would change.
    pub fn remove_document(&mut self, document: usize) -> Result<(), EditError> {
        let what = format!("removing document {}", document + 1);
        self.value(document)?;
        let text = Text::new(&self.text);
        let starts: Vec<usize> =
            self.documents.iter().filter_map(|document| Some(document.span_of("")?.bytes().start)).collect();
        let splice = splice::remove_document(&text, &starts, document).ok_or_else(|| EditError::Refused {
            what: what.clone(),
            reason: "its place in the file is unclear".to_owned(),
        })?;
        let kept = self.documents.iter().filter(|kept| kept.index != document);
        let expected = kept.map(|document| Value::clone(&document.value)).collect();
        self.accept(&what, splice, expected)
    }

    /// The new text.
    ///
    /// # Errors
    /// Never as long as every operation was checked; kept so that callers need no change if checks move here.
    pub fn finish(self) -> Result<String, EditError> {
        Ok(self.text)
    }

    fn count(&self) -> usize {
        self.documents.len()
    }

    fn value(&self, document: usize) -> Result<&Value, EditError> {
        let found = self.documents.get(document).map(|document| &*document.value);
        found.ok_or_else(|| EditError::Impossible {
            what: format!("editing document {}", document + 1),
            reason: format!("the file has {}", self.count()),
        })
    }

    /// Adds a field that is not there, with the maps that lead to it.
    fn add(&mut self, document: usize, pointer: &str, value: &Value) -> Result<(), EditError> {
        let (mut at, mut value) = (pointer, value.clone());
        while let Some((above, last)) = split(at) {
            // A field that is null holds no map yet: it becomes one.
            if self.value(document)?.at(above).is_some_and(|above| !above.is_null()) {
                break;
            }
            value = Value::Object([(last, value)].into_iter().collect());
            at = above;
        }
        self.perform(document, &Operation::Set(at, &value))
    }

    /// Changes a value field by field.
    fn refine(&mut self, document: usize, pointer: &str, old: &Value, new: &Value) -> Result<(), EditError> {
        match (old, new) {
            (Value::Object(before), Value::Object(after)) if !before.is_empty() && !after.is_empty() => {
                for (name, value) in after {
                    self.set(document, &join(pointer, name), value)?;
                }
                for name in before.keys().filter(|name| !after.contains_key(*name)) {
                    self.remove(document, &join(pointer, name))?;
                }
                Ok(())
            }
            (Value::Array(before), Value::Array(after)) if !before.is_empty() && !after.is_empty() => {
                let same = |(a, b): &(&Value, &Value)| a == b;
                let head = before.iter().zip(after).take_while(same).count();
                let rest = before.len().min(after.len()) - head;
                let tail = before.iter().rev().zip(after.iter().rev()).take(rest).take_while(same).count();
                let (old_end, new_end) = (before.len() - tail, after.len() - tail);
                let both = old_end.min(new_end);
                for (index, value) in after.iter().enumerate().take(both).skip(head) {
                    self.set(document, &format!("{pointer}/{index}"), value)?;
                }
                for (index, value) in after.iter().enumerate().take(new_end).skip(both) {
                    self.insert(document, pointer, index, value)?;
                }
                for index in (both..old_end).rev() {
                    self.remove(document, &format!("{pointer}/{index}"))?;
                }
                Ok(())
            }
            _ => self.perform(document, &Operation::Set(pointer, new)),
        }
    }

    /// Makes one change: by a splice, checked.
    fn perform(&mut self, document: usize, operation: &Operation<'_>) -> Result<(), EditError> {
        let what = describe(operation, document, self.count());
        let mut expected: Vec<Value> = self.documents.iter().map(|document| Value::clone(&document.value)).collect();
        let impossible = |reason: String| EditError::Impossible { what: what.clone(), reason };
        self.value(document)?;
        if let Some(value) = expected.get_mut(document) {
            operation.apply(value).map_err(impossible)?;
        }
        let text = Text::new(&self.text);
        let splice = self.documents.get(document).map(|document| splice::splice(&text, document, operation));
        match splice {
            Some(Ok(splice)) => self.accept(&what, splice, expected),
            Some(Err(reason)) => Err(EditError::Refused { what, reason }),
            None => Err(impossible("there is no such document".to_owned())),
        }
    }

    /// Takes a splice over if it does what it should and nothing else.
    fn accept(&mut self, what: &str, splice: Splice, expected: Vec<Value>) -> Result<(), EditError> {
        let refused = |reason: String| EditError::Refused { what: what.to_owned(), reason };
        let new = splice.apply(&self.text).ok_or_else(|| refused("its place in the file is unclear".to_owned()))?;
        let documents =
            read(new.as_bytes(), &self.limits).map_err(|error| refused(format!("the file would break: {error}")))?;
        if !documents.iter().map(|document| &*document.value).eq(&expected) {
            let reason = "more than this would change, perhaps because an anchor or a block scalar is involved";
            return Err(refused(reason.to_owned()));
        }
        if !splice.keeps_other_lines(&self.text, &new) {
            return Err(refused("lines beside it would change".to_owned()));
        }
        (self.text, self.documents) = (new, documents);
        Ok(())
    }
}

fn describe(operation: &Operation<'_>, document: usize, documents: usize) -> String {
    let verb = match operation {
        Operation::Set(..) => "setting",
        Operation::Insert(..) => "adding to",
        Operation::Remove(_) => "removing",
        Operation::Move(..) => "moving an item of",
        Operation::Rename(..) => "renaming",
    };
    let pointer = match operation.pointer() {
        "" => "the whole document",
        pointer => pointer,
    };
    if documents > 1 { format!("{verb} {pointer} in document {}", document + 1) } else { format!("{verb} {pointer}") }
}

#[cfg(test)]
mod tests;
