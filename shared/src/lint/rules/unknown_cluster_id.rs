//! # unknown-cluster-id
//!
//! ## What it finds
//!
//! An item of `spec.clusterIds` that is the ID of no cluster in `fleet.yaml`. Nothing is said while no cluster of the fleet
//! has an ID.
//!
//! ## Why it is bad
//!
//! A cluster that is not in the mesh gets no gateway. Often it is the cluster's name instead of its ID, or the ID of a
//! cluster that has been taken out of the fleet.
//!
//! ## How to mend it
//!
//! Write the ID that `kubectl asm cluster list` shows, or declare the cluster in `fleet.yaml`.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::asm::gateway;
use crate::distance::distance;
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "unknown-cluster-id",
    severity: Severity::Error,
    summary: "a gateway names a cluster that the fleet does not have",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("unknown_cluster_id.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let clusters = world.clusters();
    let known: Vec<(&str, &str)> =
        clusters.clone().filter_map(|cluster| Some((cluster.name.as_str(), cluster.id.as_deref()?))).collect();
    let all_have_ids = clusters.count() == known.len();
    if known.is_empty() {
        return;
    }
    for manifest in world.of_kind(ASM, "IstioGateway").filter(|manifest| !gateway::is_serverless(&manifest.object)) {
        let ids = manifest.object.at("/spec/clusterIds").and_then(Value::as_array).into_iter().flatten();
        for (index, id) in ids.enumerate().filter_map(|(index, id)| Some((index, id.as_str()?))) {
            if known.iter().any(|(_, known)| *known == id) {
                continue;
            }
            let pointer = format!("/spec/clusterIds/{index}");
            let report = Report::at(manifest, &*pointer, format!("fleet.yaml has no cluster with the ID {id}"));
            // One of those without an ID may be meant.
            let report = if all_have_ids { report } else { report.severity(Severity::Warning) };
            let named = known.iter().find(|(name, _)| *name == id);
            let near = || known.iter().find(|(_, known)| distance(known, id) <= 2);
            sink.push(match named.or_else(near) {
                Some((name, meant)) => {
                    let edit = (manifest, EditOp::Set(pointer, Value::from(*meant)));
                    let report = report.hint(format!("Did you mean {meant}, the cluster {name}?"));
                    report.fix(format!("name the cluster {name} by its ID"), named.is_some(), vec![edit])
                }
                None => {
                    report.hint("See kubectl asm cluster list, or declare it: kubectl asm cluster add NAME --id ID")
                }
            });
        }
    }
}
