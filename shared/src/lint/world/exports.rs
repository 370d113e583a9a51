//! `exportTo`: who sees an object.

use super::names::namespace;
use crate::fleet::Manifest;
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeSet;

/// Annotation by which a Service is exported.
const OF_SERVICES: &str = "networking.istio.io/exportTo";

/// The namespaces that see an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lint) enum Scope<'a> {
    /// All.
    All,
    /// These.
    Some(BTreeSet<&'a str>),
}

impl Scope<'_> {
    /// Does the namespace see it?
    pub(in crate::lint) fn has(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(namespaces) => namespaces.contains(namespace),
        }
    }
}

/// Who sees a Service, ServiceEntry, VirtualService or DestinationRule.
pub(in crate::lint) fn scope(manifest: &Manifest) -> Scope<'_> {
    let own = namespace(manifest);
    let annotation = manifest.object.at("/metadata/annotations").and_then(|all| all.get(OF_SERVICES));
    let named: Vec<&str> = if manifest.group_kind().is("", "Service") {
        let words = annotation.and_then(Value::as_str).unwrap_or_default();
        words.split(',').map(str::trim).filter(|word| !word.is_empty()).collect()
    } else {
        let words = manifest.object.at("/spec/exportTo").and_then(Value::as_array);
        words.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    if named.is_empty() || named.contains(&"*") {
        return Scope::All;
    }
    Scope::Some(
        named.into_iter().filter(|name| *name != "~").map(|name| if name == "." { own } else { name }).collect(),
    )
}

/// Does everybody who sees `user` see `used` too? Whoever is exported to all stands for its own namespace.
pub(super) fn sees(user: &Manifest, used: &Manifest) -> bool {
    match (scope(user), scope(used)) {
        (_, Scope::All) => true,
        (Scope::All, used) => used.has(namespace(user)),
        (Scope::Some(viewers), used) => viewers.iter().all(|viewer| used.has(viewer)),
    }
}
