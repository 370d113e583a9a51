//! What the agent must be allowed to do, out of what the fleet holds: rules of RBAC per target and for its home cluster.
//!
//! What is asked of an API server is little and fixed (`agent/src/fleet/worker`): every kind of the target is listed and
//! watched everywhere, because an object is known by its label wherever it is; objects are read, applied and removed where
//! Git has them. So reading is granted for the cluster, writing only in the namespaces of the fleet, and of kinds without a
//! namespace only for the names in Git.

mod compare;
mod denied;
mod host;
mod objects;
#[cfg(test)]
mod tests;

pub use compare::{Granted, compare};
pub use denied::advice;
pub use host::{HostUse, of_host};
pub use objects::{Impersonation, ROLE, Subject, objects};

use crate::fleet::{FleetState, Target};
use crate::health::arrival::{AUTHORITY_SUFFIX, Arrival, Arrivals};
use crate::object::{GroupKind, kinds};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Verbs in the order in which people write them.
const VERBS: [&str; 8] = ["get", "list", "watch", "create", "patch", "update", "delete", "impersonate"];

/// One thing that must be allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// Where; `None`: in the whole cluster.
    pub namespace: Option<Arc<str>>,
    /// API group; empty for core.
    pub group: Arc<str>,
    /// Plural, with its subresource if it is about one (`fleetsyncs/status`).
    pub resource: Arc<str>,
    /// Only the object of this name; `None`: any.
    pub name: Option<Arc<str>>,
    /// `get`, `list`, …
    pub verb: &'static str,
}

/// All that must be allowed on one API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// One by one.
    pub needs: BTreeSet<Need>,
    /// Namespaces that the fleet makes: they may not be there yet when Roles for them are applied.
    pub made: BTreeSet<Arc<str>>,
    /// Kinds whose plural is not known here and was made up as Kubernetes does.
    pub guessed: BTreeSet<GroupKind>,
    /// Kinds that grant rights themselves: an API server lets only those pass on a right that have it.
    pub granting: BTreeSet<GroupKind>,
}

impl Access {
    /// Takes in what something else needs.
    pub fn merge(&mut self, other: Self) {
        self.needs.extend(other.needs);
        self.made.extend(other.made);
        self.guessed.extend(other.guessed);
        self.granting.extend(other.granting);
    }

    /// The namespaces in which something is needed.
    pub fn namespaces(&self) -> BTreeSet<Arc<str>> {
        self.needs.iter().filter_map(|need| need.namespace.clone()).collect()
    }

    fn add(&mut self, place: Place<'_>, resource: (&str, &str), verbs: &[&'static str]) {
        self.needs.extend(verbs.iter().map(|verb| Need {
            namespace: place.namespace.map(Arc::from),
            group: resource.0.into(),
            resource: resource.1.into(),
            name: place.name.map(Arc::from),
            verb,
        }));
    }
}

/// Where something is needed.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

/// What the fleet needs on one of its targets. `prune`: objects that leave Git are removed.
pub fn of_target(state: &FleetState, target: &Target, prune: bool) -> Access {
    const EVERYWHERE: Place<'static> = Place { namespace: None, name: None };
    let mut access = Access::default();
    // The UID of this namespace says which cluster it is.
    access.add(Place { namespace: None, name: Some("kube-system") }, ("", "namespaces"), &["get"]);
    if let Target::Cluster(_) = target {
        // Whether load balancers work: what the cloud controller says of them, the pods behind them, what ASM has made.
        access.add(EVERYWHERE, ("", "events"), &["list", "watch"]);
        access.add(EVERYWHERE, ("discovery.k8s.io", "endpointslices"), &["list"]);
        let gateways = Place { namespace: Some(crate::asm::gateway::NAMESPACE), name: None };
        access.add(gateways, ("", "services"), &["get", "list", "watch"]);
        arrives(&Arrivals::of(state).at(target), &mut access);
    }
    let write: &[&'static str] = if prune { &["get", "patch", "delete"] } else { &["get", "patch"] };
    for manifest in state.manifests_of(target) {
        let kind = manifest.group_kind();
        let plural = plural(kind, &mut access);
        let resource = (&*kind.group, plural.as_str());
        access.add(EVERYWHERE, resource, &["list", "watch"]);
        let namespace = manifest.id.namespace.as_deref();
        // An apply of an object that is not there is a patch that must be allowed to create.
        access.add(Place { namespace, name: None }, resource, &["create"]);
        // Names are told only where no namespace keeps the agent to its own.
        let name = namespace.is_none().then_some(&*manifest.id.name);
        access.add(Place { namespace, name }, resource, write);
        if kind.is("", "Namespace") {
            access.made.insert(manifest.id.name.clone());
            if prune {
                // Before a namespace is removed, the load balancers inside are looked for, whoever made them.
                access.add(EVERYWHERE, ("", "services"), &["list"]);
                access.add(EVERYWHERE, (kinds::ASM, "istiogateways"), &["list"]);
            }
        }
        if &*kind.group == "rbac.authorization.k8s.io" {
            access.granting.insert(kind.clone());
        }
    }
    access
}

/// What tells whether requests arrive: certificates that Gateways name, and the pods that routes lead to.
fn arrives(arrival: &Arrival, access: &mut Access) {
    for namespace in arrival.secret_namespaces() {
        // Of metadata; roles know no difference.
        access.add(Place { namespace: Some(&namespace), name: None }, ("", "secrets"), &["list", "watch"]);
    }
    for (id, wanted) in &arrival.credentials {
        let mut place = Place { namespace: id.namespace.as_deref(), name: Some(&id.name) };
        access.add(place, ("", "secrets"), &["get"]);
        let apart = format!("{}{AUTHORITY_SUFFIX}", id.name);
        if wanted.parts.authority && wanted.parts.pair {
            place.name = Some(&apart);
            access.add(place, ("", "secrets"), &["get"]);
        }
    }
    if !arrival.services().is_empty() {
        access.add(Place::default(), ("discovery.k8s.io", "endpointslices"), &["list", "watch"]);
    }
    for namespace in arrival.labelled() {
        access.add(Place { namespace: Some(&namespace), name: None }, ("", "pods"), &["list"]);
    }
}

/// The plural of a kind: of the table, else as Kubernetes makes one up.
fn plural(kind: &GroupKind, access: &mut Access) -> String {
    if let Some(row) = kinds::find(kind) {
        return row.plural.to_owned();
    }
    access.guessed.insert(kind.clone());
    let word = kind.kind.to_lowercase();
    match word.as_bytes() {
        [.., b's' | b'x'] | [.., b'c' | b's', b'h'] => format!("{word}es"),
        [.., before, b'y'] if !b"aeiou".contains(before) => format!("{}ies", word.trim_end_matches('y')),
        _ => format!("{word}s"),
    }
}
