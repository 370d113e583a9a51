//! Changes of an object as JSON patches and JSON merge patches, and what they make of it.

use super::super::workspace::Change;
use crate::object::At as _;
use serde_json::{Map, Value, json};

/// The changes as operations of RFC 6902.
pub(super) fn json6902(object: &Value, changes: &[Change]) -> Option<Vec<Value>> {
    let mut object = object.clone();
    let mut operations = Vec::new();
    for change in changes {
        let operation = match change {
            Change::Set(pointer, value) if object.at(pointer).is_some() => {
                json!({"op": "replace", "path": pointer, "value": value})
            }
            Change::Set(pointer, value) => {
                let (mut at, mut value) = (pointer.as_str(), value.clone());
                // Maps on the way that are not there come with the value.
                while let Some((above, last)) = at.rsplit_once('/')
                    && !object.at(above).is_some_and(|above| above.is_object() || above.is_array())
                {
                    value = Value::Object([(last.replace("~1", "/").replace("~0", "~"), value)].into_iter().collect());
                    at = above;
                }
                json!({"op": "add", "path": at, "value": value})
            }
            Change::Insert(list, place, value) => {
                json!({"op": "add", "path": format!("{list}/{place}"), "value": value})
            }
            Change::Push(list, value) => json!({"op": "add", "path": format!("{list}/-"), "value": value}),
            Change::Remove(pointer) => json!({"op": "remove", "path": pointer}),
            Change::Move(list, from, to) => {
                json!({"op": "move", "from": format!("{list}/{from}"), "path": format!("{list}/{to}")})
            }
        };
        apply(&mut object, std::slice::from_ref(&operation))?;
        operations.push(operation);
    }
    Some(operations)
}

/// Applies operations.
fn apply(object: &mut Value, operations: &[Value]) -> Option<()> {
    let patch: json_patch::Patch = serde_json::from_value(Value::from(operations.to_vec())).ok()?;
    json_patch::patch(object, &patch).ok()
}

/// What the changes make of an object.
pub(super) fn changed(object: &Value, changes: &[Change]) -> Option<Value> {
    let mut object = object.clone();
    let operations = json6902(&object, changes)?;
    apply(&mut object, &operations)?;
    Some(object)
}

/// The changes as a merge patch, if one can say them: it knows no elements of lists.
pub(super) fn merge(object: &Value, changes: &[Change]) -> Option<Value> {
    let mut patch = Value::Object(Map::new());
    for change in changes {
        let (pointer, value) = match change {
            Change::Set(pointer, value) => (pointer, value.clone()),
            Change::Remove(pointer) => (pointer, Value::Null),
            _ => return None,
        };
        put(&mut patch, pointer, value)?;
    }
    let mut merged = object.clone();
    json_patch::merge(&mut merged, &patch);
    (Some(merged) == changed(object, changes)).then_some(patch)
}

fn put(patch: &mut Value, pointer: &str, value: Value) -> Option<()> {
    let mut at = patch;
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        at = at.as_object_mut()?.entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
    *at = value;
    Some(())
}
