//! Keeping a load balancer when its Service goes: `loadbalancer-preserve-lb-on-delete`, which the cloud controller reads at
//! that moment (asm-domain reference 4.2, 4.6).

use super::Danger;
use crate::asm::annotations::{at_least, find, key, setting};
use crate::fleet::{Approval, ApprovalAction, LoadBalancerFate};
use crate::object::At as _;
use crate::object::{GroupKind, kinds};
use serde_json::Value;

/// The setting.
const PRESERVE: &str = "loadbalancer-preserve-lb-on-delete";

/// What has to be done first so that the load balancer stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: nobody asked for it, or it is so already.
    Nothing,
    /// This annotation is to be set on the Services concerned (on those inside, for a Namespace).
    Annotate(String),
}

/// What an approved step needs first.
///
/// # Errors
/// The approval asks for what cannot be had; the step must wait.
pub fn keep(
    danger: &Danger,
    approval: &Approval,
    group_kind: &GroupKind,
    live: &Value,
    cloud_controller: Option<&str>,
) -> Result<Keep, String> {
    if approval.spec.load_balancer == LoadBalancerFate::Delete || danger.addresses.is_empty() {
        return Ok(Keep::Nothing);
    }
    let asked = format!("approval {} asks to keep the load balancer", approval.metadata.name);
    let key = key(PRESERVE);
    let is_kept = |annotations: Option<&Value>| {
        [PRESERVE, "loadbalancer-id"]
            .iter()
            .any(|name| setting(annotations, name).is_some_and(|value| !value.is_empty()))
    };
    if group_kind.is(kinds::ASM, "IstioGateway") {
        if is_kept(live.at("/spec/serviceAnnotations")) {
            return Ok(Keep::Nothing);
        }
        return Err(format!(
            "{asked}, which is its generated Service's: commit {key}: \"true\" in spec.serviceAnnotations first, and the removal \
             when every cluster has it"
        ));
    }
    if is_kept(live.at("/metadata/annotations")) {
        return Ok(Keep::Nothing);
    }
    if approval.spec.action != ApprovalAction::Delete {
        return Err(format!(
            "{asked}, which the cloud controller does only when the Service is deleted: remove it instead"
        ));
    }
    let since = find(&key).and_then(|row| row.since).unwrap_or_default();
    let Some(version) = cloud_controller else {
        return Err(format!(
            "{asked}, which takes cloud controller {since} or later: write the cluster's cloudControllerVersion into fleet.yaml"
        ));
    };
    match at_least(version, since) {
        Some(true) => Ok(Keep::Annotate(key)),
        _ => Err(format!("{asked}, which takes cloud controller {since} or later, and the cluster has {version}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Needs;
    use super::*;
    use serde_json::json;

    fn ask(kind: &str, fate: Value, live: &Value, version: Option<&str>) -> Result<Keep, String> {
        let approval: Approval = serde_json::from_value(json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "Approval", "metadata": {"name": "retire"}, "spec": {
                "action": "Delete", "target": "m1c1", "kind": kind, "name": "door", "loadBalancer": fate}}))
        .expect("an approval");
        let danger = Danger {
            class: "service-deleted",
            needs: Needs::Approval(ApprovalAction::Delete),
            uid: String::new(),
            addresses: vec!["198.51.100.7".to_owned()],
            consequence: String::new(),
        };
        let group = if kind == "Service" { "" } else { kinds::ASM };
        keep(&danger, &approval, &GroupKind::new(group, kind), live, version)
    }

    #[test]
    fn it_is_set_where_the_cloud_controller_reads_it() {
        let live = json!({});
        let set = json!({"metadata": {"annotations": {key(PRESERVE): "true"}}});
        assert_eq!(ask("Service", json!("Delete"), &live, None), Ok(Keep::Nothing));
        assert_eq!(ask("Service", json!("Keep"), &live, Some("v2.10.0")), Ok(Keep::Annotate(key(PRESERVE))));
        assert_eq!(ask("Service", json!("Keep"), &set, None), Ok(Keep::Nothing));
        let old = ask("Service", json!("Keep"), &live, Some("2.9.1")).expect_err("too old");
        assert!(old.ends_with("takes cloud controller 2.10.0 or later, and the cluster has 2.9.1"), "{old}");
        assert!(ask("Service", json!("Keep"), &live, None).expect_err("not known").contains("cloudControllerVersion"));
        assert!(ask("Service", json!("Keep"), &live, Some("latest")).is_err());
        assert!(ask("IstioGateway", json!("Keep"), &live, Some("2.10.0")).is_err());
        let gateway = json!({"spec": {"serviceAnnotations": {key(PRESERVE): "true"}}});
        assert_eq!(ask("IstioGateway", json!("Keep"), &gateway, None), Ok(Keep::Nothing));
    }
}
