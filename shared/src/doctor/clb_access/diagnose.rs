//! What the facts of one load balancer come to.

use super::facts::{CloudEvent, Facts, Mode, Node, Policy, Version};
use super::judge::{Case, Client, Judgement, Reach, Rule, judge};
use super::remedy::{Remedy, remedies};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What is wrong with the address of one load balancer for clients inside of its cluster, and what helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// Name of the cluster.
    pub cluster: String,
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// The answer.
    pub overall: Overall,
    /// The answer in a sentence.
    pub summary: String,
    /// IPs and host names.
    pub addresses: Vec<String>,
    /// `Cluster` or `Local`.
    pub external_traffic_policy: Policy,
    /// `eni` or `ecs`, when the Service says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_type: Option<String>,
    /// What does Services' work on the nodes.
    pub data_plane: String,
    /// Where that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_plane_source: Option<String>,
    /// How pods are connected.
    pub network: String,
    /// The nodes; none when they are not known.
    pub nodes: Vec<NodeVerdict>,
    /// What a node without a gateway pod does, by data plane: only when it depends on what is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<ConditionalVerdict>,
    /// The client that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<CallerVerdict>,
    /// What the cloud controller complains about now.
    pub events: Vec<EventMeaning>,
    /// What helps, the recommended one first.
    pub remedies: Vec<Remedy>,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Overall {
    /// It is reached.
    Reached,
    /// It cannot be told.
    Unknown,
    /// From some nodes, or by some clients, it is not reached.
    PartlyUnreachable,
    /// It is not reached.
    Unreachable,
}

/// What one node does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeVerdict {
    /// Name.
    pub name: String,
    /// Is it ready?
    pub ready: bool,
    /// Version of kube-proxy on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Gateway pods on it.
    pub pods: usize,
    /// Those that are ready.
    pub ready_pods: usize,
    /// Do pods on it reach the address?
    pub from_pods: Reach,
    /// Why.
    pub from_pods_because: &'static str,
    /// Do the node itself and hostNetwork pods?
    pub from_host: Reach,
    /// Why.
    pub from_host_because: &'static str,
    /// Where the rules are documented.
    pub sources: Vec<&'static str>,
    /// A label keeps it out of the load balancer's back ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded_by: Option<String>,
}

/// What a node without a gateway pod does with a certain data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConditionalVerdict {
    /// The data plane.
    pub with: &'static str,
    /// Do pods on it reach the address?
    pub from_pods: Reach,
    /// Do the node itself and hostNetwork pods?
    pub from_host: Reach,
    /// Where that is documented.
    pub source: &'static str,
}

/// Whether one client reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallerVerdict {
    /// Who: `pod default/curl`, `node m1c1-node-1`.
    pub name: String,
    /// Its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Does it use the network of the node?
    pub host_network: bool,
    /// Does it reach the address?
    pub reach: Reach,
    /// Why.
    pub because: String,
    /// Where that is documented.
    pub source: &'static str,
}

/// What the cloud controller says and what that means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventMeaning {
    /// For example `SyncLoadBalancerFailed`.
    pub reason: String,
    /// Its text.
    pub message: String,
    /// When it was seen last.
    pub last_seen: String,
    /// What it means and what to do, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<&'static str>,
}

/// What the facts come to.
pub fn diagnose(facts: &Facts) -> Diagnosis {
    let nodes: Vec<NodeVerdict> = facts.nodes.iter().flatten().map(|node| verdict(facts, node)).collect();
    let caller = caller(facts);
    let depends_on = depends_on(facts, &nodes);
    let events = current(&facts.events);
    let overall = overall(facts, &nodes, caller.as_ref());
    Diagnosis {
        cluster: facts.cluster.clone(),
        namespace: facts.service.namespace.clone(),
        service: facts.service.name.clone(),
        summary: summary(facts, overall, &nodes, caller.as_ref()),
        overall,
        addresses: facts.service.addresses(),
        external_traffic_policy: facts.service.policy,
        backend_type: facts.service.backend_type.clone(),
        data_plane: facts.proxy.mode.to_string(),
        data_plane_source: facts.proxy.source.clone(),
        network: facts.network.to_string(),
        nodes,
        depends_on,
        caller,
        events,
        remedies: remedies(facts),
    }
}

fn has_any(facts: &Facts) -> bool {
    facts.nodes.as_ref().is_none_or(|nodes| nodes.iter().any(|node| node.ready_pods > 0))
}

fn case<'a>(facts: &'a Facts, node: Option<&Node>, client: Client) -> Case<'a> {
    Case {
        service: &facts.service,
        mode: &facts.proxy.mode,
        version: node.and_then(|node| node.version),
        knows_pods: facts.proxy.knows_pods,
        has_local: node.is_some_and(|node| node.ready_pods > 0),
        has_any: has_any(facts),
        client,
    }
}

fn verdict(facts: &Facts, node: &Node) -> NodeVerdict {
    let (pods, host) = (judge(&case(facts, Some(node), Client::Pod)), judge(&case(facts, Some(node), Client::Host)));
    let mut sources = vec![pods.rule.source(), host.rule.source()];
    sources.dedup();
    NodeVerdict {
        name: node.name.clone(),
        ready: node.ready,
        version: node.version.map(|version| version.to_string()),
        pods: node.pods,
        ready_pods: node.ready_pods,
        from_pods: pods.reach,
        from_pods_because: pods.rule.because(),
        from_host: host.reach,
        from_host_because: host.rule.because(),
        sources,
        excluded_by: node.excluded_by.clone(),
    }
}

fn caller(facts: &Facts) -> Option<CallerVerdict> {
    let caller = facts.caller.as_ref()?;
    let node = facts.nodes.iter().flatten().find(|node| Some(&node.name) == caller.node.as_ref());
    let client = if caller.host_network { Client::Host } else { Client::Pod };
    let Judgement { reach, rule } = judge(&case(facts, node, client));
    // Of a node that is not there nothing is known, unless it does not matter.
    let depends = matches!(rule, Rule::ModeUnknown | Rule::VersionUnknown | Rule::IpvsHost | Rule::OtherDataPlane);
    let (reach, because) = match (&caller.node, node) {
        (None, _) if facts.service.policy == Policy::Local && depends => {
            (Reach::Unknown, "it runs on no node yet".to_owned())
        }
        (Some(name), None) if depends => (Reach::Unknown, format!("nothing is known about the node {name}")),
        _ => (reach, rule.because().to_owned()),
    };
    Some(CallerVerdict {
        name: caller.name.clone(),
        node: caller.node.clone(),
        host_network: caller.host_network,
        reach,
        because,
        source: rule.source(),
    })
}

/// What a node without a gateway pod does, when the answer is open.
fn depends_on(facts: &Facts, nodes: &[NodeVerdict]) -> Vec<ConditionalVerdict> {
    let bare = judge(&case(facts, None, Client::Pod));
    let is_open = if nodes.is_empty() {
        bare.reach == Reach::Unknown
    } else {
        nodes.iter().any(|node| node.from_pods == Reach::Unknown || node.from_host == Reach::Unknown)
    };
    if !is_open || matches!(facts.proxy.mode, Mode::Other(_)) {
        return Vec::new();
    }
    const PLANES: [(&str, Mode, Version); 6] = [
        ("kube-proxy with iptables, 1.15 or later", Mode::Iptables, Version(1, 15)),
        ("kube-proxy with iptables before 1.15", Mode::Iptables, Version(1, 14)),
        ("kube-proxy with IPVS, 1.21 or later", Mode::Ipvs, Version(1, 21)),
        ("kube-proxy with IPVS before 1.21", Mode::Ipvs, Version(1, 20)),
        ("kube-proxy with nftables, 1.34 or later", Mode::Nftables, Version(1, 34)),
        ("another data plane (Terway with eBPF, Cilium)", Mode::Unknown, Version(0, 0)),
    ];
    let known = |mode: &Mode| facts.proxy.mode == Mode::Unknown || facts.proxy.mode == *mode;
    PLANES
        .iter()
        .filter(|(_, mode, _)| known(mode))
        .map(|(with, mode, version)| {
            let judged =
                |client| judge(&Case { mode, version: Some(*version), has_local: false, ..case(facts, None, client) });
            let (pods, host) = (judged(Client::Pod), judged(Client::Host));
            let source = if host.reach == Reach::No { host.rule } else { pods.rule }.source();
            ConditionalVerdict { with, from_pods: pods.reach, from_host: host.reach, source }
        })
        .collect()
}

fn overall(facts: &Facts, nodes: &[NodeVerdict], caller: Option<&CallerVerdict>) -> Overall {
    let of = |reach| match reach {
        Reach::Yes => Overall::Reached,
        Reach::Unknown => Overall::Unknown,
        Reach::No => Overall::Unreachable,
    };
    if let Some(caller) = caller {
        return of(caller.reach);
    }
    if nodes.is_empty() {
        return of(judge(&case(facts, None, Client::Pod)).reach);
    }
    let all = || nodes.iter().flat_map(|node| [node.from_pods, node.from_host]);
    if all().all(|reach| reach == Reach::No) {
        Overall::Unreachable
    } else if all().any(|reach| reach == Reach::No) {
        Overall::PartlyUnreachable
    } else if all().any(|reach| reach == Reach::Unknown) {
        Overall::Unknown
    } else {
        Overall::Reached
    }
}

fn summary(facts: &Facts, overall: Overall, nodes: &[NodeVerdict], caller: Option<&CallerVerdict>) -> String {
    if let Some(caller) = caller {
        let place = caller.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
        let verb = match caller.reach {
            Reach::Yes => "reaches it",
            Reach::Unknown => "may or may not reach it",
            Reach::No => "does not reach it",
        };
        return format!("{}{place} {verb}: {}", caller.name, caller.because);
    }
    let rule = judge(&case(facts, None, Client::Pod)).rule;
    match overall {
        Overall::Reached if nodes.is_empty() => format!("reached: {}", rule.because()),
        Overall::Reached => "reached from every node, by pods and by the nodes themselves".to_owned(),
        Overall::Unreachable if matches!(rule, Rule::NoService | Rule::NoAddress | Rule::NoReadyPod) => {
            format!("not reached from anywhere: {}", rule.because())
        }
        Overall::Unreachable | Overall::PartlyUnreachable => not_reached(nodes),
        Overall::Unknown if nodes.is_empty() => format!("cannot be told: {}", rule.because()),
        Overall::Unknown => format!(
            "cannot be told for {}: {}",
            names(nodes, |node| node.from_pods == Reach::Unknown || node.from_host == Reach::Unknown),
            nodes.iter().find(|node| node.from_pods == Reach::Unknown).map_or_else(
                || nodes.iter().find(|node| node.from_host == Reach::Unknown).map_or("", |node| node.from_host_because),
                |node| node.from_pods_because
            )
        ),
    }
}

fn not_reached(nodes: &[NodeVerdict]) -> String {
    let by_pods = |node: &NodeVerdict| node.from_pods == Reach::No;
    let by_host_only = |node: &NodeVerdict| node.from_host == Reach::No && node.from_pods != Reach::No;
    let mut parts = Vec::new();
    if nodes.iter().any(by_pods) {
        parts.push(format!("pods on {} do not reach it", names(nodes, by_pods)));
    }
    if nodes.iter().any(by_host_only) {
        parts.push(format!("the nodes {} and hostNetwork pods on them do not reach it", names(nodes, by_host_only)));
    }
    parts.join("; ")
}

/// A few names, and how many more.
fn names(nodes: &[NodeVerdict], which: impl Fn(&NodeVerdict) -> bool) -> String {
    const SHOWN: usize = 4;
    let all: Vec<&str> = nodes.iter().filter(|node| which(node)).map(|node| node.name.as_str()).collect();
    let shown = all.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN { format!("{shown} and {} more nodes", all.len() - SHOWN) } else { shown }
}

/// What the cloud controller complains about now, by the events on a Service.
pub fn complaints(events: &[Value], service: &Value) -> Vec<EventMeaning> {
    current(&super::observe::events(events, service))
}

/// What is said after the last success: older complaints are settled.
fn current(events: &[CloudEvent]) -> Vec<EventMeaning> {
    let open = events.iter().take_while(|event| event.reason != "EnsuredLoadBalancer");
    let warnings = open.filter(|event| event.kind == "Warning" && event.reason != "PreservedOnDelete");
    let told = warnings.map(|event| EventMeaning {
        reason: event.reason.clone(),
        message: event.message.clone(),
        last_seen: event.last_seen.clone(),
        meaning: meaning(event),
    });
    told.collect()
}

/// Parts of the cloud controller's messages, and what they mean.
const MEANINGS: &[(&str, &str)] = &[
    (
        "can not change LoadBalancer AddressType",
        "internet and intranet cannot be exchanged: put the annotation back, or replace the load balancer (kubectl asm clb replace)",
    ),
    (
        "can not reuse loadbalancer created by kubernetes",
        "the ID is that of a load balancer that a Service made: only those made at the console or by API can be reused",
    ),
    (
        "can not find loadbalancer, but it's defined in service",
        "the load balancer was deleted outside of Kubernetes: the Service has to be made again, with a new address",
    ),
    (
        "does not support backend servers of eni type",
        "a shared-performance CLB takes no ENI back ends: it needs a specification",
    ),
    (
        "There are no available nodes",
        "no node can be a back end: under Local one with a ready pod is needed, and a backend-label must match",
    ),
    ("RspoolVipExist", "several server groups share a listener that is being changed"),
    ("NetworkConflict", "the reused load balancer is in another VPC"),
    ("VSwitchAvailableIpNotExist", "the vSwitch has no free address"),
    ("The specified Port must be between 1 and 65535", "ENI back ends need target ports that are numbers"),
    ("ShareSlbHaltSales", "shared-performance CLBs are not sold any more: name a specification"),
    (
        "The backend server number has reached to the quota limit",
        "too many nodes: Local, ENI back ends or a backend-label make them fewer",
    ),
    ("can not find eniid for ip", "a pod has no ENI: ENI back ends do not work with Flannel"),
    ("Throttling", "the cloud's API is asked too often; the controller tries again"),
    ("PAY.INSUFFICIENT_BALANCE", "the account has no money left"),
];

fn meaning(event: &CloudEvent) -> Option<&'static str> {
    let by_text = MEANINGS.iter().find(|(part, _)| event.message.contains(part)).map(|(_, meaning)| *meaning);
    by_text.or_else(|| {
        (event.reason == "UnAvailableLoadBalancer").then_some(
            "no node can be a back end: under Local one with a ready pod is needed, and a backend-label must match",
        )
    })
}
