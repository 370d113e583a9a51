//! Which cluster of Envoy a destination of a rule is (`GetDestinationCluster`), and whether there is one: a host that the
//! gateway sees, with this port, and a DestinationRule that defines the subset.

use super::compiled::Verdict;
use super::endpoints;
use super::front::Front;
use super::locality::{self, Choice, Home};
use super::model::{Model, port, text};
use super::outcome::{ClusterEndpoints, Destination, HeaderChanges, NoCluster, NoEndpoint, Place, State};
use super::rules_of::{Joined, Subset};
use super::services::Service;
use super::table::{Endpoints, Missing};
use crate::fleet::{Manifest, Target};
use crate::istio::full_host;
use serde_json::{Map, Value};

/// What is needed to resolve destinations.
pub(super) struct Resolver<'a, 's, 'o> {
    pub(super) model: &'a Model<'s, 'o>,
    pub(super) front: &'a Front<'s>,
    /// Where its pods run, when it is known.
    pub(super) cluster: Option<&'a Target>,
    /// The namespace of the VirtualService whose rule it is.
    pub(super) namespace: &'a str,
    /// Port of the server, for destinations that name none.
    pub(super) port: u16,
}

/// A destination, and what it would be were another DestinationRule older.
#[derive(Clone, Debug)]
pub(super) struct Resolved<'s> {
    pub(super) destination: Destination<'s>,
    pub(super) rivals: Vec<Other<'s>>,
}

/// The DestinationRule that would be the oldest, the one that is now, and the destination then.
pub(super) type Other<'s> = (&'s Manifest, &'s Manifest, Destination<'s>);

impl<'s> Resolver<'_, 's, '_> {
    /// Resolves `{host, subset, port}`, short names being of this namespace.
    pub(super) fn resolve(&self, written: &Value, short: &str, place: Place<'s>, share: f64) -> Resolved<'s> {
        let named = full_host(text(written, "/host"), short);
        let pods = self.front.namespace.as_str();
        let meant = self.model.services.for_rule(&named, self.namespace, pods);
        // Sidecars call on the port that they were called on.
        let gateway = meant.filter(|_| !self.front.sidecar);
        let only = gateway.and_then(|service| match service.ports.as_slice() {
            [only] => Some(only.number),
            _ => None,
        });
        let port = port(written, "/port/number").or(only).unwrap_or(self.port);
        let host = meant.and_then(|service| service.external_name).map_or(named, str::to_owned);
        let subset = Some(text(written, "/subset")).filter(|subset| !subset.is_empty());
        let cluster = format!("outbound|{port}|{}|{host}", subset.unwrap_or_default());
        let known = self.model.resolved.borrow().get(&cluster).cloned();
        let mut resolved = known.unwrap_or_else(|| {
            let made = self.make(cluster.clone(), host, port, subset, place.clone());
            self.model.resolved.borrow_mut().insert(cluster, made.clone());
            made
        });
        let rivals = resolved.rivals.iter_mut().map(|(_, _, rival)| rival);
        for it in std::iter::once(&mut resolved.destination).chain(rivals) {
            it.share = share;
            it.place = place.clone();
        }
        resolved
    }

    /// What a cluster of Envoy is.
    fn make(&self, cluster: String, host: String, port: u16, subset: Option<&str>, place: Place<'s>) -> Resolved<'s> {
        let pods = self.front.namespace.as_str();
        // A sidecar has the Services of its own namespace that rules lead to, whatever they are exported to.
        let own = || self.model.services.with_host(&host).find(|it| self.front.sidecar && it.namespace == pods);
        let service = self.model.services.visible(&host, pods).or_else(own);
        let service = service.filter(|service| service.external_name.is_none());
        let rule = self.model.rules.find(&host, service.map(|it| it.namespace), pods, &self.front.labels);
        let mut destination = Destination {
            share: 1.0,
            cluster,
            port,
            subset: subset.map(str::to_owned),
            state: State::Ready,
            endpoints: Vec::new(),
            locality: Vec::new(),
            authority: None,
            headers: HeaderChanges::default(),
            place,
            services: service.map(|it| it.manifests.clone()).unwrap_or_default(),
            rules: rule.map(|it| it.from.clone()).unwrap_or_default(),
            host,
        };
        let broken = |mut destination: Destination<'s>, state| {
            destination.state = state;
            Resolved { destination, rivals: Vec::new() }
        };
        let Some(service) = service else {
            let state = self.missing(&destination.host);
            return broken(destination, state);
        };
        if !service.ports.iter().any(|it| it.number == port && !it.udp) {
            return broken(destination, State::NoCluster(NoCluster::NoPort));
        }
        let defined = subset.map(|subset| rule.and_then(|rule| rule.subsets.iter().find(|it| it.name == subset)));
        if defined.is_some_and(|it| it.is_none()) {
            return broken(destination, State::NoCluster(NoCluster::NoSubset));
        }
        let defined = defined.flatten();
        self.place(&mut destination, service, rule, defined, defined.and_then(|it| it.labels));
        let rivals = defined.into_iter().flat_map(|it| it.rivals.iter().map(move |rival| (it, rival)));
        let rivals = rivals.map(|(own, (manifest, labels))| {
            let mut other = destination.clone();
            self.place(&mut other, service, rule, defined, *labels);
            (*manifest, own.manifest, other)
        });
        Resolved { rivals: rivals.collect(), destination }
    }

    fn missing(&self, host: &str) -> State {
        if self.model.services.with_host(host).next().is_some() {
            return State::NoCluster(NoCluster::NotExported);
        }
        let elsewhere = self.model.options.missing == Missing::Elsewhere;
        if elsewhere && !self.model.services.knows_namespace_of(host) {
            State::Unknown
        } else {
            State::NoCluster(NoCluster::NoService)
        }
    }

    /// Looks for the pods.
    fn place(
        &self,
        destination: &mut Destination<'s>,
        service: &Service<'s>,
        rule: Option<&Joined<'s>>,
        subset: Option<&Subset<'s>>,
        labels: Option<&Map<String, Value>>,
    ) {
        destination.endpoints = endpoints::of(self.model, self.front, service, destination.port, labels);
        destination.state = State::Ready;
        if destination.endpoints.is_empty() {
            let any = || !endpoints::of(self.model, self.front, service, destination.port, None).is_empty();
            destination.state = if labels.is_some_and(|labels| !labels.is_empty()) && any() {
                State::NoEndpoint(NoEndpoint::NoPodInSubset)
            } else if self.model.options.endpoints == Endpoints::Auto {
                State::Assumed
            } else {
                State::NoEndpoint(NoEndpoint::NoPod)
            };
        }
        let home = self.cluster.or(self.front.clusters.first());
        let home = home.map(|cluster| Home { cluster, labels: &self.front.labels });
        match locality::of(self.model, home, destination, rule, subset) {
            Choice::ByEndpoints => destination.locality.clear(),
            Choice::Shares(shares) => destination.locality = shares,
            Choice::Nowhere => destination.state = State::NoEndpoint(NoEndpoint::NoRegion),
        }
    }
}

/// What comes of forwarding to several: it fails when nothing that has a share works.
pub(super) fn verdict(destinations: &[Destination<'_>]) -> Verdict {
    let works = |it: &Destination<'_>| matches!(it.state, State::Ready | State::Assumed | State::Unknown);
    let missing = |it: &Destination<'_>| matches!(it.state, State::NoCluster(_));
    if destinations.iter().any(works) {
        Verdict::Some
    } else if destinations.iter().any(missing) {
        Verdict::NoCluster
    } else {
        Verdict::NoEndpoint
    }
}

/// Do two have the same pods, and as many requests for them?
pub(super) fn same_pods(a: &Destination<'_>, b: &Destination<'_>) -> bool {
    let key = |it: &ClusterEndpoints<'_>| {
        (it.cluster.clone(), it.count, it.workloads.iter().map(|it| it.id.clone()).collect::<Vec<_>>())
    };
    a.locality == b.locality && a.endpoints.iter().map(key).eq(b.endpoints.iter().map(key))
}
