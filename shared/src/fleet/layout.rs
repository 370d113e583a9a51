//! What the folders of a fleet mean, and the one pass that reads them all.
//!
//! The layout is the targeting: `mesh/` goes to the mesh control plane, `groups/<group>/` to every cluster of the group,
//! `clusters/<cluster>/` to that cluster, `clusters/<cluster>/patches/` changes what its groups give it; `approvals/` and
//! `tests/` hold the fleet's own kinds. Everything else (README, docs, dotfiles) is none of the fleet's business.

use super::apply_patches::{self, PatchSource};
use super::manifests::{self, Source};
use super::memory::Memory;
use super::{
    Approval, FileError, Fleet, FleetState, Position, Problem, RouteTest, Target, Tree, declared, drift_modes, frozen,
    own,
};
use super::{parse, paths, suggest};
use crate::yaml::{self, Document, Limits};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub use super::paths::{Area, classify};

/// The fleet file's path.
pub const FLEET_FILE: &str = "fleet.yaml";

/// Files of a fleet that are read at most; beyond that it is not a fleet repository.
pub const MAX_FILES: usize = 100_000;

/// Reads a whole fleet; of files of objects that are in the memory, nothing is parsed again.
pub(super) fn read(tree: &dyn Tree, memory: Option<&mut Memory>) -> FleetState {
    let mut reading = Reading { tree, memory, state: FleetState::default(), members: Members::default() };
    match tree.list() {
        Ok(paths) => reading.all(paths),
        Err(error) => reading.whole(format!("the fleet cannot be read: {error}"), None),
    }
    let mut state = reading.state;
    // A file may be wrong for several reasons that are one to the reader.
    state.problems.sort();
    state.problems.dedup();
    state
}

/// Which targets a folder feeds.
#[derive(Default)]
struct Members {
    mesh: Arc<[Target]>,
    clusters: BTreeMap<Arc<str>, Arc<[Target]>>,
    groups: BTreeMap<Arc<str>, Arc<[Target]>>,
}

impl Members {
    fn new(fleet: &Fleet) -> Self {
        let clusters: BTreeMap<Arc<str>, Arc<[Target]>> = fleet
            .spec
            .clusters
            .iter()
            .map(|cluster| Arc::<str>::from(cluster.name.as_str()))
            .map(|name| (name.clone(), Arc::from([Target::Cluster(name)])))
            .collect();
        let members = |names: &[String]| {
            let known = names.iter().filter_map(|name| clusters.get_key_value(name.as_str()));
            known.map(|(name, _)| Target::Cluster(name.clone())).collect()
        };
        let groups =
            fleet.spec.groups.iter().map(|group| (group.name.as_str().into(), members(&group.clusters))).collect();
        Self { mesh: Arc::from([Target::Mesh]), clusters, groups }
    }
}

struct Reading<'a> {
    tree: &'a dyn Tree,
    memory: Option<&'a mut Memory>,
    state: FleetState,
    members: Members,
}

impl Reading<'_> {
    fn all(&mut self, paths: Vec<Arc<str>>) {
        let (paths, odd) = paths::sound(paths);
        for (path, message, hint) in odd {
            let targets = self.untrusted(&classify(&path));
            self.at_start(&path, message, hint, targets);
        }
        if paths.len() > MAX_FILES {
            let message = format!("the fleet has {} files, more than the {MAX_FILES} that are read", paths.len());
            return self.whole(message, Some("Keep the fleet in a repository or folder of its own".to_owned()));
        }
        self.fleet_file(&paths);
        let known = self.state.fleet.is_some();
        let mut unknown: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let mut of_objects = Vec::new();
        let mut patches: BTreeMap<Arc<str>, Vec<PatchSource>> = BTreeMap::new();
        for path in &paths {
            let area = classify(path);
            match &area {
                Area::Ignored | Area::Fleet => {}
                Area::Stray(folder) => self.stray(path, folder),
                Area::Group(name) if known && !self.members.groups.contains_key(*name) => {
                    unknown.entry(format!("groups/{name}")).or_insert_with(|| path.clone());
                }
                Area::Cluster(name) | Area::Patches(name) if known && !self.members.clusters.contains_key(*name) => {
                    unknown.entry(format!("clusters/{name}")).or_insert_with(|| path.clone());
                }
                Area::Mesh | Area::Group(_) | Area::Cluster(_) => of_objects.push(path),
                Area::Patches(name) => {
                    let read = self.own(path, &area, |document| apply_patches::read(document, path));
                    patches.entry(Arc::from(*name)).or_default().extend(read.into_iter().map(|(patch, _)| patch));
                }
                Area::Approvals => {
                    let read = self.own(path, &area, |document| {
                        own::read::<Approval>(&document, "Approval").map(|a| (a, document))
                    });
                    self.approvals(read);
                }
                Area::Tests => {
                    let read = self.own(path, &area, |document| {
                        own::read::<RouteTest>(&document, "RouteTest").map(|test| placed(test, path, &document))
                    });
                    self.state.route_tests.extend(read);
                }
            }
        }
        let sources = self.objects(&of_objects);
        for (folder, path) in unknown {
            self.unknown_folder(&folder, &path);
        }
        self.twins();
        if known {
            self.manifests(&sources, &patches);
            let idle = frozen::idle(&self.state).into_iter().chain(drift_modes::idle(&self.state));
            let idle: Vec<Problem> = idle.collect();
            self.state.problems.extend(idle);
        }
    }

    fn fleet_file(&mut self, paths: &[Arc<str>]) {
        let Some(path) = paths.iter().find(|path| &***path == FLEET_FILE) else {
            let other = paths.iter().find(|path| matches!(&***path, "fleet.yml" | "fleet.json" | "Fleet.yaml"));
            let hint = other.map_or_else(
                || "Run `kubectl asm init` in the root of the fleet repository, or give its path".to_owned(),
                |other| format!("Rename {other} to {FLEET_FILE}"),
            );
            return self.whole(format!("there is no {FLEET_FILE}, so no target is known"), Some(hint));
        };
        let parsed = parse::text(self.tree, path).map_err(|error| vec![error]);
        let parsed = parsed.and_then(|text| declared::parse(&text, path));
        match parsed {
            Ok((fleet, frozen, drift_modes)) => {
                self.state.frozen = frozen;
                self.state.drift_modes = drift_modes;
                self.members = Members::new(&fleet);
                self.state.fleet = Some(fleet);
            }
            Err(errors) => self.report(path, errors, &[]),
        }
    }

    /// The documents of a file; what is wrong with the file is reported.
    fn documents(&mut self, path: &Arc<str>, targets: &[Arc<str>]) -> Vec<Document> {
        let read = parse::text(self.tree, path);
        let read = read.and_then(|text| yaml::read(&text, &Limits::default()).map_err(FileError::from));
        read.unwrap_or_else(|error| {
            self.report(path, vec![error], targets);
            Vec::new()
        })
    }

    /// The objects of all files that hold objects.
    fn objects(&mut self, paths: &[&Arc<str>]) -> Vec<Source> {
        let mut sources = Vec::new();
        let memory = self.memory.take();
        parse::files(self.tree, paths, memory, |path, parsed| {
            let area = classify(path);
            let untrusted = self.untrusted(&area);
            let (targets, grouped) = match area {
                Area::Mesh => (Some(&self.members.mesh), false),
                Area::Group(name) => (self.members.groups.get(name), true),
                Area::Cluster(name) => (self.members.clusters.get(name), false),
                _ => (None, false),
            };
            let targets = targets.cloned().unwrap_or_default();
            if parsed.marked {
                self.state.marked.push((*path).clone());
            }
            let objects = parsed.objects.unwrap_or_else(|error| vec![Err(vec![error])]);
            for object in objects {
                match object {
                    Ok((object, document)) => {
                        let (line, column) = document.start();
                        let position = Position { file: (*path).clone(), line, column };
                        sources.push(Source { object, document, position, targets: targets.clone(), grouped });
                    }
                    Err(errors) => self.report(path, errors, &untrusted),
                }
            }
        });
        sources
    }

    /// The documents of a file of the fleet's own kinds.
    fn own<T>(
        &mut self,
        path: &Arc<str>,
        area: &Area<'_>,
        read: impl Fn(Document) -> Result<T, Vec<FileError>>,
    ) -> Vec<(T, Position)> {
        let untrusted = self.untrusted(area);
        let mut all = Vec::new();
        for document in self.documents(path, &untrusted) {
            let (line, column) = document.start();
            match read(document) {
                Ok(value) => all.push((value, Position { file: path.clone(), line, column })),
                Err(errors) => self.report(path, errors, &untrusted),
            }
        }
        all
    }

    fn approvals(&mut self, read: Vec<((Approval, Document), Position)>) {
        for ((approval, document), position) in read {
            let target = approval.spec.target.as_str();
            if self.state.fleet.is_some() && target != "mesh" && !self.members.clusters.contains_key(target) {
                let known = self.members.clusters.keys().map(|name| &**name).chain(["mesh"]);
                let message = format!(
                    "the approval `{}` is for the target `{target}`, which is not declared",
                    approval.metadata.name
                );
                let error = FileError::at(&document, "/spec/target", message).hint(suggest::hint(target, known));
                let untrusted = self.untrusted(&Area::Approvals);
                self.report(&position.file, vec![error], &untrusted);
            } else {
                self.state.approvals.push((approval, position));
            }
        }
    }

    /// Two approvals or two tests of one name: an approval then counts for nothing, because it is unclear which is meant.
    fn twins(&mut self) {
        let approvals = self.state.approvals.iter().map(|(approval, at)| (approval.metadata.name.clone(), at.clone()));
        let doubled = self.report_twins("approvals", &approvals.collect::<Vec<_>>(), &Area::Approvals);
        self.state.approvals.retain(|(approval, _)| !doubled.contains(&approval.metadata.name));
        let tests = self.state.route_tests.iter().map(|(test, at)| (test.metadata.name.clone(), at.clone()));
        self.report_twins("tests", &tests.collect::<Vec<_>>(), &Area::Tests);
    }

    fn report_twins(&mut self, what: &str, named: &[(String, Position)], area: &Area<'_>) -> BTreeSet<String> {
        let mut first: HashMap<&str, &Position> = HashMap::new();
        let mut doubled = BTreeSet::new();
        for (name, position) in named {
            if let Some(first) = first.get(name.as_str()) {
                let message = format!("there are two {what} named `{name}`: here and at {first}");
                let hint = Some("Rename or remove one of the two".to_owned());
                let targets = self.untrusted(area);
                self.state.problems.push(Problem { position: Some(position.clone()), message, hint, targets });
                doubled.insert(name.clone());
            } else {
                first.insert(name, position);
            }
        }
        doubled
    }

    fn manifests(&mut self, sources: &[Source], patches: &BTreeMap<Arc<str>, Vec<PatchSource>>) {
        let mut wanted = manifests::assemble(sources, &mut self.state.problems);
        for (cluster, patches) in patches {
            let target = Target::Cluster(cluster.clone());
            let wanted = wanted.entry(target.clone()).or_default();
            let errors = apply_patches::apply(&target, wanted, patches, &mut self.state.idle_patches);
            for (file, error) in errors {
                self.report(&file, vec![error], std::slice::from_ref(cluster));
            }
        }
        let ordered = wanted.into_values().flat_map(|wanted| wanted.manifests.into_values());
        self.state.manifests = ordered.map(|(manifest, _)| manifest).collect();
    }

    fn stray(&mut self, path: &Arc<str>, folder: &str) {
        let targets = self.untrusted(&Area::Stray(folder));
        let message = format!("a file directly under {folder}/ goes nowhere");
        let hint = match folder {
            "groups" => "Move it to groups/<group>/, or to mesh/ if it belongs to the mesh",
            _ => "Move it to clusters/<cluster>/, or to groups/<group>/ if several clusters get it",
        };
        self.at_start(path, message, hint.to_owned(), targets);
    }

    fn unknown_folder(&mut self, folder: &str, path: &Arc<str>) {
        let (parent, name) = folder.split_once('/').unwrap_or((folder, ""));
        let (what, known) = match parent {
            "groups" => ("group", &self.members.groups),
            _ => ("cluster", &self.members.clusters),
        };
        let near = suggest::closest(name, known.keys().map(|name| &**name));
        let hint = match near {
            Some(near) => format!("Did you mean {parent}/{near}/? Otherwise declare the {what} in {FLEET_FILE}"),
            None => format!("Declare the {what} `{name}` in {FLEET_FILE}, or remove the folder"),
        };
        let message = format!("the folder {folder}/ is for a {what} that {FLEET_FILE} does not declare");
        let targets = self.untrusted(&Area::Stray(parent));
        self.at_start(path, message, hint, targets);
    }

    /// Targets that cannot be trusted when something in an area is wrong. What stands in a folder that nobody knows may be
    /// meant for any cluster: its objects must not be taken for removed there.
    fn untrusted(&self, area: &Area<'_>) -> Vec<Arc<str>> {
        let names = |targets: &[Target]| targets.iter().map(|target| target.name().into()).collect::<Vec<Arc<str>>>();
        let all = || self.members.clusters.keys().cloned().collect::<Vec<_>>();
        let (targets, otherwise): (Vec<Arc<str>>, &str) = match area {
            Area::Fleet => return Vec::new(),
            Area::Mesh => (vec!["mesh".into()], "mesh"),
            Area::Group(name) => match self.members.groups.get(*name) {
                Some(targets) => (names(targets), "groups/"),
                None => (all(), "groups/"),
            },
            Area::Cluster(name) | Area::Patches(name) => {
                let known = self.state.fleet.is_none() || self.members.clusters.contains_key(*name);
                (if known { vec![Arc::from(*name)] } else { all() }, "clusters/")
            }
            Area::Approvals => (Vec::new(), "approvals/"),
            Area::Tests => (Vec::new(), "tests/"),
            Area::Stray("groups") => (all(), "groups/"),
            Area::Stray(_) => (all(), "clusters/"),
            Area::Ignored => return Vec::new(),
        };
        // An empty list would mean every target.
        if targets.is_empty() { vec![otherwise.into()] } else { targets }
    }

    fn report(&mut self, file: &Arc<str>, errors: Vec<FileError>, targets: &[Arc<str>]) {
        self.state.problems.extend(errors.into_iter().map(|error| error.into_problem(file, targets.to_vec())));
    }

    fn at_start(&mut self, path: &Arc<str>, message: String, hint: String, targets: Vec<Arc<str>>) {
        let error = FileError { line: 1, column: 1, message, hint: Some(hint) };
        self.state.problems.push(error.into_problem(path, targets));
    }

    fn whole(&mut self, message: String, hint: Option<String>) {
        self.state.problems.push(Problem { position: None, message, hint, targets: Vec::new() });
    }
}

/// A route test whose cases know where they stand.
fn placed(mut test: RouteTest, path: &Arc<str>, document: &Document) -> RouteTest {
    for (index, case) in test.spec.cases.iter_mut().enumerate() {
        let at = document.position_of(&format!("/spec/cases/{index}"));
        case.position = at.map(|(line, column)| Position { file: path.clone(), line, column });
    }
    test
}

#[cfg(test)]
mod tests;
