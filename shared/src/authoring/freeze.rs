//! Fields that are left alone: entries of `ignoreDifferences` in fleet.yaml.

use super::fleet_view::fleet;
use super::text::{Node, field, list};
use super::workspace::{Change, Workspace};
use super::{AuthoringError, Plan};
use crate::fleet::{FleetState, IgnoredDifference, Manifest, Tree};
use crate::object::{FieldPath, ObjectId, Segment};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

const FLEET_FILE: &str = "fleet.yaml";
const ENTRIES: &str = "/spec/ignoreDifferences";

/// Leave fields of an object alone.
#[derive(Clone, Debug)]
pub struct FreezeFields {
    /// Targets, by name; every one that has the object when empty.
    pub targets: Vec<String>,
    /// The object.
    pub id: ObjectId,
    /// Paths of the fields.
    pub fields: Vec<String>,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// Look after fields of an object again.
#[derive(Clone, Debug)]
pub struct UnfreezeFields {
    /// Targets, by name; all when empty.
    pub targets: Vec<String>,
    /// The object.
    pub id: ObjectId,
    /// Paths of the fields; all when empty.
    pub fields: Vec<String>,
}

impl FreezeFields {
    /// The edit of fleet.yaml. What was said of the same fields before is replaced.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let entries = &fleet(state)?.spec.ignore_differences;
        if self.reason.trim().is_empty() {
            return Err(AuthoringError::new("the reason is empty")
                .hint("say why the field is left alone: nobody remembers it in a year"));
        }
        if self.fields.is_empty() {
            return Err(AuthoringError::new("no field is named").hint("name it with --field PATH"));
        }
        let mut plan = Plan::default();
        let mut fields = Vec::new();
        for text in &self.fields {
            let path =
                crate::fleet::frozen_path(text).map_err(|(message, hint)| AuthoringError::new(message).hint(hint))?;
            let manifests: Vec<&Manifest> = self.manifests(state).collect();
            let path = manifests.iter().fold(path, |path, manifest| by_name(&path, &manifest.object));
            if !manifests.is_empty() && manifests.iter().all(|manifest| path.resolve(&manifest.object).is_none()) {
                plan.warnings.push(format!("Git's {} has no field {path}: is it written right?", self.id));
            }
            fields.push(path.to_string());
        }
        let wanted = self.entry(fields);
        let is_same = |entry: &&IgnoredDifference| {
            **entry == wanted || {
                let same =
                    IgnoredDifference { fields: wanted.fields.clone(), kind: wanted.kind.clone(), ..(*entry).clone() };
                entry.is_about(&self.id)
                    && same == wanted
                    && wanted.fields.iter().all(|field| entry.fields.contains(field))
            }
        };
        if entries.iter().any(|entry| is_same(&entry)) {
            return Ok(plan);
        }
        let mut changes = release(state, entries, &self.targets, &self.id, &wanted.fields);
        let left = entries.len() - changes.iter().filter(|change| is_whole_entry(change)).count();
        changes.push(add(
            left == 0 && !changes.iter().any(|change| matches!(change, Change::Push(..))),
            self.node(&wanted.fields),
        ));
        let mut workspace = Workspace::new(tree);
        workspace.change_document(FLEET_FILE, 0, &changes)?;
        plan.edits = workspace.finish();
        Ok(plan)
    }

    fn manifests<'a>(&'a self, state: &'a FleetState) -> impl Iterator<Item = &'a Manifest> {
        state.manifests.iter().filter(|manifest| {
            manifest.id == self.id
                && (self.targets.is_empty() || self.targets.iter().any(|name| name == manifest.target.name()))
        })
    }

    fn entry(&self, fields: Vec<String>) -> IgnoredDifference {
        IgnoredDifference {
            targets: self.targets.clone(),
            kind: self.id.group_kind.to_string(),
            namespace: self.id.namespace.as_deref().map(str::to_owned),
            name: self.id.name.to_string(),
            path: None,
            fields,
            reason: self.reason.clone(),
            until: self.until,
        }
    }

    fn node(&self, fields: &[String]) -> Value {
        let mut entry = Vec::new();
        if !self.targets.is_empty() {
            entry.push(field("targets", list(self.targets.iter().map(String::as_str))));
        }
        entry.push(field("kind", self.id.group_kind.to_string()));
        entry.extend(self.id.namespace.as_deref().map(|namespace| field("namespace", namespace)));
        entry.push(field("name", &*self.id.name));
        entry.push(field("fields", list(fields.iter().map(String::as_str))));
        entry.push(field("reason", &*self.reason));
        entry.extend(self.until.map(|until| field("until", until.to_string())));
        Node::from(entry).value()
    }
}

impl UnfreezeFields {
    /// The edit of fleet.yaml; an error when nothing of the object is left alone.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let entries = &fleet(state)?.spec.ignore_differences;
        let mut fields = Vec::new();
        for text in &self.fields {
            let path =
                crate::fleet::frozen_path(text).map_err(|(message, hint)| AuthoringError::new(message).hint(hint))?;
            fields.push(path.to_string());
            // The same field as the entry may call it.
            fields.extend(
                state.manifests.iter().filter(|m| m.id == self.id).map(|m| by_name(&path, &m.object).to_string()),
            );
        }
        let changes = release(state, entries, &self.targets, &self.id, &fields);
        if changes.is_empty() {
            let known: BTreeSet<&str> = entries
                .iter()
                .filter(|e| e.is_about(&self.id))
                .flat_map(|e| e.fields.iter().map(String::as_str))
                .collect();
            let hint = if known.is_empty() {
                "see what is left alone: kubectl asm drift".to_owned()
            } else {
                format!("left alone are: {}", known.into_iter().collect::<Vec<_>>().join(", "))
            };
            return Err(AuthoringError::new(format!("no such field of {} is left alone", self.id)).hint(hint));
        }
        let mut workspace = Workspace::new(tree);
        workspace.change_document(FLEET_FILE, 0, &changes)?;
        Ok(Plan { edits: workspace.finish(), warnings: Vec::new() })
    }
}

/// Takes back what is said of these fields (all when empty) of an object on these targets (all when empty).
pub(super) fn release(
    state: &FleetState,
    entries: &[IgnoredDifference],
    targets: &[String],
    id: &ObjectId,
    fields: &[String],
) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut pushed = Vec::new();
    let mut left = entries.len();
    // From the last entry on, so that the numbers before stay right.
    for (index, entry) in entries.iter().enumerate().rev().filter(|(_, entry)| entry.is_about(id)) {
        let on: Vec<String> = if entry.targets.is_empty() { targets_of(state, id) } else { entry.targets.clone() };
        let kept_on: Vec<&String> =
            if targets.is_empty() { Vec::new() } else { on.iter().filter(|name| !targets.contains(name)).collect() };
        let goes = |field: &String| fields.is_empty() || fields.contains(field);
        let kept: Vec<&String> = entry.fields.iter().filter(|field| !goes(field)).collect();
        if kept.len() == entry.fields.len() || (kept_on.len() == on.len() && !on.is_empty()) {
            continue;
        }
        let at = format!("{ENTRIES}/{index}");
        if kept_on.is_empty() && kept.is_empty() {
            changes.push(Change::Remove(at));
            left -= 1;
        } else if kept_on.is_empty() {
            let gone = entry.fields.iter().enumerate().rev().filter(|(_, field)| goes(field));
            changes.extend(gone.map(|(place, _)| Change::Remove(format!("{at}/fields/{place}"))));
        } else {
            changes.push(Change::Set(
                format!("{at}/targets"),
                kept_on.iter().map(|name| Value::from(name.as_str())).collect(),
            ));
            if !kept.is_empty() {
                let rest = IgnoredDifference {
                    targets: on.iter().filter(|name| !kept_on.contains(name)).cloned().collect(),
                    fields: kept.into_iter().cloned().collect(),
                    ..entry.clone()
                };
                pushed.extend(serde_json::to_value(rest).ok());
            }
        }
    }
    if left == 0 && pushed.is_empty() && !changes.is_empty() {
        return vec![Change::Remove(ENTRIES.to_owned())];
    }
    changes.extend(pushed.into_iter().map(|entry| Change::Push(ENTRIES.to_owned(), entry)));
    changes
}

/// Takes back the entries about objects that go from all the targets that they name: they would match nothing.
pub(super) fn of_gone(state: &FleetState, gone: &[(&str, &ObjectId)]) -> Vec<Change> {
    let entries = state.fleet.iter().flat_map(|fleet| &fleet.spec.ignore_differences);
    let goes = |entry: &IgnoredDifference| {
        let Some((_, id)) = gone.iter().find(|(_, id)| entry.is_about(id)) else { return false };
        let on = if entry.targets.is_empty() { targets_of(state, id) } else { entry.targets.clone() };
        on.iter().all(|name| gone.iter().any(|(target, other)| target == name && other == id))
    };
    let all: Vec<bool> = entries.map(goes).collect();
    if !all.is_empty() && all.iter().all(|goes| *goes) {
        return vec![Change::Remove(ENTRIES.to_owned())];
    }
    let gone = all.iter().enumerate().rev().filter(|(_, goes)| **goes);
    gone.map(|(index, _)| Change::Remove(format!("{ENTRIES}/{index}"))).collect()
}

/// Does the change take away an entry, or the last one with its list?
fn is_whole_entry(change: &Change) -> bool {
    matches!(change, Change::Remove(pointer)
        if pointer == ENTRIES || pointer.strip_prefix(ENTRIES).is_some_and(|rest| rest.matches('/').count() == 1))
}

/// Adds an entry to a list that is perhaps not there.
fn add(is_first: bool, entry: Value) -> Change {
    if is_first {
        Change::Set(ENTRIES.to_owned(), Value::Array(vec![entry]))
    } else {
        Change::Push(ENTRIES.to_owned(), entry)
    }
}

/// The targets that have an object in Git.
fn targets_of(state: &FleetState, id: &ObjectId) -> Vec<String> {
    let manifests = state.manifests.iter().filter(|manifest| manifest.id == *id);
    manifests.map(|manifest| manifest.target.name().to_owned()).collect()
}

/// The path with elements called by their names where they have some: a rule that is put before others must not shift what
/// is left alone.
fn by_name(path: &FieldPath, object: &Value) -> FieldPath {
    let mut named = Vec::new();
    let mut value = Some(object);
    for segment in path.segments() {
        let list = value.and_then(Value::as_array);
        let name = match (segment, list) {
            (Segment::Index(place), Some(list)) => unique_name(list, *place),
            (Segment::Field(name), Some(_)) => Some(name.to_string()),
            _ => None,
        };
        let segment = name.map_or_else(|| segment.clone(), |name| Segment::Key(vec![("name".into(), name.into())]));
        value = value.and_then(|value| FieldPath(vec![segment.clone()]).resolve(value));
        named.push(segment);
    }
    FieldPath(named)
}

fn unique_name(list: &[Value], place: usize) -> Option<String> {
    let name = |element: &Value| element.get("name").and_then(Value::as_str).map(str::to_owned);
    let own = name(list.get(place)?)?;
    (list.iter().filter(|other| name(other).as_ref() == Some(&own)).count() == 1).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::MemoryTree;

    const FLEET: &str = "\
# The shop.
apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  mesh: {} # ASM
  clusters: [{name: m1c1}, {name: m1c2}]
  groups: [{name: all, clusters: [m1c1, m1c2]}]
";
    const DOOR: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: door, namespace: shop, labels: {team: a}}\nspec: {ports: [{port: 80, name: http}]}\n";
    const ROUTE: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop}\nspec: {http: [{name: pages, timeout: 1s}, {timeout: 2s}]}\n";

    fn after(fleet: &str, plan: impl FnOnce(&MemoryTree, &FleetState) -> Result<Plan, AuthoringError>) -> String {
        let tree: MemoryTree =
            [("fleet.yaml", fleet), ("groups/all/door.yaml", DOOR), ("mesh/shop.yaml", ROUTE)].into_iter().collect();
        let state = FleetState::read(&tree);
        assert_eq!(state.problems, []);
        let plan = plan(&tree, &state).unwrap();
        let text = plan.edits.first().map_or_else(|| fleet.to_owned(), |edit| edit.after.clone().unwrap());
        let tree: MemoryTree =
            [("fleet.yaml", &*text), ("groups/all/door.yaml", DOOR), ("mesh/shop.yaml", ROUTE)].into_iter().collect();
        assert_eq!(FleetState::read(&tree).problems, [], "{text}");
        text
    }

    fn freeze(targets: &[&str], id: ObjectId, fields: &[&str], reason: &str) -> FreezeFields {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        FreezeFields { targets: texts(targets), id, fields: texts(fields), reason: reason.to_owned(), until: None }
    }

    fn door() -> ObjectId {
        ObjectId::new("", "Service", Some("shop"), "door")
    }

    #[test]
    fn freezing_and_unfreezing_keeps_the_rest_of_the_file() {
        let route = ObjectId::new("networking.istio.io", "VirtualService", Some("default"), "shop");
        let fields = ["spec.http[0].timeout", "spec.http[1].timeout"];
        let mut intent = freeze(&["mesh"], route.clone(), &fields, "the pages are slow today");
        intent.until = "2026-12-31T00:00:00Z".parse().ok();
        let one = after(FLEET, |tree, state| intent.plan(tree, state));
        insta::assert_snapshot!(one, @"
        # The shop.
        apiVersion: kubectl-asm.io/v1alpha1
        kind: Fleet
        metadata: {name: shop}
        spec:
          mesh: {} # ASM
          clusters: [{name: m1c1}, {name: m1c2}]
          groups: [{name: all, clusters: [m1c1, m1c2]}]
          ignoreDifferences:
            - name: shop
              namespace: default
              kind: VirtualService.networking.istio.io
              fields:
                - 'spec.http[pages].timeout'
                - 'spec.http[1].timeout'
              reason: the pages are slow today
              targets:
                - mesh
              until: '2026-12-31T00:00:00Z'
        ");
        assert_eq!(after(&one, |tree, state| intent.plan(tree, state)), one, "the second time nothing changes");
        let two = after(&one, |tree, state| freeze(&[], door(), &["metadata.labels.team"], "x").plan(tree, state));
        let release = |targets: &[&str], id: ObjectId, fields: &[&str]| {
            let FreezeFields { targets, id, fields, .. } = freeze(targets, id, fields, "");
            UnfreezeFields { targets, id, fields }
        };
        assert_eq!(after(&two, |tree, state| release(&[], door(), &[]).plan(tree, state)), one);
        let half =
            after(&one, |tree, state| release(&["mesh"], route.clone(), &["spec.http[0].timeout"]).plan(tree, state));
        assert_eq!(half, one.replace("        - 'spec.http[pages].timeout'\n", ""));
        assert_eq!(after(&half, |tree, state| release(&[], route.clone(), &[]).plan(tree, state)), FLEET);
    }

    #[test]
    fn one_target_of_several_is_taken_back() {
        let both = after(FLEET, |tree, state| {
            freeze(&[], door(), &["metadata.labels.team", "spec.ports[port=80,protocol=TCP].name"], "x")
                .plan(tree, state)
        });
        let one = after(&both, |tree, state| {
            let fields = vec!["metadata.labels.team".to_owned()];
            UnfreezeFields { targets: vec!["m1c1".to_owned()], id: door(), fields }.plan(tree, state)
        });
        let tree: MemoryTree = [("fleet.yaml", &*one), ("groups/all/door.yaml", DOOR)].into_iter().collect();
        let state = FleetState::read(&tree);
        let now = Timestamp::UNIX_EPOCH;
        let left = |name: &str| {
            let manifest = state.manifests.iter().find(|manifest| manifest.target.name() == name).unwrap();
            state.frozen_paths(manifest, now).len()
        };
        assert_eq!((left("m1c1"), left("m1c2")), (1, 2), "{one}");
    }

    #[test]
    fn a_new_reason_replaces_the_old_one() {
        let old = after(FLEET, |tree, state| freeze(&[], door(), &["metadata.labels.team"], "old").plan(tree, state));
        let new = after(&old, |tree, state| freeze(&[], door(), &["metadata.labels.team"], "new").plan(tree, state));
        assert_eq!(new, old.replace("old", "new"));
    }
}
