//! # istio-gateway-clusters
//!
//! ## What it finds
//!
//! An ordinary IstioGateway without `spec.clusterIds`, and a serverless one (annotation
//! `asm.alibabacloud.com/managed-by-asm: "true"`) with `clusterIds` or `overrides`. Also `overrides` for a cluster that is not
//! among the `clusterIds`.
//!
//! ## Why it is bad
//!
//! An ordinary gateway runs in the clusters that it names: without any there are no pods and no load balancer. ASM runs a
//! serverless one itself; what it makes of `clusterIds` there is not documented.
//!
//! ## How to mend it
//!
//! Name the clusters, or take what does not belong to a serverless gateway away.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, removal};
use crate::asm::gateway;
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::json;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "istio-gateway-clusters",
    severity: Severity::Error,
    summary: "a gateway names no cluster, or is serverless and names some",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("istio_gateway_clusters.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let clusters: Vec<_> = world.clusters().collect();
    for manifest in world.of_kind(ASM, "IstioGateway") {
        let ids = gateway::cluster_ids(&manifest.object);
        if gateway::is_serverless(&manifest.object) {
            serverless(manifest, sink);
        } else if ids.is_empty() {
            let report = Report::at(manifest, "/spec/clusterIds", "the gateway names no cluster: it runs nowhere");
            let report = report.hint("Name the clusters in spec.clusterIds, by their IDs");
            let only = match clusters.as_slice() {
                [only] => only.id.as_ref().map(|id| (&only.name, id)),
                _ => None,
            };
            sink.push(match only {
                Some((name, id)) => {
                    let edit = (manifest, EditOp::Set("/spec/clusterIds".to_owned(), json!([id])));
                    report.fix(format!("run it in {name}"), false, vec![edit])
                }
                None => report,
            });
        } else {
            let overrides = manifest.object.at("/spec/overrides").and_then(|all| all.as_object());
            for id in overrides.into_iter().flatten().map(|(id, _)| id).filter(|id| !ids.contains(&id.as_str())) {
                let pointer = format!("/spec/overrides/{}", escape(id));
                let message = format!("overrides are for the cluster {id}, in which the gateway does not run");
                let report = Report::at(manifest, &*pointer, message);
                let report = report.related(manifest, "/spec/clusterIds", "it runs in these");
                sink.push(report.fix("take the override away", false, vec![(manifest, removal(manifest, &pointer))]));
            }
        }
    }
}

fn serverless<'a>(manifest: &'a Manifest, sink: &mut Sink<'a>) {
    for field in ["clusterIds", "overrides"] {
        let pointer = format!("/spec/{field}");
        if manifest.object.at(&pointer).is_none_or(|value| value.is_null() || *value == json!([])) {
            continue;
        }
        let report = Report::at(manifest, &*pointer, format!("a serverless gateway has no clusters, so no {field}"));
        let at = format!("/metadata/annotations/{}", escape(gateway::MANAGED_BY_ASM));
        let report = report.related(manifest, &at, "this makes it serverless").hint("ASM runs it: take the field away");
        sink.push(report.fix(format!("take {field} away"), false, vec![(manifest, removal(manifest, &pointer))]));
    }
}
