//! JSON schemas of what `-o json` prints, one per kind, made from the types that the commands serialise.
//!
//! `cargo xtask gen` writes them to `docs/schemas/output/`. They do not close objects: a later version may add fields.

use super::{API_VERSION, Document};
use crate::commands::adopt::Adoption;
use crate::commands::clb::list::LoadBalancerList;
use crate::commands::cluster::list::ClusterList;
use crate::commands::diff::document::FleetDiff;
use crate::commands::drift::DriftReportList;
use crate::commands::explain::{RuleDetail, RuleList};
use crate::commands::gateway::list::IngressGatewayList;
use crate::commands::gateway::show::IngressGateway;
use crate::commands::lint::document::LintReport;
use crate::commands::pr::report::Outcome as PullRequest;
use crate::commands::revert::RevertList;
use crate::commands::route::steps::StepList;
use crate::commands::route::test::document::RouteTestReport;
use crate::commands::route::test::log::AccessLogReport;
use crate::commands::route::view::{Route, RouteList};
use crate::commands::status::FleetSyncList;
use crate::commands::version::Version;
use crate::live::report::Shown;
use crate::write::EditList;
use asm_shared::api::FleetSync;
use asm_shared::import::ImportReport;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Kind and JSON schema (draft 2020-12) of every document that a command prints. A new kind needs a line here.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        schema::<Adoption<'_>>(),
        schema::<ClusterList<'_>>(),
        schema::<DriftReportList>(),
        schema::<EditList<'_>>(),
        schema::<FleetDiff<'_>>(),
        schema::<Shown<FleetSync>>(),
        schema::<FleetSyncList>(),
        schema::<ImportReport>(),
        schema::<IngressGateway<'_>>(),
        schema::<IngressGatewayList<'_>>(),
        schema::<LoadBalancerList<'_>>(),
        schema::<RevertList<'_>>(),
        schema::<PullRequest>(),
        schema::<LintReport<'_>>(),
        schema::<Route>(),
        schema::<RouteList<'_>>(),
        schema::<RouteTestReport<'_>>(),
        schema::<AccessLogReport<'_>>(),
        schema::<RuleDetail>(),
        schema::<RuleList>(),
        schema::<StepList<'_>>(),
        schema::<Version>(),
    ]
}

fn schema<D: Document>() -> (&'static str, Value) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn one_schema_per_kind_and_always_the_same() {
        let schemas = schemas();
        let kinds: BTreeSet<&str> = schemas.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds.len(), schemas.len());
        for (kind, schema) in &schemas {
            assert_eq!(schema["title"], **kind);
            assert_eq!(schema["properties"]["kind"], json!({ "const": kind }));
            assert!(schema["description"].is_string(), "{kind} has no description");
            let required = schema["required"].as_array().unwrap();
            assert!(required.contains(&json!("apiVersion")) && required.contains(&json!("kind")), "{kind}");
            assert!(!schema.to_string().contains("additionalProperties\":false"), "{kind} is closed");
        }
        let text = |schemas: &[(&str, Value)]| serde_json::to_string(schemas).unwrap();
        assert_eq!(text(&schemas), text(&super::schemas()));
    }
}
