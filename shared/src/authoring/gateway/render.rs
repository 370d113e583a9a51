//! A new gateway as text: fields in the order of the table, comments where a change would cost the address.

use super::super::text::{Field, Node, field};
use super::fields::FIELDS;
use crate::asm::gateway::MANAGED_BY_ASM;
use crate::fleet::Fleet;
use serde_json::{Map, Value};

/// Fields outside of `spec`, and inside of its fields.
const OTHER: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "name",
    "namespace",
    "labels",
    "annotations",
    "port",
    "protocol",
    "targetPort",
    "nodePort",
    "appProtocol",
    "requests",
    "limits",
    "key",
    "operator",
    "value",
    "values",
    "effect",
    "weight",
];

/// The node of an object.
pub(super) fn object(gateway: &Value, fleet: &Fleet) -> Node {
    let mut fields = Vec::new();
    for (key, value) in ordered(gateway) {
        fields.push(match key {
            "metadata" => field(key, metadata(value)),
            "spec" => field(key, spec(value, fleet)),
            _ => field(key, node(value)),
        });
    }
    fields.into()
}

fn metadata(metadata: &Value) -> Vec<Field> {
    let fields = ordered(metadata).into_iter().map(|(key, value)| {
        let written = field(key, node(value));
        if key == "annotations" && value.get(MANAGED_BY_ASM).is_some() {
            let which = if value.as_object().map_or(0, Map::len) == 1 { "This annotation" } else { "managed-by-asm" };
            return written.comment(format!(
                "{which} alone makes it serverless. Setting or removing it later gives a new address."
            ));
        }
        written
    });
    fields.collect()
}

fn spec(spec: &Value, fleet: &Fleet) -> Vec<Field> {
    let name = |id: &str| fleet.spec.clusters.iter().find(|c| c.id.as_deref() == Some(id)).map(|c| c.name.clone());
    let fields = ordered(spec).into_iter().map(|(key, value)| match (key, value) {
        ("clusterIds", Value::Array(ids)) => {
            let ids = ids.iter().map(|id| match id.as_str().and_then(name) {
                Some(name) => node(id).remarked(name),
                None => node(id),
            });
            field(key, Node::List(ids.collect()))
        }
        ("overrides", Value::Object(clusters)) => {
            let clusters = clusters.iter().map(|(id, inner)| match name(id) {
                Some(name) => field(id, node(inner)).comment(format!("What {name} has differently.")),
                None => field(id, node(inner)),
            });
            field(key, Node::Map(clusters.collect()))
        }
        _ => field(key, node(value)),
    });
    fields.collect()
}

fn node(value: &Value) -> Node {
    match value {
        Value::Object(_) => Node::Map(ordered(value).into_iter().map(|(key, value)| field(key, node(value))).collect()),
        Value::Array(items) => Node::List(items.iter().map(node).collect()),
        Value::String(text) => Node::Text(text.clone()),
        Value::Bool(value) => Node::Bool(*value),
        // No field of a gateway takes a fraction: `check` refuses it before it comes here.
        Value::Number(number) => number.as_i64().map_or_else(|| Node::Text(number.to_string()), Node::Number),
        Value::Null => Node::Map(Vec::new()),
    }
}

/// The fields of a map in the order of the tables; those that stand in none last, by name.
fn ordered(map: &Value) -> Vec<(&str, &Value)> {
    let rank = |key: &str| {
        let inside = FIELDS.iter().position(|(known, _)| *known == key).map(|place| place + OTHER.len());
        OTHER.iter().position(|known| *known == key).or(inside).unwrap_or(usize::MAX)
    };
    let mut fields: Vec<_> = map.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value)).collect();
    fields.sort_by_key(|(key, _)| rank(key));
    fields
}
