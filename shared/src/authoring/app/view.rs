//! The applications that a fleet has: workloads, the Services in front of them, and who calls whom as far as can be told.

use super::super::bookinfo;
use super::super::fleet_view;
use super::super::{AuthoringError, did_you_mean};
use crate::fleet::{FleetState, Manifest, Target};
use crate::object::At as _;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The workloads and Services of a namespace, in all member clusters.
pub(super) struct View<'a> {
    pub(super) workloads: Vec<&'a Manifest>,
    pub(super) services: Vec<&'a Manifest>,
}

/// What a workload calls.
pub(super) struct Calls {
    /// Names of Services.
    pub(super) services: BTreeSet<String>,
    /// Is that all?
    pub(super) complete: bool,
}

const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

impl<'a> View<'a> {
    pub(super) fn new(state: &'a FleetState, namespace: Option<&str>) -> Self {
        let namespace = namespace.unwrap_or("default");
        let here = || {
            let members = state.manifests.iter().filter(|manifest| manifest.target != Target::Mesh);
            members.filter(|manifest| fleet_view::namespace(manifest) == namespace)
        };
        let is_workload =
            |m: &&Manifest| &*m.group_kind().group == "apps" && WORKLOADS.contains(&&*m.group_kind().kind);
        Self {
            workloads: here().filter(is_workload).collect(),
            services: here().filter(|manifest| manifest.group_kind().is("", "Service")).collect(),
        }
    }

    /// The workloads that a name means: a Deployment's, a Service's, or `SERVICE-VERSION`.
    pub(super) fn find(&self, name: &str) -> Result<Vec<&'a Manifest>, AuthoringError> {
        let named: Vec<_> = self.workloads.iter().filter(|workload| *workload.id.name == *name).copied().collect();
        if !named.is_empty() {
            return Ok(named);
        }
        let behind = |service: &str| -> Vec<&'a Manifest> {
            self.workloads.iter().filter(|workload| self.serves(service, workload)).copied().collect()
        };
        let of_service = behind(name);
        if !of_service.is_empty() {
            return Ok(of_service);
        }
        if let Some((service, version)) = name.rsplit_once('-') {
            let of_version =
                |workload: &&Manifest| labels(workload).and_then(|l| l.get("version")) == Some(&version.into());
            let found: Vec<_> = behind(service).into_iter().filter(of_version).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let names: BTreeSet<&str> = self.workloads.iter().chain(&self.services).map(|m| &*m.id.name).collect();
        let error =
            AuthoringError::new(format!("no cluster runs {name}")).hints(did_you_mean(name, names.iter().copied()));
        let known: Vec<_> = names.into_iter().collect();
        Err(if known.is_empty() {
            error.hint("add it with: kubectl asm app add NAME --image IMAGE --port PORT --place CLUSTER")
        } else {
            error.hint(format!("the fleet has {}", known.join(", ")))
        })
    }

    /// Does a Service of this name choose the pods of a workload?
    pub(super) fn serves(&self, service: &str, workload: &Manifest) -> bool {
        self.services.iter().any(|found| *found.id.name == *service && chooses(found, workload))
    }

    /// Names of the Services in front of a workload.
    pub(super) fn in_front(&self, workload: &Manifest) -> BTreeSet<&'a str> {
        self.services.iter().filter(|service| chooses(service, workload)).map(|service| &*service.id.name).collect()
    }

    /// A Service by its name in a cluster.
    pub(super) fn service(&self, name: &str, cluster: &Target) -> Option<&'a Manifest> {
        self.services.iter().find(|service| service.target == *cluster && *service.id.name == *name).copied()
    }

    /// What a workload calls: Bookinfo is known; of the others, what the values of their environment name.
    pub(super) fn calls(&self, workload: &Manifest) -> Calls {
        let mut services: BTreeSet<String> = BTreeSet::new();
        let known = bookinfo::BOOKINFO.iter().flat_map(|service| service.versions.iter().map(move |v| (service, v)));
        let known =
            known.filter(|(service, version)| *workload.id.name == *format!("{}-{}", service.name, version.name));
        let known =
            known.map(|(_, version)| version).next().filter(|_| images(workload).any(|i| i.contains("bookinfo")));
        services.extend(known.iter().flat_map(|version| version.calls).map(|name| (*name).to_owned()));
        let own = self.in_front(workload);
        for value in environment(workload) {
            let words = value.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.'));
            for name in words.filter_map(|word| word.split('.').next()) {
                if !own.contains(name) && self.services.iter().any(|service| *service.id.name == *name) {
                    services.insert(name.to_owned());
                }
            }
        }
        Calls { services, complete: known.is_some() }
    }
}

/// Labels of a workload's pods.
pub(super) fn labels(workload: &Manifest) -> Option<&Map<String, Value>> {
    workload.object.at("/spec/template/metadata/labels").and_then(Value::as_object)
}

/// Does a Service choose the pods of a workload, wherever they run?
pub(super) fn chooses(service: &Manifest, workload: &Manifest) -> bool {
    let selector = service.object.at("/spec/selector").and_then(Value::as_object);
    let (Some(selector), Some(labels)) = (selector.filter(|s| !s.is_empty()), labels(workload)) else { return false };
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// A workload as messages name it.
pub(super) fn placed(workload: &Manifest) -> String {
    format!("{} in {}", workload.id.name, workload.target)
}

fn containers(workload: &Manifest) -> impl Iterator<Item = &Value> {
    let lists = ["/spec/template/spec/initContainers", "/spec/template/spec/containers"].into_iter();
    lists.flat_map(|list| workload.object.at(list).and_then(Value::as_array).into_iter().flatten())
}

fn images(workload: &Manifest) -> impl Iterator<Item = &str> {
    containers(workload).filter_map(|container| container.get("image")?.as_str())
}

fn environment(workload: &Manifest) -> impl Iterator<Item = &str> {
    let variables = containers(workload).filter_map(|container| container.get("env")?.as_array()).flatten();
    variables.filter_map(|variable| variable.get("value")?.as_str())
}
