//! Needs as objects that an administrator applies.

use super::{Access, Need, VERBS};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Name of the Roles and their bindings, or how it begins.
pub const ROLE: &str = "asm-agent";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Who is to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A service account of the API server itself.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A user, as certificates and RAM name them.
    User(String),
    /// A group.
    Group(String),
}

impl Subject {
    fn value(&self) -> Value {
        match self {
            Self::ServiceAccount { namespace, name } => {
                json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
            }
            Self::User(name) => json!({"kind": "User", "apiGroup": RBAC, "name": name}),
            Self::Group(name) => json!({"kind": "Group", "apiGroup": RBAC, "name": name}),
        }
    }
}

/// A service account that the agent acts as (`spec.serviceAccountName`): it has the rights, and the agent's user may only
/// act as it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonation {
    /// Namespace of the FleetSync.
    pub namespace: String,
    /// Name of the service account.
    pub name: String,
}

/// The objects that give `subject` what is needed: its service account, a ClusterRole and Roles, and what binds them.
pub fn objects(access: &Access, subject: &Subject, acting_as: Option<&Impersonation>) -> Vec<Value> {
    let mut namespaces: BTreeSet<&str> = access.made.iter().map(AsRef::as_ref).collect();
    // Only where something is granted in it: a Role needs its namespace.
    let needed = access.namespaces();
    namespaces.retain(|name| needed.contains(*name));
    let mut accounts = Vec::new();
    if let Subject::ServiceAccount { namespace, name } = subject {
        namespaces.insert(namespace);
        accounts.push(
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}),
        );
    }
    if let Some(actor) = acting_as {
        namespaces.insert(&actor.namespace);
    }
    let mut all: Vec<Value> = namespaces
        .into_iter()
        // There from the beginning, and nobody's to make.
        .filter(|name| *name != "default" && !name.starts_with("kube-"))
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
        .collect();
    all.extend(accounts);
    // FleetSyncs that act as several accounts have roles beside each other.
    let (has_rights, own_name) = match acting_as {
        Some(Impersonation { namespace, name }) => (
            Subject::ServiceAccount { namespace: namespace.clone(), name: name.clone() },
            format!("{ROLE}-{namespace}-{name}"),
        ),
        None => (subject.clone(), ROLE.to_owned()),
    };
    let mut places: BTreeMap<Option<&Arc<str>>, Vec<&Need>> = BTreeMap::new();
    for need in &access.needs {
        places.entry(need.namespace.as_ref()).or_default().push(need);
    }
    for (namespace, needs) in places {
        all.extend(role(&own_name, namespace.map(AsRef::as_ref), &rules(&needs), &has_rights));
    }
    if let Some(actor) = acting_as {
        let rule = json!({
            "apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": [actor.name], "verbs": ["impersonate"],
        });
        let name = format!("{ROLE}-impersonates-{}", actor.name);
        all.extend(role(&name, Some(&actor.namespace), &[rule], subject));
    }
    all
}

/// A Role or ClusterRole and its binding.
fn role(name: &str, namespace: Option<&str>, rules: &[Value], subject: &Subject) -> [Value; 2] {
    let kind = if namespace.is_some() { "Role" } else { "ClusterRole" };
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    let api_version = format!("{RBAC}/v1");
    [
        json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "rules": rules}),
        json!({
            "apiVersion": api_version, "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name}, "subjects": [subject.value()],
        }),
    ]
}

/// Needs of one place as few rules: first by resource and names, then resources of a group with the same verbs together.
fn rules(needs: &[&Need]) -> Vec<Value> {
    type Verbs = BTreeSet<usize>;
    let place = |verb: &str| VERBS.iter().position(|known| *known == verb).unwrap_or(VERBS.len());
    // Verbs of each object, then objects with the same verbs together.
    let mut single: BTreeMap<(&str, &str, Option<&str>), Verbs> = BTreeMap::new();
    for need in needs {
        let key = (&*need.group, &*need.resource, need.name.as_deref());
        single.entry(key).or_default().insert(place(need.verb));
    }
    let mut by_names: BTreeMap<(&str, &str, Verbs, bool), BTreeSet<&str>> = BTreeMap::new();
    for ((group, resource, name), verbs) in single {
        by_names.entry((group, resource, verbs, name.is_some())).or_default().extend(name);
    }
    let mut by_resources: BTreeMap<(&str, BTreeSet<&str>, Verbs), BTreeSet<&str>> = BTreeMap::new();
    for ((group, resource, verbs, _), names) in by_names {
        by_resources.entry((group, names, verbs)).or_default().insert(resource);
    }
    let rule = |((group, names, verbs), resources): ((&str, BTreeSet<&str>, Verbs), BTreeSet<&str>)| {
        let verbs: Vec<&str> = verbs.iter().filter_map(|place| VERBS.get(*place).copied()).collect();
        let mut rule = json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
        if !names.is_empty() {
            rule["resourceNames"] = json!(names);
        }
        rule
    };
    by_resources.into_iter().map(rule).collect()
}
