//! New Gateways, DestinationRules and VirtualServices.

use super::super::text::{Field, Node, field, list};
use super::{ApiVersion, Destination, MatchSpec, Scope, SubsetSpec};

fn object(scope: Scope<'_>, api: ApiVersion, kind: &str, name: &str, spec: Vec<Field>) -> Node {
    let mut metadata = vec![field("name", name)];
    metadata.extend(scope.written.map(|namespace| field("namespace", namespace)));
    [field("apiVersion", api.text()), field("kind", kind), field("metadata", metadata), field("spec", spec)].into()
}

/// A Gateway with one plain HTTP port.
pub(super) fn gateway(
    scope: Scope<'_>,
    api: ApiVersion,
    name: &str,
    selector: &[(String, String)],
    port: u16,
    hosts: &[String],
) -> Node {
    let selector: Vec<_> = selector.iter().map(|(key, value)| field(key, &**value)).collect();
    let port_name = if port == 80 { "http".to_owned() } else { format!("http-{port}") };
    let server = [
        field("port", [field("number", port), field("name", port_name), field("protocol", "HTTP")]),
        field("hosts", list(hosts.iter().map(String::as_str))),
    ];
    let spec = vec![
        field("selector", selector).comment("Labels of the ingress gateway's pods."),
        field("servers", list([server])),
    ];
    object(scope, api, "Gateway", name, spec)
}

/// A DestinationRule with subsets.
pub(super) fn destination_rule(
    scope: Scope<'_>,
    api: ApiVersion,
    name: &str,
    host: &str,
    subsets: &[SubsetSpec],
) -> Node {
    let spec = vec![field("host", host), field("subsets", list(subsets.iter().map(subset)))];
    object(scope, api, "DestinationRule", name, spec)
}

/// One subset.
pub(super) fn subset(subset: &SubsetSpec) -> Node {
    let (key, value) = &subset.label;
    [field("name", &*subset.name), field("labels", [field(key, &**value)])].into()
}

/// What a new VirtualService says.
pub(super) struct NewVirtualService<'a> {
    pub(super) name: &'a str,
    pub(super) hosts: &'a [String],
    pub(super) gateways: &'a [String],
    pub(super) rule: &'a NewRule<'a>,
}

/// What a new rule says.
pub(super) struct NewRule<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) matches: &'a [MatchSpec],
    /// `route: …`, `redirect: …`.
    pub(super) action: Vec<Field>,
}

/// One rule.
pub(super) fn rule(new: &NewRule<'_>) -> Node {
    let mut rule: Vec<_> = new.name.map(|name| field("name", name)).into_iter().collect();
    if !new.matches.is_empty() {
        rule.push(field("match", list(new.matches.iter().map(MatchSpec::node))));
    }
    rule.extend(new.action.iter().cloned());
    rule.into()
}

/// The `route` of a rule.
pub(super) fn routes(destinations: &[Destination]) -> Field {
    field("route", list(destinations.iter().map(route)))
}

/// A VirtualService with one rule.
pub(super) fn virtual_service(scope: Scope<'_>, api: ApiVersion, new: &NewVirtualService<'_>) -> Node {
    let mut spec = vec![field("hosts", list(new.hosts.iter().map(String::as_str)))];
    if !new.gateways.is_empty() {
        spec.push(field("gateways", list(new.gateways.iter().map(String::as_str))));
    }
    spec.push(field("http", list([rule(new.rule)])));
    object(scope, api, "VirtualService", new.name, spec)
}

/// A `destination`.
pub(super) fn destination(destination: &Destination) -> Vec<Field> {
    let mut to = vec![field("host", &*destination.host)];
    to.extend(destination.port.map(|port| field("port", [field("number", port)])));
    to.extend(destination.subset.as_deref().map(|subset| field("subset", subset)));
    to
}

/// One destination of a rule, with its weight.
pub(super) fn route(to: &Destination) -> Node {
    let mut route = vec![field("destination", destination(to))];
    route.extend(to.weight.map(|weight| field("weight", weight)));
    route.into()
}
