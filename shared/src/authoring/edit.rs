//! Edits of files, and what the fleet looks like with them.

use crate::fleet::{FleetState, Problem, Tree, TreeError};
use crate::object::ObjectId;
use crate::yaml;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// A change of one file: new when `before` is `None`, deleted when `after` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEdit {
    /// Path inside the fleet repository.
    pub path: String,
    /// Content before.
    pub before: Option<String>,
    /// Content after.
    pub after: Option<String>,
}

/// What an edit does to its file, in kubectl's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The file is new.
    Created,
    /// The file changes.
    Configured,
    /// The file says so already.
    Unchanged,
    /// The file goes.
    Deleted,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
        })
    }
}

impl FileEdit {
    pub(super) fn create(path: impl Into<String>, content: String) -> Self {
        Self { path: path.into(), before: None, after: Some(content) }
    }

    /// What it does to its file.
    pub fn action(&self) -> Action {
        match (&self.before, &self.after) {
            (before, after) if before == after => Action::Unchanged,
            (None, _) => Action::Created,
            (_, None) => Action::Deleted,
            _ => Action::Configured,
        }
    }
}

/// A tree with edits laid over it.
pub(crate) struct Edited<'a> {
    tree: &'a dyn Tree,
    edits: BTreeMap<&'a str, Option<&'a str>>,
}

impl<'a> Edited<'a> {
    pub(crate) fn new(tree: &'a dyn Tree, edits: impl IntoIterator<Item = &'a FileEdit>) -> Self {
        let edits = edits.into_iter().map(|edit| (edit.path.as_str(), edit.after.as_deref())).collect();
        Self { tree, edits }
    }
}

impl Tree for Edited<'_> {
    fn list(&self) -> Result<Vec<Arc<str>>, TreeError> {
        let mut paths: BTreeSet<Arc<str>> = self.tree.list()?.into_iter().collect();
        for (path, content) in &self.edits {
            if content.is_some() {
                paths.insert((*path).into());
            } else {
                paths.remove(*path);
            }
        }
        Ok(paths.into_iter().collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        match self.edits.get(path) {
            Some(Some(content)) => Ok(content.as_bytes().to_vec()),
            Some(None) => Err(TreeError { path: path.to_owned(), reason: "no such file".to_owned() }),
            None => self.tree.read(path),
        }
    }
}

/// What the fleet says with the edits.
pub(super) fn state_after<'a>(tree: &'a dyn Tree, edits: impl IntoIterator<Item = &'a FileEdit>) -> FleetState {
    FleetState::read(&Edited::new(tree, edits))
}

/// The problems that the fleet would have with the edits and does not have now. A problem that merely moves to another
/// line is not new.
pub fn new_problems<'a>(
    tree: &'a dyn Tree,
    before: &FleetState,
    edits: impl IntoIterator<Item = &'a FileEdit>,
) -> Vec<Problem> {
    let after = state_after(tree, edits);
    let key = |problem: &Problem| (problem.position.as_ref().map(|at| at.file.clone()), problem.message.clone());
    let mut known = BTreeMap::<_, usize>::new();
    for problem in &before.problems {
        *known.entry(key(problem)).or_default() += 1;
    }
    let mut is_new = |problem: &Problem| match known.get_mut(&key(problem)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    after.problems.into_iter().filter(|problem| is_new(problem)).collect()
}

/// The objects that an edited file holds (held, when it is deleted), as `resource/name` in kubectl's spelling.
pub fn objects_of(edit: &FileEdit) -> Vec<String> {
    let text = edit.after.as_deref().or(edit.before.as_deref()).unwrap_or_default();
    let documents = yaml::read(text.as_bytes(), &yaml::Limits::default()).unwrap_or_default();
    documents.iter().filter_map(|document| ObjectId::of(&document.value)).map(|id| resource_name(&id)).collect()
}

/// `service/foo`, `virtualservice.networking.istio.io/foo`.
fn resource_name(id: &ObjectId) -> String {
    let (group, kind) = (&*id.group_kind.group, id.group_kind.kind.to_lowercase());
    if group.is_empty() { format!("{kind}/{}", id.name) } else { format!("{kind}.{group}/{}", id.name) }
}
