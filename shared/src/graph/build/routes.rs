//! From the servers to the endpoints: VirtualServices, rules, destinations.

use super::front::fault;
use super::{Builder, RuleWords, in_cluster, on};
use crate::fleet::{Manifest, Target};
use crate::graph::findings::On;
use crate::graph::model::{Kind, Node, Place, Role, State};
use crate::graph::text::percent;
use crate::istio::{HttpRule, VirtualService};
use crate::object::At as _;
use crate::route::{
    self, ActionView, ChainView, Destination, Fault, HostView, NoCluster, NoEndpoint, PartView, RouteView, Sidecars,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Hosts of a VirtualService that are told; the rest is counted.
const HOSTS: usize = 3;

impl Builder {
    pub(super) fn virtual_host(&mut self, host: &HostView<'_>) {
        let domain: Arc<str> = host.domain.into();
        for part in &host.parts {
            self.part(&domain, part);
        }
    }

    fn part(&mut self, domain: &Arc<str>, part: &PartView<'_>) {
        let server = self.server(part.server);
        for route in &part.routes {
            self.route(&server, domain, part.virtual_service, route);
        }
    }

    pub(super) fn tcp(&mut self, chain: &ChainView<'_>, routes: &[RouteView<'_>]) {
        let server = self.server(chain.server);
        let any = ["*".to_owned()];
        for route in routes {
            for name in if chain.names.is_empty() { &any[..] } else { chain.names } {
                self.route(&server, &name.as_str().into(), route.rule.virtual_service.manifest, route);
            }
        }
    }

    /// Routes between workloads: their sidecars have them.
    pub(super) fn sidecars(&mut self, routes: &Sidecars<'_>) {
        for view in routes.services() {
            let (node, is_new) = self.node(Kind::Pods, Node::SIDECARS.to_owned(), || "mesh".to_owned());
            let pods = node.id.clone();
            if is_new {
                node.details.push("all with a sidecar".to_owned());
            }
            let service = self.virtual_service(view.virtual_service);
            for host in view.hosts {
                let domain: Arc<str> = host.to_lowercase().into();
                let (node, _) = self.node(Kind::Host, format!("host/{domain}"), || domain.to_string());
                let host = node.id.clone();
                self.edge(&host, &pods, Role::Request).reason = "workloads call it by this name".to_owned();
                let edge = self.edge(&pods, &service, Role::Request);
                edge.reason = "spec.gateways names mesh, or nothing".to_owned();
                add_host(&mut edge.hosts, &domain);
                for route in &view.routes {
                    self.route(&pods, &domain, view.virtual_service, route);
                }
            }
        }
    }

    fn route(&mut self, server: &Arc<str>, domain: &Arc<str>, service: &Manifest, route: &RouteView<'_>) {
        let virtual_service = self.virtual_service(service);
        let edge = self.edge(server, &virtual_service, Role::Request);
        add_host(&mut edge.hosts, domain);
        if edge.reason.is_empty() {
            edge.reason = "spec.gateways names the Gateway, and they have hosts in common".to_owned();
        }
        let (rule, number) = self.rule(route);
        let edge = self.edge(&virtual_service, &rule, Role::Request);
        add_host(&mut edge.hosts, domain);
        edge.label = number;
        if self.rules.insert(rule.clone()) {
            self.action(&rule, &route.action);
        }
    }

    /// A VirtualService.
    pub(super) fn virtual_service(&mut self, manifest: &Manifest) -> Arc<str> {
        let space = manifest.id.namespace.as_deref().unwrap_or("default");
        let (node, is_new) = self.node(Kind::VirtualService, format!("vs/{space}/{}", manifest.id.name), || {
            format!("{space}/{}", manifest.id.name)
        });
        let id = node.id.clone();
        if is_new {
            node.namespace = Some(space.into());
            node.place = Some(Place::of(manifest, ""));
            let hosts = VirtualService::read(&manifest.object).hosts;
            let more = hosts.len().saturating_sub(HOSTS);
            let mut told = hosts.iter().take(HOSTS).cloned().collect::<Vec<_>>().join(", ");
            if more > 0 {
                told.push_str(&format!(" and {more} more"));
            }
            node.details.push(format!("for {told}"));
            self.anchors.add(&manifest.id, None, "", on(&id));
        }
        id
    }

    /// A rule, and its number.
    fn rule(&mut self, route: &RouteView<'_>) -> (Arc<str>, String) {
        let at = &route.rule.virtual_service;
        let pointer = rule_of(&at.pointer);
        let index: usize = pointer.rsplit('/').next().and_then(|text| text.parse().ok()).unwrap_or_default();
        let RuleWords { name, matches, before } = self.words_of(at.manifest, pointer, index);
        let space = at.manifest.id.namespace.as_deref().unwrap_or("default");
        let mut id = format!("rule/{space}/{}/{}", at.manifest.id.name, name.as_ref().unwrap_or(&matches));
        if before > 0 {
            id.push_str(&format!("#{}", before + 1));
        }
        let delegate = route.rule.delegate.as_ref();
        if let Some(to) = delegate {
            id.push_str(&format!("→{}{}", to.manifest.id, rule_of(&to.pointer)));
        }
        let (node, is_new) = self.node(Kind::Rule, id, || matches);
        let id = node.id.clone();
        if is_new {
            let place = delegate.unwrap_or(at);
            let inner = rule_of(&place.pointer);
            node.namespace = Some(space.into());
            node.place = Some(Place::of(place.manifest, inner));
            node.details.extend(name.map(|name| format!("\"{name}\"")));
            if let Some(to) = delegate {
                let other = to.manifest.id.namespace.as_deref().unwrap_or("default");
                node.details.push(format!("by {other}/{}: {}", to.manifest.id.name, match_words(to.manifest, inner)));
            }
            self.anchors.add(&place.manifest.id, None, inner, on(&id));
            self.anchors.add(&at.manifest.id, None, pointer, on(&id));
        }
        (id, (index + 1).to_string())
    }

    /// What tells a rule from the others of its VirtualService.
    fn words_of(&mut self, manifest: &Manifest, pointer: &str, index: usize) -> RuleWords {
        let Some((list, _)) = pointer.rsplit_once('/') else { return RuleWords::default() };
        let known = self.words.entry((manifest.id.clone(), list.to_owned())).or_insert_with(|| {
            let rules = manifest.object.at(list).and_then(Value::as_array).into_iter().flatten();
            let mut seen: HashMap<String, usize> = HashMap::new();
            let words = rules.enumerate().map(|(index, rule)| {
                let name = rule.get("name").and_then(Value::as_str).map(str::to_owned);
                let matches = match_words(manifest, &format!("{list}/{index}"));
                let before = seen.entry(name.clone().unwrap_or_else(|| matches.clone())).or_default();
                *before += 1;
                RuleWords { name, matches, before: *before - 1 }
            });
            words.collect()
        });
        known.get(index).cloned().unwrap_or_default()
    }

    fn action(&mut self, rule: &Arc<str>, action: &ActionView<'_>) {
        match action {
            ActionView::Redirect { status, to } => {
                let words = format!("→ redirect {status} {to}").trim().to_owned();
                self.get(rule).into_iter().for_each(|node| node.details.push(words.clone()));
            }
            ActionView::Direct { status } => {
                let words = format!("→ answers {status}");
                self.get(rule).into_iter().for_each(|node| node.details.push(words.clone()));
            }
            ActionView::Forward { destinations, mirrors, fault } => {
                let words = fault.map(fault_words).unwrap_or_default();
                self.get(rule).into_iter().for_each(|node| node.details.extend(words.clone()));
                for destination in *destinations {
                    self.leads(rule, destination, Role::Request, destinations.len() > 1);
                }
                for mirror in *mirrors {
                    self.leads(rule, &mirror.destination, Role::Mirror, mirror.destination.share < 1.0);
                }
            }
        }
    }

    /// A rule leads to a destination.
    fn leads(&mut self, rule: &Arc<str>, to: &Destination<'_>, role: Role, is_shared: bool) {
        let id = self.destination(to);
        let edge = self.edge(rule, &id, role);
        if is_shared {
            let share = edge.share.unwrap_or_default() + to.share;
            edge.share = Some(share);
            edge.label = percent(share);
        }
        edge.reason = format!("cluster {}", to.cluster);
        edge.place = Some(Place::of(to.place.manifest, &to.place.pointer));
        if let route::State::NoCluster(why) = &to.state {
            edge.state = State::Broken;
            edge.notes = vec![fault(no_cluster(*why))];
        }
        self.anchors.add(&to.place.manifest.id, None, &to.place.pointer, On::Edge(rule.clone(), id, role));
    }

    fn destination(&mut self, to: &Destination<'_>) -> Arc<str> {
        let subset = to.subset.as_ref().map(|subset| format!("@{subset}")).unwrap_or_default();
        let host = to.host.strip_suffix(".svc.cluster.local").unwrap_or(&to.host);
        let name = format!("{host}:{}{subset}", to.port);
        let (node, is_new) = self.node(Kind::Destination, format!("to/{}:{}{subset}", to.host, to.port), || name);
        let id = node.id.clone();
        if !is_new {
            return id;
        }
        node.namespace = to.services.first().and_then(|service| service.id.namespace.clone());
        node.place = to.services.first().map(|service| Place::of(service, ""));
        match &to.state {
            route::State::Ready => {}
            route::State::Assumed => {
                node.state = State::Elsewhere;
                node.details.push("its pods are in no file".to_owned());
            }
            route::State::Unknown => {
                node.state = State::Elsewhere;
                node.details.push("in no file".to_owned());
            }
            route::State::NoCluster(_) => node.state = State::Broken,
            route::State::NoEndpoint(why) => {
                node.state = State::Broken;
                node.notes.push(fault(match why {
                    NoEndpoint::NoPod => "no pod in any cluster: 503",
                    NoEndpoint::NoPodInSubset => "no pod has the labels of the subset: 503",
                    NoEndpoint::NoRegion => "distribute sends nothing to the regions of its pods: 503",
                }));
            }
        }
        for service in &to.services {
            let target = (service.target != Target::Mesh).then_some(&service.target);
            self.anchors.add(&service.id, target, "", on(&id));
        }
        for rule in &to.rules {
            let pointer = to.subset.as_ref().map_or(Some(String::new()), |subset| subset_of(rule, subset));
            if let Some(pointer) = pointer {
                self.anchors.add(&rule.id, None, &pointer, on(&id));
            }
        }
        self.endpoints(&id, to);
        id
    }

    fn endpoints(&mut self, destination: &Arc<str>, to: &Destination<'_>) {
        for part in &to.endpoints {
            let place = if part.cluster == Target::Mesh { "outside" } else { part.cluster.name() };
            let key = destination.strip_prefix("to/").unwrap_or(destination);
            let id = format!("pods-of/{}/{key}", part.cluster.name());
            let (node, is_new) = self.node(Kind::Endpoints, id, || format!("{place} ×{}", part.count));
            let id = node.id.clone();
            if is_new {
                node.cluster = in_cluster(&part.cluster);
                node.details.extend(part.workloads.iter().map(|workload| workload.id.name.to_string()));
                node.namespace = part.workloads.first().and_then(|workload| workload.id.namespace.clone());
                node.place = part.workloads.first().map(|workload| Place::of(workload, ""));
                for workload in &part.workloads {
                    self.anchors.add(&workload.id, Some(&part.cluster), "", on(&id));
                }
            }
            let share =
                to.locality.iter().find(|(cluster, _)| *cluster == *part.cluster.name()).map(|(_, share)| *share);
            let edge = self.edge(destination, &id, Role::Request);
            edge.share = share;
            edge.label = share.map(percent).unwrap_or_default();
            edge.reason = "its pods have the labels of the Service".to_owned();
        }
    }
}

fn add_host(hosts: &mut Vec<Arc<str>>, host: &Arc<str>) {
    if hosts.last() != Some(host) {
        hosts.push(host.clone());
    }
}

/// `/spec/http/0/match/1` → `/spec/http/0`.
fn rule_of(pointer: &str) -> &str {
    let end = pointer.match_indices('/').nth(3).map_or(pointer.len(), |(at, _)| at);
    &pointer[..end]
}

/// The matches of a rule, as `route show` has them.
fn match_words(manifest: &Manifest, pointer: &str) -> String {
    let Some(rule) = manifest.object.at(pointer) else { return String::new() };
    if pointer.starts_with("/spec/http/") {
        let matches: Vec<String> = HttpRule::read(rule).matches.iter().map(ToString::to_string).collect();
        return matches.join(" | ");
    }
    let entries = rule.get("match").and_then(Value::as_array).into_iter().flatten();
    let words = |entry: &Value| {
        let fields = entry.as_object().into_iter().flatten();
        fields.map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join("+")
    };
    let matches: Vec<String> = entries.map(words).filter(|text| !text.is_empty()).collect();
    if matches.is_empty() { "all connections".to_owned() } else { matches.join(" | ") }
}

fn no_cluster(why: NoCluster) -> &'static str {
    match why {
        NoCluster::NoService => "no Service and no ServiceEntry has this host: 503",
        NoCluster::NotExported => "the Service is not exported to the gateway: 503",
        NoCluster::NoPort => "the Service has no such port: 503",
        NoCluster::NoSubset => "no DestinationRule defines the subset: 503",
    }
}

fn fault_words(fault: &Fault) -> Vec<String> {
    let seconds = |time: Duration| format!("{}s", time.as_secs_f64());
    let abort = fault.abort.map(|(share, status)| format!("{} answered with {status}", percent(share)));
    let delay = fault.delay.map(|(share, time)| format!("{} delayed by {}", percent(share), seconds(time)));
    abort.into_iter().chain(delay).collect()
}

/// The pointer of a subset in a DestinationRule.
fn subset_of(rule: &Manifest, name: &str) -> Option<String> {
    let subsets = rule.object.at("/spec/subsets").and_then(Value::as_array)?;
    let index = subsets.iter().position(|subset| subset.get("name").and_then(Value::as_str) == Some(name))?;
    Some(format!("/spec/subsets/{index}"))
}
