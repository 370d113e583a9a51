//! Every replacement and every destruction says what it means.

use crate::diff::{FleetDiff, LiveObject, LiveTarget, Op, diff_live};
use crate::fleet::{FleetState, MemoryTree, Target};
use crate::object::{ObjectId, kinds};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

fn object(api_version: &str, kind: &str, body: Value) -> Value {
    let mut object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "default"}});
    let body = body.as_object().cloned().unwrap_or_default();
    object.as_object_mut().unwrap().extend(body);
    object
}

/// What one target's change from `before` to `after` comes to.
fn change(before: &Value, after: Option<&Value>) -> FleetDiff {
    let id = ObjectId::of(before).unwrap();
    let target = match kinds::place(&id.group_kind) {
        Some(kinds::Place::Mesh) => Target::Mesh,
        _ => Target::Cluster("m1c1".into()),
    };
    let fleet = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: f}\nspec: {mesh: {}, clusters: [{name: m1c1}]}\n";
    let mut tree: MemoryTree = [("fleet.yaml", fleet)].into_iter().collect();
    if let Some(after) = after {
        let folder = if target == Target::Mesh { "mesh" } else { "clusters/m1c1" };
        tree.insert(&format!("{folder}/x.yaml"), after.to_string());
    }
    let state = FleetState::read(&tree);
    assert_eq!(state.problems, vec![]);
    let live = LiveObject { object: before.clone().into(), is_managed: true };
    let objects = [(id, live)].into_iter().collect();
    diff_live(&[LiveTarget { target, objects, unknown: BTreeSet::new() }], &state)
}

#[test]
fn every_kind_that_is_destroyed() {
    let mut text = String::new();
    let known = kinds::KINDS.iter().map(|row| (row.group, row.kind));
    for (group, kind) in known.chain([("example.com", "Thing")]) {
        let api_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        let body = match kind {
            "VirtualService" => json!({"spec": {"hosts": ["a.example.com", "b", "c", "d"], "gateways": ["g"]}}),
            "DestinationRule" => json!({"spec": {"host": "reviews", "subsets": [{"name": "v1"}]}}),
            "Gateway" => json!({"spec": {"servers": [{"port": {"number": 80}}, {"port": {"number": 443}}]}}),
            "Deployment" => json!({"spec": {"replicas": 3}}),
            _ => json!({}),
        };
        let diff = change(&object(&api_version, kind, body), None);
        let [change] = &diff.changes[..] else { panic!("{diff:?}") };
        assert_eq!((change.op, change.consequences.is_empty()), (Op::Destroy, false), "{change:?}");
        let _ = writeln!(text, "{kind}: {}", change.consequences.join("; "));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_way_to_be_replaced() {
    let service = |spec: Value| object("v1", "Service", json!({"spec": spec}));
    let clb = |name: &str, value: &str| {
        let mut service = service(json!({"type": "LoadBalancer", "ports": [{"name": "http", "port": 80}]}));
        service["metadata"]["annotations"][format!("service.beta.kubernetes.io/alibaba-cloud-{name}")] = json!(value);
        service["status"] = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}});
        service
    };
    let gateway = |spec: Value| object("istio.alibabacloud.com/v1beta1", "IstioGateway", json!({"spec": spec}));
    let serverless = |on: &str| {
        let mut gateway = gateway(json!({}));
        gateway["metadata"]["annotations"]["asm.alibabacloud.com/managed-by-asm"] = json!(on);
        gateway
    };
    let apps = |kind, spec: Value| object("apps/v1", kind, json!({"spec": spec}));
    let selector = |value| json!({"selector": {"matchLabels": {"app": value}}});
    let role = |kind: &str, name| object("rbac.authorization.k8s.io/v1", kind, json!({"roleRef": {"name": name}}));
    let class = |class| service(json!({"type": "LoadBalancer", "loadBalancerClass": class}));
    let frozen = |value| object("v1", "ConfigMap", json!({"immutable": true, "data": {"a": value}}));
    let rows = [
        (clb("loadbalancer-address-type", "internet"), clb("loadbalancer-address-type", "intranet")),
        (clb("loadbalancer-id", "lb-1"), clb("loadbalancer-id", "lb-2")),
        (class("alibabacloud.com/clb"), class("alibabacloud.com/nlb")),
        (service(json!({"clusterIP": "10.0.0.1"})), service(json!({"clusterIP": "10.0.0.2"}))),
        (serverless("false"), serverless("true")),
        (
            gateway(json!({"serviceType": "LoadBalancer", "loadBalancerClass": "alibabacloud.com/nlb"})),
            gateway(json!({"serviceType": "LoadBalancer", "loadBalancerClass": "alibabacloud.com/clb"})),
        ),
        (apps("Deployment", selector("a")), apps("Deployment", selector("b"))),
        (apps("DaemonSet", selector("a")), apps("DaemonSet", selector("b"))),
        (apps("StatefulSet", selector("a")), apps("StatefulSet", selector("b"))),
        (apps("StatefulSet", json!({"serviceName": "a"})), apps("StatefulSet", json!({"serviceName": "b"}))),
        (
            apps("StatefulSet", json!({"volumeClaimTemplates": [{"metadata": {"name": "a"}}]})),
            apps("StatefulSet", json!({"volumeClaimTemplates": [{"metadata": {"name": "b"}}]})),
        ),
        (
            object("batch/v1", "Job", json!({"spec": {"template": {"spec": {"restartPolicy": "Never"}}}})),
            object("batch/v1", "Job", json!({"spec": {"template": {"spec": {"restartPolicy": "OnFailure"}}}})),
        ),
        (role("RoleBinding", "a"), role("RoleBinding", "b")),
        (
            object("v1", "Secret", json!({"type": "Opaque"})),
            object("v1", "Secret", json!({"type": "kubernetes.io/tls"})),
        ),
        (frozen("1"), frozen("2")),
    ];
    let mut text = String::new();
    for (before, after) in rows {
        let diff = change(&before, Some(&after));
        let [change] = &diff.changes[..] else { panic!("{diff:?}") };
        assert_eq!(change.op, Op::Replace, "{before} → {after}: {change:?}");
        let reason = change.replace_reason.as_ref().unwrap();
        assert!(change.consequences.contains(reason), "{change:?}");
        let _ = writeln!(text, "{} {}\n  {reason}", change.id.group_kind.kind, change.fields[0].path);
    }
    insta::assert_snapshot!(text);
}
