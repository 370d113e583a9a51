//! The intent, and what it does to fleet.yaml.

use super::files::Files;
use super::harvest::Harvest;
use super::report::{FileReport, Import, ImportReport, LeftOut, NotRead, TargetReport};
use crate::authoring::{AddCluster, AuthoringError, FileEdit, InitFleet};
use crate::fleet::{Fleet, FleetState, MemoryTree, Target, Tree};
use crate::yaml::edit::Editor;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const FLEET_FILE: &str = "fleet.yaml";
/// The group of all members, when the import makes one.
const ALL: &str = "all";

/// Take what runs into Git.
#[derive(Clone, Debug, Default)]
pub struct ImportFleet {
    /// Name of a new fleet.
    pub name: String,
    /// kubeconfig context of the mesh API, for a new fleet.
    pub mesh_context: Option<String>,
    /// Members that were read, known to fleet.yaml or not.
    pub members: Vec<Member>,
}

/// A member cluster that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name in the fleet.
    pub name: String,
    /// Its kubeconfig context.
    pub context: String,
}

impl ImportFleet {
    /// The edits that add to a fleet what was found and is not there, and start the fleet if there is none.
    pub fn plan(
        &self,
        tree: &dyn Tree,
        state: &FleetState,
        mesh: &Harvest,
        members: &[Harvest],
    ) -> Result<Import, AuthoringError> {
        let mut fleet_file = FleetFile::open(self, tree, state)?;
        let mut warnings = Vec::new();
        for member in &self.members {
            if fleet_file.has(&member.name) {
                continue;
            }
            let found = members.iter().find(|harvest| harvest.target.name() == member.name);
            let id = found.and_then(|harvest| harvest.cluster_id(mesh));
            // Two clusters cannot have one ID; then the addresses do not tell which is which.
            let id =
                id.filter(|id| !fleet_file.fleet.spec.clusters.iter().any(|cluster| cluster.id.as_ref() == Some(id)));
            let intent = AddCluster {
                name: member.name.clone(),
                id,
                context: (member.context != member.name).then(|| member.context.clone()),
                ..AddCluster::default()
            };
            warnings.extend(fleet_file.add(&intent)?);
        }
        let clusters: BTreeSet<String> =
            fleet_file.fleet.spec.clusters.iter().map(|cluster| cluster.name.clone()).collect();
        let mut files = Files::new(state);
        files.mesh(mesh);
        files.members(members, &clusters);
        let group = files.needs_group().then(|| fleet_file.group_of(&clusters)).transpose()?;
        let harvests = || std::iter::once(mesh).chain(members);
        let left_out = left_out(harvests(), &files);
        let in_git = |harvest: &Harvest| {
            let all = harvest.kept.keys().chain(harvest.left_out.keys());
            all.filter(|id| files.in_git(&harvest.target, id)).count()
        };
        let in_git: Vec<usize> = harvests().map(in_git).collect();
        let (edits, imported) = files.finish(tree, group.as_deref().unwrap_or_default())?;
        let mut all = fleet_file.finish(&edits);
        all.extend(edits);
        warnings.extend(scaled(mesh, members));
        let counts = |(harvest, in_git): (&Harvest, usize)| {
            let target = harvest.target.name().to_owned();
            TargetReport {
                read: harvest.read,
                imported: imported.iter().filter(|object| object.targets.contains(&target)).count(),
                in_git,
                left_out: left_out.iter().filter(|object| object.targets.contains(&target)).count(),
                target,
            }
        };
        let report = ImportReport {
            dry_run: false,
            fleet: fleet_file.fleet.metadata.name,
            targets: harvests().zip(in_git).map(counts).collect(),
            files: all.iter().map(|edit| FileReport { path: edit.path.clone(), action: edit.action() }).collect(),
            imported,
            left_out,
            not_read: not_read(harvests()),
            warnings,
        };
        Ok(Import { edits: all, report })
    }
}

/// fleet.yaml while it is changed, with the files that a new fleet starts with.
struct FleetFile {
    fleet: Fleet,
    before: Option<String>,
    text: String,
    others: Vec<FileEdit>,
}

impl FleetFile {
    fn open(intent: &ImportFleet, tree: &dyn Tree, state: &FleetState) -> Result<Self, AuthoringError> {
        if let Some(fleet) = &state.fleet {
            let bytes = tree.read(FLEET_FILE).map_err(|error| unusable(&error.to_string()))?;
            let text = String::from_utf8(bytes).map_err(|_| unusable("it is not UTF-8"))?;
            return Ok(Self { fleet: fleet.clone(), before: Some(text.clone()), text, others: Vec::new() });
        }
        let start =
            InitFleet { name: intent.name.clone(), mesh_context: intent.mesh_context.clone(), ..InitFleet::default() };
        let (fleet_file, others): (Vec<_>, Vec<_>) =
            start.plan()?.edits.into_iter().partition(|edit| edit.path == FLEET_FILE);
        let text = fleet_file.into_iter().find_map(|edit| edit.after).unwrap_or_default();
        // What somebody wrote already stays.
        let others = others.into_iter().filter(|edit| tree.read(&edit.path).is_err()).collect();
        Ok(Self { fleet: read(&text)?.1, before: None, text, others })
    }

    fn has(&self, name: &str) -> bool {
        self.fleet.spec.clusters.iter().any(|cluster| cluster.name == name)
    }

    fn add(&mut self, intent: &AddCluster) -> Result<Vec<String>, AuthoringError> {
        let tree: MemoryTree = [(FLEET_FILE, self.text.as_str())].into_iter().collect();
        let plan = intent.plan(&tree, &FleetState::read(&tree))?;
        self.set(plan.edits.into_iter().find_map(|edit| edit.after).unwrap_or_default())?;
        Ok(plan.warnings)
    }

    /// The group that has just these clusters; it is made when there is none.
    fn group_of(&mut self, clusters: &BTreeSet<String>) -> Result<String, AuthoringError> {
        let groups = &self.fleet.spec.groups;
        if let Some(group) =
            groups.iter().find(|group| group.clusters.iter().cloned().collect::<BTreeSet<_>>() == *clusters)
        {
            return Ok(group.name.clone());
        }
        let names = std::iter::once(ALL.to_owned()).chain((2..).map(|number| format!("{ALL}-{number}")));
        let name = names.take(1000).find(|name| groups.iter().all(|group| group.name != *name)).unwrap_or_default();
        let group = json!({"name": name, "clusters": clusters});
        let is_first = groups.is_empty();
        let changed = Editor::open(self.text.clone()).and_then(|mut editor| {
            if is_first {
                editor.set(0, "/spec/groups", &json!([group]))?;
            } else {
                editor.append(0, "/spec/groups", &group)?;
            }
            editor.finish()
        });
        self.set(changed.map_err(|error| unusable(&error.to_string()))?)?;
        Ok(name)
    }

    fn set(&mut self, text: String) -> Result<(), AuthoringError> {
        (self.text, self.fleet) = read(&text)?;
        Ok(())
    }

    /// The edits of fleet.yaml and of the files beside it. An empty folder is not kept for files that come anyway.
    fn finish(&self, others: &[FileEdit]) -> Vec<FileEdit> {
        let has_mesh = others.iter().any(|edit| edit.path.starts_with("mesh/"));
        let mut edits = Vec::new();
        if self.before.as_ref() != Some(&self.text) {
            let (before, after) = (self.before.clone(), Some(self.text.clone()));
            edits.push(FileEdit { path: FLEET_FILE.to_owned(), before, after });
        }
        edits.extend(self.others.iter().filter(|edit| !has_mesh || !edit.path.ends_with(".gitkeep")).cloned());
        edits
    }
}

fn read(text: &str) -> Result<(String, Fleet), AuthoringError> {
    let tree: MemoryTree = [(FLEET_FILE, text)].into_iter().collect();
    let state = FleetState::read(&tree);
    let why = state.problems.first().map(ToString::to_string).unwrap_or_default();
    state.fleet.map(|fleet| (text.to_owned(), fleet)).ok_or_else(|| unusable(&why))
}

fn unusable(why: &str) -> AuthoringError {
    AuthoringError { position: None, message: format!("fleet.yaml cannot be changed: {why}"), hints: Vec::new() }
}

/// One line per object for what several targets leave out alike.
fn left_out<'a>(harvests: impl Iterator<Item = &'a Harvest>, files: &Files<'_>) -> Vec<LeftOut> {
    let mut all: BTreeMap<_, Vec<&Target>> = BTreeMap::new();
    for harvest in harvests {
        for (id, why) in harvest.left_out(|id| files.in_git(&harvest.target, id)) {
            all.entry((id, why)).or_default().push(&harvest.target);
        }
    }
    let mut all: Vec<LeftOut> = all
        .into_iter()
        .map(|((id, (reason, message)), targets)| LeftOut {
            id: id.clone(),
            reason,
            message,
            targets: targets.into_iter().map(|target| target.name().to_owned()).collect(),
        })
        .collect();
    all.sort_by(|a, b| (a.reason, &a.id, &a.targets).cmp(&(b.reason, &b.id, &b.targets)));
    all
}

fn not_read<'a>(harvests: impl Iterator<Item = &'a Harvest>) -> Vec<NotRead> {
    let mut all: BTreeMap<(String, &str), Vec<String>> = BTreeMap::new();
    for harvest in harvests {
        for (kind, why) in &harvest.not_read {
            all.entry((kind.to_string(), why)).or_default().push(harvest.target.name().to_owned());
        }
    }
    all.into_iter().map(|((kind, why), targets)| NotRead { kind, message: why.to_owned(), targets }).collect()
}

fn scaled(mesh: &Harvest, members: &[Harvest]) -> Vec<String> {
    let scaled = std::iter::once(mesh).chain(members).flat_map(|harvest| {
        let scaled = harvest.kept.iter().filter(|(_, kept)| kept.is_scaled);
        scaled.map(|(id, _)| format!("{id} in {}: replicas are left out, an autoscaler sets them", harvest.target))
    });
    scaled.collect()
}
