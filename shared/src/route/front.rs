//! The gateways of a fleet, and what stands in front of their pods.

use crate::fleet::{FleetState, Manifest, Target};
use std::collections::BTreeMap;

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
    /// The Services in front of its pods, ordered by cluster and name.
    pub doors: Vec<Door<'s>>,
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
    /// JSON pointer in the manifest.
    pub pointer: String,
}

/// Every gateway of the fleet, IstioGateways first.
pub fn gateways(state: &FleetState) -> Vec<Front<'_>> {
    let _ = state;
    Vec::new()
}

impl Front<'_> {
    /// A gateway pod that is known by its labels and namespace only. The Services of the state that select it are its
    /// doors, in every cluster.
    pub fn of_pod<'s>(state: &'s FleetState, labels: &BTreeMap<String, String>, namespace: &str) -> Front<'s> {
        let _ = state;
        Front {
            name: namespace.to_owned(),
            namespace: namespace.to_owned(),
            labels: labels.clone(),
            manifest: None,
            serverless: false,
            clusters: Vec::new(),
            doors: Vec::new(),
        }
    }
}
