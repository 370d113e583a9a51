//! Which steps lose a load balancer's address.
//!
//! Deleting a Service of type LoadBalancer deletes its CLB, whatever `delete-protection` says (the cloud controller
//! switches it off itself); deleting an IstioGateway deletes its Services; taking the type, a cluster or the serverless
//! switch away does the same (asm-domain reference 4.6, 7.2). Nobody gets the address back.

use crate::asm::{addresses, gateway};
use crate::fleet::ApprovalAction;
use crate::object::{GroupKind, kinds};
use serde_json::Value;

/// A step that needs consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Danger {
    /// What kind of step.
    pub action: ApprovalAction,
    /// UID of the live object.
    pub uid: String,
    /// Addresses that would be lost.
    pub addresses: Vec<String>,
    /// What would happen, one sentence without a full stop.
    pub consequence: String,
}

/// Must the live object be looked at before it is changed or removed? Only these kinds can own a load balancer.
pub fn wants_look(group_kind: &GroupKind) -> bool {
    is_service(group_kind) || is_gateway(group_kind) || holds_others(group_kind)
}

fn is_service(group_kind: &GroupKind) -> bool {
    group_kind.is("", "Service")
}

fn is_gateway(group_kind: &GroupKind) -> bool {
    group_kind.is(kinds::ASM, "IstioGateway")
}

/// Deleting it deletes objects that Git may not know.
fn holds_others(group_kind: &GroupKind) -> bool {
    group_kind.is("", "Namespace") || group_kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
}

fn is_load_balancer(service: &Value) -> bool {
    service.pointer("/spec/type").and_then(Value::as_str) == Some("LoadBalancer")
}

fn uid(live: &Value) -> String {
    live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What deleting the live object would lose. `inside`: LoadBalancer Services and IstioGateways that live in it, for a
/// Namespace.
pub fn of_delete(group_kind: &GroupKind, live: &Value, inside: &[Value]) -> Option<Danger> {
    let (addresses, consequence) = if is_service(group_kind) && is_load_balancer(live) {
        (addresses::of_service(live), "deletes the Service's load balancer and its address")
    } else if is_gateway(group_kind) {
        let what = "deletes the gateway with its Services, load balancers and addresses; it cannot be restored";
        (addresses::of_istio_gateway(live), what)
    } else if holds_others(group_kind) {
        let mut lost: Vec<String> = inside
            .iter()
            .flat_map(|object| [addresses::of_service(object), addresses::of_istio_gateway(object)])
            .flatten()
            .collect();
        lost.sort();
        lost.dedup();
        (lost, "deletes everything in it, also what Git does not know")
    } else {
        return None;
    };
    Some(Danger { action: ApprovalAction::Delete, uid: uid(live), addresses, consequence: consequence.to_owned() })
}

/// What changing the live object into the wanted one would lose.
pub fn of_change(group_kind: &GroupKind, wanted: &Value, live: &Value) -> Option<Danger> {
    let (addresses, consequence) = if is_service(group_kind) {
        service_change(wanted, live)?
    } else if is_gateway(group_kind) {
        gateway_change(wanted, live)?
    } else {
        return None;
    };
    Some(Danger { action: ApprovalAction::Release, uid: uid(live), addresses, consequence })
}

fn service_change(wanted: &Value, live: &Value) -> Option<(Vec<String>, String)> {
    if !is_load_balancer(live) || is_load_balancer(wanted) {
        return None;
    }
    let kind = wanted.pointer("/spec/type").and_then(Value::as_str).unwrap_or("ClusterIP");
    Some((addresses::of_service(live), format!("type LoadBalancer → {kind} deletes the load balancer and its address")))
}

fn gateway_change(wanted: &Value, live: &Value) -> Option<(Vec<String>, String)> {
    let all = addresses::of_istio_gateway(live);
    if gateway::is_serverless(wanted) != gateway::is_serverless(live) {
        let now = if gateway::is_serverless(wanted) { "serverless" } else { "ordinary" };
        return Some((all, format!("turning it {now} makes another gateway with another address")));
    }
    if gateway::wants_load_balancer(live) && !gateway::wants_load_balancer(wanted) {
        return Some((all, "taking serviceType LoadBalancer away deletes its load balancers".to_owned()));
    }
    let class = |gateway: &Value| gateway.pointer("/spec/loadBalancerClass").and_then(Value::as_str).map(str::to_owned);
    if gateway::wants_load_balancer(live) && class(wanted) != class(live) {
        return Some((all, "another loadBalancerClass means another load balancer with another address".to_owned()));
    }
    let kept = gateway::cluster_ids(wanted);
    let left: Vec<&str> = gateway::cluster_ids(live).into_iter().filter(|id| !kept.contains(id)).collect();
    if left.is_empty() {
        return None;
    }
    let lost = left.iter().flat_map(|id| addresses::of_istio_gateway_in(live, id)).collect();
    Some((lost, format!("takes the gateway out of {}, with its load balancer there", left.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(kind: &str) -> Value {
        json!({"metadata": {"uid": "u1"}, "spec": {"type": kind},
               "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}})
    }

    fn istio_gateway(spec: Value, serverless: bool) -> Value {
        json!({
            "metadata": {"uid": "u2", "annotations": {gateway::MANAGED_BY_ASM: if serverless { "true" } else { "false" }}},
            "spec": spec,
            "status": {"GatewayAddress": ["198.51.100.7", "198.51.100.8"], "ClusterIdGatewayAddressMap": [
                {"clusterId": "ca", "ipAddress": "198.51.100.7"}, {"clusterId": "cb", "ipAddress": "198.51.100.8"}]},
        })
    }

    #[test]
    fn deleting_a_load_balancer_service_names_its_address() {
        let kind = GroupKind::new("", "Service");
        let danger = of_delete(&kind, &service("LoadBalancer"), &[]).expect("a danger");
        assert_eq!((danger.uid.as_str(), danger.addresses.as_slice()), ("u1", ["198.51.100.7".to_owned()].as_slice()));
        assert_eq!(of_delete(&kind, &service("ClusterIP"), &[]), None);
    }

    #[test]
    fn deleting_a_namespace_names_the_addresses_inside() {
        let kind = GroupKind::new("", "Namespace");
        let danger =
            of_delete(&kind, &json!({"metadata": {"uid": "n"}}), &[service("LoadBalancer")]).expect("a danger");
        assert_eq!(danger.addresses, ["198.51.100.7"]);
    }

    #[test]
    fn changes_that_release_a_load_balancer() {
        let service_kind = GroupKind::new("", "Service");
        assert!(of_change(&service_kind, &json!({"spec": {}}), &service("LoadBalancer")).is_some());
        assert_eq!(of_change(&service_kind, &service("LoadBalancer"), &service("LoadBalancer")), None);
        assert_eq!(of_change(&service_kind, &service("LoadBalancer"), &service("ClusterIP")), None);

        let kind = GroupKind::new(kinds::ASM, "IstioGateway");
        let live = istio_gateway(json!({"clusterIds": ["ca", "cb"]}), false);
        let lost = |wanted: Value| of_change(&kind, &wanted, &live).map(|danger| danger.addresses);
        assert_eq!(lost(istio_gateway(json!({"clusterIds": ["ca", "cb", "cc"]}), false)), None);
        assert_eq!(lost(istio_gateway(json!({"clusterIds": ["ca"]}), false)), Some(vec!["198.51.100.8".to_owned()]));
        let both = Some(vec!["198.51.100.7".to_owned(), "198.51.100.8".to_owned()]);
        assert_eq!(lost(istio_gateway(json!({"clusterIds": ["ca", "cb"]}), true)), both);
        assert_eq!(lost(istio_gateway(json!({"clusterIds": ["ca", "cb"], "serviceType": "ClusterIP"}), false)), both);
        let nlb = json!({"clusterIds": ["ca", "cb"], "loadBalancerClass": "alibabacloud.com/nlb"});
        assert_eq!(lost(istio_gateway(nlb, false)), both);
    }
}
