//! # ingress-subset
//!
//! ## What it finds
//!
//! A VirtualService of a gateway that sends requests to a host without naming a subset, while another VirtualService
//! for that host chooses subsets.
//!
//! ## Why it is bad
//!
//! The rules of the other one are for sidecars. A gateway does not apply them to what it sends on: requests from
//! outside go to all versions. Where all pods are of the one version that is chosen, that is for information.
//!
//! ## How to mend it
//!
//! Choose the subsets in the gateway's VirtualService as well.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{DestinationRuleView, Reference, RouteView, World, namespace};
use crate::istio::{VirtualService, full_host};
use std::collections::{BTreeSet, HashMap};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "ingress-subset",
    severity: Severity::Warning,
    summary: "rules that choose versions do not apply to requests from a gateway",
    istio: &["IST0140"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("ingress_subset.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    // VirtualServices that choose subsets of their own hosts.
    let mut choosing: HashMap<String, Vec<(&RouteView<'a>, String)>> = HashMap::new();
    for route in world.routes() {
        let own = namespace(route.manifest);
        let hosts: Vec<String> = route.route.hosts.iter().map(|host| full_host(host, own).to_lowercase()).collect();
        for (to, pointer) in VirtualService::destinations(&route.manifest.object) {
            let host = full_host(&to.host, own).to_lowercase();
            if to.subset.is_some() && hosts.contains(&host) && pointer.starts_with("/spec/http") {
                let known = choosing.entry(host).or_default();
                if !known.iter().any(|(known, _)| std::ptr::eq(*known, route)) {
                    known.push((route, pointer));
                }
            }
        }
    }
    let gateways = |route: &&RouteView<'a>| route.gateways.iter().any(|gateway| *gateway != Reference::Mesh);
    for route in world.routes().iter().filter(gateways) {
        let to_all = VirtualService::destinations(&route.manifest.object).into_iter();
        let to_all =
            to_all.filter(|(to, at)| to.subset.is_none() && at.starts_with("/spec/http") && at.contains("/route/"));
        for (to, pointer) in to_all {
            let host = full_host(&to.host, namespace(route.manifest)).to_lowercase();
            let others = choosing.get(&host).into_iter().flatten();
            let Some((other, at)) = others.into_iter().find(|(other, _)| !std::ptr::eq(*other, route)) else {
                continue;
            };
            let name = format!("{}/{}", namespace(other.manifest), other.manifest.id.name);
            let message = format!("the rules of {name} for {} do not apply here: requests go to all versions", to.host);
            let report =
                Report::at(route.manifest, pointer.clone(), message).related(other.manifest, at, "chooses a subset");
            let report = report.hint("Choose the subsets here as well");
            // Where the other one always chooses the same, there is little doubt.
            let all = VirtualService::destinations(&other.manifest.object).into_iter().map(|(to, _)| to.subset);
            let subsets: BTreeSet<Option<String>> = all.collect();
            sink.push(match (subsets.len(), subsets.into_iter().flatten().next()) {
                // There is nothing but that subset.
                (1, Some(subset)) if is_all(world, route, &to.host, &subset) => report.severity(Severity::Info),
                (1, Some(subset)) => {
                    let title = format!("choose the subset {subset}");
                    let edit = EditOp::Set(format!("{pointer}/subset"), subset.into());
                    report.fix(title, false, vec![(route.manifest, edit)])
                }
                _ => report,
            });
        }
    }
}

/// Are all pods of a host in this subset?
fn is_all(world: &World<'_>, user: &RouteView<'_>, host: &str, subset: &str) -> bool {
    let own = namespace(user.manifest);
    let full = full_host(host, own).to_lowercase();
    let services = world.hosts().find(host, own).services;
    let all = world.behind(&services, &serde_json::Map::new()).len();
    let of_host =
        |rule: &&DestinationRuleView<'_>| full_host(&rule.rule.host, namespace(rule.manifest)).to_lowercase() == full;
    let mut defined = world.destination_rules().iter().filter(of_host).flat_map(|rule| &rule.rule.subsets);
    let labels = defined.find(|defined| defined.name == subset).map(|defined| &defined.labels);
    all > 0 && labels.is_some_and(|labels| world.behind(&services, labels).len() == all)
}
