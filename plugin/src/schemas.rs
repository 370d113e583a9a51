//! Every kind of document that `-o json` prints, one line each. `cargo xtask gen` writes the schemas to
//! `docs/schemas/output/`.

use crate::commands::adopt::Adoption;
use crate::commands::clb::list::LoadBalancerList;
use crate::commands::cluster::list::ClusterList;
use crate::commands::diff::document::FleetDiff;
use crate::commands::doctor::chain::ChainReport;
use crate::commands::doctor::clb_access::ClbAccess;
use crate::commands::drift::DriftReportList;
use crate::commands::drift::history::DriftHistory;
use crate::commands::explain::{RuleDetail, RuleList};
use crate::commands::gateway::list::IngressGatewayList;
use crate::commands::gateway::show::IngressGateway;
use crate::commands::graph::FleetGraph;
use crate::commands::lint::document::LintReport;
use crate::commands::pr::report::Outcome as PullRequest;
use crate::commands::rbac::FleetAccess;
use crate::commands::revert::RevertList;
use crate::commands::route::steps::StepList;
use crate::commands::route::test::document::RouteTestReport;
use crate::commands::route::test::log::AccessLogReport;
use crate::commands::route::view::{Route, RouteList};
use crate::commands::status::FleetSyncList;
use crate::commands::verify::VerifyReport;
use crate::commands::version::Version;
use crate::live::report::Shown;
use crate::output::schema;
use crate::write::EditList;
use asm_shared::api::FleetSync;
use asm_shared::import::ImportReport;
use serde_json::Value;

/// Kind and JSON schema (draft 2020-12) of every document that a command prints. A new kind needs a line here.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        schema::<Adoption<'_>>(),
        schema::<ClusterList<'_>>(),
        schema::<DriftReportList>(),
        schema::<DriftHistory<'_>>(),
        schema::<EditList<'_>>(),
        schema::<FleetAccess>(),
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
        schema::<RuleDetail>(),
        schema::<RuleList>(),
        schema::<StepList<'_>>(),
        schema::<FleetGraph<'_>>(),
        schema::<ClbAccess>(),
        schema::<VerifyReport>(),
        schema::<ChainReport>(),
        schema::<RouteTestReport<'_>>(),
        schema::<AccessLogReport<'_>>(),
        schema::<Version>(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
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
