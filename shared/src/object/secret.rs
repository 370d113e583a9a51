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
    let Value::Object(map) = object else { return Cow::Borrowed(object) };
    let mut folded = map.clone();
    let plain = folded.remove("stringData");
    let mut data = match folded.remove("data") {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    for (key, value) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        data.insert(key.clone(), base64::engine::general_purpose::STANDARD.encode(text).into());
    }
    folded.insert("data".to_owned(), Value::Object(data));
    Cow::Owned(Value::Object(folded))
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
