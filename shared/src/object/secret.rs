//! `stringData` of Secrets: a convenience of the API that turns into `data` on the server and owns nothing there, so
//! dropping a key from it deletes nothing (`reference/managed-fields.md`).

use base64::Engine as _;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A Secret with its `stringData` turned into `data`, as the API server stores it. Other objects come back untouched.
pub fn fold_string_data(object: &Value) -> Cow<'_, Value> {
    let is_secret = object.get("kind").and_then(Value::as_str) == Some("Secret")
        && object.get("apiVersion").and_then(Value::as_str) == Some("v1");
    if !is_secret || object.get("stringData").is_none() {
        return Cow::Borrowed(object);
    }
    let mut folded = object.clone();
    fold_in_place(&mut folded);
    Cow::Owned(folded)
}

/// Turns `stringData` of a Secret into `data`. What the API server would refuse is left for it to refuse in its own words.
pub(crate) fn fold_in_place(secret: &mut Value) {
    let Some(secret) = secret.as_object_mut() else { return };
    let Some(Value::Object(texts)) = secret.remove("stringData") else { return };
    let data = secret.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Some(data) = data.as_object_mut() else { return };
    for (key, text) in texts {
        let value = match text {
            Value::String(text) => Value::from(base64::engine::general_purpose::STANDARD.encode(text)),
            other => other,
        };
        data.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn string_data_wins_over_data() {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "eA==", "b": "eQ=="}, "stringData": {"a": "z"}});
        assert_eq!(
            *fold_string_data(&secret),
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "eg==", "b": "eQ=="}})
        );
    }
}
