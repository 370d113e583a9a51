//! The objects of a fleet that routing is made of, in the order of istiod. Built once per table; borrows the manifests.

use super::destination::Resolved;
use super::names;
use super::order::Ages;
use super::outbound::MESH;
use super::outcome::Place;
use super::ports;
use super::refuse;
use super::rules_of::DestinationRules;
use super::selectors::Selectors;
use super::services::Services;
use super::table::{Options, Refusal};
use crate::fleet::pods::{self, Pod, PodIndex};
use crate::fleet::{FleetState, Manifest, Target};
use crate::istio::full_host;
use crate::object::At as _;
use crate::object::kinds::ISTIO_NETWORKING;
use serde_json::{Map, Value};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The namespace whose objects count for the whole mesh.
pub(super) const ROOT_NAMESPACE: &str = crate::asm::gateway::NAMESPACE;

/// Everything that a table is compiled from.
pub(super) struct Model<'s, 'o> {
    pub(super) state: &'s FleetState,
    pub(super) options: &'o Options,
    pub(super) ages: Ages<'o>,
    /// Gateways, oldest first.
    pub(super) gateways: Vec<&'s Manifest>,
    /// The same by what they select.
    pub(super) gateway_selectors: Selectors<'s>,
    /// Those that select all pods, or that the control plane has bound to Services (indices).
    pub(super) gateways_apart: Vec<usize>,
    /// VirtualServices with hosts, oldest first.
    pub(super) routes: Vec<VirtualService<'s>>,
    /// By `NAMESPACE/NAME` of the Gateway, or `mesh` (indices, in their order).
    pub(super) by_gateway: HashMap<String, Vec<usize>>,
    /// VirtualServices without hosts: others leave requests to them.
    pub(super) delegates: HashMap<(&'s str, &'s str), &'s Manifest>,
    pub(super) services: Services<'s>,
    pub(super) rules: DestinationRules<'s>,
    pub(super) pods: Vec<Pod<'s>>,
    pub(super) pod_index: PodIndex,
    /// Clusters of Envoy that were resolved already for the pods at hand: many rules lead to the same.
    pub(super) resolved: RefCell<HashMap<String, Resolved<'s>>>,
    /// What istiod does not accept.
    pub(super) refused: Arc<[Refusal<'s>]>,
    /// Objects that change what comes of requests and are not simulated, wherever they apply.
    pub(super) beyond: Vec<&'s Manifest>,
    /// All host names.
    pub(super) hosts: Arc<[String]>,
    /// Rules that leave requests to nobody, once somebody has asked.
    pub(super) left_out: OnceCell<LeftOut<'s>>,
}

/// Rules that leave requests to nobody, and why. All tables of a fleet have the same.
pub(super) type LeftOut<'s> = Arc<[(Place<'s>, String)]>;

/// Kinds of objects that change what comes of requests and are not simulated.
const BEYOND: [(&str, &str); 6] = [
    ("networking.istio.io", "EnvoyFilter"),
    ("security.istio.io", "AuthorizationPolicy"),
    ("security.istio.io", "RequestAuthentication"),
    ("extensions.istio.io", "WasmPlugin"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("networking.istio.io", SIDECAR),
];
/// Says which hosts workloads see; gateways are none.
pub(super) const SIDECAR: &str = "Sidecar";

/// A VirtualService.
pub(super) struct VirtualService<'s> {
    pub(super) manifest: &'s Manifest,
    pub(super) namespace: &'s str,
    /// Full names.
    pub(super) hosts: Vec<String>,
    pub(super) exported: Export<'s>,
}

/// Who sees an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Export<'s> {
    All,
    None,
    Some(BTreeSet<&'s str>),
}

impl<'s> Export<'s> {
    /// What a list of names means in a namespace; empty is all.
    pub(super) fn of(names: impl Iterator<Item = &'s str>, own: &'s str) -> Self {
        let names: BTreeSet<&str> = names.map(|name| if name == "." { own } else { name }).collect();
        if names.is_empty() || names.contains("*") {
            Self::All
        } else if names.contains("~") {
            Self::None
        } else {
            Self::Some(names)
        }
    }

    pub(super) fn has(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(names) => names.contains(namespace),
        }
    }
}

/// The namespace of an object; what Git does not say is `default`.
pub(super) fn namespace(manifest: &Manifest) -> &str {
    manifest.id.namespace.as_deref().unwrap_or("default")
}

/// The texts of the list at a pointer.
pub(super) fn texts<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v str> + use<'v> {
    items(value, pointer).iter().filter_map(Value::as_str)
}

/// The items of the list at a pointer.
pub(super) fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.at(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The text at a pointer; empty when absent.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.at(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The port number at a pointer; 0 is none.
pub(super) fn port(value: &Value, pointer: &str) -> Option<u16> {
    let number = value.at(pointer).and_then(Value::as_u64)?;
    u16::try_from(number).ok().filter(|port| *port > 0)
}

impl<'s, 'o> Model<'s, 'o> {
    /// Looks at all manifests once.
    pub(super) fn of(state: &'s FleetState, options: &'o Options) -> Self {
        let ages = Ages::of(options);
        let mut refused = Vec::new();
        let of_kind = |kind: &'static str| {
            let mesh = state.manifests_of(&Target::Mesh);
            let mut all: Vec<&Manifest> = mesh.filter(|it| it.group_kind().is(ISTIO_NETWORKING, kind)).collect();
            all.sort_by(|a, b| ages.compare(a, b));
            all
        };
        let mut routes = Vec::new();
        let mut delegates = HashMap::new();
        for manifest in of_kind("VirtualService") {
            if let Some(refusal) = refuse::virtual_service(manifest) {
                refused.push(refusal);
                continue;
            }
            let own = namespace(manifest);
            if items(&manifest.object, "/spec/hosts").is_empty() {
                delegates.insert((own, &*manifest.id.name), manifest);
                continue;
            }
            routes.push(VirtualService {
                manifest,
                namespace: own,
                hosts: texts(&manifest.object, "/spec/hosts").map(|host| full_host(host, own)).collect(),
                exported: Export::of(texts(&manifest.object, "/spec/exportTo"), own),
            });
        }
        let mut by_gateway: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            let mut named = texts(&route.manifest.object, "/spec/gateways").peekable();
            // Without any, it is for the sidecars.
            let mesh = named.peek().is_none().then_some(MESH);
            for name in named.chain(mesh) {
                let bound = by_gateway.entry(names::gateway(name, route.namespace)).or_default();
                if bound.last() != Some(&index) {
                    bound.push(index);
                }
            }
        }
        let pods = pods::all(state);
        let gateways = of_kind("Gateway");
        let selector = |it: &&'s Manifest| it.object.at("/spec/selector").and_then(Value::as_object);
        let is_apart = |it: &Manifest| {
            let selects_all = it.object.at("/spec/selector").and_then(Value::as_object).is_none_or(Map::is_empty);
            selects_all || ports::is_bound(it)
        };
        let known = |it: &&Manifest| BEYOND.iter().any(|(group, kind)| it.group_kind().is(group, kind));
        let services = Services::of(state, ages, of_kind("ServiceEntry"));
        Self {
            state,
            options,
            ages,
            gateway_selectors: Selectors::of(gateways.iter().map(selector)),
            gateways_apart: (0..).zip(&gateways).filter(|(_, it)| is_apart(it)).map(|(at, _)| at).collect(),
            gateways,
            routes,
            by_gateway,
            delegates,
            hosts: services.hosts().into(),
            services,
            rules: DestinationRules::of(&of_kind("DestinationRule"), ages),
            pod_index: PodIndex::of(&pods),
            pods,
            resolved: RefCell::default(),
            refused: refused.into(),
            beyond: state.manifests_in(&Target::Mesh).filter(known).collect(),
            left_out: OnceCell::new(),
        }
    }
}
