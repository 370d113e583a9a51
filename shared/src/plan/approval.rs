//! Does an approval in Git cover a dangerous step? It must name the action, the target, the object and every address.

use super::Danger;
use crate::fleet::{Approval, Target};
use crate::object::ObjectId;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// `Ok` when some approval covers the step; otherwise what is missing and how to consent.
pub fn consent<'a>(
    danger: &Danger,
    target: &Target,
    id: &ObjectId,
    approvals: impl IntoIterator<Item = &'a Approval>,
    now: Timestamp,
) -> Result<(), String> {
    let mut nearly = None;
    for approval in approvals {
        let spec = &approval.spec;
        let names_object = spec.action == danger.action
            && spec.target == target.name()
            && spec.kind == id.group_kind.to_string()
            && spec.namespace.as_deref() == id.namespace.as_deref()
            && spec.name == *id.name;
        if !names_object {
            continue;
        }
        match mismatch(danger, approval, now) {
            None => return Ok(()),
            Some(why) => nearly = Some(format!("approval {} does not count: {why}", approval.metadata.name)),
        }
    }
    Err(nearly.unwrap_or_else(|| "no approval in Git covers it".to_owned()))
}

fn mismatch(danger: &Danger, approval: &Approval, now: Timestamp) -> Option<String> {
    let spec = &approval.spec;
    if let Some(expires) = spec.expires
        && expires <= now
    {
        return Some(format!("it expired at {expires}"));
    }
    if let Some(uid) = &spec.uid
        && *uid != danger.uid
    {
        return Some(format!("it is for UID {uid}, the live object has {}", danger.uid));
    }
    let named: BTreeSet<&String> = spec.addresses.iter().collect();
    let lost: Vec<&str> = danger.addresses.iter().filter(|a| !named.contains(a)).map(String::as_str).collect();
    (!lost.is_empty()).then(|| format!("it does not name {}", lost.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{ApprovalAction, ApprovalSpec};
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
        };
        change(&mut spec);
        serde_json::from_value(serde_json::json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "Approval", "metadata": {"name": "retire"}, "spec": spec,
        }))
        .expect("an approval")
    }

    fn ask(approval: &Approval) -> Result<(), String> {
        let danger = Danger {
            action: ApprovalAction::Delete,
            uid: "u1".to_owned(),
            addresses: vec!["198.51.100.7".to_owned()],
            consequence: String::new(),
        };
        let id = ObjectId::new(kinds::ASM, "IstioGateway", Some("istio-system"), "ingressgateway");
        consent(&danger, &Target::Mesh, &id, [approval], "2026-06-01T00:00:00Z".parse().expect("a time"))
    }

    #[test]
    fn only_an_approval_that_names_everything_counts() {
        assert_eq!(ask(&approval(|_| ())), Ok(()));
        assert_eq!(ask(&approval(|spec| spec.uid = Some("u1".to_owned()))), Ok(()));
        let refused: [fn(&mut ApprovalSpec); 7] = [
            |spec| spec.action = ApprovalAction::Release,
            |spec| spec.target = "m1c1".to_owned(),
            |spec| spec.name = "other".to_owned(),
            |spec| spec.namespace = None,
            |spec| spec.uid = Some("u2".to_owned()),
            |spec| spec.addresses = vec!["198.51.100.9".to_owned()],
            |spec| spec.expires = "2026-05-31T23:59:59Z".parse().ok(),
        ];
        for (case, change) in refused.into_iter().enumerate() {
            assert!(ask(&approval(change)).is_err(), "case {case}");
        }
    }
}
