//! Facts out of what API servers answer, and out of the files of a fleet.

use super::facts::{Caller, CloudEvent, Facts, Mode, Network, Node, Policy, Proxy, ServiceFacts, Version};
use crate::asm::annotations::{BACKEND_TYPE, setting};
use crate::authoring::LoadBalancerService;
use crate::object::At as _;
use crate::yaml;
use serde_json::Value;
use std::sync::Arc;

/// What a cluster answered. Lists that could not be read are `None`.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// The Service.
    pub service: Value,
    /// The pods that its selector chooses.
    pub pods: Option<Vec<Value>>,
    /// All nodes.
    pub nodes: Option<Vec<Value>>,
    /// ConfigMaps of `kube-system`.
    pub config_maps: Option<Vec<Value>>,
    /// DaemonSets of `kube-system`.
    pub daemon_sets: Option<Vec<Value>>,
    /// Events on the Service.
    pub events: Option<Vec<Value>>,
}

/// The facts that a cluster's objects say.
pub fn observe(cluster: &str, objects: &Objects, caller: Option<Caller>) -> Facts {
    let none = Vec::new();
    let (config_maps, daemon_sets) =
        (objects.config_maps.as_ref().unwrap_or(&none), objects.daemon_sets.as_ref().unwrap_or(&none));
    let network = network(config_maps, daemon_sets);
    let image = kube_proxy(daemon_sets).and_then(image_version);
    Facts {
        cluster: cluster.to_owned(),
        service: service(&objects.service),
        proxy: proxy(config_maps, daemon_sets, &network),
        // Without the pods nobody knows which nodes have some.
        nodes: objects.nodes.as_ref().zip(objects.pods.as_ref()).map(|(nodes, pods)| {
            let mut nodes: Vec<Node> = nodes.iter().map(|value| node(value, pods, image)).collect();
            nodes.sort_by(|a, b| a.name.cmp(&b.name));
            nodes
        }),
        network,
        events: events(objects.events.as_ref().unwrap_or(&none), &objects.service),
        caller,
    }
}

/// The facts about a Service that the cluster does not have.
pub fn missing(service: &LoadBalancerService) -> Facts {
    let mut facts = of_files(service, false);
    facts.service.missing = true;
    facts
}

/// The facts that the files alone say.
pub fn of_files(service: &LoadBalancerService, serverless: bool) -> Facts {
    let policy = if service.external_traffic_policy == "Local" { Policy::Local } else { Policy::Cluster };
    let annotations = Value::Object(service.annotations.clone());
    let hostname = setting(Some(&annotations), "loadbalancer-hostname").filter(|name| !name.is_empty());
    let publishes_name = service.product == "NLB" || hostname.is_some();
    let named = service.ports.iter().filter(|port| port.target_port.as_str().is_some_and(is_name));
    Facts {
        cluster: service.cluster.clone(),
        service: ServiceFacts {
            namespace: service.namespace.clone(),
            name: service.name.clone(),
            serverless,
            // What it will be is known where it is a name; an IP is not.
            status_known: publishes_name,
            hostnames: publishes_name.then(|| hostname.unwrap_or("<name of the NLB>").to_owned()).into_iter().collect(),
            policy,
            backend_type: service.annotations.get(BACKEND_TYPE).and_then(Value::as_str).map(str::to_owned),
            named_target_ports: named.map(|port| port.target_port.as_str().unwrap_or_default().to_owned()).collect(),
            ..ServiceFacts::default()
        },
        ..Facts::default()
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.at(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.at(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn is_name(target_port: &str) -> bool {
    target_port.parse::<u16>().is_err()
}

fn service(value: &Value) -> ServiceFacts {
    let (mut ips, mut proxied_ips, mut hostnames) = (Vec::new(), Vec::new(), Vec::new());
    for entry in items(value, "/status/loadBalancer/ingress") {
        match (text(entry, "/ip"), text(entry, "/hostname")) {
            // kube-proxy looks at `ip` alone.
            (Some(ip), _) if text(entry, "/ipMode") == Some("Proxy") => proxied_ips.push(ip.to_owned()),
            (Some(ip), _) => ips.push(ip.to_owned()),
            (None, Some(hostname)) => hostnames.push(hostname.to_owned()),
            (None, None) => {}
        }
    }
    let annotations = value.at("/metadata/annotations");
    let named = items(value, "/spec/ports").filter_map(|port| text(port, "/targetPort")).filter(|port| is_name(port));
    ServiceFacts {
        namespace: text(value, "/metadata/namespace").unwrap_or_default().to_owned(),
        name: text(value, "/metadata/name").unwrap_or_default().to_owned(),
        serverless: false,
        missing: false,
        status_known: true,
        ips,
        proxied_ips,
        hostnames,
        policy: if text(value, "/spec/externalTrafficPolicy") == Some("Local") {
            Policy::Local
        } else {
            Policy::Cluster
        },
        backend_type: annotations.and_then(|all| all.get(BACKEND_TYPE)).and_then(Value::as_str).map(str::to_owned),
        named_target_ports: named.map(str::to_owned).collect(),
    }
}

/// Labels that keep a node out of the back ends.
const EXCLUDING: [&str; 4] = [
    "service.alibabacloud.com/exclude-node",
    "service.beta.kubernetes.io/exclude-node",
    "node.kubernetes.io/exclude-from-external-load-balancers",
    "alpha.service-controller.kubernetes.io/exclude-balancer",
];

fn node(value: &Value, pods: &[Value], image: Option<Version>) -> Node {
    let name = text(value, "/metadata/name").unwrap_or_default();
    let here = || pods.iter().filter(|pod| text(pod, "/spec/nodeName") == Some(name) && is_alive(pod));
    let labels = value.at("/metadata/labels");
    let told = ["/status/nodeInfo/kubeProxyVersion", "/status/nodeInfo/kubeletVersion"];
    Node {
        name: name.to_owned(),
        ready: is_ready(value),
        version: image.or_else(|| told.iter().find_map(|field| text(value, field).and_then(Version::parse))),
        pods: here().count(),
        ready_pods: here().filter(|pod| is_ready(pod)).count(),
        excluded_by: EXCLUDING
            .iter()
            .find(|label| labels.is_some_and(|labels| labels.get(**label).is_some()))
            .map(|label| (*label).to_owned()),
    }
}

fn is_alive(pod: &Value) -> bool {
    pod.at("/metadata/deletionTimestamp").is_none()
        && !matches!(text(pod, "/status/phase"), Some("Succeeded" | "Failed"))
}

fn is_ready(value: &Value) -> bool {
    items(value, "/status/conditions")
        .any(|condition| text(condition, "/type") == Some("Ready") && text(condition, "/status") == Some("True"))
}

fn is_kube_proxy(name: &str) -> bool {
    name == "kube-proxy" || name.starts_with("kube-proxy-")
}

/// The one of the workers before that of the masters, as ACK names them.
fn kube_proxy(objects: &[Value]) -> Option<&Value> {
    let name = |object: &Value| text(object, "/metadata/name").unwrap_or_default().to_owned();
    let found = objects.iter().filter(|object| is_kube_proxy(&name(object)));
    found.min_by_key(|object| (name(object).contains("master"), name(object)))
}

fn containers(daemon_set: &Value) -> impl Iterator<Item = &Value> {
    items(daemon_set, "/spec/template/spec/containers")
}

fn image_version(daemon_set: &Value) -> Option<Version> {
    let images = containers(daemon_set).filter_map(|container| text(container, "/image"));
    let tag = |image: &str| {
        let last = image.rsplit('/').next().unwrap_or(image);
        let tag = last.split('@').next().unwrap_or(last).split_once(':')?.1;
        last.contains("kube-proxy").then(|| Version::parse(tag)).flatten()
    };
    images.into_iter().find_map(tag)
}

/// The value of a flag, `--name=value` or `--name value`.
fn flag(daemon_set: &Value, name: &str) -> Option<String> {
    let words = containers(daemon_set)
        .flat_map(|container| items(container, "/command").chain(items(container, "/args")))
        .filter_map(Value::as_str)
        // A shell's command line is one word.
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>();
    words.iter().enumerate().find_map(|(index, word)| {
        let rest = word.strip_prefix(name)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value.to_owned()),
            None if rest.is_empty() => words.get(index + 1).map(|next| (*next).to_owned()),
            None => None,
        }
    })
}

fn mode_of(word: &str) -> Mode {
    match word {
        // What Linux takes when nothing is said.
        "" | "iptables" => Mode::Iptables,
        "ipvs" => Mode::Ipvs,
        "nftables" => Mode::Nftables,
        other => Mode::Other(format!("kube-proxy in mode {other}")),
    }
}

fn proxy(config_maps: &[Value], daemon_sets: &[Value], network: &Network) -> Proxy {
    if let Network::Terway(kind) = network
        && kind != ENI_ONLY
    {
        // Its eBPF programs do Services' work for pods; kube-proxy may run beside them.
        return Proxy {
            mode: Mode::Other(format!("Terway {kind}")),
            source: Some(TERWAY_CONFIG.to_owned()),
            knows_pods: None,
        };
    }
    let daemon_set = kube_proxy(daemon_sets);
    // With `--config` the flags count for nothing.
    let by_flags = daemon_set
        .filter(|daemon_set| flag(daemon_set, "--config").is_none())
        .and_then(|daemon_set| Some((daemon_set, flag(daemon_set, "--proxy-mode")?)));
    if let Some((daemon_set, mode)) = by_flags {
        let cidr = flag(daemon_set, "--cluster-cidr");
        let name = text(daemon_set, "/metadata/name").unwrap_or_default();
        return Proxy {
            mode: mode_of(&mode),
            source: Some(format!("DaemonSet kube-system/{name}")),
            knows_pods: Some(cidr.is_some_and(|cidr| !cidr.is_empty())),
        };
    }
    if let Some(config_map) = kube_proxy(config_maps)
        && let Some(config) = configuration(config_map)
    {
        let name = text(config_map, "/metadata/name").unwrap_or_default();
        let knows_pods = match text(&config, "/detectLocalMode") {
            None | Some("ClusterCIDR") => text(&config, "/clusterCIDR").is_some(),
            Some(_) => true,
        };
        return Proxy {
            mode: mode_of(text(&config, "/mode").unwrap_or_default()),
            source: Some(format!("ConfigMap kube-system/{name}")),
            knows_pods: Some(knows_pods),
        };
    }
    let has_cilium = daemon_sets.iter().any(|object| text(object, "/metadata/name") == Some("cilium"));
    if has_cilium && daemon_set.is_none() {
        let source = Some("DaemonSet kube-system/cilium".to_owned());
        return Proxy { mode: Mode::Other("Cilium".to_owned()), source, knows_pods: None };
    }
    Proxy::default()
}

/// The KubeProxyConfiguration in a ConfigMap.
fn configuration(config_map: &Value) -> Option<Arc<Value>> {
    let data = config_map.get("data").and_then(Value::as_object)?;
    data.values().filter_map(Value::as_str).find_map(|text| {
        let documents = yaml::read(text.as_bytes(), &yaml::Limits::default()).ok()?;
        let mut found = documents.into_iter().map(|document| document.value);
        found.find(|value| value.get("kind").and_then(Value::as_str) == Some("KubeProxyConfiguration"))
    })
}

const TERWAY_CONFIG: &str = "ConfigMap kube-system/eni-config";
/// Terway without programs of its own for Services.
const ENI_ONLY: &str = "ENI";

fn network(config_maps: &[Value], daemon_sets: &[Value]) -> Network {
    let named = |prefix: &str| {
        daemon_sets.iter().any(|object| text(object, "/metadata/name").is_some_and(|name| name.starts_with(prefix)))
    };
    let config = config_maps.iter().find(|object| text(object, "/metadata/name") == Some("eni-config"));
    if named("terway") || config.is_some() {
        let kind = config.and_then(acceleration).unwrap_or_else(|| ENI_ONLY.to_owned());
        return Network::Terway(kind);
    }
    if named("kube-flannel") {
        return Network::Flannel;
    }
    let others = [("cilium", "Cilium"), ("calico-node", "Calico")];
    others
        .iter()
        .find(|(prefix, _)| named(prefix))
        .map_or(Network::Unknown, |(_, name)| Network::Other((*name).to_owned()))
}

/// Terway's acceleration: DataPath V2, or IPvlan with eBPF.
fn acceleration(config: &Value) -> Option<String> {
    let data = config.get("data").and_then(Value::as_object)?;
    let parts = data.values().filter_map(Value::as_str).filter_map(|text| serde_json::from_str::<Value>(text).ok());
    let kinds: Vec<String> = parts
        .flat_map(|part| {
            let plugins: Vec<Value> = items(&part, "/plugins").cloned().collect();
            std::iter::once(part).chain(plugins)
        })
        .filter_map(|part| {
            let keys = ["/eniip_virtual_type", "/eniip_virtualization_type"];
            keys.iter().find_map(|key| text(&part, key)).map(str::to_lowercase)
        })
        .collect();
    kinds.iter().find_map(|kind| match kind.as_str() {
        "datapathv2" => Some("DataPath V2".to_owned()),
        "ipvlan" => Some("IPvlan with eBPF".to_owned()),
        _ => None,
    })
}

/// Those of this Service and not of one before it with the same name, newest first.
pub(super) fn events(values: &[Value], service: &Value) -> Vec<CloudEvent> {
    let (name, uid) = (text(service, "/metadata/name"), text(service, "/metadata/uid"));
    let ours = values.iter().filter(|event| {
        text(event, "/involvedObject/kind") == Some("Service")
            && text(event, "/involvedObject/name") == name
            && text(event, "/involvedObject/uid").is_none_or(|of| uid.is_none_or(|uid| uid == of))
    });
    let told = |event: &Value| CloudEvent {
        kind: text(event, "/type").unwrap_or("Normal").to_owned(),
        reason: text(event, "/reason").unwrap_or_default().to_owned(),
        message: text(event, "/message").unwrap_or_default().to_owned(),
        last_seen: ["/lastTimestamp", "/series/lastObservedTime", "/eventTime", "/firstTimestamp"]
            .iter()
            .find_map(|field| text(event, field))
            .unwrap_or_default()
            .to_owned(),
    };
    let mut found: Vec<CloudEvent> = ours.map(told).collect();
    found.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.reason.cmp(&b.reason)));
    found
}
