//! The same operations on plain values: what an edit of the text must come to.

use super::super::place::tokens;
use serde_json::{Map, Value};

/// One change of one document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operation<'a> {
    /// Gives the field or item at a pointer a value; missing maps on the way are made.
    Set(&'a str, &'a Value),
    /// Puts an item before the item at an index of the list at a pointer, or at its end.
    Insert(&'a str, usize, &'a Value),
    /// Removes the field or item at a pointer.
    Remove(&'a str),
    /// Moves the item at an index of the list at a pointer to another index, counted without it.
    Move(&'a str, usize, usize),
    /// Gives the field at a pointer another name, in the same map.
    Rename(&'a str, &'a str),
}

impl Operation<'_> {
    /// Changes a value. The error says why it cannot be done; the value may then be half changed.
    pub(super) fn apply(&self, root: &mut Value) -> Result<(), String> {
        match *self {
            Self::Set(pointer, new) => {
                let mut value = root;
                for token in tokens(pointer) {
                    value = match value {
                        Value::Array(items) => {
                            let index = token.parse().ok().filter(|index: &usize| *index < items.len());
                            let index = index.ok_or_else(|| format!("the list has no item {token}"))?;
                            items.get_mut(index).ok_or_else(|| format!("the list has no item {token}"))?
                        }
                        Value::Object(map) => map.entry(token).or_insert(Value::Null),
                        Value::Null => {
                            *value = Value::Object(Map::new());
                            value.as_object_mut().ok_or("not a map")?.entry(token).or_insert(Value::Null)
                        }
                        _ => return Err(format!("there is no map to hold `{token}`")),
                    };
                }
                value.clone_from(new);
                Ok(())
            }
            Self::Insert(pointer, index, new) => {
                let items = root.pointer_mut(pointer).and_then(Value::as_array_mut);
                let items = items.ok_or_else(|| "there is no list".to_owned())?;
                if index > items.len() {
                    return Err(format!("the list has {} items, so none can be put before item {index}", items.len()));
                }
                items.insert(index, new.clone());
                Ok(())
            }
            Self::Move(pointer, from, to) => {
                let items = root.pointer_mut(pointer).and_then(Value::as_array_mut);
                let items = items.ok_or_else(|| "there is no list".to_owned())?;
                if from.max(to) >= items.len() {
                    return Err(format!("the list has {} items", items.len()));
                }
                let item = items.remove(from);
                items.insert(to, item);
                Ok(())
            }
            Self::Rename(pointer, name) => {
                let (parent, last) = split(pointer).ok_or_else(|| "a document has no name".to_owned())?;
                let map = root.pointer_mut(parent).and_then(Value::as_object_mut);
                let map = map.ok_or_else(|| "there is no such field".to_owned())?;
                if map.contains_key(name) {
                    return Err(format!("there is a field `{name}` already"));
                }
                let value = map.remove(&last).ok_or_else(|| "there is no such field".to_owned())?;
                map.insert(name.to_owned(), value);
                Ok(())
            }
            Self::Remove(pointer) => {
                let missing = || "there is no such field".to_owned();
                let (parent, last) =
                    split(pointer).ok_or_else(|| "a whole document is removed by remove_document".to_owned())?;
                match root.pointer_mut(parent) {
                    Some(Value::Object(map)) => map.remove(&last).map(|_| ()).ok_or_else(missing),
                    Some(Value::Array(items)) => {
                        let index =
                            last.parse().ok().filter(|index: &usize| *index < items.len()).ok_or_else(missing)?;
                        items.remove(index);
                        Ok(())
                    }
                    _ => Err(missing()),
                }
            }
        }
    }

    /// The place that the operation is about.
    pub(super) fn pointer(&self) -> &str {
        match self {
            Self::Set(pointer, _)
            | Self::Insert(pointer, ..)
            | Self::Remove(pointer)
            | Self::Move(pointer, ..)
            | Self::Rename(pointer, _) => pointer,
        }
    }
}

/// A pointer's parent and its last step, unescaped; `None` for the document itself.
pub(super) fn split(pointer: &str) -> Option<(&str, String)> {
    let (parent, _) = pointer.rsplit_once('/')?;
    Some((parent, tokens(pointer).last()?))
}

/// A pointer one step deeper.
pub(super) fn join(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}
