//! What rules ask of a fleet: its objects by what they mean, and who refers to whom. Built once, in time linear in the
//! number of objects; it borrows the manifests.

mod annotated;
mod credentials;
mod doors;
mod exports;
mod fronts;
mod hosts;
mod names;
mod overlap;
mod ports;
mod routing;
mod selections;
mod services;
mod shadows;
#[cfg(feature = "schema")]
mod verdicts;

pub(super) use crate::fleet::pods::{Pod, PodIndex};
pub(super) use crate::istio::secret_of;
pub(super) use annotated::Annotated;
pub(super) use credentials::Credentials;
pub(super) use doors::{Bound, doors, is_http, server_host};
pub(super) use exports::{Scope, scope};
pub(super) use fronts::{Front, FrontPort, Setting, addition, escape, removal, service_name};
pub(super) use hosts::{HostMatch, Hosts};
pub(super) use names::{
    has, has_all_of, host_fault, host_namespace, is_address, is_label, items, namespace, rules_of, text,
};
pub(super) use overlap::{is_put_last, overlaps, simple, together};
pub(super) use ports::{in_mesh, is_system, protocol_of};
pub(super) use routing::{DestinationRuleView, GatewayView, Reference, RouteView, intersects, reference};
pub(super) use services::{Service, ServicePort};
pub(super) use shadows::{Shadow, shadows};
#[cfg(feature = "schema")]
pub(super) use verdicts::Known;

use super::assumptions::Assumptions;
use crate::fleet::pods;
use crate::fleet::{Cluster, FleetState, Manifest, Target};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

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
    /// The same Services as the cloud controller sees them.
    pub(super) fronts: Vec<Front<'a>>,
    /// The fleet before the change that is judged, for rules about changes.
    pub(super) base: Option<&'a FleetState>,
    assumptions: Assumptions,
    annotated: OnceLock<Vec<Annotated<'a>>>,
    selections: selections::Selections<'a>,
    #[cfg(feature = "schema")]
    verdicts: verdicts::Verdicts,
    /// Namespaces of which the files hold a Service, a ServiceEntry or a workload.
    own_namespaces: HashSet<&'a str>,
    by_gateway: HashMap<(&'a str, &'a str), usize>,
    /// By group and kind: most rules are about one of them.
    by_kind: HashMap<(&'a str, &'a str), Vec<&'a Manifest>>,
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
        let own = state.manifests.iter().filter(holds_applications);
        Self {
            state,
            routes: routing::routes(state),
            destination_rules: routing::destination_rules(state),
            own_namespaces: own.map(namespace).collect(),
            selections: selections::Selections::of(&services),
            gateways,
            pods,
            pod_index,
            services,
            hosts,
            fronts: fronts::all(state),
            base: None,
            assumptions,
            annotated: OnceLock::new(),
            #[cfg(feature = "schema")]
            verdicts: verdicts::Verdicts::default(),
            by_gateway,
            by_kind: by_kind(state),
        }
    }

    /// The same, compared with the fleet before a change.
    pub(super) fn since(self, base: Option<&'a FleetState>) -> Self {
        Self { base, ..self }
    }

    /// The same, with what schemas said of objects before; they are asked of these files only.
    #[cfg(feature = "schema")]
    pub(super) fn knowing(self, known: Known, paths: &[String]) -> Self {
        Self { verdicts: verdicts::Verdicts::knowing(known, paths), ..self }
    }

    /// What schemas said of objects.
    #[cfg(feature = "schema")]
    pub(super) fn known(self) -> Known {
        self.verdicts.known()
    }

    /// The Services of another state, as the cloud controller sees them.
    pub(super) fn fronts_of(state: &'a FleetState) -> Vec<Front<'a>> {
        fronts::all(state)
    }

    /// Annotations of Istio, wherever they stand; looked for when the first rule asks.
    pub(super) fn istio_annotations(&self) -> &[Annotated<'a>] {
        self.annotated.get_or_init(|| annotated::all(self.state))
    }

    /// The version of Istio that the mesh runs, as far as the fleet says.
    pub(super) fn istio_version(&self) -> Option<&'a str> {
        self.state.fleet.as_ref()?.spec.mesh.version.as_deref()
    }

    /// Manifests of a kind, on any target.
    pub(super) fn of_kind(&self, group: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Manifest> + use<'_, 'a> {
        self.by_kind.get(&(group, kind)).into_iter().flatten().copied()
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

    /// The Services in front of a pod.
    pub(super) fn selecting(&self, pod: &Pod<'a>) -> impl Iterator<Item = &Service<'a>> {
        self.selections.find(&self.services, pod).into_iter().filter_map(|index| self.services.get(index))
    }

    /// The pods behind Services that have these labels too, in any cluster (endpoints are those of all clusters). Asked by
    /// selector and labels together: a label such as `version: v1` alone would choose half of a fleet.
    pub(super) fn behind(&self, services: &[usize], labels: &Map<String, Value>) -> Vec<&Pod<'a>> {
        let services = services.iter().filter_map(|index| self.services.get(*index));
        let mut asked: Vec<(&str, Map<String, Value>)> = Vec::new();
        for (service, selector) in services.filter_map(|service| Some((service, service.selector.as_ref()?))) {
            let apart = selector.iter().any(|(key, value)| labels.get(key).is_some_and(|other| other != value));
            let mut both = selector.clone();
            both.extend(labels.clone());
            // The Services of all clusters mostly choose alike.
            let known = asked.iter().any(|(space, known)| *space == service.namespace && *known == both);
            if !selector.is_empty() && !apart && !known {
                asked.push((service.namespace, both));
            }
        }
        let found = asked.iter().flat_map(|(space, both)| {
            let pods = self.pod_index.with(&self.pods, both).into_iter().filter_map(|index| self.pods.get(index));
            pods.filter(move |pod| pod.namespace == *space)
        });
        found.collect()
    }

    /// What a host means to a VirtualService or DestinationRule: what is exported to those who see it.
    pub(super) fn host_for(&self, host: &str, user: &Manifest) -> HostMatch<'a> {
        let mut found = self.hosts.find(host, namespace(user));
        let visible = |index: &usize| self.services.get(*index).is_some_and(|s| exports::sees(user, s.manifest));
        found.services.retain(visible);
        found.entries.retain(|entry| exports::sees(user, entry));
        found
    }

    /// Is everything that exists in the files?
    pub(super) fn is_complete(&self) -> bool {
        self.assumptions.complete
    }

    /// What time it is.
    pub(super) fn now(&self) -> Option<jiff::Timestamp> {
        self.assumptions.now
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

    /// By which schema a manifest was judged, when it is of another version than its mesh or cluster.
    #[cfg(feature = "schema")]
    pub(super) fn other_schema(&self, manifest: &Manifest) -> Option<String> {
        let version = verdicts::version(self.state, manifest)?;
        let edition = self.verdicts.edition(self.state, manifest)?;
        let (source, is_other) = crate::schema::source(edition, Some(version))?;
        is_other.then(|| format!("this is the schema of {source}, the nearest to {version} that lint knows"))
    }

    /// The member cluster of a target.
    #[allow(dead_code, reason = "rules of load balancers ask for it")]
    pub(super) fn cluster(&self, target: &Target) -> Option<&'a Cluster> {
        let clusters = self.state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
        clusters.into_iter().find(|cluster| cluster.name == target.name())
    }
}

fn by_kind(state: &FleetState) -> HashMap<(&str, &str), Vec<&Manifest>> {
    let mut found: HashMap<(&str, &str), Vec<&Manifest>> = HashMap::new();
    for manifest in &state.manifests {
        let kind = manifest.group_kind();
        found.entry((&*kind.group, &*kind.kind)).or_default().push(manifest);
    }
    found
}

fn holds_applications(manifest: &&Manifest) -> bool {
    let kind = manifest.group_kind();
    kind.is("", "Service")
        || kind.is(crate::object::kinds::ISTIO_NETWORKING, "ServiceEntry")
        || pods::template(manifest).is_some()
}
