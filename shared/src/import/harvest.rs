//! What was found on one API server: each object is judged and cut down to what a file needs as soon as it is read, so
//! that no more than that is held, however much there is.

use super::authored::authored;
use super::pods::{app_of, credentials_of_gateway, needs, pod_labels, selects};
use super::reason::{Generated, Reason, Why, against, in_a_set, is_in_a_set};
use crate::fleet::Target;
use crate::object::At as _;
use crate::object::kinds::ASM;
use crate::object::{GroupKind, ObjectId};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An object that is imported.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) object: Value,
    /// The application it belongs to.
    pub(super) app: Option<String>,
    /// Its number of pods is left to an autoscaler.
    pub(super) is_scaled: bool,
    /// It carries the label of a set: some agent has it already.
    pub(super) is_in_a_set: bool,
}

/// What was found on one API server.
#[derive(Clone, Debug)]
pub struct Harvest {
    /// Which.
    pub target: Target,
    pub(super) kept: BTreeMap<ObjectId, Kept>,
    pub(super) left_out: BTreeMap<ObjectId, Why>,
    /// How many objects were looked at.
    pub(super) read: usize,
    /// Kinds that were not read, and why.
    pub(super) not_read: Vec<(GroupKind, String)>,
    /// The application of each ServiceAccount and ConfigMap that a chosen workload needs.
    companions: BTreeMap<ObjectId, String>,
    /// Addresses of the Services that ASM made, by gateway.
    addresses: BTreeSet<(String, String)>,
    /// What IstioGateways say of their addresses: gateway, address, ACK cluster ID.
    stated: BTreeSet<(String, String, String)>,
}

/// The pods of the chosen workloads of all clusters: a Service belongs to them wherever they run, because in a mesh
/// Services of one name are one, and a caller needs it in its own cluster.
#[derive(Clone, Debug, Default)]
pub struct ChosenPods {
    pods: BTreeMap<Arc<str>, Vec<Map<String, Value>>>,
}

impl ChosenPods {
    /// Of the workloads found so far.
    pub fn of<'a>(harvests: impl IntoIterator<Item = &'a Harvest>) -> Self {
        let mut chosen = Self::default();
        for (id, kept) in harvests.into_iter().flat_map(|harvest| &harvest.kept) {
            let labels = pod_labels(&kept.object);
            if let (Some(namespace), false) = (&id.namespace, labels.is_empty()) {
                let known = chosen.pods.entry(namespace.clone()).or_default();
                if !known.contains(&labels) {
                    known.push(labels);
                }
            }
        }
        chosen
    }

    fn has(&self, namespace: Option<&str>, selector: &Map<String, Value>) -> bool {
        let pods = namespace.and_then(|namespace| self.pods.get(namespace)).into_iter().flatten();
        pods.into_iter().any(|labels| selects(selector, labels))
    }
}

impl Harvest {
    /// Nothing yet.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            kept: BTreeMap::new(),
            left_out: BTreeMap::new(),
            read: 0,
            not_read: Vec::new(),
            companions: BTreeMap::new(),
            addresses: BTreeSet::new(),
            stated: BTreeSet::new(),
        }
    }

    /// A kind was not read.
    pub fn not_read(&mut self, kind: GroupKind, why: impl Into<String>) {
        self.not_read.push((kind, why.into()));
    }

    /// Names of the IstioGateways that were found, imported or not.
    pub fn gateways(&self) -> Vec<String> {
        let ids = self.kept.keys().chain(self.left_out.keys());
        ids.filter(|id| id.group_kind.is(ASM, "IstioGateway")).map(|id| id.name.to_string()).collect()
    }

    /// An object of the mesh.
    pub fn mesh_object(&mut self, live: &Value) {
        self.read += 1;
        let Some(id) = ObjectId::of(live) else { return };
        if id.group_kind.is(ASM, "IstioGateway") {
            self.stated.extend(stated(&id, live));
        }
        for name in credentials_of_gateway(&id, live) {
            let secret = ObjectId::new("", "Secret", Some(super::reason::GENERATED_IN), &name);
            let told = format!("{id} takes its certificate from it; Secrets are never imported");
            self.left_out.insert(secret, (Reason::Secret, told));
        }
        self.judge(id, live, None, None);
    }

    /// A workload that was asked for.
    pub fn workload(&mut self, live: &Value, generated: &Generated) {
        self.read += 1;
        let Some(id) = ObjectId::of(live) else { return };
        let app = app_of(&pod_labels(live)).map_or_else(|| id.name.to_string(), str::to_owned);
        let why = generated.why(&id);
        self.judge(id, live, Some(app), why);
    }

    /// An autoscaler of a member, after the workloads: the number of pods of what it scales is its business from now on,
    /// also where it has not changed it yet.
    pub fn autoscaler(&mut self, live: &Value) {
        self.read += 1;
        let namespace = live.at("/metadata/namespace").and_then(Value::as_str);
        let text = |field: &str| live.at(&format!("/spec/scaleTargetRef/{field}")).and_then(Value::as_str);
        let (Some(kind), Some(name)) = (text("kind"), text("name")) else { return };
        let Some(kept) = self.kept.get_mut(&ObjectId::new("apps", kind, namespace, name)) else { return };
        if let Some(spec) = kept.object.get_mut("spec").and_then(Value::as_object_mut) {
            kept.is_scaled |= spec.remove("replicas").is_some();
        }
    }

    /// Has a workload been chosen?
    pub fn has_workloads(&self) -> bool {
        self.kept.values().any(|kept| kept.object.at("/spec/template").is_some())
    }

    /// A Service of a member: imported when it is a load balancer or belongs to a chosen workload.
    pub fn service(&mut self, live: &Value, generated: &Generated, chosen: &ChosenPods) {
        self.read += 1;
        let Some(id) = ObjectId::of(live) else { return };
        let empty = Map::new();
        let selector = live.at("/spec/selector").and_then(Value::as_object).unwrap_or(&empty);
        let is_door = live.at("/spec/type").and_then(Value::as_str) == Some("LoadBalancer");
        if !is_door && !chosen.has(id.namespace.as_deref(), selector) {
            return;
        }
        let why = generated.why(&id);
        if why.is_some() {
            self.addresses.extend(addresses(&id, live));
        }
        let app = app_of(selector).map_or_else(|| id.name.to_string(), str::to_owned);
        self.judge(id, live, Some(app), why);
    }

    /// The ServiceAccounts, and with `config_maps` the ConfigMaps, that the chosen workloads need: to be read by name.
    /// Secrets, and ConfigMaps that nobody asked for, are named among what was left out.
    pub fn companions(&mut self, config_maps: bool) -> Vec<ObjectId> {
        let mut companions: BTreeMap<ObjectId, String> = BTreeMap::new();
        let mut left_out = Vec::new();
        for (id, kept) in &self.kept {
            let needs = needs(&kept.object);
            let app = kept.app.clone().unwrap_or_else(|| id.name.to_string());
            let near = |kind: &str, name: &str| ObjectId::new("", kind, id.namespace.as_deref(), name);
            let mut take = |companion: ObjectId| {
                // What several applications share stands with the first of them.
                let first = companions.entry(companion).or_insert_with(|| app.clone());
                if app < *first {
                    first.clone_from(&app);
                }
            };
            needs.service_account.iter().for_each(|name| take(near("ServiceAccount", name)));
            for name in needs.config_maps.iter().filter(|name| *name != "kube-root-ca.crt") {
                if config_maps {
                    take(near("ConfigMap", name));
                } else {
                    let told = format!("{id} needs it; ConfigMaps are imported with --config-maps");
                    left_out.push((near("ConfigMap", name), (Reason::NotAsked, told)));
                }
            }
            for name in &needs.secrets {
                let told = format!("{id} needs it; Secrets are never imported");
                left_out.push((near("Secret", name), (Reason::Secret, told)));
            }
        }
        for (id, why) in left_out {
            self.left_out.entry(id).or_insert(why);
        }
        self.companions = companions;
        self.companions.keys().cloned().collect()
    }

    /// One of the [`Self::companions`].
    pub fn companion(&mut self, live: &Value, generated: &Generated) {
        self.read += 1;
        let Some(id) = ObjectId::of(live) else { return };
        let app = self.companions.get(&id).cloned();
        let why = generated.why(&id);
        self.judge(id, live, app, why);
    }

    /// What is left out, given what Git has: that is neither new nor left out.
    pub(super) fn left_out<'a>(
        &'a self,
        in_git: impl Fn(&ObjectId) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a ObjectId, Why)> {
        let in_sets = self.kept.iter().filter(|(_, kept)| kept.is_in_a_set).map(|(id, _)| (id, in_a_set()));
        let judged = self.left_out.iter().map(|(id, why)| (id, why.clone()));
        judged.chain(in_sets).filter(move |(id, _)| !in_git(id))
    }

    /// Is there such a workload, imported or not?
    pub fn has(&self, id: &ObjectId) -> bool {
        self.kept.contains_key(id) || self.left_out.contains_key(id)
    }

    /// The ACK cluster ID of this member, if what IstioGateways say of their addresses tells it without doubt.
    pub(super) fn cluster_id(&self, mesh: &Self) -> Option<String> {
        let is_here = |gateway: &String, address: &String| {
            self.addresses.iter().any(|(named, at)| named == gateway && at == address)
        };
        let here = mesh.stated.iter().filter(|(gateway, address, _)| is_here(gateway, address));
        let ids: BTreeSet<&String> = here.map(|(_, _, id)| id).collect();
        match Vec::from_iter(ids)[..] {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    fn judge(&mut self, id: ObjectId, live: &Value, app: Option<String>, why: Option<Why>) {
        let why = why.or_else(|| against(&id, live)).or_else(|| {
            super::names::place(&id, app.as_deref()).is_none().then(|| {
                (Reason::UnusableName, "its name, namespace or label app cannot be the name of a file".to_owned())
            })
        });
        match why {
            Some(why) => {
                self.left_out.insert(id, why);
            }
            None => {
                let authored = authored(live);
                let is_in_a_set = is_in_a_set(live);
                self.kept.insert(id, Kept { object: authored.object, app, is_scaled: authored.is_scaled, is_in_a_set });
            }
        }
    }
}

fn stated(id: &ObjectId, gateway: &Value) -> Vec<(String, String, String)> {
    let map = gateway.at("/status/ClusterIdGatewayAddressMap").and_then(Value::as_array).into_iter().flatten();
    let text = |entry: &Value, field: &str| entry.get(field).and_then(Value::as_str).map(str::to_owned);
    map.filter_map(|entry| Some((id.name.to_string(), text(entry, "ipAddress")?, text(entry, "clusterId")?))).collect()
}

fn addresses(id: &ObjectId, service: &Value) -> Vec<(String, String)> {
    let gateway = id.name.strip_prefix("istio-").unwrap_or(&id.name).to_owned();
    let found = crate::asm::addresses::of_service(service);
    found.into_iter().map(|address| (gateway.clone(), address)).collect()
}
