//! `drift.modes` of `fleet.yaml`: what the agent does about live changes, by folder and by object.
//!
//! | says so | counts |
//! |---|---|
//! | an entry with `object` (with or without `path`) | first; the last of several |
//! | an entry with `path` only | then; the last of several |
//! | `spec.drift` of the FleetSync | otherwise |

use super::{DriftConfig, DriftRule, FileError, FleetState, Manifest, Position, Problem};
use crate::api::DriftMode;
use crate::object::ObjectId;
use crate::yaml::Document;
use globset::{GlobBuilder, GlobMatcher};
use std::sync::Arc;

/// One entry, read.
#[derive(Clone, Debug)]
pub struct ModeRule {
    object: Option<GlobMatcher>,
    path: Option<GlobMatcher>,
    mode: DriftMode,
    position: Position,
}

impl ModeRule {
    fn holds_for(&self, file: &str, id: &ObjectId) -> bool {
        self.path.as_ref().is_none_or(|path| path.is_match(file))
            && self.object.as_ref().is_none_or(|object| object.is_match(steps(id)))
    }
}

impl FleetState {
    /// What `fleet.yaml` says to do about live changes of an object; `None`: what the FleetSync says.
    pub fn drift_mode_of(&self, manifest: &Manifest) -> Option<DriftMode> {
        mode_of(&self.drift_modes, &manifest.position.file, &manifest.id)
    }
}

/// The table above.
fn mode_of(rules: &[ModeRule], file: &str, id: &ObjectId) -> Option<DriftMode> {
    let holds = |rule: &&ModeRule| rule.holds_for(file, id);
    let of_object = rules.iter().rev().filter(|rule| rule.object.is_some()).find(holds);
    of_object.or_else(|| rules.iter().rev().find(holds)).map(|rule| rule.mode)
}

/// `VirtualService/shop/reviews`, `Namespace/shop`.
fn steps(id: &ObjectId) -> String {
    match &id.namespace {
        Some(namespace) => format!("{}/{namespace}/{}", id.group_kind.kind, id.name),
        None => format!("{}/{}", id.group_kind.kind, id.name),
    }
}

/// A pattern over names or paths: `*` is any part of a step, `**` any number of steps.
pub(super) fn glob(text: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(text).literal_separator(true).build()?.compile_matcher())
}

/// Reads the entries. One that is not understood must not become another mode, so such a file is not used at all.
pub(super) fn read(
    config: &DriftConfig,
    document: &Document,
    file: &Arc<str>,
    errors: &mut Vec<FileError>,
) -> Vec<ModeRule> {
    let mut rules = Vec::with_capacity(config.modes.len());
    for (index, entry) in config.modes.iter().enumerate() {
        let at = format!("/spec/drift/modes/{index}");
        let mut pattern = |field: &str, text: Option<&String>| match text.map(|text| glob(text)).transpose() {
            Ok(glob) => Some(glob),
            Err(error) => {
                let message = format!("`{field}` is no pattern: {error}");
                let hint = "`*` is any part of a step, `**` any number of steps: clusters/m1c2/**, Deployment/shop/*";
                errors.push(FileError::at(document, &format!("{at}/{field}"), message).hint(hint));
                None
            }
        };
        let (object, path) = (pattern("object", entry.object.as_ref()), pattern("path", entry.path.as_ref()));
        if is_of_everything(entry) {
            let message = "the entry names neither an object nor a path".to_owned();
            let hint =
                "Name one, for example path: clusters/m1c2/**; the mode of everything is spec.drift of the FleetSync";
            errors.push(FileError::at(document, &at, message).hint(hint));
        }
        let (Some(object), Some(path)) = (object, path) else { continue };
        let (line, column) = document.position_of(&at).unwrap_or((1, 1));
        rules.push(ModeRule {
            object,
            path,
            mode: entry.mode,
            position: Position { file: file.clone(), line, column },
        });
    }
    rules
}

fn is_of_everything(entry: &DriftRule) -> bool {
    entry.object.is_none() && entry.path.is_none()
}

/// Entries that match no object: most likely a typing error. They keep no target from being synced.
pub(super) fn idle(state: &FleetState) -> Vec<Problem> {
    // A broken file may hold the objects: then that file is the problem.
    if state.problems.iter().any(|problem| !problem.targets.iter().all(|target| target.ends_with('/'))) {
        return Vec::new();
    }
    let unused = state
        .drift_modes
        .iter()
        .filter(|rule| !state.manifests.iter().any(|manifest| rule.holds_for(&manifest.position.file, &manifest.id)));
    unused
        .map(|rule| Problem {
            position: Some(rule.position.clone()),
            message: "this entry matches no object".to_owned(),
            hint: Some("Remove it, or correct `object` (KIND/NAMESPACE/NAME) or `path`".to_owned()),
            targets: vec!["drift/".into()],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{MemoryTree, Target};

    fn read(entries: &str) -> FleetState {
        let fleet = format!(
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {{name: shop}}\nspec:\n  mesh: {{}}\n  clusters: [{{name: m1c1}}]\n  \
             drift:\n    modes:\n{entries}"
        );
        let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop, namespace: default}\nspec: {hosts: [a]}\n";
        let tree: MemoryTree = [("fleet.yaml", &*fleet), ("mesh/shop/routes.yaml", route)].into_iter().collect();
        FleetState::read(&tree)
    }

    #[test]
    fn an_object_counts_before_a_folder_and_the_last_of_several_counts() {
        let of = |entries: &[&str]| {
            let state = read(&entries.iter().map(|entry| format!("    - {entry}\n")).collect::<String>());
            state.manifests.first().and_then(|manifest| state.drift_mode_of(manifest))
        };
        let (report, correct) = (Some(DriftMode::Report), Some(DriftMode::Correct));
        for (entries, mode) in [
            (&["{path: 'mesh/**', mode: Correct}"][..], correct),
            (&["{path: 'mesh/*', mode: Correct}"], None),
            (&["{path: 'clusters/**', mode: Correct}"], None),
            (&["{path: 'mesh/**', mode: Correct}", "{path: 'mesh/shop/**', mode: Report}"], report),
            (&["{path: 'mesh/shop/**', mode: Report}", "{path: 'mesh/**', mode: Correct}"], correct),
            (&["{object: VirtualService/default/shop, mode: Report}", "{path: 'mesh/**', mode: Correct}"], report),
            (&["{object: '*/default/*', mode: Correct}", "{object: '**', mode: Report}"], report),
            (&["{object: 'VirtualService/**', path: 'clusters/**', mode: Correct}"], None),
            (&["{object: 'VirtualService/**', path: 'mesh/**', mode: Correct}"], correct),
        ] {
            assert_eq!(of(entries), mode, "{entries:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let told = |entry: &str| {
            let state = read(&format!("    - {entry}\n"));
            (state.fleet.is_some(), state.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        };
        let (usable, text) = told("{mode: Correct}");
        assert!(!usable && text.contains("fleet.yaml:9:5: the entry names neither an object nor a path"), "{text}");
        let (usable, text) = told("{path: 'a[', mode: Correct}");
        assert!(!usable && text.contains("`path` is no pattern"), "{text}");
        let (usable, text) = told("{path: 'mesh/**', mode: Off}");
        assert!(!usable && text.contains("mode"), "{text}");
        let (usable, text) = told("{path: 'meshh/**', mode: Correct}");
        assert!(usable && text.contains("fleet.yaml:9:5: this entry matches no object"), "{text}");
        let state = read("    - {path: 'meshh/**', mode: Correct}\n");
        assert_eq!(state.problems_of(&Target::Mesh).count(), 0);
    }
}
