//! Where certificates are: Secrets in Git, and what makes Secrets in the cluster.

use super::World;
use super::names::namespace;
use crate::fleet::{Manifest, Target};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// What makes Secrets.
const MAKERS: &[(&str, &str)] = &[
    ("", "Secret"),
    ("external-secrets.io", "ExternalSecret"),
    ("bitnami.com", "SealedSecret"),
    ("cert-manager.io", "Certificate"),
];

/// Names of Secrets by place.
#[derive(Debug, Default)]
pub(in crate::lint) struct Credentials<'a> {
    by_place: HashMap<(&'a str, &'a Target), HashMap<&'a str, &'a Manifest>>,
    /// ASM copies these to all clusters.
    everywhere: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Credentials<'a> {
    /// Looks at all manifests once.
    pub(in crate::lint) fn of(world: &World<'a>) -> Self {
        let mut all = Self::default();
        for manifest in world.of_kind(ASM, "ASMCredential") {
            all.everywhere.insert((namespace(manifest), &manifest.id.name));
        }
        for manifest in MAKERS.iter().flat_map(|(group, kind)| world.of_kind(group, kind)) {
            let kind = manifest.group_kind();
            let own = |pointer: &str| manifest.object.at(pointer).and_then(Value::as_str).unwrap_or(&manifest.id.name);
            let name = match (&*kind.group, &*kind.kind) {
                ("", "Secret") => &*manifest.id.name,
                ("external-secrets.io", "ExternalSecret") => own("/spec/target/name"),
                ("bitnami.com", "SealedSecret") => own("/spec/template/metadata/name"),
                ("cert-manager.io", "Certificate") => own("/spec/secretName"),
                _ => continue,
            };
            let place = all.by_place.entry((namespace(manifest), &manifest.target)).or_default();
            place.insert(name, manifest);
        }
        all
    }

    /// What makes the Secret of this name there.
    pub(in crate::lint) fn find(&self, namespace: &str, target: &Target, name: &str) -> Option<&'a Manifest> {
        self.by_place.get(&(namespace, target)).and_then(|names| names.get(name)).copied()
    }

    /// Does ASM bring it to every cluster?
    pub(in crate::lint) fn is_everywhere(&self, namespace: &str, name: &str) -> bool {
        self.everywhere.contains(&(namespace, name))
    }

    /// The names in a namespace, in any cluster.
    pub(in crate::lint) fn names(&self, namespace: &str) -> BTreeSet<&'a str> {
        let own = self.by_place.iter().filter(|((space, _), _)| *space == namespace);
        let everywhere = self.everywhere.iter().filter(|(space, _)| *space == namespace).map(|(_, name)| *name);
        own.flat_map(|(_, names)| names.keys().copied()).chain(everywhere).collect()
    }
}
