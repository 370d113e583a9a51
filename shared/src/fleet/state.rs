//! `FleetState`: every manifest of a tree with its target and its place in a file, and every problem found on the way.

use super::{Approval, Fleet, Freeze, Memory, ModeRule, Position, Problem, RouteTest, Tree};
use crate::object::{GroupKind, ObjectId};
use crate::yaml::Document;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// An API server of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The mesh control plane. Sorts first.
    Mesh,
    /// A member cluster, by its name in `fleet.yaml`.
    Cluster(Arc<str>),
}

impl Target {
    /// `mesh` or the cluster's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Mesh => "mesh",
            Self::Cluster(name) => name,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One object of one target, as Git wants it (patches applied).
#[derive(Clone)]
pub struct Manifest {
    /// Where it goes.
    pub target: Target,
    /// What it is.
    pub id: ObjectId,
    /// `apiVersion` as written.
    pub api_version: Arc<str>,
    /// The object. Shared between the clusters of a group unless patched.
    pub object: Arc<Value>,
    /// Where it begins.
    pub position: Position,
    /// The document it came from, for the places of inner fields.
    pub document: Arc<Document>,
    /// The patch file that changed it last, if any.
    pub patched_by: Option<Arc<str>>,
}

impl fmt::Debug for Manifest {
    /// Without the object: it may hold secrets, and debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {} from {}", self.id, self.target, self.position)?;
        self.patched_by.iter().try_for_each(|patch| write!(f, ", patched by {patch}"))
    }
}

impl Manifest {
    /// Group and kind.
    pub fn group_kind(&self) -> &GroupKind {
        &self.id.group_kind
    }

    /// The place of an inner field given as a JSON pointer, or of its nearest ancestor that stands in the file.
    pub fn position_of(&self, pointer: &str) -> Position {
        self.document.position_of(pointer).map_or_else(
            || self.position.clone(),
            |(line, column)| Position { file: self.position.file.clone(), line, column },
        )
    }
}

/// All that a tree says.
#[derive(Debug, Default)]
pub struct FleetState {
    /// The fleet file; `None` when missing or wrong (then `problems` says so and `manifests` is empty).
    pub fleet: Option<Fleet>,
    /// Every manifest, ordered by target, then identity. At most one per (target, identity): duplicates are problems and
    /// none of the copies is here.
    pub manifests: Vec<Manifest>,
    /// Consents.
    pub approvals: Vec<(Approval, Position)>,
    /// Fields that are left alone (`ignoreDifferences` of the fleet file), expired ones too: the core has no clock.
    pub frozen: Vec<Freeze>,
    /// Modes of folders and objects (`drift` of the fleet file).
    pub drift_modes: Vec<ModeRule>,
    /// Route tests.
    pub route_tests: Vec<(RouteTest, Position)>,
    /// Patches after which their object is as it was.
    pub idle_patches: Vec<IdlePatch>,
    /// Files of objects with a comment for lint (`# asm-lint: …`).
    pub marked: Vec<Arc<str>>,
    /// Everything that is wrong, ordered by position.
    pub problems: Vec<Problem>,
    /// Those of the manifests that are not to be applied, and those that rely on them (`lint::hold_back`); empty as read.
    pub held: Vec<HeldManifest>,
}

/// A patch that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdlePatch {
    /// Where it says what it changes.
    pub position: Position,
    /// The cluster that it is for.
    pub target: Target,
    /// The object.
    pub object: ObjectId,
}

/// An object that lint keeps from being applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldManifest {
    /// Where it would go.
    pub target: Target,
    /// What it is.
    pub id: ObjectId,
    /// Is it right by itself, and refers to something that is held back? Then it is applied as long as it does not rely on
    /// more of that than what runs.
    pub leans: bool,
    /// Where the fault is.
    pub position: Position,
    /// ID of the rule.
    pub rule: &'static str,
    /// What is wrong and why.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
    /// `apiVersion` as written.
    pub api_version: Arc<str>,
}

impl FleetState {
    /// Reads a whole fleet. Never fails: what is wrong is in `problems`.
    pub fn read(tree: &dyn Tree) -> Self {
        super::layout::read(tree, None)
    }

    /// The same, for whoever reads a fleet again and again: files of objects that have not changed since the last time are
    /// not parsed again, and their objects are the very same.
    pub fn read_again(tree: &dyn Tree, memory: &mut Memory) -> Self {
        super::layout::read(tree, Some(memory))
    }

    /// The targets that `fleet.yaml` declares, mesh first, clusters in the order of the file.
    pub fn targets(&self) -> Vec<Target> {
        let clusters = self.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
        self.fleet
            .iter()
            .map(|_| Target::Mesh)
            .chain(clusters.map(|cluster| Target::Cluster(cluster.name.as_str().into())))
            .collect()
    }

    /// The manifests of one target.
    pub fn manifests_of<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a Manifest> {
        self.manifests_in(target)
    }

    /// The same, for a target that does not live as long.
    pub(crate) fn manifests_in(&self, target: &Target) -> std::slice::Iter<'_, Manifest> {
        // They are ordered by target, so a fleet of many clusters need not be walked for each.
        let first = self.manifests.partition_point(|manifest| manifest.target < *target);
        let last = self.manifests.partition_point(|manifest| manifest.target <= *target);
        self.manifests.get(first..last).unwrap_or_default().iter()
    }

    /// What of a target is held back or leans on something that is.
    pub fn held_of<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a HeldManifest> {
        self.held.iter().filter(move |held| held.target == *target)
    }

    /// Does any problem stand in the way of this target? (A broken file anywhere that feeds it, or the fleet file.)
    pub fn problems_of<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a Problem> {
        self.problems
            .iter()
            .filter(move |problem| problem.targets.is_empty() || problem.targets.iter().any(|t| **t == *target.name()))
    }
}
