//! Retiring a load balancer: its Service leaves Git, and the consent to lose its address comes with the same commit.

use super::NAMESPACE;
use super::view::{LoadBalancerService, is_load_balancer};
use crate::authoring::fleet_view::{cluster, fleet, namespace};
use crate::authoring::suggest::did_you_mean;
use crate::authoring::text::{Field, Node, field, list};
use crate::authoring::workspace::Workspace;
use crate::authoring::{AuthoringError, Plan};
use crate::fleet::{API_VERSION, FleetState, Manifest, Target, Tree};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Retire a load balancer.
#[derive(Clone, Debug)]
pub struct RemoveClb {
    /// Name of the Service.
    pub name: String,
    /// Namespace; `istio-system` when absent.
    pub namespace: Option<String>,
    /// Clusters; the only one that has the Service when empty.
    pub clusters: Vec<String>,
    /// What is lost, by cluster.
    pub addresses: BTreeMap<String, Addresses>,
    /// When the consent ends.
    pub expires: Option<Timestamp>,
    /// Why, for the reviewer.
    pub reason: Option<String>,
}

/// The addresses of a Service in one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// IPs or host names.
    pub addresses: Vec<String>,
    /// UID of the live Service, where it was looked up: the consent is for this one only.
    pub uid: Option<String>,
    /// The cluster was asked and has no such Service: there is nothing to consent to.
    pub absent: bool,
}

impl RemoveClb {
    /// The clusters from which the Service would be removed.
    pub fn clusters(&self, state: &FleetState) -> Result<Vec<String>, AuthoringError> {
        Ok(self.services(state)?.into_iter().map(|(cluster, _)| cluster).collect())
    }

    /// The edits: without the Service, with an Approval for each cluster.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let mut workspace = Workspace::new(tree);
        let warnings = self.retire(tree, state, &mut workspace)?;
        Ok(Plan { edits: workspace.finish(), warnings })
    }

    /// Makes the edits.
    pub(super) fn retire(
        &self,
        tree: &dyn Tree,
        state: &FleetState,
        workspace: &mut Workspace<'_>,
    ) -> Result<Vec<String>, AuthoringError> {
        let services = self.services(state)?;
        let mut warnings = Vec::new();
        let mut removed = BTreeSet::new();
        for (cluster, service) in &services {
            let known = self.addresses.get(cluster).cloned().unwrap_or_default();
            if known.addresses.is_empty() && known.uid.is_none() && !known.absent {
                return Err(AuthoringError::new(format!(
                    "the address of {} in {cluster} is not known, and the consent to lose it must name it",
                    self.name
                ))
                .at(&service.position)
                .hint("read it from the cluster with --live, or give it with --address"));
            }
            // A group's Service stands in one document for all its clusters.
            if removed.insert((service.position.clone(), service.document.pointer.clone())) {
                workspace.remove_object(service)?;
            }
            if known.absent {
                warnings.push(format!("{cluster} has no Service {} yet: no consent is needed there", self.name));
                continue;
            }
            let view = LoadBalancerService::all(state).into_iter().find(|view| {
                view.cluster == *cluster && view.name == self.name && view.namespace == namespace(service)
            });
            warnings.push(told(cluster, &self.name, &known, view.as_ref()));
            let (path, content) = self.approval(tree, state, cluster, namespace(service), &known);
            workspace.create(path, content);
        }
        Ok(warnings)
    }

    /// The Services that are meant, with their clusters.
    pub(super) fn services<'a>(&self, state: &'a FleetState) -> Result<Vec<(String, &'a Manifest)>, AuthoringError> {
        let fleet = fleet(state)?;
        for name in &self.clusters {
            cluster(fleet, name)?;
        }
        let wanted_namespace = self.namespace.as_deref().unwrap_or(NAMESPACE);
        let mut found: Vec<(String, &Manifest)> = Vec::new();
        for cluster in &fleet.spec.clusters {
            let target = Target::Cluster(cluster.name.as_str().into());
            let service = state.manifests.iter().find(|manifest| {
                manifest.target == target
                    && is_load_balancer(manifest)
                    && namespace(manifest) == wanted_namespace
                    && *manifest.id.name == *self.name
            });
            found.extend(service.map(|service| (cluster.name.clone(), service)));
        }
        if found.is_empty() {
            return Err(self.unknown(state));
        }
        if let Some(missing) = self.clusters.iter().find(|name| !found.iter().any(|(cluster, _)| cluster == *name)) {
            let known: Vec<&str> = found.iter().map(|(cluster, _)| cluster.as_str()).collect();
            return Err(AuthoringError::new(format!("{missing} has no load balancer {}", self.name))
                .hint(format!("it stands in {}", known.join(", "))));
        }
        let chosen: Vec<(String, &Manifest)> = match self.clusters.as_slice() {
            [] if found.len() > 1 => {
                let known: Vec<&str> = found.iter().map(|(cluster, _)| cluster.as_str()).collect();
                return Err(AuthoringError::new(format!("{} stands in {}", self.name, known.join(", ")))
                    .hint(format!("say from which: --cluster {}", known.join(","))));
            }
            [] => found.clone(),
            clusters => found.iter().filter(|(cluster, _)| clusters.contains(cluster)).cloned().collect(),
        };
        // What a group gives is given to all its clusters.
        let places: BTreeSet<_> = chosen.iter().map(|(_, service)| &service.position).collect();
        let left = found.iter().find(|(cluster, service)| {
            places.contains(&service.position) && !chosen.iter().any(|(chosen, _)| chosen == cluster)
        });
        if let Some((cluster, service)) = left {
            return Err(AuthoringError::new(format!(
                "this document gives {} to {cluster} as well: it cannot be removed for some clusters of a group only",
                self.name
            ))
            .at(&service.position)
            .hint("name all clusters of the group, or move the document to clusters/<cluster>/ first"));
        }
        Ok(chosen)
    }

    fn unknown(&self, state: &FleetState) -> AuthoringError {
        let all = LoadBalancerService::all(state);
        if let Some(generated) = all.iter().find(|service| service.generated && service.name == self.name) {
            let gateway = generated.gateways.first().map(String::as_str).unwrap_or_default();
            return AuthoringError::new(format!(
                "{} is generated by ASM from the gateway {gateway}: it goes only with the gateway, or with its cluster",
                self.name
            ))
            .at(&generated.position)
            .hint("delete the gateway, or take the cluster out of its clusterIds, if that is meant");
        }
        let names: BTreeSet<&str> =
            all.iter().filter(|service| !service.generated).map(|service| service.name.as_str()).collect();
        AuthoringError::new(format!("the fleet has no load balancer {}", self.name))
            .hints(did_you_mean(&self.name, names))
            .hint("list them with: kubectl asm clb list")
    }

    fn approval(
        &self,
        tree: &dyn Tree,
        state: &FleetState,
        cluster: &str,
        namespace: &str,
        known: &Addresses,
    ) -> (String, String) {
        let path = free_approval(tree, state, &format!("delete-{cluster}-{}", self.name));
        let name = path.trim_start_matches("approvals/").trim_end_matches(".yaml").to_owned();
        let mut spec: Vec<Field> = vec![
            field("action", "Delete"),
            field("target", cluster),
            field("kind", "Service"),
            field("namespace", namespace),
            field("name", &*self.name),
        ];
        spec.extend(
            known.uid.iter().map(|uid| field("uid", &**uid).comment("This Service, not a later one of its name.")),
        );
        spec.push(field("addresses", list(known.addresses.iter().map(String::as_str))));
        spec.extend(self.expires.iter().map(|expires| field("expires", expires.to_string())));
        spec.extend(self.reason.iter().map(|reason| field("reason", &**reason)));
        let object: Node = [
            field("apiVersion", API_VERSION),
            field("kind", "Approval"),
            field("metadata", [field("name", name)]),
            field("spec", spec),
        ]
        .into();
        let comment = format!(
            "# Consent to lose the load balancer of {} in {cluster} with its address. It may go once the Service is gone.\n",
            self.name
        );
        (path, format!("{comment}{}", object.write()))
    }
}

/// What is lost, for people.
fn told(cluster: &str, name: &str, known: &Addresses, view: Option<&LoadBalancerService>) -> String {
    let product = view.map_or("load balancer", |view| view.product);
    let addresses = if known.addresses.is_empty() { "no address yet".to_owned() } else { known.addresses.join(", ") };
    if let Some(id) = view.and_then(|view| view.reuses.as_deref()) {
        return format!("{name} in {cluster} ({addresses}) reuses {id}, which stays; its listeners are removed");
    }
    if known.addresses.is_empty() {
        return format!(
            "{name} in {cluster} has no address yet; if it gets one before this commit arrives, the agent holds the removal back"
        );
    }
    format!("once this is pushed the {product} of {name} in {cluster} is deleted, and {addresses} is lost for good")
}

/// A path under `approvals/` that is free; an approval of an earlier Service of the same name keeps its own.
fn free_approval(tree: &dyn Tree, state: &FleetState, name: &str) -> String {
    let named = |name: &str| state.approvals.iter().any(|(approval, _)| approval.metadata.name == name);
    let path = |name: &str| format!("approvals/{name}.yaml");
    let free = |name: &String| !named(name) && tree.read(&path(name)).is_err();
    let later = (2..100).map(|number| format!("{name}-{number}"));
    path(&std::iter::once(name.to_owned()).chain(later).find(free).unwrap_or_else(|| name.to_owned()))
}
