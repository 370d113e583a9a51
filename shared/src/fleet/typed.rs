//! Reading of the fleet's own kinds: the JSON schema of the Rust type tells every wrong field with its place, all in one
//! pass, before serde (which stops at the first) makes the value.

use super::FileError;
use crate::object::At as _;
use crate::yaml::Document;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::any::type_name;

/// Reads a document as a kind of the fleet's own. Errors are in the order of the schema walk; sort them by place.
pub(super) fn read<T: DeserializeOwned + JsonSchema>(document: &Document) -> Result<T, Vec<FileError>> {
    let schema = schemars::schema_for!(T).to_value();
    let mut errors = Vec::new();
    Walk { root: &schema, document, errors: &mut errors }.value(&schema, &document.value, "");
    if !errors.is_empty() {
        return Err(errors);
    }
    // What the schema does not say is left to serde, which knows no place inside.
    T::deserialize(&*document.value)
        .map_err(|error| vec![FileError::at(document, "", format!("not a valid {}: {error}", short_name::<T>()))])
}

fn short_name<T>() -> &'static str {
    type_name::<T>().rsplit("::").next().unwrap_or("object")
}

struct Walk<'a> {
    root: &'a Value,
    document: &'a Document,
    errors: &'a mut Vec<FileError>,
}

impl Walk<'_> {
    fn error(&mut self, pointer: &str, message: String, hint: Option<String>) {
        let mut error = FileError::at(self.document, pointer, message);
        error.hint = hint;
        self.errors.push(error);
    }

    fn value(&mut self, schema: &Value, value: &Value, pointer: &str) {
        let schema = self.resolve(schema);
        if let Some(wanted) = schema.get("type")
            && !types(wanted).any(|wanted| is_a(value, wanted))
        {
            let wanted = types(wanted).map(described).filter(|name| *name != "null").collect::<Vec<_>>().join(" or ");
            let message = format!("{} must be {wanted}, not {}", name_of(pointer), found(value));
            let hint = match value {
                Value::Bool(_) | Value::Number(_) if wanted == "a string" => {
                    Some("Put quotes around it: without them YAML reads it as another type".to_owned())
                }
                Value::Null => Some("Write the value, or remove the field".to_owned()),
                _ => None,
            };
            return self.error(pointer, message, hint);
        }
        self.choice(schema, value, pointer);
        match value {
            Value::Object(map) => {
                let properties = schema.get("properties").and_then(Value::as_object);
                for (name, inner) in map {
                    let pointer = format!("{pointer}/{}", escape(name));
                    match (properties.and_then(|properties| properties.get(name)), schema.get("additionalProperties")) {
                        (Some(schema), _) => self.value(schema, inner, &pointer),
                        (None, Some(Value::Bool(false))) => {
                            let known = properties.into_iter().flat_map(|properties| properties.keys());
                            let hint = super::suggest::hint(name, known.map(String::as_str));
                            self.error(&pointer, format!("there is no field `{name}` here"), Some(hint));
                        }
                        (None, Some(schema @ Value::Object(_))) => self.value(schema, inner, &pointer),
                        (None, _) => {}
                    }
                }
                let required = schema.get("required").and_then(Value::as_array);
                for name in required.into_iter().flatten().filter_map(Value::as_str) {
                    if !map.contains_key(name) {
                        let message = format!("{} lacks the field `{name}`", name_of(pointer));
                        let schema = properties.and_then(|properties| properties.get(name));
                        let text =
                            |schema: &Value| schema.get("description").and_then(Value::as_str).map(str::to_owned);
                        let about = schema.and_then(|schema| text(schema).or_else(|| text(self.resolve(schema))));
                        let about = about.as_deref().and_then(|text| text.lines().next());
                        self.error(
                            pointer,
                            message,
                            about.map(|about| format!("Add `{name}`: {}", about.trim_end_matches('.'))),
                        );
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        self.value(schema, item, &format!("{pointer}/{index}"));
                    }
                }
            }
            Value::Number(number) => {
                let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
                let number = number.as_f64().unwrap_or_default();
                if bound("minimum").is_some_and(|min| number < min) || bound("maximum").is_some_and(|max| number > max)
                {
                    self.error(pointer, format!("{} is out of range: {value}", name_of(pointer)), None);
                }
            }
            Value::String(text) => {
                let time = schema.get("format").and_then(Value::as_str) == Some("date-time");
                if time && text.parse::<jiff::Timestamp>().is_err() {
                    let hint = Some("Write it as in 2026-12-31T23:59:59Z".to_owned());
                    self.error(pointer, format!("{} must be a time, not {}", name_of(pointer), found(value)), hint);
                }
            }
            _ => {}
        }
    }

    /// `enum`, `const` and the `oneOf` of constants that an enum with documented variants becomes.
    fn choice(&mut self, schema: &Value, value: &Value, pointer: &str) {
        let mut allowed: Vec<&Value> = schema.get("enum").and_then(Value::as_array).into_iter().flatten().collect();
        allowed.extend(schema.get("const"));
        for branch in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
            allowed.extend(branch.get("const"));
            allowed.extend(branch.get("enum").and_then(Value::as_array).into_iter().flatten());
        }
        if allowed.is_empty() || allowed.contains(&value) {
            return;
        }
        let names: Vec<_> = allowed.iter().filter_map(|value| value.as_str()).collect();
        let message = format!("{} must be one of {}, not {}", name_of(pointer), names.join(", "), found(value));
        let hint = value.as_str().map(|given| super::suggest::hint(given, names.iter().copied()));
        self.error(pointer, message, hint);
    }

    fn resolve<'s>(&self, schema: &'s Value) -> &'s Value
    where
        Self: 's,
    {
        // A schema without definitions of its own refers to one of the root's.
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        reference.and_then(|pointer| self.root.at(pointer)).unwrap_or(schema)
    }
}

fn types(wanted: &Value) -> impl Iterator<Item = &str> {
    let list = wanted.as_array().map(Vec::as_slice).unwrap_or_else(|| std::slice::from_ref(wanted));
    list.iter().filter_map(Value::as_str)
}

fn is_a(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn described(wanted: &str) -> &str {
    match wanted {
        "object" => "a map",
        "array" => "a list",
        "string" => "a string",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        other => other,
    }
}

/// What a value is, in a message.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(_) | Value::Number(_) => format!("`{value}`"),
        Value::String(text) if text.chars().count() <= 60 => format!("`{text}`"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// `/spec/clusters/0/name` → `spec.clusters[0].name`.
pub(super) fn name_of(pointer: &str) -> String {
    if pointer.is_empty() {
        return "this document".to_owned();
    }
    let mut name = String::new();
    for token in pointer.split('/').skip(1) {
        if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) {
            name.push_str(&format!("[{token}]"));
        } else {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&token.replace("~1", "/").replace("~0", "~"));
        }
    }
    format!("`{name}`")
}

/// One step of a JSON pointer.
pub(super) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}
