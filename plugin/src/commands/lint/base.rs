//! The findings of a revision, to compare with.

use super::judgement::{Judge, Judgement};
use crate::error::CommandError;
use asm_io::revisions::{Oid, WorkingCopy};
use asm_io::tree::{CommitTree, resolve};
use asm_shared::fleet::{FleetState, Tree as _, TreeError};
use asm_shared::lint::Finding;
use std::path::Path;
use std::sync::Arc;

/// Findings of a revision.
pub(super) struct Base {
    /// `main (4f1c2aa)`.
    pub(super) label: String,
    pub(super) findings: Vec<Finding>,
}

/// The last revision that was judged. A commit never says anything else, so while somebody watches it is judged once.
#[derive(Default)]
pub(super) struct Known(Option<(Oid, Vec<Finding>, Option<Arc<FleetState>>)>);

/// Judges a revision as the working tree is judged, and gives its fleet too. One from before the fleet was started has no
/// findings.
pub(super) fn read(
    root: &Path,
    revision: &str,
    judge: &Judge,
    known: &mut Known,
) -> Result<(Base, Option<Arc<FleetState>>), CommandError> {
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
    if let Some((_, findings, state)) = known.0.as_ref().filter(|(known, ..)| *known == commit) {
        return Ok((Base { label, findings: findings.clone() }, state.clone()));
    }
    let (findings, state) = match in_commit(&copy, commit, judge)? {
        Some((judgement, state)) => (judgement.findings, Some(Arc::new(state))),
        None => (Vec::new(), None),
    };
    known.0 = Some((commit, findings.clone(), state.clone()));
    Ok((Base { label, findings }, state))
}

/// Judges the fleet of a commit whose files have been read already.
pub(super) fn judge_state(
    root: &Path,
    (commit, state): (&str, &FleetState),
    before: Option<&FleetState>,
    judge: &Judge,
) -> Result<Judgement, CommandError> {
    let copy = WorkingCopy::find(root).map_err(|error| wrong(&error))?;
    let commit = resolve(&copy.repository, commit).map_err(|error| wrong(&error))?;
    let tree = CommitTree::of(&copy.repository, commit, &copy.folder).map_err(|error| wrong(&error))?;
    Ok(judge.judge_since(&tree, state, before))
}

/// `None` when the commit has no fleet.
fn in_commit(copy: &WorkingCopy, commit: Oid, judge: &Judge) -> Result<Option<(Judgement, FleetState)>, CommandError> {
    if !copy.has_folder(commit) {
        return Ok(None);
    }
    let tree = CommitTree::of(&copy.repository, commit, &copy.folder).map_err(|error| wrong(&error))?;
    if !tree.list().map_err(|error| wrong(&error))?.iter().any(|file| &**file == "fleet.yaml") {
        return Ok(None);
    }
    let state = FleetState::read(&tree);
    Ok(Some((judge.judge(&tree, Some(&state)), state)))
}

fn wrong(error: &TreeError) -> CommandError {
    let place = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
    CommandError::input(format!("{place}{}", error.reason))
}
