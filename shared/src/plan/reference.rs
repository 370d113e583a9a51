//! What a VirtualService refers to: destinations with their subsets, and which DestinationRules define those.

use crate::object::At as _;
use crate::object::{GroupKind, kinds};
use serde_json::Value;
use std::collections::BTreeSet;

/// Names of a DestinationRule's subsets.
pub fn subsets_of(rule: &Value) -> Vec<&str> {
    let subsets = rule.at("/spec/subsets").and_then(Value::as_array);
    subsets.into_iter().flatten().filter_map(|subset| subset.get("name").and_then(Value::as_str)).collect()
}

/// The hosts, with subset, that a VirtualService sends requests to; short names get the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationRefs(BTreeSet<(String, Option<String>)>);

impl DestinationRefs {
    /// Collects them from every route, mirror and protocol of a VirtualService.
    pub fn of(virtual_service: &Value) -> Self {
        let namespace = namespace(virtual_service);
        let mut refs = Self::default();
        for list in ["http", "tls", "tcp"] {
            let rules = virtual_service.at(&format!("/spec/{list}")).and_then(Value::as_array);
            for rule in rules.into_iter().flatten() {
                for part in ["route", "mirrors"] {
                    let entries = rule.get(part).and_then(Value::as_array);
                    entries
                        .into_iter()
                        .flatten()
                        .filter_map(|e| e.get("destination"))
                        .for_each(|d| refs.add(d, namespace));
                }
                if let Some(mirror) = rule.get("mirror") {
                    refs.add(mirror, namespace);
                }
            }
        }
        refs
    }

    fn add(&mut self, destination: &Value, namespace: &str) {
        let Some(host) = destination.get("host").and_then(Value::as_str) else { return };
        let subset = destination.get("subset").and_then(Value::as_str).map(str::to_owned);
        self.0.insert((full_host(host, namespace), subset));
    }

    /// Does it need a subset of this DestinationRule?
    pub fn needs(&self, rule: &Value) -> bool {
        let Some(host) = rule.at("/spec/host").and_then(Value::as_str) else { return false };
        let host = full_host(host, namespace(rule));
        let subsets = subsets_of(rule);
        self.0
            .iter()
            .any(|(wanted, subset)| *wanted == host && subset.as_deref().is_some_and(|name| subsets.contains(&name)))
    }
}

/// Does an object refer to more than the live one does (a destination, a subset with its labels)? What is not known of a kind
/// counts as more.
pub fn relies_on_more(kind: &GroupKind, wanted: &Value, live: Option<&Value>) -> bool {
    let Some(live) = live else { return true };
    if kind.is(kinds::ISTIO_NETWORKING, "VirtualService") {
        return !DestinationRefs::of(wanted).0.is_subset(&DestinationRefs::of(live).0);
    }
    if kind.is(kinds::ISTIO_NETWORKING, "DestinationRule") {
        let parts = |rule: &Value| {
            let subsets = rule.at("/spec/subsets").and_then(Value::as_array);
            let part = |subset: &Value| (subset.get("name").cloned(), subset.get("labels").cloned());
            subsets.into_iter().flatten().map(part).collect::<Vec<_>>()
        };
        let (known, host) = (parts(live), |rule: &Value| rule.at("/spec/host").cloned());
        return host(wanted) != host(live) || parts(wanted).iter().any(|part| !known.contains(part));
    }
    true
}

fn namespace(object: &Value) -> &str {
    object.at("/metadata/namespace").and_then(Value::as_str).unwrap_or("default")
}

/// A short name gets the namespace and the cluster domain, as istiod does it.
fn full_host(host: &str, namespace: &str) -> String {
    if host.contains('.') { host.to_owned() } else { format!("{host}.{namespace}.svc.cluster.local") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_route_needs_the_rule_that_defines_its_subset() {
        let routes = json!({"metadata": {"namespace": "shop"}, "spec": {"http": [
            {"route": [{"destination": {"host": "reviews", "subset": "v3"}}], "mirror": {"host": "audit"}}]}});
        let refs = DestinationRefs::of(&routes);
        let rule = |namespace: &str, host: &str, subset: &str| json!({"metadata": {"namespace": namespace}, "spec": {"host": host, "subsets": [{"name": subset}]}});
        assert!(refs.needs(&rule("shop", "reviews", "v3")));
        assert!(refs.needs(&rule("other", "reviews.shop.svc.cluster.local", "v3")));
        assert!(!refs.needs(&rule("shop", "reviews", "v2")));
        assert!(!refs.needs(&rule("other", "reviews", "v3")));
        assert!(!refs.needs(&rule("shop", "audit", "v3")));
    }

    #[test]
    fn a_changed_route_relies_on_more_only_with_another_destination() {
        let route = |subset: &str, weight: u32| json!({"spec": {"http": [{"route": [{"destination": {"host": "a", "subset": subset}, "weight": weight}]}]}});
        let kind = GroupKind::new(kinds::ISTIO_NETWORKING, "VirtualService");
        assert!(!relies_on_more(&kind, &route("v1", 10), Some(&route("v1", 90))));
        assert!(relies_on_more(&kind, &route("v2", 10), Some(&route("v1", 10))));
        assert!(relies_on_more(&kind, &route("v1", 10), None));
        let rule =
            |label: &str| json!({"spec": {"host": "a", "subsets": [{"name": "v1", "labels": {"version": label}}]}});
        let kind = GroupKind::new(kinds::ISTIO_NETWORKING, "DestinationRule");
        assert!(!relies_on_more(&kind, &rule("v1"), Some(&rule("v1"))));
        assert!(relies_on_more(&kind, &rule("v2"), Some(&rule("v1"))));
    }
}
