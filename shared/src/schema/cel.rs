//! The CEL rules of a schema (`x-kubernetes-validations`).

use super::{Violation, ViolationKind};
use kube_cel::{CompiledSchema, ErrorKind, Validator, apply_defaults, compile_schema};
use serde_json::Value;
use std::collections::HashMap;

/// The rules of one schema.
pub(super) struct Rules {
    schema: Option<CompiledSchema>,
    /// What a rule says when it fails, also where it could not even be computed.
    messages: HashMap<String, String>,
    /// The API server fills in defaults before it judges.
    has_defaults: bool,
}

impl Rules {
    pub(super) fn compile(raw: &Value) -> Self {
        let mut messages = HashMap::new();
        collect(raw, &mut messages);
        let schema = (!messages.is_empty()).then(|| compile_schema(raw));
        Self { schema, messages, has_defaults: has_defaults(raw) }
    }

    /// Has the schema none?
    pub(super) fn is_empty(&self) -> bool {
        self.schema.is_none()
    }

    pub(super) fn judge(&self, raw: &Value, object: &Value, violations: &mut Vec<Violation>) {
        let Some(schema) = &self.schema else { return };
        let filled = self.has_defaults.then(|| apply_defaults(raw, object));
        let judged = filled.as_ref().unwrap_or(object);
        let Err(errors) = Validator::new().validate_compiled(schema, judged, None) else { return };
        for error in errors.into_vec() {
            // A rule that fails to be computed (a field it needs is missing, a duration is none) refuses the object, too; one
            // that this evaluator does not understand says nothing.
            if matches!(error.kind, ErrorKind::ValidationFailure | ErrorKind::EvaluationError) {
                let pointer = pointer(object, &error.field_path);
                let message = self.messages.get(&error.rule).cloned().unwrap_or(error.message);
                violations.push(Violation { pointer, message, meant: None, kind: ViolationKind::Rule });
            }
        }
    }
}

fn has_defaults(schema: &Value) -> bool {
    match schema {
        // A field may be called so: then it stands among the properties.
        Value::Object(map) => map.iter().any(|(key, value)| match value {
            Value::Object(fields) if key == "properties" => fields.values().any(has_defaults),
            value => key == "default" || has_defaults(value),
        }),
        Value::Array(items) => items.iter().any(has_defaults),
        _ => false,
    }
}

/// The messages of all rules in a schema, by rule.
fn collect(schema: &Value, messages: &mut HashMap<String, String>) {
    match schema {
        Value::Object(map) => {
            let rules = map.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten();
            for rule in rules {
                let text = |field: &str| rule.get(field).and_then(Value::as_str).map(str::to_owned);
                if let Some(expression) = text("rule") {
                    let message = text("message").unwrap_or_else(|| format!("it does not meet the rule {expression}"));
                    messages.insert(expression, message);
                }
            }
            map.values().for_each(|value| collect(value, messages));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, messages)),
        _ => {}
    }
}

/// `spec.servers[0].tls` as a JSON pointer. Keys may hold dots: the object tells which fields there are.
fn pointer(object: &Value, path: &str) -> String {
    let (mut pointer, mut value, mut rest) = (String::new(), object, path);
    while !rest.is_empty() {
        if let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let key = index.trim_matches('"');
            let Some(next) = key.parse::<usize>().ok().and_then(|at| value.get(at)).or_else(|| value.get(key)) else {
                return pointer;
            };
            pointer.push_str(&format!("/{}", escape(key)));
            (value, rest) = (next, after);
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let fields = value.as_object().into_iter().flatten();
        let longest = fields
            .filter(|(key, _)| {
                rest.strip_prefix(key.as_str()).is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
            })
            .max_by_key(|(key, _)| key.len());
        let Some((key, next)) = longest else { return pointer };
        pointer.push_str(&format!("/{}", escape(key)));
        (value, rest) = (next, rest.get(key.len()..).unwrap_or_default());
    }
    pointer
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_become_pointers_as_far_as_the_object_goes() {
        let object = json!({"spec": {"servers": [{"tls": {"a.b": 1}}]}});
        assert_eq!(pointer(&object, "spec.servers[0].tls"), "/spec/servers/0/tls");
        assert_eq!(pointer(&object, "spec.servers[0].tls.a.b"), "/spec/servers/0/tls/a.b");
        assert_eq!(pointer(&object, "spec.servers[4].tls"), "/spec/servers");
        assert_eq!(pointer(&object, ""), "");
    }
}
