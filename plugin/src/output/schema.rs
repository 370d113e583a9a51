//! The JSON schema of a document that a command prints, made from the type that is serialised. Schemas do not close
//! objects: a later version may add fields.

use super::{API_VERSION, Document};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Kind and schema of a document.
pub(crate) fn schema<D: Document>() -> (&'static str, Value) {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<D>();
    with_type(&mut schema, API_VERSION, D::KIND);
    schema.insert("title".to_owned(), D::KIND.into());
    let mut schema = schema.to_value();
    open(&mut schema);
    (D::KIND, schema)
}

/// Adds `apiVersion` and `kind` to the fields of a schema, both required and with these values.
pub(crate) fn with_type(schema: &mut Schema, api_version: &str, kind: &str) {
    let Some(schema) = schema.as_object_mut() else { return };
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("apiVersion".to_owned(), json!({ "const": api_version }));
        properties.insert("kind".to_owned(), json!({ "const": kind }));
    }
    let required = schema.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        required.extend(["apiVersion".into(), "kind".into()]);
        required.sort_by_key(ToString::to_string);
        required.dedup();
    }
}

/// Says of fields that may be missing that they are not null: they are left out instead.
fn without_null(map: &mut Map<String, Value>) {
    let required = map.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|found| found == name));
    let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (_, field) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
        if let Some(types) = field.get_mut("type").and_then(Value::as_array_mut) {
            types.retain(|kind| kind != "null");
            if let [only] = &types[..] {
                field["type"] = only.clone();
            }
        }
        if let Some(kinds) = field.get_mut("anyOf").and_then(Value::as_array_mut) {
            kinds.retain(|kind| *kind != json!({ "type": "null" }));
        }
    }
}

/// Lets objects have more fields: types that are also read from files forbid them there.
fn open(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("additionalProperties") == Some(&Value::Bool(false)) {
                map.remove("additionalProperties");
            }
            map.remove("unevaluatedProperties");
            without_null(map);
            map.values_mut().for_each(open);
        }
        Value::Array(list) => list.iter_mut().for_each(open),
        _ => {}
    }
}
