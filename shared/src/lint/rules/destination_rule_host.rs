//! # destination-rule-host
//!
//! ## What it finds
//!
//! A DestinationRule whose host is neither a Service in any cluster nor a host of a ServiceEntry. Hosts with a wildcard
//! are for whatever there is, and nothing is said of namespaces whose applications stand elsewhere.
//!
//! ## Why it is bad
//!
//! Nothing it says has an effect: subsets that routes name are missing, TLS and timeouts are not set. A short name
//! means the DestinationRule's own namespace.
//!
//! ## How to mend it
//!
//! Correct the host (`NAME.NAMESPACE.svc.cluster.local` for another namespace), or remove the DestinationRule.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, host_namespace, namespace};
use crate::distance::distance;
use crate::istio::full_host;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "destination-rule-host",
    severity: Severity::Warning,
    summary: "a DestinationRule is for a host that does not exist",
    istio: &["IST0174"],
    kiali: &["KIA0202"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("destination_rule_host.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for rule in world.destination_rules() {
        let (host, own) = (&rule.rule.host, namespace(rule.manifest));
        let known = host.is_empty() || host.contains('*') || !world.host_for(host, rule.manifest).is_empty();
        if known || !world.knows_namespace(host_namespace(host, own)) {
            continue;
        }
        let full = full_host(host, own);
        let message = format!("there is no Service and no ServiceEntry {full}: this DestinationRule has no effect");
        let report = Report::at(rule.manifest, "/spec/host", message);
        let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let near = world.hosts().names().filter(|name| *name != full);
        let near = near.map(|name| (distance(name, &full), name));
        let near = near.filter(|(far, name)| *far <= 2 || short(name) == short(&full)).min();
        sink.push(match near {
            Some((_, name)) => {
                let edit = (rule.manifest, EditOp::Set("/spec/host".to_owned(), name.into()));
                report.hint(format!("Did you mean {name}?")).fix(format!("make it for {name}"), false, vec![edit])
            }
            None => report.hint("Correct the host, or remove the DestinationRule"),
        });
    }
}
