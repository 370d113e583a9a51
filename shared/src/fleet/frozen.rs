//! `ignoreDifferences` of `fleet.yaml`: fields that are left alone, with the place where that is said.

use super::drift_modes::glob;
use super::suggest;
use super::{FileError, FleetState, IgnoredDifference, Manifest, Position, Problem};
use crate::object::{FieldPath, ObjectId, Segment, server_owned};
use crate::yaml::Document;
use globset::GlobMatcher;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One entry, read.
#[derive(Clone, Debug)]
pub struct Freeze {
    /// As the file has it.
    pub entry: IgnoredDifference,
    /// The fields.
    pub paths: Vec<FieldPath>,
    /// Where it stands.
    pub position: Position,
    /// Which files it is about.
    files: Option<GlobMatcher>,
}

impl Freeze {
    /// Is it about this object of this target?
    pub fn concerns(&self, manifest: &Manifest) -> bool {
        let targets = &self.entry.targets;
        (targets.is_empty() || targets.iter().any(|name| name == manifest.target.name())) && self.covers(manifest)
    }

    /// Does it name this object, or match it, on whatever target?
    fn covers(&self, manifest: &Manifest) -> bool {
        let file = || self.files.as_ref().is_none_or(|files| files.is_match(&*manifest.position.file));
        self.entry.matches(&manifest.id) && file()
    }

    /// Does it count no more?
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.entry.until.is_some_and(|until| until <= now)
    }
}

impl IgnoredDifference {
    /// Does it name this object, or match it by `*`, on whatever target?
    pub fn matches(&self, id: &ObjectId) -> bool {
        let kind = self.kind == *id.group_kind.kind || self.kind == id.group_kind.to_string();
        let namespace = self.namespace.as_deref().unwrap_or("default");
        kind && like(&self.name, &id.name) && id.namespace.as_deref().is_none_or(|own| like(namespace, own))
    }

    /// Does it name exactly this object, on whatever target?
    pub fn is_about(&self, id: &ObjectId) -> bool {
        let kind = self.kind == *id.group_kind.kind || self.kind == id.group_kind.to_string();
        let namespace = id.namespace.as_deref().map(|_| self.namespace.as_deref().unwrap_or("default"));
        kind && self.name == *id.name && namespace == id.namespace.as_deref()
    }
}

/// Does a name match, in which `*` is any part?
fn like(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => {
            let Some(left) = name.strip_prefix(start) else { return false };
            (0..=left.len()).filter(|at| left.is_char_boundary(*at)).any(|at| like(rest, &left[at..]))
        }
    }
}

impl FleetState {
    /// The entries about one object of one target, expired ones too.
    pub fn frozen_of<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = &'a Freeze> {
        self.frozen.iter().filter(|freeze| freeze.concerns(manifest))
    }

    /// The fields of an object that are left alone at a time.
    pub fn frozen_paths(&self, manifest: &Manifest, now: Timestamp) -> Vec<FieldPath> {
        let entries = self.frozen_of(manifest).filter(|freeze| !freeze.is_over(now));
        entries.flat_map(|freeze| freeze.paths.iter().cloned()).collect()
    }
}

/// The entries of the fleet file. They were checked when the file was read.
pub(super) fn read(entries: &[IgnoredDifference], document: &Document, file: &Arc<str>) -> Vec<Freeze> {
    let read = |(index, entry): (usize, &IgnoredDifference)| {
        let (line, column) = document.position_of(&pointer(index)).unwrap_or((1, 1));
        Freeze {
            entry: entry.clone(),
            paths: entry.fields.iter().filter_map(|field| FieldPath::parse(field)).collect(),
            position: Position { file: file.clone(), line, column },
            // Checked when the file was read.
            files: entry.path.as_deref().and_then(|path| glob(path).ok()),
        }
    };
    entries.iter().enumerate().map(read).collect()
}

fn pointer(index: usize) -> String {
    format!("/spec/ignoreDifferences/{index}")
}

/// What is wrong with the entries themselves. A freeze that is not understood must not become an overwritten field, so
/// such a file is not used at all.
pub(super) fn check(
    entries: &[IgnoredDifference],
    clusters: &[&str],
    document: &Document,
    errors: &mut Vec<FileError>,
) {
    for (index, entry) in entries.iter().enumerate() {
        let at = pointer(index);
        let mut report = |inner: String, message: String, hint: String| {
            errors.push(FileError::at(document, &format!("{at}{inner}"), message).hint(hint));
        };
        for (place, name) in entry.targets.iter().enumerate() {
            if name != "mesh" && !clusters.contains(&name.as_str()) {
                let message = format!("the target `{name}` is not declared");
                report(
                    format!("/targets/{place}"),
                    message,
                    suggest::hint(name, clusters.iter().copied().chain(["mesh"])),
                );
            }
        }
        if let Some(Err(error)) = entry.path.as_deref().map(glob) {
            let hint = "Write it as a path with `*` and `**`, for example clusters/m1c2/**".to_owned();
            report("/path".to_owned(), format!("`path` is no pattern: {error}"), hint);
        }
        if entry.reason.trim().is_empty() {
            let hint = "Say why the field is left alone: nobody remembers it in a year".to_owned();
            report("/reason".to_owned(), "the reason is empty".to_owned(), hint);
        }
        if entry.fields.is_empty() {
            let hint = "Name the fields as `kubectl asm drift` prints them".to_owned();
            report("/fields".to_owned(), "no field is named".to_owned(), hint);
        }
        for (place, field) in entry.fields.iter().enumerate() {
            if let Err((message, hint)) = path(field) {
                report(format!("/fields/{place}"), message, hint);
            }
        }
    }
}

/// Reads the path of a field that may be left alone. The error is a message and a hint.
pub(crate) fn path(text: &str) -> Result<FieldPath, (String, String)> {
    let path = FieldPath::parse(text).filter(|path| !path.segments().is_empty()).ok_or_else(|| {
        let hint = "Write it as `kubectl asm drift` prints it, for example spec.http[0].route[1].weight".to_owned();
        (format!("`{text}` is no path of a field"), hint)
    })?;
    let is = |fields: &[&str]| path.0.len() == fields.len() && path.is_under(fields);
    let identity =
        [&["apiVersion"][..], &["kind"], &["metadata", "name"], &["metadata", "namespace"]].iter().any(|f| is(f));
    if identity || path.is_under(&["status"]) || (1..=path.0.len()).any(|n| never_wanted(&path, n)) {
        let hint = "Remove it: Git and the agent never write this field".to_owned();
        return Err((format!("`{text}` belongs to the API server"), hint));
    }
    let shared =
        [&["metadata"][..], &["metadata", "labels"], &["metadata", "annotations"], &["metadata", "finalizers"]];
    if shared.iter().any(|fields| is(fields)) {
        let hint = format!("Name single ones, for example {text}.team or metadata.annotations[\"example.com/owner\"]");
        return Err((format!("`{text}` is written by the agent and by controllers as well"), hint));
    }
    Ok(path)
}

fn never_wanted(path: &FieldPath, length: usize) -> bool {
    let fields: Option<Vec<Segment>> = path.0.get(..length).map(<[Segment]>::to_vec);
    fields.is_some_and(|fields| server_owned::is_never_wanted(&FieldPath(fields)))
}

/// Entries that leave nothing alone, because Git has no such object. They keep no target from being synced.
pub(super) fn idle(state: &FleetState) -> Vec<Problem> {
    let mut problems = Vec::new();
    for freeze in &state.frozen {
        let about = state.manifests.iter().filter(|manifest| freeze.covers(manifest));
        let found: BTreeSet<&str> = about.map(|manifest| manifest.target.name()).collect();
        let object = freeze.entry.object();
        let missing: Vec<&str> =
            freeze.entry.targets.iter().map(String::as_str).filter(|name| !found.contains(name)).collect();
        // A broken file may hold the object: then that file is the problem.
        let unsure = |name: &str| state.problems.iter().any(|problem| problem.targets.iter().any(|t| **t == *name));
        let message = if found.is_empty() && !state.targets().iter().any(|target| unsure(target.name())) {
            format!("this entry matches nothing: no target has {object} in Git")
        } else if let Some(name) = missing.iter().find(|name| !found.is_empty() && !unsure(name)) {
            format!("this entry matches nothing on {name}: Git has no {object} there")
        } else {
            continue;
        };
        let is_pattern = freeze.entry.path.is_some() || freeze.entry.selector().contains('*');
        let hint = match found.is_empty() {
            true if is_pattern => "Remove the entry, or correct its pattern".to_owned(),
            true => format!("Remove it with: kubectl asm unfreeze {}", freeze.entry.selector()),
            false => "Remove that target from the entry".to_owned(),
        };
        problems.push(Problem {
            position: Some(freeze.position.clone()),
            message,
            hint: Some(hint),
            targets: vec!["ignoreDifferences/".into()],
        });
    }
    problems
}

impl IgnoredDifference {
    /// `VirtualService default/bookinfo`.
    fn object(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!("{} {namespace}{}", self.kind, self.name)
    }

    /// `VirtualService/default/bookinfo`, as commands take it.
    pub fn selector(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!("{}/{namespace}{}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{MemoryTree, Target};

    fn read(entries: &str) -> FleetState {
        let fleet = format!(
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {{name: shop}}\nspec:\n  mesh: {{}}\n  clusters: [{{name: m1c1}}]\n  \
             ignoreDifferences:\n{entries}"
        );
        let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop, namespace: default}\nspec: {hosts: [a]}\n";
        let tree: MemoryTree = [("fleet.yaml", &*fleet), ("mesh/shop.yaml", route)].into_iter().collect();
        FleetState::read(&tree)
    }

    #[test]
    fn an_entry_finds_its_object() {
        let state = read(
            "    - {kind: VirtualService, name: shop, fields: ['spec.hosts'], reason: x, until: '2026-01-01T00:00:00Z'}\n",
        );
        assert_eq!(state.problems, []);
        let manifest = &state.manifests[0];
        let at = |text: &str| state.frozen_paths(manifest, text.parse().unwrap()).len();
        assert_eq!((at("2025-12-31T23:59:59Z"), at("2026-01-01T00:00:00Z")), (1, 0));
        assert_eq!(state.frozen[0].position.line, 8);
    }

    #[test]
    fn an_entry_may_match_many_objects_and_only_some_files() {
        let about = |kind: &str, namespace: Option<&str>, name: &str| {
            let entry = format!(
                "    - {{kind: {kind}, name: '{name}', fields: ['spec.hosts'], reason: x{}}}\n",
                namespace.map(|namespace| format!(", namespace: '{namespace}'")).unwrap_or_default()
            );
            read(&entry).problems.is_empty()
        };
        assert!(about("VirtualService", None, "*") && about("VirtualService", Some("*"), "s*p"));
        assert!(about("VirtualService", Some("def*"), "shop") && about("VirtualService", None, "**"));
        assert!(!about("VirtualService", None, "shop*x") && !about("VirtualService", Some("other-*"), "*"));
        assert!(!about("Gateway", None, "*"));
        for (path, found) in
            [("mesh/**", 1), ("mesh/shop.yaml", 1), ("*/shop.yaml", 1), ("*.yaml", 0), ("clusters/**", 0)]
        {
            let state = read(&format!(
                "    - {{kind: VirtualService, name: '*', path: '{path}', fields: ['spec.hosts'], reason: x}}\n"
            ));
            let frozen = state.frozen_of(&state.manifests[0]).count();
            assert_eq!((frozen, state.problems.is_empty()), (found, found == 1), "{path}");
        }
    }

    #[test]
    fn what_matches_nothing_is_a_problem_that_keeps_nothing_from_being_synced() {
        let state = read("    - {kind: VirtualService, name: shoop, fields: ['spec.hosts'], reason: x}\n");
        insta::assert_snapshot!(state.problems[0], @"fleet.yaml:8:5: this entry matches nothing: no target has VirtualService shoop in Git");
        assert_eq!(state.problems_of(&Target::Mesh).count(), 0);
        let state = read(
            "    - {targets: [mesh, m1c1], kind: VirtualService, name: shop, fields: ['spec.hosts'], reason: x}\n",
        );
        insta::assert_snapshot!(state.problems[0], @"fleet.yaml:8:5: this entry matches nothing on m1c1: Git has no VirtualService shop there");
    }

    #[test]
    fn a_wrong_entry_makes_the_file_unusable() {
        for (entry, told) in [
            ("{kind: A, name: a, fields: [], reason: x}", "no field is named"),
            ("{kind: A, name: a, fields: ['a..b'], reason: x}", "`a..b` is no path of a field"),
            ("{kind: A, name: a, fields: ['metadata.uid'], reason: x}", "`metadata.uid` belongs to the API server"),
            ("{kind: A, name: a, fields: ['status.a'], reason: x}", "`status.a` belongs to the API server"),
            (
                "{kind: A, name: a, fields: ['metadata.labels'], reason: x}",
                "is written by the agent and by controllers as well",
            ),
            ("{kind: A, name: a, fields: ['spec.a'], reason: ' '}", "the reason is empty"),
            ("{kind: A, name: a, fields: ['spec.a']}", "lacks the field `reason`"),
            ("{targets: [m1c2], kind: A, name: a, fields: ['spec.a'], reason: x}", "the target `m1c2` is not declared"),
            ("{kind: A, name: a, fields: ['spec.a'], reason: x, until: soon}", "must be a time"),
        ] {
            let state = read(&format!("    - {entry}\n"));
            assert!(state.fleet.is_none() && state.frozen.is_empty(), "{entry}");
            assert!(
                state.problems.iter().any(|problem| problem.message.contains(told)),
                "{entry}: {:?}",
                state.problems
            );
        }
    }
}
