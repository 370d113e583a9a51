//! What rules ask of a fleet: its objects by what they mean, and who refers to whom. Built once, in time linear in the
//! number of objects; it borrows the manifests.

mod hosts;
mod pods;
mod routing;
mod services;
#[cfg(feature = "schema")]
mod verdicts;

pub(super) use hosts::{HostMatch, Hosts};
pub(super) use pods::{Pod, PodIndex};
pub(super) use routing::{DestinationRuleView, GatewayView, Reference, RouteView, intersects, reference};
pub(super) use services::{Service, ServicePort};

use super::Assumptions;
use crate::fleet::{Cluster, FleetState, Manifest, Target};
use std::collections::{HashMap, HashSet};

/// The fleet, as rules see it.
pub(super) struct World<'a> {
    /// Everything as it was read.
    pub(super) state: &'a FleetState,
    /// Istio Gateways, ordered by namespace and name.
    pub(super) gateways: Vec<GatewayView<'a>>,
    /// VirtualServices.
    pub(super) routes: Vec<RouteView<'a>>,
    /// DestinationRules.
    pub(super) destination_rules: Vec<DestinationRuleView<'a>>,
    /// Pods that manifests make: pod templates of workloads, bare pods, the pods of IstioGateways.
    pub(super) pods: Vec<Pod<'a>>,
    /// The same by label.
    pub(super) pod_index: PodIndex,
    /// Services of member clusters, those that ASM makes of IstioGateways included.
    pub(super) services: Vec<Service<'a>>,
    /// What host names mean.
    pub(super) hosts: Hosts<'a>,
    assumptions: Assumptions,
    #[cfg(feature = "schema")]
    verdicts: verdicts::Verdicts,
    /// Namespaces of which the files hold a Service, a ServiceEntry or a workload.
    own_namespaces: HashSet<&'a str>,
    by_gateway: HashMap<(&'a str, &'a str), usize>,
}

impl<'a> World<'a> {
    /// Looks at all manifests once.
    pub(super) fn of(state: &'a FleetState, assumptions: Assumptions) -> Self {
        let pods = pods::all(state);
        let services = services::all(state);
        let pod_index = PodIndex::of(&pods);
        let gateways = routing::gateways(state, &pods, &pod_index);
        let by_gateway = gateways.iter().enumerate().map(|(index, gateway)| (gateway.key(), index)).collect();
        let hosts = Hosts::of(state, &services);
        let own = state.manifests.iter().filter(|manifest| holds_applications(manifest));
        Self {
            state,
            routes: routing::routes(state),
            destination_rules: routing::destination_rules(state),
            own_namespaces: own.map(namespace).collect(),
            gateways,
            pods,
            pod_index,
            services,
            hosts,
            assumptions,
            #[cfg(feature = "schema")]
            verdicts: verdicts::Verdicts::default(),
            by_gateway,
        }
    }

    /// Manifests of a kind, on any target.
    pub(super) fn of_kind(&self, group: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Manifest> {
        self.state.manifests.iter().filter(move |manifest| manifest.id.group_kind.is(group, kind))
    }

    /// The Istio Gateway of this namespace and name.
    pub(super) fn gateway(&self, namespace: &str, name: &str) -> Option<&GatewayView<'a>> {
        self.by_gateway.get(&(namespace, name)).and_then(|index| self.gateways.get(*index))
    }

    /// The Gateways a VirtualService is bound to, with the index in its `spec.gateways`. What is missing is left out.
    pub(super) fn gateways_of<'w>(
        &'w self,
        route: &'w RouteView<'a>,
    ) -> impl Iterator<Item = (usize, &'w GatewayView<'a>)> {
        route.gateways.iter().enumerate().filter_map(|(index, reference)| match reference {
            Reference::Gateway(namespace, name) => Some((index, self.gateway(namespace, name)?)),
            Reference::Mesh => None,
        })
    }

    /// May anything be said of what is missing from this namespace? Not when its applications stand elsewhere.
    pub(super) fn knows_namespace(&self, namespace: &str) -> bool {
        self.assumptions.complete || self.own_namespaces.contains(namespace)
    }

    /// What the schema of its kind says of a manifest.
    #[cfg(feature = "schema")]
    pub(super) fn verdict(&self, manifest: &Manifest) -> &crate::schema::Verdict {
        self.verdicts.of(self.state, manifest)
    }

    /// The member cluster of a target.
    pub(super) fn cluster(&self, target: &Target) -> Option<&'a Cluster> {
        let clusters = self.state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
        clusters.into_iter().find(|cluster| cluster.name == target.name())
    }
}

/// The namespace of an object; what Git does not say is `default`, as for the API server.
pub(super) fn namespace(manifest: &Manifest) -> &str {
    manifest.id.namespace.as_deref().unwrap_or("default")
}

fn holds_applications(manifest: &&Manifest) -> bool {
    let kind = manifest.group_kind();
    kind.is("", "Service")
        || kind.is(crate::object::kinds::ISTIO_NETWORKING, "ServiceEntry")
        || pods::template(manifest).is_some()
}
