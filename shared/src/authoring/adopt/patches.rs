//! Patches: what one cluster wants different from what its group gives it.

use super::super::AuthoringError;
use super::super::text::{File, Node, field};
use super::super::workspace::{Change, Workspace};
use super::operations;
use crate::fleet::layout::{Area, classify};
use crate::fleet::{API_VERSION, Manifest, Patch, PatchTarget, Tree};
use crate::object::{ObjectId, split_api_version};
use crate::yaml::{self, Limits};
use serde_json::Value;

/// A patch of an object.
struct Found {
    path: String,
    document: usize,
    patch: Patch,
}

/// Adds the changes to the cluster's patches: to the last one of the object where that can hold them, to a new one behind
/// it otherwise.
pub(super) fn add(
    tree: &dyn Tree,
    workspace: &mut Workspace<'_>,
    manifest: &Manifest,
    changes: &[Change],
    expected: &Value,
) -> Result<(), AuthoringError> {
    let untold = || {
        AuthoringError::new(format!("{}: the live change cannot be told as a patch", manifest.id))
            .at(&manifest.position)
    };
    let merge = operations::merge(&manifest.object, changes);
    let operations = operations::json6902(&manifest.object, changes).ok_or_else(untold)?;
    debug_assert_eq!(operations::changed(&manifest.object, changes).as_ref(), Some(expected));
    let last = of_object(tree, manifest).pop();
    match last {
        Some(last) if last.patch.spec.merge.is_some() && merge.is_some() && changes.iter().all(is_leaf) => {
            let at = |pointer: &str| format!("/spec/merge{pointer}");
            let changes: Vec<Change> = changes
                .iter()
                .map(|change| match change {
                    Change::Set(pointer, value) => Change::Set(at(pointer), value.clone()),
                    Change::Remove(pointer) => Change::Set(at(pointer), Value::Null),
                    other => other.clone(),
                })
                .collect();
            workspace.change_document(&last.path, last.document, &changes)
        }
        Some(last) if last.patch.spec.json6902.is_some() => {
            let push = |operation| Change::Push("/spec/json6902".to_owned(), operation);
            let changes: Vec<Change> = operations.into_iter().map(push).collect();
            workspace.change_document(&last.path, last.document, &changes)
        }
        last => {
            let kind = manifest.group_kind().kind.to_lowercase();
            let name = label(&format!("{kind}-{}", manifest.id.name));
            let path = format!("clusters/{}/patches/{name}.yaml", manifest.target);
            let change = match merge {
                Some(merge) => ("merge", merge),
                None => ("json6902", Value::from(operations)),
            };
            workspace.add(&last.map_or(path, |last| last.path), &text(manifest, &name, change))
        }
    }
}

/// Removes the cluster's patches of an object that goes.
pub(super) fn remove(
    tree: &dyn Tree,
    workspace: &mut Workspace<'_>,
    manifest: &Manifest,
) -> Result<(), AuthoringError> {
    for found in of_object(tree, manifest).iter().rev() {
        workspace.remove_document(&found.path, found.document)?;
    }
    Ok(())
}

/// A value that a merge patch replaces: maps are merged instead.
fn is_leaf(change: &Change) -> bool {
    !matches!(change, Change::Set(_, Value::Object(_)))
}

/// The patches of an object, in the order in which they are applied.
fn of_object(tree: &dyn Tree, manifest: &Manifest) -> Vec<Found> {
    let mut found = Vec::new();
    if manifest.patched_by.is_none() {
        return found;
    }
    for path in tree.list().unwrap_or_default() {
        if classify(&path) != Area::Patches(manifest.target.name()) {
            continue;
        }
        let Ok(text) = tree.read(&path) else { continue };
        for document in yaml::read(&text, &Limits::default()).unwrap_or_default() {
            let patch = serde_json::from_value::<Patch>(Value::clone(&document.value));
            if let Ok(patch) = patch
                && is_of(&patch.spec.target, &manifest.id)
            {
                found.push(Found { path: path.to_string(), document: document.index, patch });
            }
        }
    }
    found
}

fn is_of(target: &PatchTarget, id: &ObjectId) -> bool {
    let group = target.api_version.as_deref().map(|version| split_api_version(version).0);
    let namespace = id.namespace.as_deref().is_none_or(|own| own == target.namespace.as_deref().unwrap_or("default"));
    target.kind == *id.group_kind.kind
        && target.name == *id.name
        && group.is_none_or(|group| group == &*id.group_kind.group)
        && namespace
}

fn text(manifest: &Manifest, name: &str, (how, change): (&str, Value)) -> String {
    let id = &manifest.id;
    let mut target = vec![field("apiVersion", &*manifest.api_version), field("kind", &*id.group_kind.kind)];
    target.extend(id.namespace.as_deref().map(|namespace| field("namespace", namespace)));
    target.push(field("name", &*id.name));
    let patch: Node = [
        field("apiVersion", API_VERSION),
        field("kind", "Patch"),
        field("metadata", [field("name", name)]),
        field("spec", [field("target", target)]),
    ]
    .into();
    let mut file = File::default();
    let about = format!("What {} has different from what its group gives it.", manifest.target);
    file.push(&[&about], &patch);
    // The change is no text of ours: it is written as values are, below the rest.
    let change: String = yaml::write(&change).lines().map(|line| format!("    {line}\n")).collect();
    format!("{}  {how}:\n{change}", file.finish())
}

/// Names of patches are DNS labels.
fn label(text: &str) -> String {
    let mut label: String =
        text.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    label.truncate(63);
    label.trim_matches('-').to_owned()
}
