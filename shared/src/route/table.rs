//! The compiled table of one gateway.

use super::chain;
use super::compiled::{Core, Way};
use super::delegate;
use super::front::{Front, Listener};
use super::hosts::Build;
use super::locality;
use super::merge;
use super::model::{LeftOut, Model, SIDECAR};
use super::outbound::{self, Caller};
use super::outcome::{Entry, Place};
use super::ports::{self, ServicePort};
use super::select;
use crate::fleet::{FleetState, Manifest, Target};
use crate::object::At as _;
use crate::object::ObjectId;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// How a table is compiled.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// When objects were created, where it is known from elsewhere (a cluster). `metadata.creationTimestamp` of a file
    /// counts too; this comes first.
    pub created: HashMap<ObjectId, Timestamp>,
    /// Objects without a known age are all of one age: name and namespace decide, and nothing depends on the order.
    pub same_age: bool,
    /// What to think of hosts that no file knows.
    pub missing: Missing,
    /// What to think of Services whose pods no file makes.
    pub endpoints: Endpoints,
    /// A port that no Service has is tried on the pods themselves.
    pub pod_ports: bool,
    /// Only the pods in this cluster.
    pub cluster: Option<Target>,
}

/// What to think of hosts that no file knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// They are taken as existing when the files hold no application of their namespace.
    #[default]
    Elsewhere,
    /// What no file holds does not exist.
    Absent,
}

/// What to think of Services whose pods no file makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoints {
    /// A Service without any pod in the files is taken as having some; of any other exactly those are there.
    #[default]
    Auto,
    /// Exactly those in the files are there.
    Real,
}

/// An object that istiod does not accept: it never reaches a gateway.
#[derive(Clone, Debug)]
pub struct Refusal<'s> {
    /// What of it is wrong.
    pub place: Place<'s>,
    /// Why.
    pub reason: String,
}

/// The route table of one gateway, or of the sidecar of one workload.
#[derive(Debug)]
pub struct Table<'s> {
    pub(super) front: Front<'s>,
    pub(super) options: Options,
    /// One per kind of pods: clusters whose Services lead to other ports differ.
    pub(super) variants: Vec<Variant<'s>>,
    /// Ways into the pods by port.
    pub(super) ways: HashMap<u16, Vec<Way<'s>>>,
    /// Rules that leave requests to a VirtualService that is not there.
    pub(super) left_out: LeftOut<'s>,
    /// Names of hosts, to tell near ones.
    pub(super) hosts: Arc<[String]>,
    refused: Arc<[Refusal<'s>]>,
    beyond: Vec<&'s Manifest>,
}

/// The table of one kind of pods.
#[derive(Debug)]
pub(super) struct Variant<'s> {
    pub(super) core: Core<'s>,
    /// What it would be, were another object the oldest.
    pub(super) others: Vec<Other<'s>>,
}

/// A table for another order of age.
#[derive(Debug)]
pub(super) struct Other<'s> {
    pub(super) ports: BTreeSet<u16>,
    pub(super) oldest: &'s Manifest,
    pub(super) rivals: Vec<&'s Manifest>,
    pub(super) core: Core<'s>,
}

/// Objects that are tried as the oldest, at most.
const MOST_ORDERS: usize = 16;

/// Makes the table of one gateway, or of the sidecar of one workload ([`Front::of_caller`]). Never fails: what istiod would refuse is left out, as istiod does.
pub fn compile<'s>(state: &'s FleetState, front: &Front<'s>, options: &Options) -> Table<'s> {
    compile_in(&Model::of(state, options), front, options)
}

/// The same, with what is known of the fleet already.
pub(super) fn compile_in<'s>(model: &Model<'s, '_>, front: &Front<'s>, options: &Options) -> Table<'s> {
    let mut table = Table {
        front: front.clone(),
        options: options.clone(),
        variants: Vec::new(),
        ways: HashMap::new(),
        left_out: model.left_out.get_or_init(|| left_out(model)).clone(),
        hosts: model.hosts.clone(),
        refused: model.refused.clone(),
        beyond: beyond(model, front),
    };
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for cluster in clusters(front, options) {
        let ports = ports::of(model, front, cluster.as_ref());
        let kind = Kind::of(model, cluster.as_ref(), &ports);
        let variant = kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
            kinds.push(kind);
            table.variants.push(variant(model, front, cluster.as_ref(), &ports));
            kinds.len() - 1
        });
        if let Some(cluster) = &cluster {
            ways(&mut table.ways, front, cluster, variant);
        }
    }
    table
}

/// Where its pods run, as far as is asked; one unknown place when nothing is known.
fn clusters(front: &Front<'_>, options: &Options) -> Vec<Option<Target>> {
    let mut all: Vec<Target> = if front.clusters.is_empty() {
        front.doors.iter().map(|door| door.cluster.clone()).collect()
    } else {
        front.clusters.clone()
    };
    all.dedup();
    if let Some(only) = &options.cluster {
        all.retain(|cluster| cluster == only);
    }
    if all.is_empty() { vec![None] } else { all.into_iter().map(Some).collect() }
}

/// What makes the pods of one cluster differ from those of another.
#[derive(PartialEq)]
struct Kind<'m> {
    ports: Vec<(u16, u16)>,
    /// Where DestinationRules ask for it: region and name of the cluster.
    region: Option<&'m str>,
    name: Option<String>,
}

impl<'m> Kind<'m> {
    fn of(model: &'m Model<'_, '_>, cluster: Option<&Target>, ports: &[ServicePort]) -> Self {
        let by_region = model.rules.by_region || model.services.by_region;
        let name = cluster.filter(|_| model.rules.by_cluster);
        Self {
            ports: ports.iter().map(ServicePort::pair).collect(),
            region: cluster.filter(|_| by_region).and_then(|cluster| locality::region(model, cluster)),
            name: name.map(|cluster| cluster.name().to_owned()),
        }
    }
}

fn variant<'s>(
    model: &Model<'s, '_>,
    front: &Front<'s>,
    cluster: Option<&Target>,
    ports: &[ServicePort],
) -> Variant<'s> {
    // What a destination is depends on the namespace, the labels and the cluster of the pods that ask.
    model.resolved.borrow_mut().clear();
    let make = |first: Option<&'s Manifest>, only: Option<&BTreeSet<u16>>| {
        if front.sidecar {
            return outbound::listeners(Caller { model, front, cluster, first }, only);
        }
        let gateways = select::gateways(model, front, ports, first);
        let merged = merge::servers(model, &gateways, ports, front.unprivileged);
        chain::listeners(Build { model, front, cluster, merged: &merged, first }, only)
    };
    let core = make(None, None);
    let mut rivals: Vec<(&Manifest, BTreeSet<u16>, Vec<&Manifest>)> = Vec::new();
    for (port, a, b) in &core.contested {
        for (one, other) in [(*a, *b), (*b, *a)] {
            let at = rivals.iter().position(|(known, ..)| known.id == one.id).unwrap_or_else(|| {
                rivals.push((one, BTreeSet::new(), Vec::new()));
                rivals.len() - 1
            });
            let Some((_, ports, others)) = rivals.get_mut(at) else { continue };
            ports.insert(*port);
            if !others.iter().any(|known| known.id == other.id) {
                others.push(other);
            }
        }
    }
    rivals.truncate(MOST_ORDERS);
    let others = rivals.into_iter().map(|(oldest, ports, rivals)| Other {
        core: make(Some(oldest), Some(&ports)),
        ports,
        oldest,
        rivals,
    });
    Variant { others: others.collect(), core }
}

/// The ways through the Services of a cluster.
fn ways<'s>(found: &mut HashMap<u16, Vec<Way<'s>>>, front: &Front<'s>, cluster: &Target, variant: usize) {
    for door in front.doors.iter().filter(|door| door.cluster == *cluster) {
        for port in door.ports.iter().filter(|port| port.protocol == "TCP") {
            let Some(target) = port.target else { continue };
            let balanced = door.kind == "LoadBalancer";
            let balancer = if balanced { port.listener } else { Listener::Tcp };
            let entry = Entry {
                manifest: door.manifest,
                cluster: cluster.clone(),
                service: door.name.clone(),
                port: port.port,
                target,
                load_balancer: balanced,
                addresses: door.addresses.clone(),
                pointer: port.pointer.clone(),
            };
            let ways = found.entry(port.port).or_default();
            let same = |way: &&mut Way<'_>| way.variant == variant && way.target == target && way.balancer == balancer;
            match ways.iter_mut().find(same) {
                Some(way) => way.entries.push(entry),
                None => ways.push(Way { variant, target, balancer, entries: vec![entry] }),
            }
        }
    }
}

/// Rules that leave requests to nobody.
fn left_out<'s>(model: &Model<'s, '_>) -> LeftOut<'s> {
    let mut found = Vec::new();
    for route in &model.routes {
        for (index, rule) in super::model::items(&route.manifest.object, "/spec/http").iter().enumerate() {
            let delegates = rule.get("delegate").is_some_and(|it| !it.is_null());
            if let Some(why) = delegates.then(|| delegate::find(model, route.manifest, rule).err()).flatten() {
                found.push((Place { manifest: route.manifest, pointer: format!("/spec/http/{index}") }, why));
            }
        }
    }
    found.into()
}

/// Objects that change what comes of requests and are not simulated.
fn beyond<'s>(model: &Model<'s, '_>, front: &Front<'s>) -> Vec<&'s Manifest> {
    let reaches = |manifest: &&Manifest| {
        let own = super::model::namespace(manifest);
        let selector =
            ["/spec/selector/matchLabels", "/spec/workloadSelector/labels", "/spec/workloadSelector/matchLabels"];
        let selector = selector.iter().find_map(|at| manifest.object.at(at)?.as_object());
        (own == front.namespace || own == super::model::ROOT_NAMESPACE) && selector.is_none_or(|it| front.has(it))
    };
    let applies = |it: &&Manifest| front.sidecar || *it.group_kind().kind != *SIDECAR;
    model.beyond.iter().copied().filter(applies).filter(reaches).collect()
}

impl<'s> Table<'s> {
    /// The gateway.
    pub fn front(&self) -> &Front<'s> {
        &self.front
    }

    /// What istiod does not accept and the table therefore leaves out.
    pub fn refused(&self) -> &[Refusal<'s>] {
        &self.refused
    }

    /// Objects that may change what comes of a request and are not simulated: EnvoyFilter, AuthorizationPolicy,
    /// RequestAuthentication, WasmPlugin that reach the pods of the gateway, and routes of the Gateway API.
    pub fn beyond(&self) -> &[&'s Manifest] {
        &self.beyond
    }
}
