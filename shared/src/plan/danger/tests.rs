//! The table, row by row.

use super::*;
use crate::asm::gateway::MANAGED_BY_ASM;
use serde_json::json;

const P: &str = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-";
const LEGACY: &str = "service.beta.kubernetes.io/alicloud-loadbalancer-";

fn merged(mut base: Value, more: Value) -> Value {
    fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (key, value) in from {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from,
        }
    }
    merge(&mut base, more);
    base
}

fn service(kind: &str) -> Value {
    json!({"metadata": {"uid": "u1"}, "spec": {"type": kind},
           "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}})
}

fn with(annotations: Value) -> Value {
    merged(service("LoadBalancer"), json!({"metadata": {"annotations": annotations}}))
}

fn istio_gateway(spec: Value, serverless: bool) -> Value {
    json!({
        "metadata": {"uid": "u2", "annotations": {MANAGED_BY_ASM: if serverless { "true" } else { "false" }}},
        "spec": spec,
        "status": {"GatewayAddress": ["198.51.100.7", "198.51.100.8"], "ClusterIdGatewayAddressMap": [
            {"clusterId": "ca", "ipAddress": "198.51.100.7"}, {"clusterId": "cb", "ipAddress": "198.51.100.8"}]},
    })
}

fn gateway(spec: Value) -> Value {
    istio_gateway(merged(json!({"clusterIds": ["ca", "cb"]}), spec), false)
}

fn classes(kind: &GroupKind, wanted: &Value, live: &Value) -> Vec<&'static str> {
    of_change(kind, wanted, live).into_iter().map(|danger| danger.class).collect()
}

fn service_kind() -> GroupKind {
    GroupKind::new("", "Service")
}

fn gateway_kind() -> GroupKind {
    GroupKind::new(kinds::ASM, "IstioGateway")
}

#[test]
fn every_row_has_a_name_of_its_own_and_deletions_need_an_approval() {
    let names: std::collections::BTreeSet<_> = CLASSES.iter().map(|row| row.id).collect();
    assert_eq!(names.len(), CLASSES.len());
    for row in CLASSES.iter().filter(|row| row.deletes) {
        assert_eq!(row.needs, Needs::Approval(ApprovalAction::Delete), "{}", row.id);
    }
}

#[test]
fn deleting_names_the_addresses() {
    let danger = of_delete(&service_kind(), &service("LoadBalancer"), &[]).expect("a danger");
    assert_eq!((danger.uid.as_str(), danger.addresses.as_slice()), ("u1", ["198.51.100.7".to_owned()].as_slice()));
    assert_eq!(of_delete(&service_kind(), &service("ClusterIP"), &[]), None);
    let both = ["198.51.100.7", "198.51.100.8"];
    assert_eq!(of_delete(&gateway_kind(), &gateway(json!({})), &[]).expect("a danger").addresses, both);
    let holders = [GroupKind::new("", "Namespace"), GroupKind::new("apiextensions.k8s.io", "CustomResourceDefinition")];
    for kind in holders {
        let inside = [service("LoadBalancer"), gateway(json!({}))];
        let danger = of_delete(&kind, &json!({"metadata": {"uid": "n"}}), &inside).expect("a danger");
        assert_eq!(danger.addresses, both, "{kind}");
        assert!(of_delete(&kind, &json!({}), &[]).is_some(), "{kind}: also what seems empty");
    }
}

#[test]
fn what_stays_is_said() {
    for (setting, word) in [("id", "reused"), ("preserve-lb-on-delete", "preserve-lb-on-delete")] {
        let danger = of_delete(&service_kind(), &with(json!({format!("{P}{setting}"): "lb-1"})), &[]);
        assert!(danger.expect("still held").consequence.contains(word), "{setting}");
    }
}

#[test]
fn changes_of_a_service() {
    let live = service("LoadBalancer");
    let key = |name: &str| format!("{P}{name}");
    let another_class = merged(live.clone(), json!({"spec": {"loadBalancerClass": "alibabacloud.com/nlb"}}));
    let reused = with(json!({key("id"): "lb-1"}));
    let intranet = with(json!({key("address-type"): "intranet"}));
    let old_intranet = with(json!({format!("{LEGACY}address-type"): "intranet"}));
    let none: &[&str] = &[];
    for (what, wanted, live, expected) in [
        ("nothing", &live, &live, none),
        ("not a load balancer before", &live, &service("ClusterIP"), none),
        ("the type goes", &json!({"spec": {}}), &live, &["type-taken-away"]),
        (
            "the type goes, with a fixed setting",
            &merged(intranet.clone(), json!({"spec": {"type": "ClusterIP"}})),
            &live,
            &["type-taken-away"],
        ),
        ("another class", &another_class, &live, &["class-of-service"]),
        ("a class that we do not own is not in Git", &live, &another_class, none),
        ("the default written down", &with(json!({key("address-type"): "internet"})), &live, none),
        ("another address type", &intranet, &live, &["fixed-setting"]),
        ("the legacy prefix", &old_intranet, &live, &["fixed-setting"]),
        ("the prefix alone", &intranet, &old_intranet, none),
        ("a fixed setting taken out resets nothing", &live, &intranet, none),
        ("the ID of a reused one taken out", &live, &reused, &["fixed-setting"]),
        ("another one reused", &with(json!({key("id"): "lb-2"})), &reused, &["fixed-setting"]),
        ("another zone", &with(json!({key("master-zoneid"): "z"})), &live, &["fixed-setting"]),
        ("another IP version", &with(json!({key("ip-version"): "ipv6"})), &live, &["fixed-setting"]),
        ("a resource group", &with(json!({key("resource-group-id"): "rg-1"})), &live, &["fixed-setting"]),
        ("a mutable setting", &with(json!({key("bandwidth"): "5"})), &live, none),
        ("an ignored setting", &with(json!({key("vswitch-id"): "vsw-1"})), &live, none),
        (
            "listeners",
            &with(json!({key("id"): "lb-1", key("force-override-listeners"): "true"})),
            &reused,
            &["listeners-taken-over"],
        ),
        (
            "not the exact word",
            &with(json!({key("id"): "lb-1", key("force-override-listeners"): "yes"})),
            &reused,
            none,
        ),
        (
            "another controller",
            &with(json!({"service.beta.kubernetes.io/class": "x"})),
            &live,
            &["given-to-another-controller"],
        ),
    ] {
        assert_eq!(classes(&service_kind(), wanted, live), expected, "{what}");
    }
}

#[test]
fn an_nlb_has_other_fixed_settings() {
    let nlb = |annotations| merged(with(annotations), json!({"spec": {"loadBalancerClass": "alibabacloud.com/nlb"}}));
    let changed =
        |name: &str, value: &str| classes(&service_kind(), &nlb(json!({format!("{P}{name}"): value})), &nlb(json!({})));
    assert_eq!(changed("address-type", "intranet"), [""; 0]);
    assert_eq!(changed("ip-version", "dualstack"), ["fixed-setting"]);
}

#[test]
fn before_the_load_balancer_exists_everything_can_change() {
    let mut live = service("LoadBalancer");
    live["status"] = json!({});
    assert_eq!(classes(&service_kind(), &with(json!({format!("{P}address-type"): "intranet"})), &live), [""; 0]);
    live["metadata"]["labels"] = json!({"service.k8s.alibaba/loadbalancer-id": "lb-1"});
    assert_eq!(
        classes(&service_kind(), &with(json!({format!("{P}address-type"): "intranet"})), &live),
        ["fixed-setting"]
    );
}

#[test]
fn a_class_that_we_own_goes_with_git() {
    let mut live = merged(service("LoadBalancer"), json!({"spec": {"loadBalancerClass": "alibabacloud.com/nlb"}}));
    live["metadata"]["managedFields"] = json!([{"manager": "asm-agent", "operation": "Apply",
        "fieldsV1": {"f:spec": {"f:loadBalancerClass": {}}}}]);
    assert_eq!(classes(&service_kind(), &service("LoadBalancer"), &live), ["class-of-service"]);
}

#[test]
fn changes_of_a_gateway() {
    let live = gateway(json!({}));
    let annotation = |name: &str, value: &str| gateway(json!({"serviceAnnotations": {format!("{P}{name}"): value}}));
    let one_cluster = istio_gateway(json!({"clusterIds": ["ca"]}), false);
    let own = gateway(json!({"overrides": {"cb": {"serviceAnnotations": {format!("{P}address-type"): "intranet"}}}}));
    let none: &[&str] = &[];
    for (what, wanted, expected) in [
        ("one more cluster", istio_gateway(json!({"clusterIds": ["ca", "cb", "cc"]}), false), none),
        ("one less", one_cluster.clone(), &["cluster-taken-out"]),
        ("switched", istio_gateway(json!({"clusterIds": ["ca", "cb"]}), true), &["managed-by-asm-switched"]),
        (
            "switched, and one cluster less",
            istio_gateway(json!({"clusterIds": ["ca"]}), true),
            &["managed-by-asm-switched"],
        ),
        ("another type", gateway(json!({"serviceType": "ClusterIP"})), &["load-balancer-taken-away"]),
        ("an NLB", gateway(json!({"loadBalancerClass": "alibabacloud.com/nlb"})), &["class-of-gateway"]),
        ("a fixed setting", annotation("address-type", "intranet"), &["fixed-setting-of-gateway"]),
        ("a fixed setting of one cluster", own, &["fixed-setting-of-gateway"]),
        ("a mutable setting", annotation("bandwidth", "5"), none),
        (
            "one cluster less and a fixed setting",
            merged(one_cluster, json!({"spec": {"serviceAnnotations": {format!("{P}address-type"): "intranet"}}})),
            &["cluster-taken-out", "fixed-setting-of-gateway"],
        ),
    ] {
        assert_eq!(classes(&gateway_kind(), &wanted, &live), expected, "{what}");
    }
    let lost = of_change(&gateway_kind(), &istio_gateway(json!({"clusterIds": ["ca"]}), false), &live);
    assert_eq!(lost[0].addresses, ["198.51.100.8"], "only what the cluster loses");
    let serverless = istio_gateway(json!({}), true);
    let wanted =
        merged(serverless.clone(), json!({"spec": {"serviceAnnotations": {format!("{P}address-type"): "intranet"}}}));
    assert_eq!(classes(&gateway_kind(), &wanted, &serverless), [""; 0], "ASM's own affair");
}
