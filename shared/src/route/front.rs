//! The gateways of a fleet, and what stands in front of their pods.

use super::model::{namespace, port, text};
use super::selectors::Selectors;
use crate::asm::annotations::setting;
use crate::asm::{addresses, gateway};
use crate::fleet::pods::{self, Pod, PodIndex};
use crate::fleet::{FleetState, Manifest, Target};
use crate::object::At as _;
use crate::object::ObjectId;
use crate::object::kinds::ISTIO_NETWORKING;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A gateway: pods with Envoy, and the Services and load balancers in front of them.
#[derive(Clone, Debug)]
pub struct Front<'s> {
    /// Name: of the IstioGateway, or of the workload.
    pub name: String,
    /// Namespace of its pods.
    pub namespace: String,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
    /// The IstioGateway or the workload; `None` for a pod that is only described ([`Front::of_pod`]).
    pub manifest: Option<&'s Manifest>,
    /// ASM runs its pods, outside the member clusters.
    pub serverless: bool,
    /// Where its pods run, in the order of the fleet; [`Target::Mesh`] for a serverless gateway. Empty when the files do
    /// not say.
    pub clusters: Vec<Target>,
    /// Addresses of its pods, where they are known; ServiceEntries may name them.
    pub addresses: Vec<String>,
    /// Its pods may not bind ports below 1024, and say so to istiod.
    pub unprivileged: bool,
    /// The Services in front of its pods, ordered by cluster and name.
    pub doors: Vec<Door<'s>>,
    /// Not a gateway: a workload of the mesh, and what its sidecar does with the requests that it sends.
    pub sidecar: bool,
}

/// A Service in front of a gateway's pods, in one cluster.
#[derive(Clone, Debug)]
pub struct Door<'s> {
    /// The Service, or the IstioGateway that ASM makes it of.
    pub manifest: &'s Manifest,
    /// Its cluster.
    pub cluster: Target,
    /// Its name.
    pub name: String,
    /// ASM makes it of the IstioGateway.
    pub generated: bool,
    /// `ClusterIP`, `NodePort`, `LoadBalancer`.
    pub kind: &'s str,
    /// Its ports.
    pub ports: Vec<DoorPort<'s>>,
    /// Addresses that the files know (a status, an annotation that fixes one).
    pub addresses: Vec<String>,
    /// The load balancer that it uses instead of an own one, as its annotation says.
    pub load_balancer: Option<&'s str>,
    /// `externalTrafficPolicy` is `Local`.
    pub local: bool,
}

/// What a load balancer does with a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listener {
    /// Passes it on as it is.
    #[default]
    Tcp,
    /// Reads plain HTTP and passes it on.
    Http,
    /// Ends TLS: the gateway sees plain HTTP.
    Https,
    /// Answers plain HTTP with a redirect to HTTPS on this port.
    Redirect(u16),
}

/// A port of such a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorPort<'s> {
    /// Port of the Service, and of the load balancer's listener.
    pub port: u16,
    /// Port on the pods; `None` for the name of a container port that no file defines.
    pub target: Option<u16>,
    /// Its name.
    pub name: Option<&'s str>,
    /// `TCP`, `UDP`.
    pub protocol: &'s str,
    /// `appProtocol`.
    pub app_protocol: Option<&'s str>,
    /// What the load balancer does with it.
    pub listener: Listener,
    /// JSON pointer in the manifest.
    pub pointer: String,
}

/// Every gateway of the fleet, IstioGateways first.
pub fn gateways(state: &FleetState) -> Vec<Front<'_>> {
    let pods = pods::all(state);
    let index = PodIndex::of(&pods);
    let mut fronts = Fronts::of(state);
    for pod in pods.iter().filter(|pod| pod.is_istio_gateway()) {
        fronts.add(pod);
    }
    let of_kind = state.manifests.iter().filter(|it| it.group_kind().is(ISTIO_NETWORKING, "Gateway"));
    let selectors = of_kind.filter_map(|it| it.object.at("/spec/selector").and_then(Value::as_object));
    let mut chosen: Vec<usize> = selectors.flat_map(|selector| index.with(&pods, selector)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    let proxies = chosen.iter().filter_map(|at| pods.get(*at)).filter(|pod| !pod.is_istio_gateway() && is_proxy(pod));
    for pod in proxies {
        fronts.add(pod);
    }
    fronts.all
}

impl Front<'_> {
    /// A gateway pod that is known by its labels and namespace only. Pods of the files that have all these labels (and are
    /// in the namespace, unless it is empty) are meant; when there are none, the Services that select the labels are its
    /// doors, in every cluster.
    pub fn of_pod<'s>(state: &'s FleetState, labels: &BTreeMap<String, String>, namespace: &str) -> Front<'s> {
        let pods = pods::all(state);
        let meant = |pod: &&Pod<'_>| {
            let has = |(key, value): (&String, &String)| pod.labels.get(key).and_then(Value::as_str) == Some(value);
            (namespace.is_empty() || pod.namespace == namespace) && labels.iter().all(has)
        };
        let mut fronts = Fronts::of(state);
        for pod in pods.iter().filter(meant) {
            fronts.add(pod);
        }
        let services = fronts.services;
        fronts.all.into_iter().next().unwrap_or_else(|| {
            let namespace = if namespace.is_empty() { gateway::NAMESPACE } else { namespace };
            let mut front = Front {
                name: labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","),
                namespace: namespace.to_owned(),
                labels: labels.clone(),
                manifest: None,
                serverless: false,
                clusters: Vec::new(),
                addresses: Vec::new(),
                unprivileged: false,
                doors: Vec::new(),
                sidecar: false,
            };
            for target in state.targets() {
                front.doors.extend(services.doors(&target, &front.namespace, &front.labels, None));
            }
            front
        })
    }

    /// A workload as one that calls others, in all clusters that run it or in one; `None` when there is no such workload.
    /// Pods with other labels in another cluster are another caller: the first is meant.
    pub fn of_caller<'s>(
        state: &'s FleetState,
        namespace: &str,
        name: &str,
        cluster: Option<&Target>,
    ) -> Option<Front<'s>> {
        let pods = pods::all(state);
        let is_here = |pod: &Pod<'_>| cluster.is_none_or(|cluster| pod.target.as_ref() == Some(cluster));
        let meant = |pod: &&Pod<'_>| {
            let named = pod.namespace == namespace && *pod.manifest.id.name == *name;
            named && !pod.is_istio_gateway() && is_here(pod)
        };
        let mut fronts = Fronts::of(state);
        for pod in pods.iter().filter(meant) {
            fronts.add(pod);
        }
        fronts.all.into_iter().next().map(Front::calling)
    }

    /// Names of the workloads that could call, as `NAMESPACE/NAME`.
    pub fn callers(state: &FleetState) -> BTreeSet<String> {
        let pods = pods::all(state).into_iter().filter(|pod| !pod.is_istio_gateway());
        pods.map(|pod| format!("{}/{}", pod.namespace, pod.manifest.id.name)).collect()
    }

    /// The same pods as those that call.
    #[must_use]
    pub fn calling(mut self) -> Self {
        self.doors.clear();
        self.sidecar = true;
        self
    }

    /// Does a selector choose its pods?
    pub fn has(&self, selector: &Map<String, Value>) -> bool {
        selector.iter().all(|(key, value)| self.labels.get(key).map(String::as_str) == value.as_str())
    }
}

/// Is there Envoy in it, as a gateway?
fn is_proxy(pod: &Pod<'_>) -> bool {
    let containers = pod.spec.and_then(|spec| spec.get("containers")).and_then(Value::as_array);
    let mut containers = containers.into_iter().flatten();
    let annotations = ["/metadata/annotations", "/spec/template/metadata/annotations"];
    let template = annotations.iter().find_map(|at| pod.manifest.object.at(at)?.get("inject.istio.io/templates"));
    containers.any(|it| text(it, "/name") == "istio-proxy" || text(it, "/image") == "auto")
        || template.and_then(Value::as_str).is_some_and(|words| words.split(',').any(|word| word.trim() == "gateway"))
        || pod.labels.get("istio").and_then(Value::as_str).is_some_and(|name| name.ends_with("gateway"))
}

/// Gateways in the making.
struct Fronts<'s> {
    state: &'s FleetState,
    all: Vec<Front<'s>>,
    /// Their numbers, by what makes their pods.
    made_by: HashMap<&'s ObjectId, Vec<usize>>,
    services: ServicesOf<'s>,
}

impl<'s> Fronts<'s> {
    fn of(state: &'s FleetState) -> Self {
        Self { state, all: Vec::new(), made_by: HashMap::new(), services: ServicesOf::of(state) }
    }

    /// Adds the pods of one cluster; those of the same workload in several clusters are one gateway.
    fn add(&mut self, pod: &Pod<'s>) {
        let labels: BTreeMap<String, String> =
            pod.labels.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        let known = self.made_by.entry(&pod.manifest.id).or_default();
        let same = |at: &usize| self.all.get(*at).is_some_and(|front| front.labels == labels);
        let at = known.iter().copied().find(same).unwrap_or_else(|| {
            known.push(self.all.len());
            self.all.push(Front::of_workload(pod, labels));
            self.all.len() - 1
        });
        let Some(front) = self.all.get_mut(at) else { return };
        let ip = text(&pod.manifest.object, "/status/podIP");
        if !ip.is_empty() {
            front.addresses.push(ip.to_owned());
        }
        // A gateway in clusters that the fleet does not declare has its Service all the same.
        let undeclared = pod.is_istio_gateway().then_some(&Target::Mesh);
        let Some(target) = pod.target.as_ref().or(undeclared) else { return };
        if front.clusters.contains(target) {
            return;
        }
        front.clusters.push(target.clone());
        if pod.is_istio_gateway() {
            front.doors.push(generated(self.state, pod.manifest, target));
        }
        let doors = self.services.doors(target, &front.namespace, &front.labels, pod.spec);
        front.doors.extend(doors);
    }
}

impl<'s> Front<'s> {
    /// The pods that a workload makes, in no cluster yet.
    fn of_workload(pod: &Pod<'s>, labels: BTreeMap<String, String>) -> Self {
        Self {
            name: pod.manifest.id.name.to_string(),
            namespace: pod.namespace.to_owned(),
            labels,
            manifest: Some(pod.manifest),
            serverless: pod.is_istio_gateway() && gateway::is_serverless(&pod.manifest.object),
            clusters: Vec::new(),
            addresses: Vec::new(),
            unprivileged: pod.spec.is_some_and(is_unprivileged),
            doors: Vec::new(),
            sidecar: false,
        }
    }
}

fn is_unprivileged(spec: &Value) -> bool {
    let containers = spec.get("containers").and_then(Value::as_array).into_iter().flatten();
    let mut env = containers.filter_map(|it| it.get("env")?.as_array()).flatten();
    env.any(|it| text(it, "/name") == "ISTIO_META_UNPRIVILEGED_POD" && text(it, "/value") == "true")
}

/// The Services of a fleet, by cluster, namespace, and what they select.
struct ServicesOf<'s> {
    groups: HashMap<(&'s Target, &'s str), (Vec<&'s Manifest>, Selectors<'s>)>,
}

impl<'s> ServicesOf<'s> {
    fn of(state: &'s FleetState) -> Self {
        let mut groups: HashMap<(&Target, &str), Vec<&Manifest>> = HashMap::new();
        for manifest in state.manifests.iter().filter(|it| it.group_kind().is("", "Service")) {
            groups.entry((&manifest.target, namespace(manifest))).or_default().push(manifest);
        }
        let selector = |it: &&'s Manifest| it.object.at("/spec/selector").and_then(Value::as_object);
        let group = |all: Vec<&'s Manifest>| {
            let selectors = Selectors::of(all.iter().map(selector));
            (all, selectors)
        };
        Self { groups: groups.into_iter().map(|(key, all)| (key, group(all))).collect() }
    }

    /// Those of a cluster that select the pods, by name.
    fn doors(
        &self,
        target: &Target,
        own: &str,
        labels: &BTreeMap<String, String>,
        spec: Option<&Value>,
    ) -> Vec<Door<'s>> {
        let Some((all, selectors)) = self.groups.get(&(target, own)) else { return Vec::new() };
        let selecting = selectors.choosing(labels).into_iter().filter_map(|at| all.get(at).copied());
        selecting.map(|manifest| door(manifest, target, spec)).collect()
    }
}

fn door<'s>(manifest: &'s Manifest, target: &Target, spec: Option<&Value>) -> Door<'s> {
    let object = &*manifest.object;
    let annotations = object.at("/metadata/annotations");
    Door {
        manifest,
        cluster: target.clone(),
        name: manifest.id.name.to_string(),
        generated: false,
        kind: kind(text(object, "/spec/type"), "ClusterIP"),
        ports: ports(object, "/spec/ports", annotations, spec),
        addresses: addresses::of_service(object),
        load_balancer: setting(annotations, "loadbalancer-id").filter(|id| !id.is_empty()),
        local: text(object, "/spec/externalTrafficPolicy") == "Local",
    }
}

/// The Service that ASM makes of an IstioGateway in one cluster.
fn generated<'s>(state: &'s FleetState, manifest: &'s Manifest, target: &Target) -> Door<'s> {
    let object = &*manifest.object;
    let clusters = state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
    let id = clusters.into_iter().find(|cluster| cluster.name == target.name()).and_then(|it| it.id.as_deref());
    let own = id.map(|id| format!("/spec/overrides/{}", id.replace('~', "~0").replace('/', "~1")));
    // A cluster's own field replaces the one for all clusters.
    let place = |field: &str| {
        let own = own.as_ref().map(|base| format!("{base}/{field}"));
        own.filter(|pointer| object.at(pointer).is_some()).unwrap_or_else(|| format!("/spec/{field}"))
    };
    let annotations = object.at(&place("serviceAnnotations"));
    Door {
        manifest,
        cluster: target.clone(),
        name: gateway::generated_name(&manifest.id.name),
        generated: true,
        kind: kind(text(object, &place("serviceType")), "LoadBalancer"),
        ports: ports(object, &place("ports"), annotations, None),
        addresses: match id {
            Some(id) => addresses::of_istio_gateway_in(object, id),
            None => addresses::of_istio_gateway(object),
        },
        load_balancer: setting(annotations, "loadbalancer-id").filter(|id| !id.is_empty()),
        local: text(object, &place("externalTrafficPolicy")) == "Local",
    }
}

fn kind<'s>(written: &'s str, default: &'static str) -> &'s str {
    if written.is_empty() { default } else { written }
}

fn ports<'s>(object: &'s Value, base: &str, annotations: Option<&'s Value>, spec: Option<&Value>) -> Vec<DoorPort<'s>> {
    let all = object.at(base).and_then(Value::as_array).into_iter().flatten().enumerate();
    let word = |value: &'s Value, field: &str| value.get(field).and_then(Value::as_str);
    all.filter_map(|(index, it)| {
        let number = port(it, "/port")?;
        let target = match it.get("targetPort") {
            Some(Value::String(name)) => name.parse().ok().or_else(|| container_port(spec?, name)),
            Some(value) => {
                value.as_u64().filter(|number| *number > 0).map_or(Some(number), |it| u16::try_from(it).ok())
            }
            None => Some(number),
        };
        Some(DoorPort {
            port: number,
            target,
            name: word(it, "name"),
            // ASM's own words (`HTTP2`, `HTTPS`) become TCP.
            protocol: if word(it, "protocol") == Some("UDP") { "UDP" } else { "TCP" },
            app_protocol: word(it, "appProtocol"),
            listener: listener(annotations, number),
            pointer: format!("{base}/{index}"),
        })
    })
    .collect()
}

/// The container port of a name.
fn container_port(spec: &Value, name: &str) -> Option<u16> {
    let containers = spec.get("containers").and_then(Value::as_array).into_iter().flatten();
    let mut ports = containers.filter_map(|it| it.get("ports")?.as_array()).flatten();
    ports.find(|it| text(it, "/name") == name).and_then(|it| port(it, "/containerPort"))
}

/// What the annotations say of the load balancer's listener.
fn listener(annotations: Option<&Value>, number: u16) -> Listener {
    let pairs = |name: &str| {
        let words = setting(annotations, name).unwrap_or_default().split(',');
        words.filter_map(|word| word.trim().split_once(':')).map(|(a, b)| (a.trim(), b.trim()))
    };
    let forward = pairs("loadbalancer-forward-port").find(|(from, _)| from.parse() == Ok(number));
    if let Some(to) = forward.and_then(|(_, to)| to.parse().ok()) {
        return Listener::Redirect(to);
    }
    match pairs("loadbalancer-protocol-port").find(|(_, port)| port.parse() == Ok(number)).map(|(word, _)| word) {
        Some("http") => Listener::Http,
        Some("https") => Listener::Https,
        _ => Listener::Tcp,
    }
}
