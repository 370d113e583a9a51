//! Which object goes into which file.

use super::harvest::{Harvest, Kept};
use super::names::place;
use super::report::Imported;
use crate::authoring::{AuthoringError, FileEdit};
use crate::fleet::{FleetState, Target, Tree};
use crate::object::ObjectId;
use crate::yaml::edit::Editor;
use crate::yaml::write_all;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Folder of what is the same in all members; the group's name is known later.
const GROUP: &str = "groups/\0/";

/// Objects of one application, in the order in which people read them.
const ORDER: [&str; 5] = ["Service", "ServiceAccount", "ConfigMap", "Deployment", "StatefulSet"];

/// Objects of one file by their place in it, each with its targets.
type Content = BTreeMap<(usize, ObjectId), (Value, Vec<String>)>;

/// The files to be written.
pub(super) struct Files<'a> {
    in_git: HashSet<(&'a Target, &'a ObjectId)>,
    /// By path.
    objects: BTreeMap<String, Content>,
}

impl<'a> Files<'a> {
    pub(super) fn new(state: &'a FleetState) -> Self {
        let in_git = state.manifests.iter().map(|manifest| (&manifest.target, &manifest.id)).collect();
        Self { in_git, objects: BTreeMap::new() }
    }

    pub(super) fn mesh(&mut self, mesh: &Harvest) {
        for (id, kept) in self.new_of(mesh) {
            self.put("mesh/", id, kept, vec![mesh.target.name().to_owned()]);
        }
    }

    /// What is new in every cluster of the fleet and the same there goes to a group, the rest to its cluster.
    pub(super) fn members(&mut self, members: &[Harvest], clusters: &BTreeSet<String>) {
        let read: BTreeSet<String> = members.iter().map(|harvest| harvest.target.name().to_owned()).collect();
        let mut shared = BTreeSet::new();
        if let (true, [first, others @ ..]) = (read == *clusters && members.len() > 1, members) {
            for (id, kept) in self.new_of(first) {
                let same = |other: &Harvest| {
                    let twin = other.kept.get(id).filter(|twin| !twin.is_in_a_set && twin.object == kept.object);
                    twin.is_some() && !self.in_git(&other.target, id)
                };
                if others.iter().all(same) {
                    shared.insert(id.clone());
                    self.put(GROUP, id, kept, read.iter().cloned().collect());
                }
            }
        }
        for member in members {
            let name = member.target.name();
            for (id, kept) in self.new_of(member).into_iter().filter(|(id, _)| !shared.contains(*id)) {
                self.put(&format!("clusters/{name}/"), id, kept, vec![name.to_owned()]);
            }
        }
    }

    /// Does anything go to the group of all clusters?
    pub(super) fn needs_group(&self) -> bool {
        self.objects.keys().any(|path| path.starts_with(GROUP))
    }

    /// The edits, and what each object's file is. A file that is there keeps what it has and gets the rest at its end.
    pub(super) fn finish(self, tree: &dyn Tree, group: &str) -> Result<(Vec<FileEdit>, Vec<Imported>), AuthoringError> {
        let existing = tree.list().map_err(|error| failed(&error.to_string()))?;
        let (mut edits, mut imported) = (Vec::new(), Vec::new());
        for (path, objects) in self.objects {
            let path = path.replacen(GROUP, &format!("groups/{group}/"), 1);
            // On some file systems a file that differs in case only is the same file.
            let known = existing.iter().find(|known| known.to_lowercase() == path);
            let path = known.map_or(path, |known| known.to_string());
            let values: Vec<Value> = objects.values().map(|(value, _)| value.clone()).collect();
            let text = write_all(&values);
            let before = match known {
                Some(known) => {
                    let bytes = tree.read(known).map_err(|error| failed(&error.to_string()))?;
                    Some(String::from_utf8(bytes).map_err(|_| failed(&format!("{known} is not UTF-8")))?)
                }
                None => None,
            };
            let after = match &before {
                Some(before) => append(before, &text).map_err(|error| failed(&format!("{path}: {error}")))?,
                None => text,
            };
            imported.extend(objects.into_iter().map(|((_, id), (_, targets))| Imported {
                path: path.clone(),
                targets,
                id,
            }));
            edits.push(FileEdit { path, before, after: Some(after) });
        }
        Ok((edits, imported))
    }

    fn put(&mut self, folder: &str, id: &ObjectId, kept: &Kept, targets: Vec<String>) {
        // Every kept object has a place.
        let Some(place) = place(id, kept.app.as_deref()) else { return };
        let rank = ORDER.iter().position(|kind| *kind == &*id.group_kind.kind).unwrap_or(ORDER.len());
        let file = self.objects.entry(format!("{folder}{place}")).or_default();
        file.insert((rank, id.clone()), (kept.object.clone(), targets));
    }

    fn new_of<'h>(&self, harvest: &'h Harvest) -> Vec<(&'h ObjectId, &'h Kept)> {
        let is_new = |(id, kept): &(&ObjectId, &Kept)| !kept.is_in_a_set && !self.in_git(&harvest.target, id);
        harvest.kept.iter().filter(is_new).collect()
    }

    pub(super) fn in_git(&self, target: &Target, id: &ObjectId) -> bool {
        self.in_git.contains(&(target, id))
    }
}

fn append(before: &str, documents: &str) -> Result<String, crate::yaml::edit::EditError> {
    let mut editor = Editor::open(before)?;
    editor.append_text(documents)?;
    editor.finish()
}

fn failed(why: &str) -> AuthoringError {
    AuthoringError { position: None, message: why.to_owned(), hints: Vec::new() }
}
