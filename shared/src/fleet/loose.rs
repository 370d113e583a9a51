//! Manifests without a `fleet.yaml`: folders of files as one would give them to `kubectl apply -f`. What lint, diff and the
//! simulator make of a fleet, they make of these too.

use super::manifests::{self, Source};
use super::parse::is_marked;
use super::{Cluster, FileError, Fleet, FleetSpec, FleetState, Mesh, Metadata, Position, Problem, Target, Tree};
use super::{file, objects};
use crate::object::kinds::{self, Place};
use crate::yaml::{self, Document, Limits};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// Name of the only cluster where none is named.
pub const ONLY_CLUSTER: &str = "cluster";

/// A folder of manifests.
#[derive(Clone, Copy)]
pub struct LooseFolder<'a> {
    /// Its files.
    pub tree: &'a dyn Tree,
    /// What stands before its paths where problems and places are told; empty for nothing.
    pub name: &'a str,
    /// The cluster that everything in it goes to. Without one, objects go by their kind: routes and gateways to the mesh,
    /// workloads to every cluster that has no folder of its own, what both keep (Namespace, RBAC) to both.
    pub cluster: Option<&'a str>,
}

impl fmt::Debug for LooseFolder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LooseFolder").field("name", &self.name).field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl FleetState {
    /// Reads folders of manifests. `clusters`: those without a folder of their own. Never fails: what is wrong is in
    /// `problems`. `fleet` has the mesh and the clusters, and nothing else is known of them.
    pub fn read_loose(folders: &[LooseFolder<'_>], clusters: &[&str]) -> Self {
        let mut state = Self { fleet: Some(fleet(folders, clusters)), ..Self::default() };
        let shared: Vec<Target> = clusters.iter().map(|name| Target::Cluster(Arc::from(*name))).collect();
        let mut sources = Vec::new();
        for folder in folders {
            read(folder, &shared, &mut sources, &mut state.marked, &mut state.problems);
        }
        let wanted = manifests::assemble(&sources, &mut state.problems);
        let ordered = wanted.into_values().flat_map(|wanted| wanted.manifests.into_values());
        state.manifests = ordered.map(|(manifest, _)| manifest).collect();
        for problem in &mut state.problems {
            if problem.hint.as_deref() == Some("Move it to mesh/") {
                problem.hint = Some("Take it out of the cluster's folder and give it to the mesh".to_owned());
            }
        }
        state.problems.sort();
        state.problems.dedup();
        state
    }

    /// The part of this state that the other one speaks of: what loose manifests can be compared with.
    #[must_use]
    pub fn as_far_as(&self, other: &Self) -> Self {
        let named: HashSet<_> = other.manifests.iter().map(|manifest| (&manifest.target, &manifest.id)).collect();
        let manifests = self.manifests.iter().filter(|manifest| named.contains(&(&manifest.target, &manifest.id)));
        Self {
            fleet: other.fleet.clone(),
            manifests: manifests.cloned().collect(),
            problems: self.problems.clone(),
            ..Self::default()
        }
    }
}

/// A fleet file that nobody wrote.
fn fleet(folders: &[LooseFolder<'_>], clusters: &[&str]) -> Fleet {
    let mut names: Vec<&str> = Vec::new();
    for name in clusters.iter().copied().chain(folders.iter().filter_map(|folder| folder.cluster)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let clusters = names.into_iter().map(|name| Cluster { name: name.to_owned(), ..Cluster::default() });
    Fleet {
        api_version: file::API_VERSION.to_owned(),
        kind: "Fleet".to_owned(),
        metadata: Metadata { name: "loose".to_owned() },
        spec: FleetSpec {
            mesh: Mesh::default(),
            clusters: clusters.collect(),
            groups: Vec::new(),
            ignore_differences: Vec::new(),
            drift: super::DriftConfig::default(),
            lint: super::LintConfig::default(),
        },
    }
}

/// How a file of a folder of manifests is called where problems and places are told.
pub fn loose_path(folder: &str, path: &str) -> String {
    match folder.trim_end_matches('/') {
        "" if folder.is_empty() => path.to_owned(),
        folder => format!("{folder}/{path}"),
    }
}

fn read(
    folder: &LooseFolder<'_>,
    shared: &[Target],
    sources: &mut Vec<Source>,
    marked: &mut Vec<Arc<str>>,
    problems: &mut Vec<Problem>,
) {
    let own: Option<Arc<[Target]>> = folder.cluster.map(|name| Arc::from([Target::Cluster(Arc::from(name))]));
    // What cannot be read may be meant for any of them.
    let all = own.as_deref().map_or_else(|| [&[Target::Mesh], shared].concat(), <[Target]>::to_vec);
    let all: Vec<Arc<str>> = all.iter().map(|target| target.name().into()).collect();
    let paths = match folder.tree.list() {
        Ok(paths) => paths,
        Err(error) => {
            let file = Arc::from(folder.name);
            let error = FileError { line: 1, column: 1, message: error.reason, hint: None };
            return problems.push(error.into_problem(&file, all));
        }
    };
    for path in paths.iter().filter(|path| is_manifest(path)) {
        let file: Arc<str> = loose_path(folder.name, path).into();
        let text = folder.tree.read(path);
        if text.as_deref().is_ok_and(is_marked) {
            marked.push(file.clone());
        }
        let text = text.map_err(|error| FileError { line: 1, column: 1, message: error.reason, hint: None });
        let documents = text.and_then(|text| yaml::read(&text, &Limits::default()).map_err(FileError::from));
        let documents = documents.unwrap_or_else(|error| {
            problems.push(error.into_problem(&file, all.clone()));
            Vec::new()
        });
        for document in documents.into_iter().flat_map(Document::unfold) {
            let source = source(document, &file, own.as_ref(), shared);
            match source {
                Ok(source) => sources.push(source),
                Err(errors) => problems.extend(errors.into_iter().map(|e| e.into_problem(&file, all.clone()))),
            }
        }
    }
}

fn source(
    document: Document,
    file: &Arc<str>,
    own: Option<&Arc<[Target]>>,
    shared: &[Target],
) -> Result<Source, Vec<FileError>> {
    let object = objects::check(&document)?;
    let targets: Arc<[Target]> = match (own, kinds::place(&object.id.group_kind)) {
        (Some(own), _) => own.clone(),
        (None, Some(Place::Mesh)) => Arc::from([Target::Mesh]),
        (None, Some(Place::Both)) => [&[Target::Mesh], shared].concat().into(),
        (None, None) if shared.is_empty() => Arc::from([Target::Mesh]),
        (None, Some(Place::Member) | None) => shared.into(),
    };
    if targets.is_empty() {
        let message = format!("{} belongs to a member cluster, and none is named", object.id);
        return Err(vec![FileError::at(&document, "/kind", message).hint("Name the cluster: --cluster NAME")]);
    }
    let (line, column) = document.start();
    let position = Position { file: file.clone(), line, column };
    Ok(Source { object, document: Arc::new(document), position, targets, grouped: false })
}

/// YAML and JSON, but for what only looks like a manifest: files of Kustomize, and nothing whose name begins with a dot.
fn is_manifest(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    matches!(extension, "yaml" | "yml" | "json")
        && !stem.eq_ignore_ascii_case("kustomization")
        && !path.split('/').any(|part| part.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::diff;
    use crate::fleet::MemoryTree;

    const SERVICE: &str =
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {ports: [{port: 80}]}\n";
    const ROUTE: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: r, namespace: b}\nspec: {hosts: [a]}\n";
    const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n";

    fn told(state: &FleetState) -> Vec<String> {
        let manifests = state.manifests.iter().map(|m| format!("{}: {} from {}", m.target, m.id, m.position));
        manifests.chain(state.problems.iter().map(|problem| format!("! {problem}"))).collect()
    }

    #[test]
    fn objects_go_where_their_kind_belongs() {
        let all = format!("{NAMESPACE}---\n{ROUTE}---\n{SERVICE}");
        let tree: MemoryTree = [
            ("all.yaml", all.as_str()),
            ("x/kustomization.yaml", "resources: []\n"),
            (".x.yaml", "a"),
            ("README.md", "a"),
        ]
        .into_iter()
        .collect();
        let folder = LooseFolder { tree: &tree, name: "k8s/", cluster: None };
        let state = FleetState::read_loose(&[folder], &["m1c1", "m1c2"]);
        insta::assert_debug_snapshot!(told(&state));
        assert_eq!(state.targets().len(), 3);
        let alone = FleetState::read_loose(&[folder], &[]);
        insta::assert_debug_snapshot!(told(&alone));
        assert_eq!(alone.problems[0].hint.as_deref(), Some("Name the cluster: --cluster NAME"));
    }

    #[test]
    fn a_cluster_has_a_folder_of_its_own() {
        let mesh: MemoryTree = [("route.yaml", ROUTE)].into_iter().collect();
        let one: MemoryTree = [("a.yaml", SERVICE), ("broken.yaml", "a: b: c\n")].into_iter().collect();
        let two: MemoryTree = [("a.yaml", ROUTE)].into_iter().collect();
        let state = FleetState::read_loose(
            &[
                LooseFolder { tree: &mesh, name: "", cluster: None },
                LooseFolder { tree: &one, name: "one", cluster: Some("m1c1") },
                LooseFolder { tree: &two, name: "two", cluster: Some("m1c2") },
            ],
            &[],
        );
        insta::assert_debug_snapshot!(told(&state));
        let hints: Vec<_> = state.problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
        assert!(hints.contains(&"Take it out of the cluster's folder and give it to the mesh"), "{hints:?}");
    }

    #[test]
    fn a_fleet_is_compared_as_far_as_the_manifests_go() {
        let fleet = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: f}\nspec: {mesh: {}, clusters: [{name: m1c1}, {name: m1c2}]}\n";
        let fleet: MemoryTree =
            [("fleet.yaml", fleet), ("clusters/m1c1/a.yaml", SERVICE), ("mesh/r.yaml", ROUTE)].into_iter().collect();
        let loose: MemoryTree = [("a.yaml", SERVICE.replace("80", "81"))].into_iter().collect();
        let loose = LooseFolder { tree: &loose, name: "x", cluster: None };
        let after = FleetState::read_loose(&[loose], &["m1c1"]);
        let diff = diff(&FleetState::read(&fleet).as_far_as(&after), &after);
        let ids: Vec<String> = diff.changes.iter().map(|change| format!("{:?} {}", change.op, change.id)).collect();
        assert_eq!((ids, diff.left.len()), (vec!["Change Service b/a".to_owned()], 0));
    }
}
