//! A new gateway.

use super::super::fleet_view::{check_name, cluster, ensure_free, fleet};
use super::super::text::File;
use super::super::{AuthoringError, FileEdit, Plan};
use super::settings::{GatewaySettings, no_id};
use super::{LONGEST_NAME, NAMESPACE, check, gateways, render};
use crate::asm::gateway::{self, MANAGED_BY_ASM};
use crate::fleet::{FleetState, Tree};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::{Value, json};

/// Create a gateway.
#[derive(Clone, Debug)]
pub struct CreateGateway {
    /// Name of the IstioGateway.
    pub name: String,
    /// Where its pods run.
    pub hosting: Hosting,
    /// What is set; the rest gets the console's defaults.
    pub settings: GatewaySettings,
}

/// Where the pods of a gateway run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosting {
    /// ASM runs them, in no member cluster.
    Serverless,
    /// In these member clusters, by their names in fleet.yaml: one load balancer in each.
    Clusters(Vec<String>),
}

impl CreateGateway {
    /// The file of the gateway, `mesh/gateways/<name>.yaml`.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        check_name("a gateway", &self.name, LONGEST_NAME)?;
        let fleet = fleet(state)?;
        let mut object = self.defaults(cluster_ids(&self.hosting, state)?);
        if let Some(existing) = gateways(state).find(|manifest| *manifest.id.name == *self.name) {
            return Err(AuthoringError::new(format!("the gateway {} exists already", self.name))
                .at(&existing.position)
                .hint(format!("choose another name, or change it with: kubectl asm gateway edit {}", self.name)));
        }
        let path = format!("mesh/gateways/{}.yaml", self.name);
        ensure_free(tree, &path)?;

        let mut warnings = self.settings.apply(&self.name, state, &mut object)?;
        self.complete(&mut object);
        warnings.extend(self.public(&object));
        for finding in check::introduced(&self.name, None, &object, state, fleet) {
            if finding.fatal {
                return Err(AuthoringError::new(finding.message).hints(finding.hints));
            }
            warnings.push(finding.message);
        }
        let mut file = File::default();
        file.push(&introduction(&object), &render::object(&object, fleet));
        Ok(Plan { edits: vec![FileEdit::create(path, file.finish())], warnings })
    }

    /// What the console and its documentation have where nothing is said.
    fn defaults(&self, clusters: Vec<String>) -> Value {
        let mut object = json!({
            "apiVersion": format!("{ASM}/v1beta1"),
            "kind": "IstioGateway",
            "metadata": {"name": self.name, "namespace": NAMESPACE},
            "spec": {
                "gatewayType": "ingress",
                "ports": [
                    {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80},
                    {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 443},
                ],
                "resources": {
                    "requests": {"cpu": "200m", "memory": "256Mi"},
                    "limits": {"cpu": "2", "memory": "2G"},
                },
                "rollingMaxSurge": "100%",
                "rollingMaxUnavailable": "25%",
            },
        });
        match self.hosting {
            Hosting::Serverless => {
                object["metadata"]["annotations"] = json!({ MANAGED_BY_ASM: "true" });
                object["spec"]["dnsPolicy"] = "ClusterFirst".into();
                object["spec"]["hostNetwork"] = false.into();
                object["spec"]["runAsRoot"] = true.into();
            }
            Hosting::Clusters(_) => object["spec"]["clusterIds"] = clusters.into(),
        }
        object
    }

    /// Defaults that depend on what is set.
    fn complete(&self, object: &mut Value) {
        let is_egress = object["spec"]["gatewayType"] == "egress";
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
        let least = spec.get("minReplicas").cloned().unwrap_or_else(|| 1.into());
        spec.entry("replicaCount").or_insert(least);
        let service_type =
            spec.entry("serviceType").or_insert_with(|| if is_egress { "ClusterIP" } else { "LoadBalancer" }.into());
        if service_type != "ClusterIP" {
            let policy = if self.hosting == Hosting::Serverless { "Local" } else { "Cluster" };
            spec.entry("externalTrafficPolicy").or_insert_with(|| policy.into());
        }
    }

    fn public(&self, object: &Value) -> Option<String> {
        let set = |part: &Value| super::cloud::setting(part.get("serviceAnnotations"), "address-type").is_some();
        let reused = |part: &Value| super::cloud::setting(part.get("serviceAnnotations"), "id").is_some();
        let overrides = object.at("/spec/overrides").and_then(Value::as_object);
        let said = std::iter::once(&object["spec"])
            .chain(overrides.into_iter().flat_map(|overrides| overrides.values()))
            .any(|part| set(part) || reused(part));
        let public = self.hosting != Hosting::Serverless && gateway::wants_load_balancer(object) && !said;
        public.then(|| {
            format!(
                "the load balancers of {} will be public (internet); for the VPC only: --address-type intranet",
                self.name
            )
        })
    }
}

/// The IDs of the clusters that a gateway is to run in.
fn cluster_ids(hosting: &Hosting, state: &FleetState) -> Result<Vec<String>, AuthoringError> {
    match hosting {
        Hosting::Serverless => Ok(Vec::new()),
        Hosting::Clusters(names) => ids_of(names, state),
    }
}

/// The ACK IDs of clusters, each once.
pub(super) fn ids_of(names: &[String], state: &FleetState) -> Result<Vec<String>, AuthoringError> {
    let fleet = fleet(state)?;
    let mut ids: Vec<String> = Vec::new();
    for name in names {
        let id = cluster(fleet, name)?.id.clone().ok_or_else(|| no_id(name))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn introduction(object: &Value) -> Vec<&'static str> {
    let is_egress = object["spec"]["gatewayType"] == "egress";
    if gateway::is_serverless(object) {
        return vec![
            "A serverless ingress gateway: ASM runs its pods and its load balancer, in no member cluster, and it reaches",
            "the pods of every cluster of the mesh.",
        ];
    }
    match (is_egress, gateway::wants_load_balancer(object)) {
        (true, _) => vec![
            "An egress gateway: ASM makes a Service and a Deployment `istio-<name>` for it in each of these clusters, through",
            "which traffic leaves the mesh.",
        ],
        (false, true) => vec![
            "An ingress gateway: ASM makes a Service, a load balancer and a Deployment `istio-<name>` for it in each of",
            "these clusters. Removing a cluster here, or this file, releases the load balancer and its address.",
        ],
        (false, false) => vec![
            "An ingress gateway without a load balancer: ASM makes a Service and a Deployment `istio-<name>` for it in each of",
            "these clusters.",
        ],
    }
}
