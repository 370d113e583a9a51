//! An object that is kept for long and looked at seldom: as compact JSON.

use serde_json::Value;
use std::fmt;

/// A packed object. As text it is ten to twenty times smaller than as a `Value`, each map of which is a node of a tree; an agent
/// holds every object of its fleet, and looks at those that change.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Box<str>);

impl Packed {
    /// Of an object.
    pub fn of(object: &Value) -> Self {
        Self(object.to_string().into())
    }

    /// The object.
    pub fn unpack(&self) -> Value {
        // It was written by `of`, so it can be read. Should it not be, the API server refuses the `null`, and says for what.
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Packed {
    /// Without the object: it may hold secrets, and debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::hash_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_is_lost(value in value()) {
            prop_assert_eq!(Packed::of(&value).unpack(), value);
        }
    }

    #[test]
    fn debug_output_shows_no_value() {
        let secret = json!({"kind": "Secret", "data": {"password": "c2VjcmV0"}});
        assert_eq!(format!("{:?}", Packed::of(&secret)), "48 bytes");
    }
}
