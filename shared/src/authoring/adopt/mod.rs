//! Live changes taken into Git: the manifest that declares the object gets the live values.

mod difference;
mod operations;
mod patches;
mod take;

pub use difference::{Difference, differences};

use super::edit::state_after;
use super::freeze;
use super::workspace::{Change, Workspace};
use super::{AuthoringError, Plan};
use crate::diff::{FieldChange, missing_from};
use crate::fleet::layout::{Area, FLEET_FILE, classify};
use crate::fleet::{FleetState, Manifest, Target, Tree};
use crate::object::{ObjectId, redact};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Live changes to be taken into Git.
#[derive(Clone, Debug, Default)]
pub struct AdoptDrift {
    /// The objects.
    pub objects: Vec<AdoptObject>,
}

/// One object of one target.
#[derive(Clone, Debug)]
pub struct AdoptObject {
    /// Where.
    pub target: Target,
    /// Which.
    pub id: ObjectId,
    /// What happened to it.
    pub change: LiveChange,
}

/// What happened to an object live.
#[derive(Clone, Debug)]
pub enum LiveChange {
    /// Fields of it are different.
    Fields {
        /// The object as it is.
        live: Value,
        /// The fields to be taken over, as [`differences`] tells them.
        fields: Vec<FieldChange>,
    },
    /// It is gone.
    Deleted,
}

/// More changes than this of one object are no drift that an edit could tell.
const MOST_CHANGES: usize = 10_000;

/// An object with what Git is to have of it.
struct Item<'a> {
    manifest: &'a Manifest,
    object: &'a AdoptObject,
    /// `None` when it goes.
    changes: Option<Vec<Change>>,
    expected: Option<Value>,
}

impl AdoptDrift {
    /// The edits. Every other object of the fleet stays what it is.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let mut items = Vec::new();
        for object in &self.objects {
            items.push(item(state, object)?);
        }
        let mut workspace = Workspace::new(tree);
        let mut by_place: BTreeMap<(&str, u32, u32), Vec<&Item<'_>>> = BTreeMap::new();
        for item in &items {
            let at = &item.manifest.position;
            by_place.entry((&at.file, at.line, at.column)).or_default().push(item);
        }
        for items in by_place.values() {
            one_document(tree, state, &mut workspace, items)?;
        }
        let gone = items.iter().filter(|item| item.changes.is_none());
        let gone: Vec<_> = gone.map(|item| (item.object.target.name(), &item.object.id)).collect();
        let released = freeze::of_gone(state, &gone);
        if !released.is_empty() {
            workspace.change_document(FLEET_FILE, 0, &released)?;
        }
        let plan = Plan { edits: workspace.finish(), warnings: Vec::new() };
        verify(tree, state, &items, &plan)?;
        Ok(plan)
    }
}

fn item<'a>(state: &'a FleetState, object: &'a AdoptObject) -> Result<Item<'a>, AuthoringError> {
    let manifest = state.manifests_of(&object.target).find(|manifest| manifest.id == object.id).ok_or_else(|| {
        AuthoringError::new(format!("the files have no {} for {}", object.id, object.target))
            .hint("the working tree is another commit than the agent's, perhaps: git pull")
    })?;
    let LiveChange::Fields { live, fields } = &object.change else {
        return Ok(Item { manifest, object, changes: None, expected: None });
    };
    for field in fields {
        refuse_secret(manifest, field)?;
    }
    let kind = &object.id.group_kind;
    let all = missing_from(&manifest.object, live);
    let is_whole = all.iter().all(|difference| fields.contains(difference));
    let mut changes = take::changes(kind, &manifest.object, live, fields);
    let mut expected = operations::changed(&manifest.object, &changes);
    let mut left = expected.as_ref().map(|expected| missing_from(expected, live));
    // That elements also stand in another order is told when nothing else differs in their list.
    while let (true, Some(now), Some(more)) = (is_whole && changes.len() < MOST_CHANGES, &expected, &left)
        && !more.is_empty()
    {
        let next = take::changes(kind, now, live, more);
        if next.is_empty() {
            break;
        }
        expected = operations::changed(now, &next);
        left = expected.as_ref().map(|expected| missing_from(expected, live));
        changes.extend(next);
    }
    // With every field taken nothing may differ any more, otherwise something less.
    if !left.is_some_and(|left| if is_whole { left.is_empty() } else { left.len() < all.len() }) {
        return Err(AuthoringError::new(format!("{}: the live change cannot be told as an edit", object.id))
            .at(&manifest.position)
            .hint("nothing was written; make this change by hand, or put Git's value back with: kubectl asm revert"));
    }
    Ok(Item { manifest, object, changes: Some(changes), expected })
}

/// What is secret does not go into Git, where everybody who may read the repository could read it for ever.
fn refuse_secret(manifest: &Manifest, field: &FieldChange) -> Result<(), AuthoringError> {
    let kind = manifest.group_kind();
    let shown = field.after.as_ref().is_some_and(|value| redact(kind, &field.path, value) != *value);
    let of_secret = kind.is("", "Secret") && (field.path.is_under(&["data"]) || field.path.is_under(&["stringData"]));
    if !shown && !of_secret {
        return Ok(());
    }
    Err(AuthoringError::new(format!(
        "{} of {} is secret: it is not taken into Git, where it would stand in clear in every clone",
        field.path, manifest.id
    ))
    .at(&manifest.position)
    .hint("put Git's value back with kubectl asm revert, or leave the field alone with kubectl asm freeze")
    .hint("take the other fields over by naming them with --field"))
}

/// Everything that is asked of one document, which a group may give to several clusters.
fn one_document(
    tree: &dyn Tree,
    state: &FleetState,
    workspace: &mut Workspace<'_>,
    items: &[&Item<'_>],
) -> Result<(), AuthoringError> {
    let Some(first) = items.first() else { return Ok(()) };
    let document = first.manifest;
    let shared: Vec<&Manifest> = state
        .manifests
        .iter()
        .filter(|other| other.position == document.position && other.document.pointer == document.document.pointer)
        .collect();
    let asked = |manifest: &Manifest| items.iter().find(|item| item.object.target == manifest.target);
    let gone: Vec<_> = items.iter().filter(|item| item.changes.is_none()).collect();
    if !gone.is_empty() {
        if let Some(kept) = shared.iter().find(|manifest| asked(manifest).is_none_or(|item| item.changes.is_some())) {
            return Err(AuthoringError::new(format!(
                "{} is gone on {} only, but this document gives it to {} as well, where removing it would delete it",
                document.id, gone[0].object.target, kept.target
            ))
            .at(&document.position)
            .hint("move the document to the folders of the clusters that keep it (clusters/<cluster>/)")
            .hint(format!("or put it back with: kubectl asm revert {}", selector(gone[0].object))));
        }
        for manifest in &shared {
            patches::remove(tree, workspace, manifest)?;
        }
        return workspace.remove_object(document);
    }
    let same = |manifest: &&Manifest| {
        manifest.patched_by.is_none() && asked(manifest).is_some_and(|item| item.expected == first.expected)
    };
    let is_grouped = matches!(classify(&document.position.file), Area::Group(_));
    if !is_grouped || shared.iter().all(same) {
        return workspace.change(document, first.changes.as_deref().unwrap_or_default());
    }
    for item in items {
        let (Some(changes), Some(expected)) = (&item.changes, &item.expected) else { continue };
        patches::add(tree, workspace, item.manifest, changes, expected)?;
    }
    Ok(())
}

/// `m1c1/Service/shop/door`.
fn selector(object: &AdoptObject) -> String {
    let namespace = object.id.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{}/{}/{namespace}{}", object.target, object.id.group_kind.kind, object.id.name)
}

/// The edits must come to exactly what was meant, and nothing else may differ.
fn verify(tree: &dyn Tree, state: &FleetState, items: &[Item<'_>], plan: &Plan) -> Result<(), AuthoringError> {
    let after = state_after(tree, &plan.edits);
    let key = |manifest: &Manifest| (manifest.target.clone(), manifest.id.clone());
    let mut now: BTreeMap<_, _> = after.manifests.iter().map(|manifest| (key(manifest), &manifest.object)).collect();
    let asked: BTreeMap<_, _> =
        items.iter().map(|item| ((item.object.target.clone(), item.object.id.clone()), &item.expected)).collect();
    let mut wrong: BTreeSet<String> = BTreeSet::new();
    for manifest in &state.manifests {
        let key = key(manifest);
        let found = now.remove(&key);
        let is_right = match asked.get(&key) {
            Some(expected) => found.map(|object| &**object) == expected.as_ref(),
            None => found == Some(&manifest.object),
        };
        if !is_right {
            wrong.insert(format!("{} on {}", manifest.id, manifest.target));
        }
    }
    wrong.extend(now.into_keys().map(|(target, id)| format!("{id} on {target}")));
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    Err(AuthoringError::new(format!("the edit would not come to what is live: {}", wrong.join(", ")))
        .hint("nothing was written; make this change by hand"))
}

#[cfg(test)]
mod tests;
