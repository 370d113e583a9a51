//! The three remedies of ASM's documentation and what each costs.

use super::facts::{Facts, Network, Policy};
use schemars::JsonSchema;
use serde::Serialize;

/// Which remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemedyKind {
    /// Clients inside of the cluster call the Service by its DNS name.
    ServiceDns,
    /// `externalTrafficPolicy: Cluster`.
    PolicyCluster,
    /// The same with pods as back ends of the load balancer.
    Eni,
}

impl RemedyKind {
    /// All of them, the recommended one first.
    pub const ALL: [Self; 3] = [Self::ServiceDns, Self::PolicyCluster, Self::Eni];

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::ServiceDns => "service-dns",
            Self::PolicyCluster => "policy-cluster",
            Self::Eni => "eni",
        }
    }
}

/// Can it be taken here?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Possible {
    /// Yes.
    Yes,
    /// Not from what is known.
    Unknown,
    /// No.
    No,
}

/// A remedy and its price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remedy {
    /// Its name for `--fix`.
    pub name: RemedyKind,
    /// What is changed.
    pub change: String,
    /// Do gateways still see the addresses of clients outside?
    pub keeps_source_address: bool,
    /// What it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<&'static str>,
    /// Can it be taken here?
    pub possible: Possible,
    /// Why not, or why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// The remedies that change something for this Service.
pub(super) fn remedies(facts: &Facts) -> Vec<Remedy> {
    if facts.service.serverless || facts.service.missing || facts.service.policy == Policy::Cluster {
        return Vec::new();
    }
    let service = &facts.service;
    let (eni, because) = eni(facts);
    vec![
        Remedy {
            name: RemedyKind::ServiceDns,
            change: format!("clients inside of the cluster call {}.{}", service.name, service.namespace),
            keeps_source_address: true,
            needs: None,
            possible: Possible::Yes,
            because: None,
        },
        Remedy {
            name: RemedyKind::PolicyCluster,
            change: "externalTrafficPolicy: Cluster".to_owned(),
            keeps_source_address: false,
            needs: None,
            possible: Possible::Yes,
            because: None,
        },
        Remedy {
            name: RemedyKind::Eni,
            change: "externalTrafficPolicy: Cluster, and the annotation service.beta.kubernetes.io/backend-type: eni"
                .to_owned(),
            keeps_source_address: true,
            needs: Some("Terway with ENIs for pods, and target ports that are numbers"),
            possible: eni,
            because,
        },
    ]
}

fn eni(facts: &Facts) -> (Possible, Option<String>) {
    if let [first, ..] = &facts.service.named_target_ports[..] {
        let why = format!("the target port {first} is a name: the cloud controller wants a number with ENI back ends");
        return (Possible::No, Some(why));
    }
    match &facts.network {
        Network::Terway(_) => (Possible::Yes, None),
        Network::Flannel => (Possible::No, Some("pods have no ENI with Flannel".to_owned())),
        Network::Other(name) => (Possible::No, Some(format!("pods have no ENI with {name}"))),
        Network::Unknown => (Possible::Unknown, Some("the network of the cluster's pods is not known".to_owned())),
    }
}
