//! What stands at a JSON pointer.

use serde_json::Value;

/// Looks into values by pointer, for ever so many fields: `Value::pointer` does the same and allocates twice for every step.
pub trait At {
    /// What stands at a JSON pointer (RFC 6901), if anything does.
    fn at(&self, pointer: &str) -> Option<&Value>;
}

impl At for Value {
    fn at(&self, pointer: &str) -> Option<&Value> {
        match pointer.strip_prefix('/') {
            Some(steps) => steps.split('/').try_fold(self, inside),
            None => pointer.is_empty().then_some(self),
        }
    }
}

fn inside<'v>(value: &'v Value, step: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) if step.contains('~') => fields.get(&step.replace("~1", "/").replace("~0", "~")),
        Value::Object(fields) => fields.get(step),
        Value::Array(items) => items.get(index(step)?),
        _ => None,
    }
}

/// The number of an item: digits, without a zero in front.
fn index(step: &str) -> Option<usize> {
    let is_number = step == "0" || step.starts_with(|first: char| matches!(first, '1'..='9'));
    step.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::At as _;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    proptest! {
        #[test]
        #[allow(clippy::disallowed_methods, reason = "this is what it is compared with")]
        fn it_finds_what_serde_finds(pointer in "(/(a|b~1c|~01|0|1|00|\\+1|~|é|)){0,4}|a/b|/?[a~01/]{0,6}") {
            let value: Value = json!({
                "a": {"a": [1, {"a": 2}], "b/c": {"~1": null}, "": 3, "0": "x"}, "b/c": [[4], 5], "~": 6, "~1": {"00": 7}, "é": [8],
            });
            prop_assert_eq!(value.at(&pointer), value.pointer(&pointer));
        }
    }
}
