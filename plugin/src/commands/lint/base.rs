//! The findings of a revision, to compare with.

use super::judgement::Judge;
use crate::error::CommandError;
use asm_io::revisions::WorkingCopy;
use asm_io::tree::{CommitTree, resolve};
use asm_shared::fleet::{FleetState, Tree as _, TreeError};
use asm_shared::lint::Finding;
use std::path::Path;

/// Findings of a revision.
pub(super) struct Base {
    /// `main (4f1c2aa)`.
    pub(super) label: String,
    pub(super) findings: Vec<Finding>,
}

/// Judges a revision as the working tree is judged, and gives its fleet too. One from before the fleet was started has no findings.
pub(super) fn read(root: &Path, revision: &str, judge: &Judge) -> Result<(Base, Option<FleetState>), CommandError> {
    let copy = WorkingCopy::find(root).map_err(|error| wrong(&error).hinted("--base needs a Git repository"))?;
    let name = revision.strip_suffix("...").unwrap_or(revision);
    if name.is_empty() {
        return Err(CommandError::usage("the revision of --base is empty"));
    }
    let mut commit = resolve(&copy.repository, name).map_err(|error| wrong(&error))?;
    if revision.ends_with("...") {
        let head = resolve(&copy.repository, "HEAD").map_err(|error| wrong(&error))?;
        commit = copy.merge_base(commit, head).map_err(|error| wrong(&error))?;
    }
    let (short, parted) = (copy.short(commit), if revision.ends_with("...") { " at the common ancestor" } else { "" });
    let label = if commit.to_string().starts_with(name) { short } else { format!("{name}{parted} ({short})") };
    if !copy.has_folder(commit) {
        return Ok((Base { label, findings: Vec::new() }, None));
    }
    let tree = CommitTree::of(&copy.repository, commit, &copy.folder).map_err(|error| wrong(&error))?;
    let has_fleet = tree.list().map_err(|error| wrong(&error))?.iter().any(|file| &**file == "fleet.yaml");
    let state = has_fleet.then(|| FleetState::read(&tree));
    let findings = state.as_ref().map(|state| judge.judge(&tree, Some(state)).findings).unwrap_or_default();
    Ok((Base { label, findings }, state))
}

fn wrong(error: &TreeError) -> CommandError {
    let place = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
    CommandError::input(format!("{place}{}", error.reason))
}
