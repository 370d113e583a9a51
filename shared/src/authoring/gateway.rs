//! A new ingress gateway (IstioGateway).

use super::fleet_view::{check_name, cluster, ensure_free, fleet};
use super::text::{Field, File, Node, field, list};
use super::{AuthoringError, FileEdit, Plan};
use crate::fleet::{FleetState, Target, Tree};
use crate::object::kinds::ASM;
use std::fmt;
use std::str::FromStr;

/// The only namespace in which a gateway can read its configuration.
const NAMESPACE: &str = "istio-system";
/// Longest name: ASM names the Service and the Deployment `istio-<name>`, and labels its pods so.
const LONGEST_NAME: usize = 63 - "istio-".len();
const ADDRESS_TYPE: &str = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type";

/// Create an ingress gateway.
#[derive(Clone, Debug)]
pub struct CreateGateway {
    /// Name of the IstioGateway.
    pub name: String,
    /// Where its pods run.
    pub hosting: Hosting,
    /// Ports; 80 and 443 when empty.
    pub ports: Vec<GatewayPort>,
    /// Pods per cluster (for a serverless gateway: pods); 1 when absent.
    pub replicas: Option<u32>,
    /// Network of the load balancer; the cloud's own default (internet) when absent.
    pub address_type: Option<AddressType>,
    /// `Local` for serverless gateways and `Cluster` otherwise when absent.
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,
}

/// Where the pods of a gateway run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosting {
    /// ASM runs them, in no member cluster.
    Serverless,
    /// In these member clusters, by their names in fleet.yaml: one load balancer in each.
    Clusters(Vec<String>),
}

/// Network of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressType {
    /// Public.
    Internet,
    /// Inside the VPC.
    Intranet,
}

/// What the nodes do with traffic that arrives for pods elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternalTrafficPolicy {
    /// Pass it on; the client's address is lost.
    Cluster,
    /// Only nodes with a pod take traffic; the client's address is kept.
    Local,
}

/// A port of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPort {
    /// Name; Istio reads the protocol from its beginning (`http`, `https`, `tcp-db`).
    pub name: String,
    /// Port of the load balancer.
    pub port: u16,
    /// Port of the pods; the same when absent.
    pub target: Option<u16>,
}

impl FromStr for GatewayPort {
    type Err = String;

    /// `NAME=PORT[:TARGET]`, for example `http=80` or `https=443:8443`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not NAME=PORT[:TARGET], for example http=80 or https=443:8443");
        let (name, ports) = text.split_once('=').ok_or_else(wrong)?;
        let (port, target) = match ports.split_once(':') {
            Some((port, target)) => (port, Some(target)),
            None => (ports, None),
        };
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
        check_name("a port", name, 15).map_err(|error| format!("{error}; {}", error.hints.join("; ")))?;
        Ok(Self { name: name.to_owned(), port: number(port)?, target: target.map(number).transpose()? })
    }
}

impl fmt::Display for GatewayPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.port)?;
        self.target.iter().try_for_each(|target| write!(f, ":{target}"))
    }
}

impl CreateGateway {
    /// The file of the gateway, `mesh/gateways/<name>.yaml`.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        check_name("a gateway", &self.name, LONGEST_NAME)?;
        let clusters = self.cluster_ids(state)?;
        let ports = self.ports()?;
        let same_name = |manifest: &&crate::fleet::Manifest| {
            manifest.group_kind().is(ASM, "IstioGateway") && *manifest.id.name == *self.name
        };
        if let Some(existing) = state.manifests_of(&Target::Mesh).find(same_name) {
            return Err(AuthoringError::new(format!("the gateway {} exists already", self.name))
                .at(&existing.position)
                .hint("choose another name, or edit that file"));
        }
        let path = format!("mesh/gateways/{}.yaml", self.name);
        ensure_free(tree, &path)?;

        let mut file = File::default();
        file.push(&self.introduction(), &self.object(clusters, &ports));
        let mut warnings = Vec::new();
        if self.address_type.is_none() && self.hosting != Hosting::Serverless {
            warnings.push(format!(
                "the load balancers of {} will be public (internet); for the VPC only: --address-type intranet",
                self.name
            ));
        }
        Ok(Plan { edits: vec![FileEdit::create(path, file.finish())], warnings })
    }

    fn cluster_ids(&self, state: &FleetState) -> Result<Vec<(String, String)>, AuthoringError> {
        let fleet = fleet(state)?;
        let Hosting::Clusters(names) = &self.hosting else {
            if self.address_type.is_some() {
                return Err(AuthoringError::new(
                    "a serverless gateway has no documented choice between internet and intranet: leave the address type out",
                ));
            }
            return Ok(Vec::new());
        };
        if names.is_empty() {
            return Err(AuthoringError::new("a gateway needs at least one cluster")
                .hint("name them with --cluster A,B, or let ASM run it with --serverless"));
        }
        let mut ids: Vec<(String, String)> = Vec::new();
        for name in names {
            let found = cluster(fleet, name)?;
            let id = found.id.clone().ok_or_else(|| {
                AuthoringError::new(format!(
                    "cluster {name} has no `id:` in fleet.yaml, and a gateway names clusters by it"
                ))
                .hint(format!("write the ACK cluster ID (c and 32 letters or digits) under {name} in fleet.yaml"))
            })?;
            if !ids.iter().any(|(known, _)| *known == id) {
                ids.push((id, name.clone()));
            }
        }
        Ok(ids)
    }

    fn ports(&self) -> Result<Vec<GatewayPort>, AuthoringError> {
        let port = |name: &str, port| GatewayPort { name: name.to_owned(), port, target: None };
        if self.ports.is_empty() {
            return Ok(vec![port("http", 80), port("https", 443)]);
        }
        for (index, port) in self.ports.iter().enumerate() {
            let earlier = &self.ports[..index];
            if let Some(other) = earlier.iter().find(|other| other.name == port.name || other.port == port.port) {
                return Err(AuthoringError::new(format!("the ports {other} and {port} have the same name or number")));
            }
        }
        Ok(self.ports.clone())
    }

    fn introduction(&self) -> Vec<&'static str> {
        match &self.hosting {
            Hosting::Serverless => vec![
                "A serverless ingress gateway: ASM runs its pods and its load balancer, in no member cluster, and it reaches",
                "the pods of every cluster of the mesh.",
            ],
            Hosting::Clusters(_) => vec![
                "An ingress gateway: ASM makes a Service, a load balancer and a Deployment `istio-<name>` for it in each of",
                "these clusters. Removing a cluster here, or this file, releases the load balancer and its address.",
            ],
        }
    }

    fn object(&self, clusters: Vec<(String, String)>, ports: &[GatewayPort]) -> Node {
        let serverless = self.hosting == Hosting::Serverless;
        let mut metadata = vec![field("name", &*self.name), field("namespace", NAMESPACE)];
        if serverless {
            metadata.push(field("annotations", [field("asm.alibabacloud.com/managed-by-asm", "true")]).comment(
                "This annotation alone makes it serverless. Setting or removing it later gives a new address.",
            ));
        }
        let policy = self.external_traffic_policy.unwrap_or(if serverless {
            ExternalTrafficPolicy::Local
        } else {
            ExternalTrafficPolicy::Cluster
        });
        let mut spec: Vec<Field> = vec![field("gatewayType", "ingress")];
        if !serverless {
            let ids = clusters.into_iter().map(|(id, name)| Node::from(id).remarked(name));
            spec.push(field("clusterIds", Node::List(ids.collect())));
        }
        spec.extend([
            field("replicaCount", self.replicas.unwrap_or(1)),
            field("serviceType", "LoadBalancer"),
            field(
                "externalTrafficPolicy",
                match policy {
                    ExternalTrafficPolicy::Cluster => "Cluster",
                    ExternalTrafficPolicy::Local => "Local",
                },
            ),
        ]);
        if let Some(address_type) = self.address_type {
            let value = match address_type {
                AddressType::Internet => "internet",
                AddressType::Intranet => "intranet",
            };
            spec.push(field("serviceAnnotations", [field(ADDRESS_TYPE, value)]));
        }
        spec.push(field("ports", list(ports.iter().map(port_node))));
        spec.push(field(
            "resources",
            [
                field("requests", [field("cpu", "200m"), field("memory", "256Mi")]),
                field("limits", [field("cpu", "2"), field("memory", "2G")]),
            ],
        ));
        spec.extend([field("rollingMaxSurge", "100%"), field("rollingMaxUnavailable", "25%")]);
        if serverless {
            spec.extend([field("dnsPolicy", "ClusterFirst"), field("hostNetwork", false), field("runAsRoot", true)]);
        }
        [
            field("apiVersion", format!("{ASM}/v1beta1")),
            field("kind", "IstioGateway"),
            field("metadata", metadata),
            field("spec", spec),
        ]
        .into()
    }
}

fn port_node(port: &GatewayPort) -> Node {
    [
        field("name", &*port.name),
        field("port", port.port),
        field("protocol", "TCP"),
        field("targetPort", port.target.unwrap_or(port.port)),
    ]
    .into()
}
