//! # destination-subset
//!
//! ## What it finds
//!
//! A route that names a subset which no DestinationRule defines for its host. DestinationRules with a wildcard host count.
//!
//! ## Why it is bad
//!
//! istiod makes no cluster for the subset: every request that the route takes answers 503.
//!
//! ## How to mend it
//!
//! Add the subset to the DestinationRule of the host, or name one that it has.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{DestinationRuleView, World, intersects, namespace};
use crate::distance::distance;
use crate::istio::{VirtualService, full_host};
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "destination-subset",
    severity: Severity::Error,
    summary: "a route names a subset that is not defined",
    istio: &["IST0101"],
    kiali: &["KIA1107"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("destination_subset.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut exact: HashMap<String, Vec<&DestinationRuleView<'a>>> = HashMap::new();
    let mut wide = Vec::new();
    for rule in world.destination_rules() {
        let host = full_host(&rule.rule.host, namespace(rule.manifest)).to_lowercase();
        if host.starts_with('*') { wide.push((host, rule)) } else { exact.entry(host).or_default().push(rule) }
    }
    for route in world.routes() {
        for (to, pointer) in VirtualService::destinations(&route.manifest.object) {
            let Some(subset) = &to.subset else { continue };
            let host = full_host(&to.host, namespace(route.manifest)).to_lowercase();
            let of_host = exact.get(&host).into_iter().flatten().copied();
            let of_host = of_host.chain(wide.iter().filter(|(wide, _)| intersects(wide, &host)).map(|(_, rule)| *rule));
            let rules: Vec<_> = of_host.collect();
            if rules.iter().any(|rule| rule.rule.subsets.iter().any(|defined| defined.name == *subset)) {
                continue;
            }
            let message = match rules.as_slice() {
                [] => format!("no DestinationRule defines the subset {subset} of {}: requests answer 503", to.host),
                _ => format!("the DestinationRule of {} has no subset {subset}: requests answer 503", to.host),
            };
            let mut names: Vec<&str> =
                rules.iter().flat_map(|rule| &rule.rule.subsets).map(|subset| subset.name.as_str()).collect();
            names.sort_unstable();
            let hint = if names.is_empty() {
                format!("Define it: kubectl asm route split {} …", route.manifest.id.name)
            } else {
                format!("There are {}", names.join(", "))
            };
            // v3 is no misspelled v2.
            let alike =
                |name: &str| name.eq_ignore_ascii_case(subset) || subset.len() > 3 && distance(name, subset) == 1;
            let near = names.iter().find(|name| alike(name));
            let report = Report::at(route.manifest, pointer.clone(), message).hint(hint);
            let report = match near {
                Some(name) => {
                    let edit = EditOp::Set(format!("{pointer}/subset"), (*name).into());
                    report.fix(format!("name the subset {name}"), false, vec![(route.manifest, edit)])
                }
                None => report,
            };
            sink.push(rules.iter().fold(report, |report, rule| {
                report.related(rule.manifest, "/spec/subsets", "the subsets that there are")
            }));
        }
    }
}
