//! # ineffective-selector
//!
//! ## What it finds
//!
//! An AuthorizationPolicy, RequestAuthentication, Telemetry or WasmPlugin that chooses the pods of a Gateway of the
//! Gateway API by their labels instead of by `targetRefs`.
//!
//! ## Why it is bad
//!
//! For such gateways Istio heeds `targetRefs` only: the policy has no effect.
//!
//! ## How to mend it
//!
//! Replace `selector` by `targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: …}]`.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::object::At as _;
use serde_json::{Value, json};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "ineffective-selector",
    severity: Severity::Warning,
    summary: "a policy chooses a Gateway API gateway by labels",
    istio: &["IST0166"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("ineffective_selector.rs"),
    check,
};

/// On the pods of every such gateway.
const LABEL: &str = "gateway.networking.k8s.io/gateway-name";

const KINDS: &[(&str, &str)] = &[
    ("security.istio.io", "AuthorizationPolicy"),
    ("security.istio.io", "RequestAuthentication"),
    ("telemetry.istio.io", "Telemetry"),
    ("extensions.istio.io", "WasmPlugin"),
];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for policy in KINDS.iter().flat_map(|(group, kind)| world.of_kind(group, kind)) {
        let object = &policy.object;
        let refers = ["/spec/targetRef", "/spec/targetRefs"].iter().any(|pointer| object.at(pointer).is_some());
        let Some(labels) = object.at("/spec/selector/matchLabels").and_then(Value::as_object) else { continue };
        let own = labels.get(LABEL).and_then(Value::as_str);
        let of_pods = || {
            let pods = world.pods_with(labels);
            pods.filter(|pod| Some(pod.namespace) == policy.id.namespace.as_deref())
                .find_map(|pod| pod.labels.get(LABEL).and_then(Value::as_str))
        };
        let Some(name) = own.or_else(of_pods).filter(|_| !refers) else { continue };
        let kind = &policy.id.group_kind.kind;
        let message =
            format!("this {kind} has no effect on the gateway {name}: it is chosen by targetRefs, not by labels");
        let target = json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}]);
        let edits = vec![
            (policy, EditOp::Set("/spec/targetRefs".to_owned(), target)),
            (policy, EditOp::Remove("/spec/selector".to_owned())),
        ];
        let report = Report::at(policy, "/spec/selector", message).hint("Replace the selector by targetRefs");
        sink.push(report.fix("choose it by targetRefs", false, edits));
    }
}
