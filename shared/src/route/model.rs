//! The objects of a fleet that routing is made of, in the order of istiod. Built once per table; borrows the manifests.

use super::destination::Resolved;
use super::names;
use super::order::Ages;
use super::refuse;
use super::rules_of::DestinationRules;
use super::services::Services;
use super::table::{Options, Refusal};
use crate::fleet::pods::{self, Pod, PodIndex};
use crate::fleet::{FleetState, Manifest, Target};
use crate::istio::full_host;
use crate::object::kinds::ISTIO_NETWORKING;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

/// The namespace whose objects count for the whole mesh.
pub(super) const ROOT_NAMESPACE: &str = crate::asm::gateway::NAMESPACE;

/// Everything that a table is compiled from.
pub(super) struct Model<'s, 'o> {
    pub(super) state: &'s FleetState,
    pub(super) options: &'o Options,
    pub(super) ages: Ages<'o>,
    /// Gateways, oldest first.
    pub(super) gateways: Vec<&'s Manifest>,
    /// VirtualServices with hosts, oldest first.
    pub(super) routes: Vec<VirtualService<'s>>,
    /// By `NAMESPACE/NAME` of the Gateway (indices, in their order).
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
    pub(super) refused: Vec<Refusal<'s>>,
}

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

/// What stands at a pointer without escapes. `Value::pointer` allocates for every step, and compiling takes many.
pub(super) fn at<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    if pointer.contains('~') {
        return value.pointer(pointer);
    }
    pointer.split('/').skip(1).try_fold(value, |value, step| match value {
        Value::Object(fields) => fields.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The items of the list at a pointer.
pub(super) fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    at(value, pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The text at a pointer; empty when absent.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    at(value, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The port number at a pointer; 0 is none.
pub(super) fn port(value: &Value, pointer: &str) -> Option<u16> {
    let number = at(value, pointer).and_then(Value::as_u64)?;
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
            for name in texts(&route.manifest.object, "/spec/gateways") {
                let bound = by_gateway.entry(names::gateway(name, route.namespace)).or_default();
                if bound.last() != Some(&index) {
                    bound.push(index);
                }
            }
        }
        let pods = pods::all(state);
        Self {
            state,
            options,
            ages,
            gateways: of_kind("Gateway"),
            routes,
            by_gateway,
            delegates,
            services: Services::of(state, ages, of_kind("ServiceEntry")),
            rules: DestinationRules::of(&of_kind("DestinationRule"), ages),
            pod_index: PodIndex::of(&pods),
            pods,
            resolved: RefCell::default(),
            refused,
        }
    }
}
