//! Does an approval in Git cover a dangerous step? It must name the action, the target, the object and every address.

use super::{Danger, Needs};
use crate::fleet::{Approval, ApprovalAction, Target};
use crate::object::ObjectId;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The approval that covers the step; otherwise what is missing, part by part.
///
/// # Errors
/// Why the step has no consent: which part of the approval that comes nearest does not match.
pub fn consent<'a>(
    danger: &Danger,
    target: &Target,
    id: &ObjectId,
    approvals: impl IntoIterator<Item = &'a Approval>,
    now: Timestamp,
) -> Result<&'a Approval, String> {
    if let Needs::Double(plan) = danger.needs {
        return Err(format!(
            "no approval helps, because it cannot be done to this object: {}",
            plan.replace("NAME", &id.name)
        ));
    }
    let mut nearest: Option<(&Approval, Vec<String>)> = None;
    for approval in approvals {
        let missing = mismatches(danger, target, id, approval, now);
        if missing.is_empty() {
            return Ok(approval);
        }
        // One that is for another kind or name is somebody else's, unless it names an address that is lost.
        let spec = &approval.spec;
        let named = spec.addresses.iter().any(|address| danger.addresses.contains(address));
        let about = named || (*spec.name == *id.name && spec.kind == id.group_kind.to_string());
        if about && nearest.as_ref().is_none_or(|(_, least)| missing.len() < least.len()) {
            nearest = Some((approval, missing));
        }
    }
    Err(nearest.map_or_else(
        || "no approval in Git covers it".to_owned(),
        |(approval, missing)| format!("approval {} does not count: {}", approval.metadata.name, missing.join("; ")),
    ))
}

/// Every part of an approval that does not fit the step.
fn mismatches(danger: &Danger, target: &Target, id: &ObjectId, approval: &Approval, now: Timestamp) -> Vec<String> {
    let spec = &approval.spec;
    let mut found = Vec::new();
    let mut part = |what: &str, named: &str, here: &str| {
        if named != here {
            found.push(format!("its {what} is {named}, this is {here}"));
        }
    };
    part("action", spec.action.word(), danger.action().map_or("none", ApprovalAction::word));
    part("target", &spec.target, target.name());
    part("kind", &spec.kind, &id.group_kind.to_string());
    part("namespace", spec.namespace.as_deref().unwrap_or("none"), id.namespace.as_deref().unwrap_or("none"));
    part("name", &spec.name, &id.name);
    part("uid", spec.uid.as_deref().unwrap_or(&danger.uid), &danger.uid);
    let named: BTreeSet<&String> = spec.addresses.iter().collect();
    let lost: Vec<&str> = danger.addresses.iter().filter(|a| !named.contains(a)).map(String::as_str).collect();
    if !lost.is_empty() {
        found.push(format!("it does not name {}", lost.join(", ")));
    }
    if let Some(expires) = spec.expires
        && expires <= now
    {
        found.push(format!("it expired at {expires}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{ApprovalSpec, LoadBalancerFate};
    use crate::object::kinds;

    fn approval(change: impl FnOnce(&mut ApprovalSpec)) -> Approval {
        let mut spec = ApprovalSpec {
            action: ApprovalAction::Delete,
            target: "mesh".to_owned(),
            kind: "IstioGateway.istio.alibabacloud.com".to_owned(),
            namespace: Some("istio-system".to_owned()),
            name: "ingressgateway".to_owned(),
            uid: None,
            addresses: vec!["198.51.100.7".to_owned()],
            expires: None,
            reason: None,
            load_balancer: LoadBalancerFate::Delete,
        };
        change(&mut spec);
        serde_json::from_value(serde_json::json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "Approval", "metadata": {"name": "retire"}, "spec": spec,
        }))
        .expect("an approval")
    }

    fn danger(needs: Needs) -> Danger {
        Danger {
            class: "gateway-deleted",
            needs,
            uid: "u1".to_owned(),
            addresses: vec!["198.51.100.7".to_owned()],
            consequence: String::new(),
        }
    }

    fn ask_for(danger: &Danger, approvals: &[Approval]) -> Result<(), String> {
        let id = ObjectId::new(kinds::ASM, "IstioGateway", Some("istio-system"), "ingressgateway");
        let now = "2026-06-01T00:00:00Z".parse().expect("a time");
        consent(danger, &Target::Mesh, &id, approvals, now).map(drop)
    }

    fn ask(approval: Approval) -> Result<(), String> {
        ask_for(&danger(Needs::Approval(ApprovalAction::Delete)), &[approval])
    }

    #[test]
    fn only_an_approval_that_names_everything_counts() {
        assert_eq!(ask(approval(|_| ())), Ok(()));
        assert_eq!(ask(approval(|spec| spec.uid = Some("u1".to_owned()))), Ok(()));
        assert_eq!(ask(approval(|spec| spec.expires = "2026-06-01T00:00:01Z".parse().ok())), Ok(()));
        type Case = (fn(&mut ApprovalSpec), &'static str);
        let refused: [Case; 8] = [
            (|spec| spec.action = ApprovalAction::Release, "its action is Release, this is Delete"),
            (|spec| spec.target = "m1c1".to_owned(), "its target is m1c1, this is mesh"),
            (|spec| spec.name = "other".to_owned(), "its name is other, this is ingressgateway"),
            (
                |spec| spec.kind = "Service".to_owned(),
                "its kind is Service, this is IstioGateway.istio.alibabacloud.com",
            ),
            (|spec| spec.namespace = None, "its namespace is none, this is istio-system"),
            (|spec| spec.uid = Some("u2".to_owned()), "its uid is u2, this is u1"),
            (|spec| spec.addresses = vec!["198.51.100.9".to_owned()], "it does not name 198.51.100.7"),
            (|spec| spec.expires = "2026-06-01T00:00:00Z".parse().ok(), "it expired at 2026-06-01T00:00:00Z"),
        ];
        for (change, why) in refused {
            assert_eq!(ask(approval(change)), Err(format!("approval retire does not count: {why}")));
        }
    }

    #[test]
    fn the_nearest_of_several_is_told_and_a_strangers_is_not() {
        let wanted = danger(Needs::Approval(ApprovalAction::Delete));
        let far = approval(|spec| (spec.target, spec.uid) = ("m1c1".to_owned(), Some("u2".to_owned())));
        let near = approval(|spec| spec.target = "m1c2".to_owned());
        let told = ask_for(&wanted, &[far, near]).expect_err("no consent");
        assert_eq!(told, "approval retire does not count: its target is m1c2, this is mesh");
        let stranger = approval(|spec| (spec.name, spec.addresses) = ("other".to_owned(), Vec::new()));
        assert_eq!(ask(stranger), Err("no approval in Git covers it".to_owned()));
    }

    #[test]
    fn what_cannot_be_done_to_the_object_is_not_done_whoever_agrees() {
        let told = ask_for(&danger(Needs::Double("make another NAME")), &[approval(|_| ())]).expect_err("no consent");
        assert!(told.ends_with("make another ingressgateway"), "{told}");
    }
}
