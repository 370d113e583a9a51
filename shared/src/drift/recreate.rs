//! May an object that somebody deleted be made again without being asked?

use crate::asm::annotations::setting;
use crate::object::At as _;
use crate::object::{GroupKind, kinds};
use serde_json::Value;

/// Would the object, made again, get a load balancer of its own with another address than the one that is lost? A Service that
/// names its load balancer (`loadbalancer-id`) gets that one back.
pub fn loses_address(group_kind: &GroupKind, wanted: &Value) -> bool {
    let annotations = |pointer: &str| wanted.at(pointer);
    let names_one =
        |annotations: Option<&Value>| setting(annotations, "loadbalancer-id").is_some_and(|id| !id.is_empty());
    if group_kind.is("", "Service") {
        let is_load_balancer = wanted.at("/spec/type").and_then(Value::as_str) == Some("LoadBalancer");
        return is_load_balancer && !names_one(annotations("/metadata/annotations"));
    }
    if group_kind.is(kinds::ASM, "IstioGateway") {
        let kind = wanted.at("/spec/serviceType").and_then(Value::as_str);
        return kind.is_none_or(|kind| kind == "LoadBalancer" || kind.is_empty())
            && !names_one(annotations("/spec/serviceAnnotations"));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_would_get_another_address_waits() {
        let service = |kind: &str, annotations: Value| {
            let object = json!({"metadata": {"annotations": annotations}, "spec": {"type": kind}});
            loses_address(&GroupKind::new("", "Service"), &object)
        };
        let id = json!({"service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id": "lb-1"});
        assert!(
            service("LoadBalancer", json!({}))
                && !service("LoadBalancer", id.clone())
                && !service("ClusterIP", json!({}))
        );
        let gateway = |spec: Value| loses_address(&GroupKind::new(kinds::ASM, "IstioGateway"), &json!({"spec": spec}));
        assert!(gateway(json!({})) && gateway(json!({"serviceType": "LoadBalancer"})));
        assert!(!gateway(json!({"serviceType": "ClusterIP"})) && !gateway(json!({"serviceAnnotations": id})));
        assert!(!loses_address(&GroupKind::new("apps", "Deployment"), &json!({})));
    }
}
