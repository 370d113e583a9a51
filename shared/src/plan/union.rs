//! A DestinationRule that loses subsets while VirtualServices still send requests to them.
//!
//! When one commit takes a subset away and moves the routes that used it, neither order is right: the rule first breaks
//! the old routes, the routes first may need a subset that only the new rule has. So a union of both stands in between:
//! everything new, plus the subsets that go.

use super::subsets_of;
use crate::object::At as _;
use serde_json::Value;

/// The wanted rule with the live rule's other subsets added; `None` when no subset goes.
pub fn union_subsets(wanted: &Value, live: &Value) -> Option<Value> {
    let kept = subsets_of(wanted);
    let gone: Vec<Value> = live
        .at("/spec/subsets")?
        .as_array()?
        .iter()
        .filter(|subset| subset.get("name").and_then(Value::as_str).is_some_and(|name| !kept.contains(&name)))
        .cloned()
        .collect();
    if gone.is_empty() {
        return None;
    }
    let mut union = wanted.clone();
    let spec = union.get_mut("spec")?.as_object_mut()?;
    match spec.get_mut("subsets").and_then(Value::as_array_mut) {
        Some(subsets) => subsets.extend(gone),
        None => {
            spec.insert("subsets".to_owned(), Value::Array(gone));
        }
    }
    Some(union)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(names: &[&str]) -> Value {
        let subsets: Vec<Value> = names.iter().map(|name| json!({"name": name, "labels": {"version": name}})).collect();
        json!({"spec": {"host": "reviews", "subsets": subsets}})
    }

    #[test]
    fn the_union_holds_new_and_old() {
        let union = union_subsets(&rule(&["v2", "v3"]), &rule(&["v1", "v2"])).expect("a union");
        assert_eq!(subsets_of(&union), ["v2", "v3", "v1"]);
    }

    #[test]
    fn nothing_goes_nothing_stands_in_between() {
        assert_eq!(union_subsets(&rule(&["v1", "v2", "v3"]), &rule(&["v1", "v2"])), None);
        assert_eq!(union_subsets(&rule(&["v1"]), &json!({"spec": {"host": "reviews"}})), None);
    }
}
