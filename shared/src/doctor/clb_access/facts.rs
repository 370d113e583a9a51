//! What the judgement needs to know.

use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// Everything that is known about one load balancer of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Name of the cluster in the fleet.
    pub cluster: String,
    /// The Service.
    pub service: ServiceFacts,
    /// What does Services' work on the nodes.
    pub proxy: Proxy,
    /// The nodes; `None` when they are not known.
    pub nodes: Option<Vec<Node>>,
    /// How pods are connected.
    pub network: Network,
    /// What the cloud controller says about the Service, newest first.
    pub events: Vec<CloudEvent>,
    /// Who calls, when somebody is meant.
    pub caller: Option<Caller>,
}

/// The Service of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// ASM runs the gateway outside of the clusters: no cluster has this Service.
    pub serverless: bool,
    /// The cluster was asked and has no such Service.
    pub missing: bool,
    /// Is its status known at all? Not from files alone.
    pub status_known: bool,
    /// IPs that kube-proxy takes for its own (`ipMode` is not `Proxy`).
    pub ips: Vec<String>,
    /// IPs with `ipMode: Proxy`.
    pub proxied_ips: Vec<String>,
    /// Host names.
    pub hostnames: Vec<String>,
    /// `externalTrafficPolicy`.
    pub policy: Policy,
    /// The annotation `service.beta.kubernetes.io/backend-type`.
    pub backend_type: Option<String>,
    /// Ports whose `targetPort` is a name.
    pub named_target_ports: Vec<String>,
}

impl ServiceFacts {
    /// All its addresses.
    pub fn addresses(&self) -> Vec<String> {
        [&self.ips, &self.proxied_ips, &self.hostnames].into_iter().flatten().cloned().collect()
    }
}

/// `externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Policy {
    /// Nodes pass traffic on to pods anywhere.
    #[default]
    Cluster,
    /// Nodes give traffic to pods of their own only.
    Local,
}

impl Policy {
    /// The word in a manifest.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}

/// What does Services' work on the nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// Its mode.
    pub mode: Mode,
    /// Where the mode was read, for people.
    pub source: Option<String>,
    /// Does it know which addresses are pods' (`clusterCIDR`, `detectLocalMode`)? `None` when nobody said.
    pub knows_pods: Option<bool>,
}

/// How Services are put into work on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// kube-proxy with iptables.
    Iptables,
    /// kube-proxy with IPVS.
    Ipvs,
    /// kube-proxy with nftables.
    Nftables,
    /// Not kube-proxy; its name.
    Other(String),
    /// Not known.
    #[default]
    Unknown,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iptables => "kube-proxy with iptables",
            Self::Ipvs => "kube-proxy with IPVS",
            Self::Nftables => "kube-proxy with nftables",
            Self::Other(name) => name,
            Self::Unknown => "unknown",
        })
    }
}

/// Major and minor version of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// `v1.33.2-aliyun.1` → 1.33.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim_start_matches('v').split('.');
        let mut number = || {
            let part = parts.next()?;
            let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
            digits.parse().ok()
        };
        Some(Self(number()?, number()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Is it ready?
    pub ready: bool,
    /// Version of its kube-proxy; of its kubelet where kube-proxy's is not told.
    pub version: Option<Version>,
    /// Gateway pods on it.
    pub pods: usize,
    /// Those that are ready.
    pub ready_pods: usize,
    /// A label keeps it out of the load balancer's back ends.
    pub excluded_by: Option<String>,
}

/// How pods are connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Terway: pods have addresses of the VPC. What it says about itself.
    Terway(String),
    /// Flannel: pods have no ENI.
    Flannel,
    /// Another one; its name.
    Other(String),
    /// Not known.
    #[default]
    Unknown,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terway(kind) => write!(f, "Terway ({kind})"),
            Self::Flannel => f.write_str("Flannel"),
            Self::Other(name) => f.write_str(name),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// An event on the Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudEvent {
    /// `Warning` or `Normal`.
    pub kind: String,
    /// For example `SyncLoadBalancerFailed`.
    pub reason: String,
    /// Its text.
    pub message: String,
    /// When it was seen last.
    pub last_seen: String,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// For people: `pod default/curl`.
    pub name: String,
    /// The node; `None` when it has none yet.
    pub node: Option<String>,
    /// It uses the network of the node.
    pub host_network: bool,
}
