//! What host names mean to istiod: Services, by their full name over all clusters, and the hosts of ServiceEntries.

use super::locality;
use super::model::{Export, items, namespace, port, text, texts};
use super::order::Ages;
use super::ports;
use crate::asm::gateway;
use crate::fleet::{FleetState, Manifest};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// One host, as istiod sees it.
#[derive(Clone, Debug)]
pub(super) struct Service<'s> {
    pub(super) host: String,
    pub(super) namespace: &'s str,
    pub(super) exported: Export<'s>,
    pub(super) ports: Vec<Port>,
    /// What another name stands for.
    pub(super) external_name: Option<&'s str>,
    /// The Services in each cluster, or the ServiceEntry.
    pub(super) manifests: Vec<&'s Manifest>,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Service of Kubernetes.
    Service,
    /// A ServiceEntry.
    Entry,
}

/// A port of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) number: u16,
    pub(super) udp: bool,
    /// Sidecars take what comes to it for HTTP, or look whether it is.
    pub(super) http: bool,
    /// What comes to it is TLS, which sidecars look into for the server name only.
    pub(super) tls: bool,
}

/// All hosts.
pub(super) struct Services<'s> {
    all: Vec<Service<'s>>,
    /// By host: the oldest of each namespace, those of Kubernetes first.
    by_host: HashMap<String, Vec<usize>>,
    /// Namespaces of which the files hold a Service or a workload.
    known_namespaces: HashSet<&'s str>,
    /// One of them asks that its requests stay near.
    pub(super) by_region: bool,
}

impl<'s> Services<'s> {
    pub(super) fn of(state: &'s FleetState, ages: Ages<'_>, entries: Vec<&'s Manifest>) -> Self {
        let mut all = kubernetes(state, ages);
        for entry in entries {
            all.extend(entry_hosts(entry));
        }
        let mut by_host: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, service) in all.iter().enumerate() {
            by_host.entry(service.host.clone()).or_default().push(index);
        }
        let holds = |manifest: &&Manifest| {
            let kind = manifest.group_kind();
            kind.is("", "Service") || matches!(&*kind.group, "apps" | "batch") || kind.is("", "Pod")
        };
        let known_namespaces = state.manifests.iter().filter(holds).map(namespace).collect();
        let by_region = all.iter().flat_map(|service| &service.manifests).any(|it| locality::stays_near(it));
        Self { all, by_host, known_namespaces, by_region }
    }

    /// The host as the pods of a gateway know it (istiod's SidecarScope): what is exported to their namespace, Kubernetes'
    /// own first, the oldest first.
    pub(super) fn visible(&self, host: &str, to: &str) -> Option<&Service<'s>> {
        self.with_host(host).find(|service| service.exported.has(to))
    }

    /// What a rule of a VirtualService means: a visible one of its own namespace before others.
    pub(super) fn for_rule(&self, host: &str, own: &str, to: &str) -> Option<&Service<'s>> {
        let near = self.with_host(host).find(|service| service.namespace == own && service.exported.has(to));
        near.or_else(|| self.visible(host, to))
    }

    /// What a namespace sees: one Service per host, by host.
    pub(super) fn seen_from(&self, namespace: &str) -> Vec<&Service<'s>> {
        let hosts: BTreeSet<&String> = self.by_host.keys().collect();
        hosts.into_iter().filter_map(|host| self.visible(host, namespace)).collect()
    }

    /// All of this host, visible or not.
    pub(super) fn with_host(&self, host: &str) -> impl Iterator<Item = &Service<'s>> {
        let found = self.by_host.get(host).into_iter().flatten();
        found.filter_map(|index| self.all.get(*index))
    }

    /// All host names.
    pub(super) fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<String> = self.by_host.keys().cloned().collect();
        hosts.sort_unstable();
        hosts
    }

    /// Hosts of ServiceEntries that select pods or name addresses.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Service<'s>> {
        self.all.iter().filter(|service| service.kind == Kind::Entry)
    }

    /// Could the files know the applications of this host's namespace?
    pub(super) fn knows_namespace_of(&self, host: &str) -> bool {
        let mut labels = host.split('.');
        let (_, space, third) = (labels.next(), labels.next(), labels.next());
        match (space, third) {
            (Some(space), Some("svc")) => self.known_namespaces.contains(space),
            // A name outside the clusters: only a ServiceEntry could know it, and those stand in the mesh.
            _ => true,
        }
    }
}

/// The Services of all clusters and those that ASM makes of IstioGateways, joined by name.
fn kubernetes<'s>(state: &'s FleetState, ages: Ages<'_>) -> Vec<Service<'s>> {
    let mut joined: BTreeMap<(&str, String), Vec<&Manifest>> = BTreeMap::new();
    for manifest in &state.manifests {
        let name = if manifest.group_kind().is("", "Service") {
            manifest.id.name.to_string()
        } else if manifest.group_kind().is(ASM, "IstioGateway") && !gateway::is_serverless(&manifest.object) {
            gateway::generated_name(&manifest.id.name)
        } else {
            continue;
        };
        joined.entry((namespace(manifest), name)).or_default().push(manifest);
    }
    let mut all: Vec<Service<'s>> = joined
        .into_iter()
        .filter_map(|((space, name), manifests)| {
            // istiod takes the ports of the first cluster.
            let first = manifests.iter().find(|it| it.group_kind().is("", "Service")).or_else(|| manifests.first())?;
            let object = &first.object;
            let annotation = object.at("/metadata/annotations/networking.istio.io~1exportTo").and_then(Value::as_str);
            let words = annotation.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
            let external = text(object, "/spec/type") == "ExternalName";
            Some(Service {
                host: format!("{name}.{space}.svc.cluster.local"),
                namespace: space,
                exported: Export::of(words, space),
                ports: items(object, "/spec/ports").iter().filter_map(service_port).collect(),
                external_name: external.then(|| text(object, "/spec/externalName")),
                manifests,
                kind: Kind::Service,
            })
        })
        .collect();
    all.sort_by(|a, b| match (a.manifests.first(), b.manifests.first()) {
        (Some(a), Some(b)) => ages.compare(a, b),
        _ => std::cmp::Ordering::Equal,
    });
    all
}

fn service_port(port_value: &Value) -> Option<Port> {
    let number = port(port_value, "/port")?;
    let word = |field: &str| port_value.get(field).and_then(Value::as_str);
    let udp = word("protocol") == Some("UDP");
    let protocol = ports::protocol(udp, word("appProtocol"), word("name").unwrap_or_default(), number);
    Some(Port { number, udp, http: is_http(protocol), tls: is_tls(protocol) })
}

/// HTTP, or nothing that istiod knows: then its proxies look.
fn is_http(protocol: &str) -> bool {
    matches!(protocol, "" | "http" | "http2" | "grpc" | "grpc-web" | "http_proxy")
}

fn is_tls(protocol: &str) -> bool {
    matches!(protocol, "https" | "tls")
}

fn entry_hosts(entry: &Manifest) -> Vec<Service<'_>> {
    let own = namespace(entry);
    let ports: Vec<Port> = items(&entry.object, "/spec/ports")
        .iter()
        .filter_map(|it| {
            let protocol = text(it, "/protocol").to_lowercase();
            let number = port(it, "/number")?;
            Some(Port { number, udp: protocol == "udp", http: is_http(&protocol), tls: is_tls(&protocol) })
        })
        .collect();
    texts(&entry.object, "/spec/hosts")
        .map(|host| Service {
            host: host.to_owned(),
            namespace: own,
            exported: Export::of(texts(&entry.object, "/spec/exportTo"), own),
            ports: ports.clone(),
            external_name: None,
            manifests: vec![entry],
            kind: Kind::Entry,
        })
        .collect()
}
