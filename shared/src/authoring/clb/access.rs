//! The three remedies against a load balancer that pods of its own cluster do not reach, as edits of the fleet's files.

use super::super::edit::state_after;
use super::super::fleet_view::namespace;
use super::super::workspace::{Change, Workspace};
use super::super::{AuthoringError, Plan};
use super::view::LoadBalancerService;
use crate::asm::annotations::BACKEND_TYPE;
use crate::asm::gateway::generated_name;
use crate::diff::diff;
use crate::doctor::clb_access::RemedyKind;
use crate::fleet::{FleetState, Manifest, Target, Tree};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One load balancer that is not reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreachedClb {
    /// Name of the cluster.
    pub cluster: String,
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub name: String,
    /// Its addresses, as clients may have them.
    pub addresses: Vec<String>,
}

impl UnreachedClb {
    /// How clients inside of the cluster call it.
    pub fn dns(&self) -> String {
        format!("{}.{}", self.name, self.namespace)
    }
}

/// Take one remedy for some load balancers. Only what the remedy says changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixClbAccess {
    /// Which.
    pub remedy: RemedyKind,
    /// For these.
    pub services: Vec<UnreachedClb>,
}

impl FixClbAccess {
    /// The edits.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let all = LoadBalancerService::all(state);
        let mut work = Work { state, workspace: Workspace::new(tree), done: BTreeSet::new(), warnings: Vec::new() };
        let mut by_cluster: BTreeMap<&str, Vec<&UnreachedClb>> = BTreeMap::new();
        for wanted in &self.services {
            let is_it = |service: &&LoadBalancerService| {
                service.cluster == wanted.cluster
                    && service.namespace == wanted.namespace
                    && service.name == wanted.name
            };
            let service = all.iter().find(is_it).ok_or_else(|| {
                AuthoringError::new(format!(
                    "Git has no load balancer {}/{} in {}",
                    wanted.namespace, wanted.name, wanted.cluster
                ))
                .hint("list them with: kubectl asm clb list --live")
            })?;
            match self.remedy {
                RemedyKind::ServiceDns if wanted.addresses.is_empty() => return Err(without_address(wanted)),
                RemedyKind::ServiceDns => by_cluster.entry(&wanted.cluster).or_default().push(wanted),
                RemedyKind::PolicyCluster | RemedyKind::Eni => work.policy(service, self.remedy == RemedyKind::Eni)?,
            }
        }
        for (cluster, services) in by_cluster {
            work.service_dns(cluster, &services)?;
        }
        let Work { workspace, mut warnings, .. } = work;
        let edits = workspace.finish();
        if !edits.is_empty() {
            let after = state_after(tree, &edits);
            warnings.extend(diff(state, &after).changes.into_iter().flat_map(|change| change.consequences));
        }
        let mut told = BTreeSet::new();
        warnings.retain(|warning| told.insert(warning.clone()));
        Ok(Plan { edits, warnings })
    }
}

fn without_address(service: &UnreachedClb) -> AuthoringError {
    AuthoringError::new(format!(
        "which clients in {} call {} by its address cannot be told: the address is not known",
        service.cluster,
        service.dns()
    ))
    .hint("name it with --address, or ask the cluster: leave --offline out")
}

/// The edits while they are made.
struct Work<'a> {
    state: &'a FleetState,
    workspace: Workspace<'a>,
    /// Object and place of what is changed already: a gateway runs in several clusters.
    done: BTreeSet<(String, String)>,
    warnings: Vec<String>,
}

impl<'a> Work<'a> {
    /// `externalTrafficPolicy: Cluster`, with ENI back ends or without.
    fn policy(&mut self, service: &LoadBalancerService, eni: bool) -> Result<(), AuthoringError> {
        if eni && let Some(port) = service.ports.iter().find(|port| port.target_port.is_string()) {
            return Err(AuthoringError::new(format!(
                "{}/{} cannot have ENI back ends: the target port {} is a name",
                service.namespace,
                service.name,
                port.target_port.as_str().unwrap_or_default()
            ))
            .hint("give the port a number first: the cloud controller takes no name with ENI back ends"));
        }
        let manifest = self.declared(service)?;
        let (policy_at, annotations_at) = if service.generated {
            self.places_of_gateway(manifest, &service.cluster)
        } else {
            ("/spec/externalTrafficPolicy".to_owned(), "/metadata/annotations".to_owned())
        };
        if !self.done.insert((manifest.position.to_string(), policy_at.clone())) {
            return Ok(());
        }
        let object = &*manifest.object;
        let mut changes = Vec::new();
        if object.at(&policy_at).and_then(Value::as_str) == Some("Local") {
            changes.push(Change::Set(policy_at, "Cluster".into()));
        }
        if eni {
            let key = BACKEND_TYPE.replace('/', "~1");
            match object.at(&annotations_at).filter(|annotations| annotations.is_object()) {
                Some(annotations) if annotations.get(BACKEND_TYPE).and_then(Value::as_str) == Some("eni") => {}
                Some(_) => changes.push(Change::Set(format!("{annotations_at}/{key}"), "eni".into())),
                None => changes.push(Change::Set(annotations_at, json!({ BACKEND_TYPE: "eni" }))),
            }
        }
        self.workspace.change(manifest, &changes)
    }

    /// What declares a load balancer: the Service, or the IstioGateway that it comes from.
    fn declared(&self, service: &LoadBalancerService) -> Result<&'a Manifest, AuthoringError> {
        let state = self.state;
        let found = if service.generated {
            let mut gateways = state.manifests_of(&Target::Mesh);
            gateways.find(|manifest| {
                manifest.group_kind().is(ASM, "IstioGateway") && generated_name(&manifest.id.name) == service.name
            })
        } else {
            let target = Target::Cluster(service.cluster.as_str().into());
            let mut services = state.manifests.iter().filter(|manifest| manifest.target == target);
            services.find(|manifest| {
                manifest.group_kind().is("", "Service")
                    && *manifest.id.name == *service.name
                    && namespace(manifest) == service.namespace
            })
        };
        found.ok_or_else(|| {
            AuthoringError::new(format!(
                "no file declares {}/{} in {}",
                service.namespace, service.name, service.cluster
            ))
        })
    }

    /// Where the settings of a gateway stand that count in a cluster: what is under `overrides` replaces what is at the top.
    fn places_of_gateway(&self, gateway: &Manifest, cluster: &str) -> (String, String) {
        let clusters = self.state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
        let id = clusters.into_iter().find(|known| known.name == cluster).and_then(|known| known.id.clone());
        let at = |field: &str| {
            let own = id.as_ref().map(|id| format!("/spec/overrides/{id}/{field}"));
            own.filter(|own| gateway.object.at(own).is_some()).unwrap_or_else(|| format!("/spec/{field}"))
        };
        (at("externalTrafficPolicy"), at("serviceAnnotations"))
    }

    /// Clients in the files of a cluster that name an address of its load balancers get the name of the Service.
    fn service_dns(&mut self, cluster: &str, services: &[&UnreachedClb]) -> Result<(), AuthoringError> {
        let target = Target::Cluster(cluster.into());
        let (mut edited, mut found) = (BTreeSet::new(), BTreeSet::new());
        for manifest in self.state.manifests_of(&target) {
            let (mut changes, mut named) = (Vec::new(), Vec::new());
            for (pointer, text) in texts_of_clients(manifest) {
                let (new, hits) = replaced(text, services);
                if new != text {
                    changes.push(Change::Set(pointer, new.into()));
                    named.extend(hits);
                }
            }
            if changes.is_empty() {
                continue;
            }
            found.extend(named.iter().copied());
            let others = self.others(manifest);
            if !others.is_empty() {
                self.warnings.push(format!(
                    "{} is left as it is: {} has it too, where the name is that of another gateway; change {cluster} by a patch",
                    manifest.position,
                    others.join(", ")
                ));
                continue;
            }
            self.workspace.change(manifest, &changes)?;
            edited.extend(named);
            if manifest.group_kind().is("", "ConfigMap") {
                self.warnings.push(format!("clients that read {} once have to be restarted", manifest.id));
            }
        }
        for (index, service) in services.iter().enumerate() {
            let (name, addresses) = (service.dns(), service.addresses.join(", "));
            if edited.contains(&index) {
                self.warnings.push(format!(
                    "requests that had {addresses} as their host now have {name}: a Gateway and a route must accept it"
                ));
            } else if !found.contains(&index) {
                self.warnings.push(format!(
                    "no environment variable, argument or ConfigMap that Git has for {cluster} names {addresses}: have the clients call {name}"
                ));
            }
        }
        Ok(())
    }

    /// Other clusters that the same file gives the object to.
    fn others(&self, manifest: &Manifest) -> Vec<&'a str> {
        let same = |other: &&Manifest| {
            other.target != manifest.target && other.position == manifest.position && other.id == manifest.id
        };
        self.state.manifests.iter().filter(same).map(|other| other.target.name()).collect()
    }
}

/// Where clients are told whom to call: environment variables, arguments and ConfigMaps.
fn texts_of_clients(manifest: &Manifest) -> Vec<(String, &str)> {
    let object = &*manifest.object;
    let mut found = Vec::new();
    let mut add = |pointer: String, value: Option<&'_ Value>| {
        if value.is_some_and(Value::is_string) {
            found.push(pointer);
        }
    };
    if manifest.group_kind().is("", "ConfigMap") {
        for (key, value) in object.get("data").and_then(Value::as_object).into_iter().flatten() {
            add(format!("/data/{}", key.replace('~', "~0").replace('/', "~1")), Some(value));
        }
    }
    for base in ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"] {
        for list in ["containers", "initContainers"] {
            let containers = object.at(&format!("{base}/{list}")).and_then(Value::as_array);
            for (index, container) in containers.into_iter().flatten().enumerate() {
                let at = |field: &str| format!("{base}/{list}/{index}/{field}");
                let items = |field| container.get(field).and_then(Value::as_array).into_iter().flatten().enumerate();
                for (number, entry) in items("env") {
                    add(format!("{}/{number}/value", at("env")), entry.get("value"));
                }
                for field in ["command", "args"] {
                    for (number, word) in items(field) {
                        add(format!("{}/{number}", at(field)), Some(word));
                    }
                }
            }
        }
    }
    found.into_iter().filter_map(|pointer| object.at(&pointer)?.as_str().map(|text| (pointer, text))).collect()
}

/// The text with whole host names exchanged, and which Services were named: `10.0.0.7` is no part of `110.0.0.7` or
/// `10.0.0.7.example.com`.
fn replaced(text: &str, services: &[&UnreachedClb]) -> (String, Vec<usize>) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let (mut result, mut hits) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(length);
        let named = services.iter().position(|service| service.addresses.iter().any(|address| address == word));
        match named.and_then(|index| services.get(index).map(|service| (index, service))) {
            Some((index, service)) => {
                hits.push(index);
                result.push_str(&service.dns());
            }
            None => result.push_str(word),
        }
        let mut others = tail.chars();
        result.extend(others.next());
        rest = others.as_str();
    }
    (result, hits)
}

#[cfg(test)]
mod tests;
