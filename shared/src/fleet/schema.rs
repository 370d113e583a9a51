//! JSON schemas of the fleet's own kinds, for editors and for `docs/schemas`.

use super::{Approval, Fleet, RouteTest, patch::Patch};
use serde_json::Value;

/// Kind and JSON schema (draft 2020-12) of each file kind of a fleet.
pub fn json_schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("Fleet", schemars::schema_for!(Fleet).to_value()),
        ("Approval", schemars::schema_for!(Approval).to_value()),
        ("RouteTest", schemars::schema_for!(RouteTest).to_value()),
        ("Patch", schemars::schema_for!(Patch).to_value()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_schema_that_forbids_unknown_fields() {
        for (kind, schema) in json_schemas() {
            assert_eq!(schema["title"], kind);
            assert_eq!(schema["additionalProperties"], false, "{kind}");
            assert_eq!(schema["required"], serde_json::json!(["apiVersion", "kind", "metadata", "spec"]), "{kind}");
            // The reader of typed.rs knows these words; a schema with others would be checked in part only.
            let text = schema.to_string();
            assert!(
                !["anyOf", "allOf", "pattern\"", "minLength", "minItems"].iter().any(|word| text.contains(word)),
                "{kind}: {text}"
            );
        }
    }
}
