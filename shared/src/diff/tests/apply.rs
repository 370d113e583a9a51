//! Applies changes to an object: the other half of `between`, for the properties.

use crate::diff::FieldChange;
use crate::object::{FieldPath, Segment};
use serde_json::{Map, Value};

/// What `before` becomes when every change is made.
pub(super) fn apply(before: &Value, changes: &[FieldChange]) -> Value {
    let mut object = before.clone();
    // Removed elements are named by their old place, added and changed ones by their new place.
    let is_element = |change: &FieldChange| matches!(change.path.0.last(), Some(Segment::Index(_)));
    let (elements, fields): (Vec<_>, Vec<_>) = changes.iter().partition(|change| is_element(change));
    let (removed, rest): (Vec<_>, Vec<_>) = elements.into_iter().partition(|change| change.after.is_none());
    let (added, changed): (Vec<_>, Vec<_>) = rest.into_iter().partition(|change| change.before.is_none());
    let place = |change: &FieldChange| match change.path.0.last() {
        Some(Segment::Index(place)) => *place,
        _ => 0,
    };
    let mut lists: Vec<FieldPath> = removed.iter().chain(&added).filter_map(|change| change.path.parent()).collect();
    lists.sort_by_key(|path| (path.0.len(), path.to_string()));
    lists.dedup();
    for list in lists {
        let of = |changes: &[&FieldChange]| -> Vec<FieldChange> {
            changes.iter().filter(|c| c.path.parent().as_ref() == Some(&list)).map(|c| (*c).clone()).collect()
        };
        let Some(Value::Array(elements)) = slot(&mut object, &list) else { continue };
        let (mut gone, mut come) = (of(&removed), of(&added));
        gone.sort_by_key(|change| std::cmp::Reverse(place(change)));
        come.sort_by_key(place);
        for change in gone {
            elements.remove(place(&change));
        }
        for change in come {
            elements.insert(place(&change).min(elements.len()), change.after.clone().unwrap());
        }
    }
    for change in changed.into_iter().chain(fields) {
        set(&mut object, change);
    }
    object
}

fn set(object: &mut Value, change: &FieldChange) {
    let Some(parent) = change.path.parent() else {
        *object = change.after.clone().unwrap_or(Value::Null);
        return;
    };
    let last = change.path.0.last().unwrap();
    let container = slot(object, &parent).unwrap();
    match (last, container, &change.after) {
        (Segment::Field(name), container, Some(after)) => {
            if container.is_null() {
                *container = Value::Object(Map::new());
            }
            container.as_object_mut().unwrap().insert(name.to_string(), after.clone());
        }
        (Segment::Field(name), container, None) => {
            if let Some(map) = container.as_object_mut() {
                map.remove(&**name);
            }
        }
        (segment, Value::Array(list), after) => match (segment.find_in(list).map(|(place, _)| place), after) {
            (Some(place), Some(after)) => list[place] = after.clone(),
            (Some(place), None) => {
                list.remove(place);
            }
            (None, Some(after)) => list.push(after.clone()),
            (None, None) => {}
        },
        _ => {}
    }
}

fn slot<'a>(object: &'a mut Value, path: &FieldPath) -> Option<&'a mut Value> {
    path.0.iter().try_fold(object, |value, segment| match segment {
        Segment::Field(name) => {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            Some(value.as_object_mut()?.entry(name.to_string()).or_insert(Value::Null))
        }
        _ => {
            let list = value.as_array_mut()?;
            let (place, _) = segment.find_in(list)?;
            list.get_mut(place)
        }
    })
}
