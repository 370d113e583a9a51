//! The structure that a schema asks for: fields, types, ranges.
//!
//! A structural schema of Kubernetes is JSON schema with a dialect, so a JSON schema library judges it after a
//! translation: fields that are not named are forbidden (API servers drop them, which nobody notices), `nullable` and
//! `x-kubernetes-int-or-string` become types.

use super::{Violation, ViolationKind};
use crate::distance::distance;
use crate::object::At as _;
use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::{Map, Value, json};

/// A translated schema, ready to judge.
pub(super) struct Structure {
    validator: Validator,
    translated: Value,
}

impl Structure {
    /// `None` if the library does not take it; a test tries every schema.
    pub(super) fn compile(raw: &Value) -> Option<Self> {
        let mut translated = raw.clone();
        // CRDs leave out what every object has.
        if let Some(fields) = translated.get_mut("properties").and_then(Value::as_object_mut) {
            for (field, kind) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
                fields.entry(field).or_insert_with(|| json!({"type": kind}));
            }
        }
        translate(&mut translated, true);
        let validator = jsonschema::validator_for(&translated).ok()?;
        Some(Self { validator, translated })
    }

    pub(super) fn judge(&self, object: &Value, violations: &mut Vec<Violation>) {
        for error in self.validator.iter_errors(object) {
            let pointer = error.instance_path().to_string();
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    for field in unexpected {
                        violations.push(self.unknown(object, &pointer, field));
                    }
                }
                kind => {
                    let message = say(kind, error.instance(), &error.to_string());
                    violations.push(Violation { pointer, message, meant: None, kind: ViolationKind::Structure });
                }
            }
        }
    }

    fn unknown(&self, object: &Value, pointer: &str, field: &str) -> Violation {
        let siblings = object.at(pointer).and_then(Value::as_object);
        let known = fields_at(&self.translated, &self.translated, pointer);
        let near = known.into_iter().filter(|known| siblings.is_none_or(|siblings| !siblings.contains_key(known)));
        let near = near.map(|known| (distance(&known.to_lowercase(), &field.to_lowercase()), known));
        let meant = near.filter(|(far, known)| *far <= 1 + known.len() / 5).min().map(|(_, known)| known);
        let place = if pointer.is_empty() { "the object" } else { pointer.rsplit('/').next().unwrap_or_default() };
        let place =
            if place.bytes().all(|byte| byte.is_ascii_digit()) { "this item".to_owned() } else { place.to_owned() };
        Violation {
            pointer: format!("{pointer}/{}", field.replace('~', "~0").replace('/', "~1")),
            message: format!("{place} has no field `{field}`: the API server refuses or drops it"),
            meant,
            kind: ViolationKind::UnknownField,
        }
    }
}

/// The words of the library where they are about JSON, in ours.
fn say(kind: &ValidationErrorKind, found: &Value, otherwise: &str) -> String {
    match kind {
        ValidationErrorKind::Required { property } => {
            format!("the field `{}` is missing", property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(one) => one.to_string(),
                // That a field may be null says nothing to whoever wrote a value.
                TypeKind::Multiple(many) => {
                    let names = many.iter().map(|one| one.to_string()).filter(|name| name != "null");
                    names.collect::<Vec<_>>().join(" or ")
                }
            };
            format!("it must be {}, not {}", article(&wanted), what(found))
        }
        ValidationErrorKind::Enum { options } => {
            let words = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
            format!("it must be one of {}", words.join(", "))
        }
        _ => otherwise.to_owned(),
    }
}

fn article(word: &str) -> String {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { format!("an {word}") } else { format!("a {word}") }
}

fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Names of the fields that the schema has at a place.
fn fields_at(root: &Value, schema: &Value, pointer: &str) -> Vec<String> {
    let mut at = resolve(root, schema);
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let next = at.at("/properties").and_then(|fields| fields.get(&token));
        let next = next.or_else(|| at.get("items")).or_else(|| at.get("additionalProperties"));
        let Some(next) = next else { return Vec::new() };
        at = resolve(root, next);
    }
    at.get("properties").and_then(Value::as_object).map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}

fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| root.at(pointer)).unwrap_or(schema)
}

/// Translates a structural schema in place. `top`: it is the schema of a whole object, whose metadata is Kubernetes' own.
fn translate(schema: &mut Value, top: bool) {
    let Some(map) = schema.as_object_mut() else { return };
    if map.remove("x-kubernetes-int-or-string").is_some_and(|yes| yes == true) {
        map.insert("type".to_owned(), json!(["integer", "string"]));
        // The two alternatives say the same.
        map.remove("anyOf");
    }
    if map.remove("nullable").is_some_and(|yes| yes == true)
        && let Some(kind @ Value::String(_)) = map.get("type").cloned()
    {
        map.insert("type".to_owned(), json!([kind, "null"]));
    }
    let open = map.get("x-kubernetes-preserve-unknown-fields").is_some_and(|yes| yes == true);
    for name in ["properties", "$defs"] {
        let fields = map.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten();
        for (field, schema) in fields {
            if !(top && name == "properties" && field == "metadata") {
                translate(schema, false);
            }
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(name) {
            translate(child, false);
        }
    }
    let closed = map.contains_key("properties") && !map.contains_key("additionalProperties") && !open;
    if closed {
        map.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    strip_formats(map);
}

/// `int32`, `int64`, `double` are no formats of strings; the library must not look at them.
fn strip_formats(map: &mut Map<String, Value>) {
    map.remove("format");
    map.retain(|name, _| !name.starts_with("x-kubernetes-"));
}
