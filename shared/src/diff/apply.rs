//! Makes the changes of a diff on an object: the other half of [`super::between`]. What comes out is what the diff announces.

use super::FieldChange;
use crate::object::list_keys::{self, Equality};
use crate::object::{FieldPath, GroupKind, Segment};
use serde_json::{Map, Value};

/// What `before` becomes when every change is made.
#[must_use]
pub fn apply(kind: &GroupKind, before: &Value, changes: &[FieldChange]) -> Value {
    let mut object = before.clone();
    let is_element = |change: &&FieldChange| matches!(change.path.0.last(), Some(Segment::Index(_)));
    let (elements, fields): (Vec<_>, Vec<_>) = changes.iter().partition(is_element);
    let (whole, changed): (Vec<_>, Vec<_>) =
        elements.into_iter().partition(|change| change.before.is_none() || change.after.is_none());
    // Outer lists first: the places of what is inside are those of the new outer list.
    let mut lists: Vec<FieldPath> = whole.iter().filter_map(|change| change.path.parent()).collect();
    lists.sort_by_cached_key(|path| (path.0.len(), path.to_string()));
    lists.dedup();
    for list in lists {
        if let Some(Value::Array(elements)) = slot(&mut object, &list) {
            resize(elements, whole.iter().filter(|change| change.path.parent().as_ref() == Some(&list)));
        }
    }
    for change in changed.into_iter().chain(fields) {
        set(kind, &mut object, change);
    }
    object
}

/// Takes elements out and puts others in: removed ones are named by their old place, added ones by their new place.
fn resize<'a>(elements: &mut Vec<Value>, changes: impl Iterator<Item = &'a &'a FieldChange>) {
    let place = |change: &FieldChange| match change.path.0.last() {
        Some(Segment::Index(place)) => *place,
        _ => 0,
    };
    let (mut come, mut go): (Vec<&FieldChange>, Vec<&FieldChange>) =
        changes.copied().partition(|change| change.before.is_none());
    go.sort_by_key(|change| std::cmp::Reverse(place(change)));
    come.sort_by_key(|change| place(change));
    for change in go {
        if place(change) < elements.len() {
            elements.remove(place(change));
        }
    }
    for change in come {
        elements.insert(place(change).min(elements.len()), change.after.clone().unwrap_or_default());
    }
}

fn set(kind: &GroupKind, object: &mut Value, change: &FieldChange) {
    let Some((last, parent)) = change.path.0.split_last() else {
        *object = change.after.clone().unwrap_or_default();
        return;
    };
    if let Some(after) = &change.after
        && reorder(kind, object, &change.path, after)
    {
        return;
    }
    let makes = change.after.is_some();
    let Some(container) = find(object, parent, makes) else { return };
    match (last, container, &change.after) {
        (Segment::Field(name), container, Some(after)) => {
            if container.is_null() {
                *container = Value::Object(Map::new());
            }
            if let Some(map) = container.as_object_mut() {
                map.insert(name.to_string(), after.clone());
            }
        }
        (Segment::Field(name), Value::Object(map), None) => drop(map.remove(&**name)),
        (segment, Value::Array(list), after) => match (segment.find_in(list).map(|(place, _)| place), after) {
            (Some(place), Some(after)) => list[place] = after.clone(),
            (Some(place), None) => drop(list.remove(place)),
            (None, Some(after)) => list.push(after.clone()),
            (None, None) => {}
        },
        _ => {}
    }
}

/// A list of keyed elements of which a change tells only the order, by their names.
fn reorder(kind: &GroupKind, object: &mut Value, path: &FieldPath, names: &Value) -> bool {
    let Equality::Keyed(keys) = list_keys::equality(kind, path) else { return false };
    let (Some(names), Some(Value::Array(list))) = (names.as_array(), find(object, &path.0, false)) else {
        return false;
    };
    if list.is_empty() || names.is_empty() || !names.iter().all(Value::is_string) {
        return false;
    }
    // Elements that the other side does not know keep their places.
    let label = |element: &Value| list_keys::key_of(element, keys).map(|key| Value::from(key.label()));
    let is_told = |element: &Value| label(element).is_some_and(|label| names.contains(&label));
    let mut told: Vec<Value> = list.iter().filter(|element| is_told(element)).cloned().collect();
    told.sort_by_key(|element| names.iter().position(|name| label(element).as_ref() == Some(name)));
    let mut told = told.into_iter();
    for element in list.iter_mut() {
        if is_told(element)
            && let Some(next) = told.next()
        {
            *element = next;
        }
    }
    true
}

/// The value at a path; maps on the way are made.
fn slot<'a>(object: &'a mut Value, path: &FieldPath) -> Option<&'a mut Value> {
    find(object, &path.0, true)
}

fn find<'a>(object: &'a mut Value, path: &[Segment], make: bool) -> Option<&'a mut Value> {
    path.iter().try_fold(object, |value, segment| match segment {
        Segment::Field(name) if make => {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            Some(value.as_object_mut()?.entry(name.to_string()).or_insert(Value::Null))
        }
        Segment::Field(name) => value.as_object_mut()?.get_mut(&**name),
        _ => {
            let list = value.as_array_mut()?;
            let (place, _) = segment.find_in(list)?;
            list.get_mut(place)
        }
    })
}
