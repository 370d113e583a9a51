//! # address-lost
//!
//! ## What it finds
//!
//! Compared with the base revision (`lint --base REV`): a LoadBalancer Service or an IstioGateway that is removed or renamed, a
//! `type` that is no longer LoadBalancer, a cluster taken out of `clusterIds`, a gateway turned serverless or back. What an
//! approval in `approvals/` names is information, as is a load balancer that stays (`loadbalancer-id`,
//! `loadbalancer-preserve-lb-on-delete`). Nothing is said of a target with a file that cannot be read, nor of a cluster that is no
//! longer in `fleet.yaml`: it is left as it is.
//!
//! ## Why it is bad
//!
//! Deleting the Service deletes its load balancer, whatever `delete-protection` says, and nobody gets the address back. The
//! agent holds the step until an approval names it.
//!
//! ## How to mend it
//!
//! Keep the object until DNS has moved; `kubectl asm clb remove` and `kubectl asm gateway delete` write the approval with the
//! removal.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World};
use crate::asm::annotations::setting;
use crate::fleet::{ApprovalAction, FleetState, Manifest, Target};
use crate::object::At as _;
use crate::object::ObjectId;
use crate::object::kinds::ASM;
use crate::plan::{Danger, of_change, of_delete, wants_look};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "address-lost",
    severity: Severity::Error,
    summary: "a change loses a load balancer's address",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("address_lost.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let Some(base) = world.base() else { return };
    let state = world.state();
    let now: HashMap<(&Target, &ObjectId), &'a Manifest> =
        state.manifests.iter().map(|manifest| ((&manifest.target, &manifest.id), manifest)).collect();
    let runs_in = targets_of(World::fronts_of(base));
    let now_in = targets_of(World::fronts_of(state));
    let targets: HashSet<Target> = state.targets().into_iter().collect();
    let broken: HashSet<&Target> = targets.iter().filter(|target| state.problems_of(target).next().is_some()).collect();
    let owners = base.manifests.iter().filter(|manifest| {
        let kind = manifest.group_kind();
        wants_look(kind) && (kind.is("", "Service") || kind.is(ASM, "IstioGateway"))
    });
    for before in owners.filter(|before| targets.contains(&before.target)) {
        let after = now.get(&(&before.target, &before.id)).copied();
        let kind = before.group_kind();
        let (danger, at) = match after {
            Some(after) => {
                // What no approval helps with has a rule of its own.
                let all = of_change(kind, &after.object, &before.object);
                (all.into_iter().find(|danger| danger.action().is_some_and(loses)), after)
            }
            None if broken.contains(&before.target) => continue,
            None => (of_delete(kind, &before.object, &[]), before),
        };
        let Some(danger) = danger else { continue };
        let message =
            if after.is_some() { danger.consequence.clone() } else { format!("removing it {}", danger.consequence) };
        let quiet = kept(&before.object) || approved(state, before, &danger) || !has_load_balancer(before);
        let pointer = if after.is_some() { "/spec" } else { "" };
        let all = runs_in.get(&std::ptr::from_ref(before)).cloned().unwrap_or_default();
        let still = after.and_then(|after| now_in.get(&std::ptr::from_ref(after))).cloned().unwrap_or_default();
        let left: Vec<Target> = all.iter().filter(|target| !still.contains(target)).cloned().collect();
        let lost = if left.is_empty() { all } else { left };
        let report = Report::at(at, pointer, message).targets(lost);
        let report = if quiet { report.severity(Severity::Info) } else { report };
        let hint = "Keep it until DNS has moved; the agent waits for an approval in approvals/";
        let gone = if after.is_none() { " (the place is that of the base)" } else { "" };
        sink.push(report.hint(format!("{hint}{gone}")));
    }
}

/// Is an address lost by it?
fn loses(action: ApprovalAction) -> bool {
    action != ApprovalAction::TakeOver
}

/// Where the Services of each manifest are.
fn targets_of(fronts: Vec<Front<'_>>) -> HashMap<*const Manifest, Vec<Target>> {
    let mut targets: HashMap<*const Manifest, Vec<Target>> = HashMap::new();
    for front in fronts {
        targets.entry(std::ptr::from_ref(front.manifest)).or_default().push(front.target);
    }
    targets
}

fn has_load_balancer(manifest: &Manifest) -> bool {
    manifest.group_kind().is("", "Service") || crate::asm::gateway::wants_load_balancer(&manifest.object)
}

/// Does the load balancer stay when the Service goes?
fn kept(object: &Value) -> bool {
    let annotations = [object.at("/metadata/annotations"), object.at("/spec/serviceAnnotations")];
    let is_set = |name: &str| annotations.iter().any(|all| setting(*all, name).is_some_and(|value| !value.is_empty()));
    is_set("loadbalancer-id") || is_set("loadbalancer-preserve-lb-on-delete")
}

/// Does an approval name the step? Addresses and times are the agent's to judge: files do not know them.
fn approved(state: &FleetState, manifest: &Manifest, danger: &Danger) -> bool {
    state.approvals.iter().map(|(approval, _)| &approval.spec).any(|spec| {
        Some(spec.action) == danger.action()
            && spec.target == manifest.target.name()
            && spec.kind == manifest.id.group_kind.to_string()
            && spec.namespace.as_deref() == manifest.id.namespace.as_deref()
            && spec.name == *manifest.id.name
    })
}
