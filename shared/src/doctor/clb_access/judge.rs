//! The table: from which node and network is the address reached?

use super::facts::{Mode, Policy, ServiceFacts, Version};
use schemars::JsonSchema;
use serde::Serialize;

/// Which network the client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Client {
    /// A pod with an address of its own.
    Pod,
    /// A `hostNetwork` pod, or a process of the node.
    Host,
}

/// One client on one node.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The Service.
    pub service: &'a ServiceFacts,
    /// How Services are put into work on the node.
    pub mode: &'a Mode,
    /// Its version on the node.
    pub version: Option<Version>,
    /// Does it know which addresses are pods'?
    pub knows_pods: Option<bool>,
    /// Is a ready gateway pod on the node?
    pub has_local: bool,
    /// Is a ready gateway pod anywhere?
    pub has_any: bool,
    /// Which network the client uses.
    pub client: Client,
}

/// Is it reached?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// Yes.
    Yes,
    /// It cannot be told.
    Unknown,
    /// No.
    No,
}

/// Whether, and by which row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Is it reached?
    pub reach: Reach,
    /// Why.
    pub rule: Rule,
}

/// The rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "`because` says it of each")]
pub enum Rule {
    Serverless,
    NoService,
    NoAddress,
    NoReadyPod,
    Hostname,
    IpModeProxy,
    PolicyCluster,
    LocalPod,
    OtherDataPlane,
    ModeUnknown,
    VersionUnknown,
    IptablesOld,
    IptablesPods,
    IptablesPodsUnknown,
    IptablesHost,
    IpvsOld,
    IpvsFallback,
    IpvsHost,
    NftablesOld,
    NftablesPatch,
    NftablesFixed,
    NftablesPodsUnknown,
}

impl Rule {
    /// Why it is so, for people.
    pub fn because(self) -> &'static str {
        match self {
            Self::Serverless => {
                "ASM runs the gateway outside of the clusters: no node takes its address for its own, so the packet goes out as to any address"
            }
            Self::NoService => "the cluster has no such Service",
            Self::NoAddress => "the Service has no address yet",
            Self::NoReadyPod => "no pod of the gateway is ready",
            Self::Hostname => {
                "the Service publishes a host name and no IP: no node takes it for its own, so the packet goes through the load balancer"
            }
            Self::IpModeProxy => {
                "the address has ipMode Proxy: no node takes it for its own, so the packet goes through the load balancer"
            }
            Self::PolicyCluster => {
                "with externalTrafficPolicy Cluster every node passes it on to gateway pods of all nodes"
            }
            Self::LocalPod => "a ready gateway pod is on the node",
            Self::OtherDataPlane => {
                "the node takes the address for its own, and what this data plane does under Local without a pod on the node is documented nowhere"
            }
            Self::ModeUnknown => {
                "the node takes the address for its own; which nodes then lose the packet depends on the mode of kube-proxy, which is not known"
            }
            Self::VersionUnknown => {
                "the node takes the address for its own; whether it then loses the packet depends on the version of kube-proxy, which is not known"
            }
            Self::IptablesOld => {
                "kube-proxy with iptables before 1.15 takes the address for its own and drops the packet when no gateway pod is on the node"
            }
            Self::IptablesPods => {
                "kube-proxy with iptables sends traffic of pods to the address to gateway pods of all nodes"
            }
            Self::IptablesPodsUnknown => {
                "kube-proxy does not know which addresses are pods' (no clusterCIDR, no detectLocalMode that works without), so it takes a pod for an outside client and drops the packet when no gateway pod is on the node"
            }
            Self::IptablesHost => {
                "kube-proxy with iptables sends traffic of the node itself to gateway pods of all nodes since 1.15"
            }
            Self::IpvsOld => {
                "kube-proxy with IPVS before 1.21 binds the address on every node, and has no back end for it without a gateway pod on the node: the packet is lost"
            }
            Self::IpvsFallback => "kube-proxy with IPVS falls back to gateway pods of all nodes for pods since 1.21",
            Self::IpvsHost => {
                "kube-proxy with IPVS binds the address on the node: the node itself and hostNetwork pods call from that address, and answers of gateway pods on other nodes never come back (not fixed in any version)"
            }
            Self::NftablesOld => {
                "kube-proxy with nftables before 1.33 drops the packet when no gateway pod is on the node"
            }
            Self::NftablesPatch => {
                "kube-proxy with nftables drops the packet when no gateway pod is on the node, up to a patch release of 1.33 that is not known from the minor version"
            }
            Self::NftablesFixed => {
                "kube-proxy with nftables sends traffic from inside to gateway pods of all nodes since 1.34"
            }
            Self::NftablesPodsUnknown => {
                "kube-proxy does not know which addresses are pods' (no clusterCIDR, no detectLocalMode that works without), so it takes a pod for an outside client and drops the packet when no gateway pod is on the node"
            }
        }
    }

    /// Where that is documented.
    pub fn source(self) -> &'static str {
        const ISSUES: &str = "https://github.com/kubernetes/kubernetes/issues/66607";
        match self {
            Self::IptablesOld | Self::IptablesHost | Self::IptablesPods | Self::IptablesPodsUnknown => {
                "https://github.com/kubernetes/kubernetes/pull/77523"
            }
            Self::IpvsOld | Self::IpvsFallback => "https://github.com/kubernetes/kubernetes/pull/97081",
            Self::IpvsHost => "https://github.com/kubernetes/kubernetes/issues/93456",
            Self::NftablesOld | Self::NftablesPatch | Self::NftablesFixed | Self::NftablesPodsUnknown => {
                "https://github.com/kubernetes/kubernetes/issues/131765"
            }
            Self::IpModeProxy => "https://github.com/kubernetes/enhancements/issues/1860",
            _ => ISSUES,
        }
    }
}

const fn yes(rule: Rule) -> Judgement {
    Judgement { reach: Reach::Yes, rule }
}

const fn no(rule: Rule) -> Judgement {
    Judgement { reach: Reach::No, rule }
}

const fn unknown(rule: Rule) -> Judgement {
    Judgement { reach: Reach::Unknown, rule }
}

/// Is the address reached by this client on this node?
pub fn judge(case: &Case<'_>) -> Judgement {
    let service = case.service;
    if service.serverless {
        return yes(Rule::Serverless);
    }
    if service.missing {
        return no(Rule::NoService);
    }
    if service.status_known && service.addresses().is_empty() {
        return no(Rule::NoAddress);
    }
    if !case.has_any {
        return no(Rule::NoReadyPod);
    }
    if service.status_known && service.ips.is_empty() {
        return yes(if service.proxied_ips.is_empty() { Rule::Hostname } else { Rule::IpModeProxy });
    }
    if service.policy == Policy::Cluster {
        return yes(Rule::PolicyCluster);
    }
    if case.has_local {
        return yes(Rule::LocalPod);
    }
    without_local_pod(case)
}

/// `Local`, an IP that the node takes for its own, and no gateway pod on the node.
fn without_local_pod(case: &Case<'_>) -> Judgement {
    let is_pod = case.client == Client::Pod;
    let is_stranger = is_pod && case.knows_pods == Some(false);
    match (case.mode, case.version) {
        (Mode::Other(_), _) => unknown(Rule::OtherDataPlane),
        (Mode::Unknown, _) => unknown(Rule::ModeUnknown),
        // Whatever the version: nobody has mended it.
        (Mode::Ipvs, _) if !is_pod => no(Rule::IpvsHost),
        (_, None) => unknown(Rule::VersionUnknown),
        (Mode::Iptables, _) if is_stranger => no(Rule::IptablesPodsUnknown),
        // The rule for pods is older than that for the node, but only where kube-proxy was told the pods' addresses.
        (Mode::Iptables, Some(_)) if is_pod && case.knows_pods == Some(true) => yes(Rule::IptablesPods),
        (Mode::Iptables, Some(version)) if version < Version(1, 15) => no(Rule::IptablesOld),
        (Mode::Iptables, Some(_)) => yes(if is_pod { Rule::IptablesPods } else { Rule::IptablesHost }),
        (Mode::Ipvs, Some(version)) if version < Version(1, 21) => no(Rule::IpvsOld),
        (Mode::Ipvs, Some(_)) => yes(Rule::IpvsFallback),
        (Mode::Nftables, Some(version)) if version < Version(1, 33) => no(Rule::NftablesOld),
        (Mode::Nftables, _) if is_stranger => no(Rule::NftablesPodsUnknown),
        (Mode::Nftables, Some(Version(1, 33))) => unknown(Rule::NftablesPatch),
        (Mode::Nftables, Some(_)) => yes(Rule::NftablesFixed),
    }
}
