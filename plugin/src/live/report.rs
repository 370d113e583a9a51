//! Small pieces that everything that shows an agent's report needs.

use crate::output::{self, Document};
use asm_shared::api::FleetSync;
use asm_shared::object::{FieldPath, ObjectId, redact};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::marker::PhantomData;

/// An object of the agent for machines: without managedFields, and without credentials in URLs.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Shown<K> {
    value: Value,
    #[serde(skip)]
    of: PhantomData<K>,
}

impl<K: Serialize> Shown<K> {
    /// Makes the object fit to be shown.
    pub fn new(object: &K) -> Self {
        Self { value: shown(object), of: PhantomData }
    }
}

impl<K: JsonSchema + Resource<DynamicType = ()>> JsonSchema for Shown<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        K::schema_name()
    }

    /// The schema of the kind; of the metadata it promises no more than what kubectl shows of every object.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = K::json_schema(generator);
        let metadata = json!({
            "description": "Metadata as in every Kubernetes object, without managedFields.",
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}},
            "additionalProperties": true,
        });
        output::with_type(&mut schema, &K::api_version(&()), &K::kind(&()));
        // Of the whole, only a derived name is known; what it is, its spec says.
        let about = schema.pointer("/properties/spec/description").cloned();
        schema.insert("description".to_owned(), about.unwrap_or_default());
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("metadata".to_owned(), metadata);
        }
        schema
    }
}

impl Document for Shown<FleetSync> {
    const KIND: &'static str = "FleetSync";
}

fn shown(object: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    match ObjectId::of(&value) {
        Some(id) => redact(&id.group_kind, &FieldPath::root(), &value),
        None => value,
    }
}

/// The condition of a kind.
pub fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Is the condition of a kind there and true?
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    condition(conditions, kind).is_some_and(|condition| condition.status == "True")
}

/// The first characters of a commit's ID.
pub fn short(revision: &str) -> &str {
    revision.get(..7).unwrap_or(revision)
}

/// `45s`, `5m`, `3h12m`, `5d3h`, as kubectl shows ages.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..10_800 => format!("{minutes}m"),
        10_800..172_800 => {
            let rest = minutes % 60;
            if rest == 0 { format!("{hours}h") } else { format!("{hours}h{rest}m") }
        }
        _ => {
            let rest = hours % 24;
            if rest == 0 || days >= 8 { format!("{days}d") } else { format!("{days}d{rest}h") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_as_kubectl_shows_them() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let ago = |seconds: i64| age(now - jiff::SignedDuration::from_secs(seconds), now);
        let shown = [ago(45), ago(300), ago(3 * 3600 + 720), ago(3 * 86_400 + 7200), ago(30 * 86_400), ago(-5)];
        assert_eq!(shown, ["45s", "5m", "3h12m", "3d2h", "30d", "0s"]);
    }
}
