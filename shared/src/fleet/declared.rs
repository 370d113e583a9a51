//! `fleet.yaml`: what it declares, and what a schema cannot say about it.

use super::{FileError, Fleet, Freeze, ModeRule, drift_modes, frozen, own, suggest, typed};
use crate::yaml::{Document, Limits, read};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The file, the fields that are left alone, the modes of folders and objects.
pub(super) type Declared = (Fleet, Vec<Freeze>, Vec<ModeRule>);

/// Reads the fleet file, and what it says about single fields of objects.
pub(super) fn parse(text: &[u8], file: &Arc<str>) -> Result<Declared, Vec<FileError>> {
    let documents = read(text, &Limits::default()).map_err(|error| vec![FileError::from(error)])?;
    let (Some(document), rest) = (documents.first(), documents.get(1..).unwrap_or_default()) else {
        let message = "fleet.yaml is empty".to_owned();
        let hint = Some("Declare the mesh and its member clusters: `kubectl asm init` writes a first one".to_owned());
        return Err(vec![FileError { line: 1, column: 1, message, hint }]);
    };
    let mut errors: Vec<_> = rest
        .iter()
        .map(|document| {
            FileError::at(document, "", "fleet.yaml holds more than one document".to_owned())
                .hint("Move objects to mesh/, groups/<group>/ or clusters/<cluster>/")
        })
        .collect();
    match own::read::<Fleet>(document, "Fleet") {
        Ok(fleet) => {
            check(&fleet, document, &mut errors);
            let modes = drift_modes::read(&fleet.spec.drift, document, file, &mut errors);
            let frozen = frozen::read(&fleet.spec.ignore_differences, document, file);
            if errors.is_empty() { Ok((fleet, frozen, modes)) } else { Err(errors) }
        }
        Err(more) => {
            errors.extend(more);
            Err(errors)
        }
    }
}

fn check(fleet: &Fleet, document: &Document, errors: &mut Vec<FileError>) {
    let mut report = |pointer: &str, message: String, hint: String| {
        errors.push(FileError::at(document, pointer, message).hint(hint));
    };
    let label = |pointer: &str, name: &str| {
        (!is_dns_label(name)).then(|| {
            let message = format!("{} is `{name}`, which is not a DNS label", typed::name_of(pointer));
            (
                message,
                "Use lower-case letters, digits and `-`, at most 63 characters, a letter or digit at both ends"
                    .to_owned(),
            )
        })
    };
    let id = |pointer: &str, id: Option<&String>| {
        id.filter(|id| !is_cluster_id(id)).map(|id| {
            let message = format!("{} is `{id}`, which is not an ID", typed::name_of(pointer));
            (
                message,
                "An ID is `c` and 32 lower-case letters or digits; the console shows it under the name".to_owned(),
            )
        })
    };
    if let Some((message, hint)) = label("/metadata/name", &fleet.metadata.name) {
        report("/metadata/name", message, hint);
    }
    if let Some((message, hint)) = id("/spec/mesh/id", fleet.spec.mesh.id.as_ref()) {
        report("/spec/mesh/id", message, hint);
    }

    let (mut names, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for (index, cluster) in fleet.spec.clusters.iter().enumerate() {
        let pointer = format!("/spec/clusters/{index}/name");
        if cluster.name == "mesh" {
            let message = "a cluster cannot be named `mesh`: that is the mesh control plane".to_owned();
            report(&pointer, message, "Give the cluster another name".to_owned());
        } else if let Some((message, hint)) = label(&pointer, &cluster.name) {
            report(&pointer, message, hint);
        }
        if let Some(first) = names.insert(cluster.name.as_str(), index) {
            let (line, _) = document.position_of(&format!("/spec/clusters/{first}/name")).unwrap_or_default();
            let message = format!("there are two clusters named `{}`, the first in line {line}", cluster.name);
            report(&pointer, message, "Rename or remove one of the two".to_owned());
        }
        let pointer = format!("/spec/clusters/{index}/id");
        if let Some((message, hint)) = id(&pointer, cluster.id.as_ref()) {
            report(&pointer, message, hint);
        }
        if let Some(id) = &cluster.id
            && let Some(first) = ids.insert(id.as_str(), cluster.name.as_str())
            && first != cluster.name
        {
            let message = format!("the clusters `{first}` and `{}` have the same ID", cluster.name);
            report(&pointer, message, "Correct one of the two IDs".to_owned());
        }
    }

    let mut groups = BTreeMap::new();
    for (index, group) in fleet.spec.groups.iter().enumerate() {
        let pointer = format!("/spec/groups/{index}/name");
        if let Some((message, hint)) = label(&pointer, &group.name) {
            report(&pointer, message, hint);
        }
        if let Some(first) = groups.insert(group.name.as_str(), index) {
            let (line, _) = document.position_of(&format!("/spec/groups/{first}/name")).unwrap_or_default();
            let message = format!("there are two groups named `{}`, the first in line {line}", group.name);
            report(&pointer, message, "Rename or remove one of the two".to_owned());
        }
        let mut members = BTreeMap::new();
        for (at, name) in group.clusters.iter().enumerate() {
            let pointer = format!("/spec/groups/{index}/clusters/{at}");
            if !names.contains_key(name.as_str()) {
                let message = format!("the group `{}` names the cluster `{name}`, which is not declared", group.name);
                report(&pointer, message, suggest::hint(name, names.keys().copied()));
            }
            if members.insert(name, at).is_some() {
                let message = format!("the group `{}` names the cluster `{name}` twice", group.name);
                report(&pointer, message, "Remove one of the two".to_owned());
            }
        }
    }
    let names: Vec<&str> = names.into_keys().collect();
    frozen::check(&fleet.spec.ignore_differences, &names, document, errors);
}

/// A DNS label (RFC 1123), as Kubernetes wants names that become part of host names.
pub(super) fn is_dns_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// IDs of ACK clusters and ASM instances: `c` and 32 lower-case letters or digits.
fn is_cluster_id(id: &str) -> bool {
    id.len() == 33 && id.starts_with('c') && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}
