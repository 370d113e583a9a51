//! # mtls-contradiction
//! ## What it finds
//!
//! A DestinationRule that switches the mesh's TLS off (`DISABLE`) for a host whose pods take nothing else, because a PeerAuthentication is
//! `STRICT`, and one that begins it (`ISTIO_MUTUAL`) for pods that do not take it (`DISABLE`). Of several PeerAuthentications the one for the
//! pods counts, then the namespace's, then the mesh's (in `istio-system`). A DestinationRule for `*.NAMESPACE.svc.cluster.local`
//! or `*.local` counts for the Services that no nearer one names.
//!
//! ## Why it is bad
//!
//! Every request to the host fails, mostly as 503 with a reset connection.
//!
//! ## How to mend it
//!
//! Leave `tls` out of the DestinationRule: Istio then does what the other side takes.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Service, World, namespace, text};
use crate::fleet::{Manifest, pods};
use crate::istio::full_host;
use crate::object::At as _;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "mtls-contradiction",
    severity: Severity::Warning,
    summary: "caller and called do not agree about TLS",
    istio: &[],
    kiali: &["KIA0205", "KIA0206", "KIA0207", "KIA0208"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("mtls_contradiction.rs"),
    check,
};

/// Where the PeerAuthentication of the mesh is.
const ROOT: &str = "istio-system";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let policies: Vec<&'a Manifest> = world.of_kind("security.istio.io", "PeerAuthentication").collect();
    if policies.is_empty() {
        return;
    }
    for view in world.destination_rules() {
        let at = "/spec/trafficPolicy/tls/mode";
        let mode = text(&view.manifest.object, at);
        let refused = match mode {
            "DISABLE" => "STRICT",
            "ISTIO_MUTUAL" => "DISABLE",
            _ => continue,
        };
        let host = text(&view.manifest.object, "/spec/host");
        let of_services = services(world, host, view.manifest).into_iter().filter_map(|service| {
            let mut near = world.pods_with(service.selector.as_ref()?);
            Some((service, near.find(|pod| service.selects(pod))?))
        });
        let mut of_services = of_services.filter_map(|(service, pod)| Some((service, effective(&policies, pod)?)));
        let Some((service, policy)) = of_services.find(|(_, policy)| mode_of(policy) == refused) else { continue };
        let what = if mode == "DISABLE" { "takes TLS of the mesh only" } else { "takes no TLS of the mesh" };
        let who = match host.starts_with('*') {
            true => format!("{}.{}, which is among its hosts,", service.name, service.namespace),
            false => "the host".to_owned(),
        };
        let message = format!("{mode}, and {who} {what}: requests fail");
        let edit = (view.manifest, EditOp::Remove("/spec/trafficPolicy/tls".to_owned()));
        let report = Report::at(view.manifest, at, message).related(policy, "/spec/mtls/mode", "what the host takes");
        sink.push(report.hint("Leave tls out: Istio does what the other side takes").fix(
            "take tls away",
            false,
            vec![edit],
        ));
    }
}

/// The Services that a DestinationRule is for. One with a wildcard is for those that no nearer one names.
fn services<'w, 'a>(world: &'w World<'a>, host: &str, rule: &'a Manifest) -> Vec<&'w Service<'a>> {
    let at = |index: &usize| world.services().get(*index);
    let Some(suffix) = host.strip_prefix('*') else {
        return world.host_for(host, rule).services.iter().filter_map(at).collect();
    };
    let own = namespace(rule);
    let named: HashSet<String> = world
        .destination_rules()
        .iter()
        // Those of the root namespace come last.
        .filter(|other| !other.rule.host.starts_with('*') && (own == ROOT || namespace(other.manifest) == own))
        .map(|other| full_host(&other.rule.host, namespace(other.manifest)).to_lowercase())
        .collect();
    let suffix = suffix.to_lowercase();
    let is_for = |service: &&Service<'a>| {
        let full = full_host(&service.name, service.namespace).to_lowercase();
        full.ends_with(&suffix) && !named.contains(&full)
    };
    let all = world.services().iter().filter(is_for);
    all.filter(|service| world.sees(rule, service)).collect()
}

/// What counts for pods: the nearest policy that says something.
fn effective<'a>(policies: &[&'a Manifest], pod: &pods::Pod<'_>) -> Option<&'a Manifest> {
    let says = policies.iter().copied().filter(|policy| !matches!(mode_of(policy), "" | "UNSET"));
    let rank = |policy: &&'a Manifest| -> Option<u8> {
        let own = namespace(policy) == pod.namespace;
        match selector(policy) {
            Some(selector) => (own && pod.has(selector)).then_some(0),
            None if own => Some(1),
            None => (namespace(policy) == ROOT).then_some(2),
        }
    };
    says.filter_map(|policy| Some((rank(&policy)?, policy))).min_by_key(|(rank, _)| *rank).map(|(_, policy)| policy)
}

fn mode_of(policy: &Manifest) -> &str {
    text(&policy.object, "/spec/mtls/mode")
}

fn selector(policy: &Manifest) -> Option<&Map<String, Value>> {
    let labels = policy.object.at("/spec/selector/matchLabels").and_then(Value::as_object);
    labels.filter(|labels| !labels.is_empty())
}
