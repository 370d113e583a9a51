//! What rules ask of a fleet: its objects by what they mean, and who refers to whom. Built once, in time linear in the
//! number of objects; it borrows the manifests.

mod annotated;
mod asked;
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
pub(super) use asked::{Asked, Seen};
use asked::{Asking, Part};
pub(super) use credentials::Credentials;
pub(super) use doors::{Bound, doors, is_http, server_host};
pub(super) use exports::{Scope, scope};
pub(super) use fronts::{Front, FrontPort, Setting, addition, escape, removal, service_name};
pub(super) use hosts::{HostMatch, Hosts};
pub(super) use names::{
    has, has_all_of, host_fault, host_namespace, is_address, is_label, items, namespace, referred_namespace, rules_of,
    text,
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
use crate::fleet::{Cluster, Fleet, FleetState, Manifest, Target};
use crate::object::At as _;
use crate::object::kinds::ISTIO_NETWORKING;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// The fleet, as one rule sees it: it is noted what the rule asks for, so that it need not be asked again while none of that changes.
/// Everything is made when it is first asked for, once for all rules.
pub(super) struct World<'a> {
    parts: Arc<Parts<'a>>,
    asked: Asking,
}

/// What rules ask for.
pub(super) struct Parts<'a> {
    state: &'a FleetState,
    base: Option<&'a FleetState>,
    assumptions: Assumptions,
    gateways: OnceLock<Vec<GatewayView<'a>>>,
    by_gateway: OnceLock<HashMap<(&'a str, &'a str), usize>>,
    routes: OnceLock<Vec<RouteView<'a>>>,
    destination_rules: OnceLock<Vec<DestinationRuleView<'a>>>,
    pods: OnceLock<Vec<Pod<'a>>>,
    pod_index: OnceLock<PodIndex>,
    services: OnceLock<Vec<Service<'a>>>,
    hosts: OnceLock<Hosts<'a>>,
    fronts: OnceLock<Vec<Front<'a>>>,
    annotated: OnceLock<Vec<Annotated<'a>>>,
    selections: OnceLock<selections::Selections<'a>>,
    own_namespaces: OnceLock<HashSet<&'a str>>,
    by_kind: OnceLock<HashMap<(&'a str, &'a str), Vec<&'a Manifest>>>,
    #[cfg(feature = "schema")]
    verdicts: verdicts::Verdicts,
}

impl<'a> World<'a> {
    /// Of a fleet; `base` is the fleet before the change that is judged, for rules about changes.
    pub(super) fn of(state: &'a FleetState, base: Option<&'a FleetState>, assumptions: Assumptions) -> Self {
        let parts = Parts {
            state,
            base,
            assumptions,
            gateways: OnceLock::new(),
            by_gateway: OnceLock::new(),
            routes: OnceLock::new(),
            destination_rules: OnceLock::new(),
            pods: OnceLock::new(),
            pod_index: OnceLock::new(),
            services: OnceLock::new(),
            hosts: OnceLock::new(),
            fronts: OnceLock::new(),
            annotated: OnceLock::new(),
            selections: OnceLock::new(),
            own_namespaces: OnceLock::new(),
            by_kind: OnceLock::new(),
            #[cfg(feature = "schema")]
            verdicts: verdicts::Verdicts::default(),
        };
        Self { parts: Arc::new(parts), asked: Asking::default() }
    }

    /// What all rules share.
    pub(super) fn parts(&self) -> Arc<Parts<'a>> {
        self.parts.clone()
    }

    /// For another rule, which has asked for nothing yet.
    pub(super) fn over(parts: Arc<Parts<'a>>) -> Self {
        Self { parts, asked: Asking::default() }
    }

    /// Number of manifests.
    pub(super) fn len(&self) -> usize {
        self.parts.state.manifests.len()
    }

    /// What has been asked for.
    pub(super) fn asked(self) -> Asked {
        self.asked.end()
    }

    /// The same, with what schemas said of objects before; they are asked of these files only.
    #[cfg(feature = "schema")]
    pub(super) fn knowing(mut self, known: Known, paths: &[String]) -> Self {
        if let Some(parts) = Arc::get_mut(&mut self.parts) {
            parts.verdicts = verdicts::Verdicts::knowing(known, paths);
        }
        self
    }

    /// What schemas said of objects; when nobody else holds this world.
    #[cfg(feature = "schema")]
    pub(super) fn known(self) -> Known {
        Arc::into_inner(self.parts).map(|parts| parts.verdicts.known()).unwrap_or_default()
    }

    /// Everything as it was read. Who asks for this is asked again after every change.
    pub(super) fn state(&self) -> &'a FleetState {
        self.asked.part(Part::Everything);
        self.parts.state
    }

    /// `fleet.yaml`.
    pub(super) fn fleet(&self) -> Option<&'a Fleet> {
        self.asked.part(Part::Fleet);
        self.parts.state.fleet.as_ref()
    }

    /// The clusters that `fleet.yaml` declares.
    pub(super) fn clusters(&self) -> impl Iterator<Item = &'a Cluster> + Clone + use<'a> {
        self.fleet().into_iter().flat_map(|fleet| &fleet.spec.clusters)
    }

    /// The fleet before the change that is judged, for rules about changes.
    pub(super) fn base(&self) -> Option<&'a FleetState> {
        self.asked.part(Part::Everything);
        self.parts.base
    }

    /// Istio Gateways, ordered by namespace and name.
    pub(super) fn gateways(&self) -> &[GatewayView<'a>] {
        self.asked.part(Part::Gateways);
        self.parts.gateways()
    }

    /// VirtualServices.
    pub(super) fn routes(&self) -> &[RouteView<'a>] {
        self.asked.part(Part::Routes);
        self.parts.routes.get_or_init(|| routing::routes(self.parts.of_kind(ISTIO_NETWORKING, "VirtualService")))
    }

    /// DestinationRules.
    pub(super) fn destination_rules(&self) -> &[DestinationRuleView<'a>] {
        self.asked.part(Part::DestinationRules);
        let rules = || routing::destination_rules(self.parts.of_kind(ISTIO_NETWORKING, "DestinationRule"));
        self.parts.destination_rules.get_or_init(rules)
    }

    /// Pods that manifests make: pod templates of workloads, bare pods, the pods of IstioGateways.
    pub(super) fn pods(&self) -> &[Pod<'a>] {
        self.asked.part(Part::Pods);
        self.parts.pods()
    }

    /// The pods with all these labels.
    pub(super) fn pods_with<'w>(
        &'w self,
        labels: &Map<String, Value>,
    ) -> impl Iterator<Item = &'w Pod<'a>> + use<'w, 'a> {
        let pods = self.pods();
        self.parts.pod_index().with(pods, labels).into_iter().filter_map(move |index| pods.get(index))
    }

    /// Services of member clusters, those that ASM makes of IstioGateways included.
    pub(super) fn services(&self) -> &[Service<'a>] {
        self.asked.part(Part::Services);
        self.parts.services()
    }

    /// What host names mean.
    pub(super) fn hosts(&self) -> &Hosts<'a> {
        self.asked.part(Part::Services);
        self.asked.part(Part::Entries);
        let entries = || self.parts.of_kind(ISTIO_NETWORKING, "ServiceEntry");
        self.parts.hosts.get_or_init(|| Hosts::of(entries(), self.parts.services()))
    }

    /// The same Services as the cloud controller sees them.
    pub(super) fn fronts(&self) -> &[Front<'a>] {
        self.asked.part(Part::Services);
        self.parts.fronts.get_or_init(|| fronts::all(self.parts.state))
    }

    /// The Services of another state, as the cloud controller sees them.
    pub(super) fn fronts_of(state: &'a FleetState) -> Vec<Front<'a>> {
        fronts::all(state)
    }

    /// Annotations of Istio, wherever they stand.
    pub(super) fn istio_annotations(&self) -> &[Annotated<'a>] {
        self.asked.part(Part::Everything);
        self.parts.annotated.get_or_init(|| annotated::all(self.parts.state))
    }

    /// The version of Istio that the mesh runs, as far as the fleet says.
    pub(super) fn istio_version(&self) -> Option<&'a str> {
        self.fleet()?.spec.mesh.version.as_deref()
    }

    /// Manifests of a kind, on any target.
    pub(super) fn of_kind<'w>(
        &'w self,
        group: &'w str,
        kind: &'w str,
    ) -> impl Iterator<Item = &'a Manifest> + use<'w, 'a> {
        self.asked.kind(group, kind);
        self.parts.of_kind(group, kind).iter().copied()
    }

    /// Manifests of all kinds of a group, on any target.
    pub(super) fn of_group<'w>(&'w self, group: &'w str) -> impl Iterator<Item = &'a Manifest> + use<'w, 'a> {
        self.asked.kind(group, asked::ANY);
        let all = self.parts.by_kind.get_or_init(|| by_kind(self.parts.state)).iter();
        all.filter(move |((of, _), _)| *of == group).flat_map(|(_, manifests)| manifests.iter().copied())
    }

    /// The Istio Gateway of this namespace and name.
    pub(super) fn gateway(&self, namespace: &str, name: &str) -> Option<&GatewayView<'a>> {
        let gateways = self.gateways();
        let numbers = || gateways.iter().enumerate().map(|(index, gateway)| (gateway.key(), index)).collect();
        gateways.get(*self.parts.by_gateway.get_or_init(numbers).get(&(namespace, name))?)
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

    /// Has a machine outside of the clusters (WorkloadEntry) of this namespace all these labels?
    pub(super) fn has_machine(&self, namespace: &str, labels: &Map<String, Value>) -> bool {
        self.of_kind(ISTIO_NETWORKING, "WorkloadEntry").any(|machine| {
            let own = ["/metadata/labels", "/spec/labels"].map(|at| machine.object.at(at));
            let has = |(key, value)| own.iter().flatten().any(|own| own.get(key) == Some(value));
            self::namespace(machine) == namespace && labels.iter().all(has)
        })
    }

    /// The Services in front of a pod.
    pub(super) fn selecting(&self, pod: &Pod<'a>) -> impl Iterator<Item = &Service<'a>> {
        let services = self.services();
        let selections = self.parts.selections.get_or_init(|| selections::Selections::of(services));
        selections.find(services, pod).into_iter().filter_map(|index| services.get(index))
    }

    /// The pods behind Services that have these labels too, in the clusters that have such a Service: a cluster without it makes no
    /// endpoints of its pods. Asked by selector and labels together: a label such as `version: v1` alone would choose half of a fleet.
    pub(super) fn behind(&self, services: &[usize], labels: &Map<String, Value>) -> Vec<&Pod<'a>> {
        let all = self.services();
        let services = services.iter().filter_map(|index| all.get(*index));
        let mut asked: Vec<Alike<'_>> = Vec::new();
        for (service, selector) in services.filter_map(|service| Some((service, service.selector.as_ref()?))) {
            let apart = selector.iter().any(|(key, value)| labels.get(key).is_some_and(|other| other != value));
            if selector.is_empty() || apart {
                continue;
            }
            // The Services of all clusters mostly choose alike.
            match asked.iter_mut().find(|it| it.namespace == service.namespace && *it.selector == **selector) {
                Some(known) => known.targets.push(&service.target),
                None => asked.push(Alike { namespace: service.namespace, selector, targets: vec![&service.target] }),
            }
        }
        let mut found = Vec::new();
        for asked in asked {
            let mut both = Map::clone(asked.selector);
            both.extend(labels.clone());
            // Of a gateway in clusters that the fleet does not declare, nobody knows where it runs.
            let is_here = |pod: &&Pod<'a>| pod.target.as_ref().is_none_or(|target| asked.targets.contains(&target));
            found.extend(self.pods_with(&both).filter(|pod| pod.namespace == asked.namespace).filter(is_here));
        }
        found
    }

    /// What a host means to a VirtualService or DestinationRule: what is exported to those who see it.
    pub(super) fn host_for(&self, host: &str, user: &Manifest) -> HostMatch<'a> {
        let mut found = self.hosts().find(host, namespace(user));
        let services = self.services();
        let visible = |index: &usize| services.get(*index).is_some_and(|s| exports::sees(user, s.manifest));
        found.services.retain(visible);
        found.entries.retain(|entry| exports::sees(user, entry));
        found
    }

    /// Does everybody who sees an object see a Service too?
    pub(super) fn sees(&self, user: &Manifest, service: &Service<'a>) -> bool {
        exports::sees(user, service.manifest)
    }

    /// Is everything that exists in the files?
    pub(super) fn is_complete(&self) -> bool {
        self.parts.assumptions.complete
    }

    /// What time it is.
    pub(super) fn now(&self) -> Option<jiff::Timestamp> {
        // It is another one each time.
        self.asked.part(Part::Everything);
        self.parts.assumptions.now
    }

    /// May anything be said of what is missing from this namespace? Not when its applications stand elsewhere.
    pub(super) fn knows_namespace(&self, namespace: &str) -> bool {
        [Part::Services, Part::Entries, Part::Pods].into_iter().for_each(|part| self.asked.part(part));
        let own = || self.parts.state.manifests.iter().filter(holds_applications).map(self::namespace).collect();
        self.is_complete() || self.parts.own_namespaces.get_or_init(own).contains(namespace)
    }

    /// The manifests of which the schema of their kind says something, with what it says.
    #[cfg(feature = "schema")]
    pub(super) fn refused(&self) -> impl Iterator<Item = (&'a Manifest, &crate::schema::Verdict)> {
        self.asked.part(Part::Everything);
        self.parts.verdicts.refused(self.parts.state)
    }

    /// By which schema a manifest was judged, when it is of another version than its mesh or cluster.
    #[cfg(feature = "schema")]
    pub(super) fn other_schema(&self, manifest: &Manifest) -> Option<String> {
        self.asked.part(Part::Everything);
        let state = self.parts.state;
        let version = verdicts::version(state, manifest)?;
        let edition = self.parts.verdicts.edition(state, manifest)?;
        let (source, is_other) = crate::schema::source(edition, Some(version))?;
        is_other.then(|| format!("this is the schema of {source}, the nearest to {version} that lint knows"))
    }

    /// The member cluster of a target.
    pub(super) fn cluster(&self, target: &Target) -> Option<&'a Cluster> {
        self.clusters().find(|cluster| cluster.name == target.name())
    }
}

impl<'a> Parts<'a> {
    fn pods(&self) -> &[Pod<'a>] {
        self.pods.get_or_init(|| pods::all(self.state))
    }

    fn pod_index(&self) -> &PodIndex {
        self.pod_index.get_or_init(|| PodIndex::of(self.pods()))
    }

    fn services(&self) -> &[Service<'a>] {
        self.services.get_or_init(|| services::all(self.state))
    }

    fn gateways(&self) -> &[GatewayView<'a>] {
        let of_kind = || self.of_kind(ISTIO_NETWORKING, "Gateway");
        self.gateways.get_or_init(|| routing::gateways(of_kind(), self.pods(), self.pod_index()))
    }

    fn of_kind<'p>(&'p self, group: &'p str, kind: &'p str) -> &'p [&'a Manifest] {
        let all: &HashMap<(&str, &str), Vec<&'a Manifest>> = self.by_kind.get_or_init(|| by_kind(self.state));
        all.get(&(group, kind)).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Services that choose alike, and where they are.
struct Alike<'s> {
    namespace: &'s str,
    selector: &'s Map<String, Value>,
    targets: Vec<&'s Target>,
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
