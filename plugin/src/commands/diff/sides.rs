//! The two sides of a comparison: revisions of Git and the working tree.

use crate::commands::lint::Judged;
use crate::error::CommandError;
use asm_io::revisions::{Oid, WorkingCopy};
use asm_io::tree::{CommitTree, DirTree, resolve};
use asm_shared::fleet::{Fleet, FleetState, Memory, Tree as _, TreeError};
use std::path::Path;
use std::sync::Arc;

/// What is compared with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// A revision with the working tree.
    WorkingTree(String),
    /// `A..B`.
    Between(String, String),
    /// `A...B`: from the common ancestor to B.
    SinceParting(String, String),
    /// The API servers with the working tree or a revision.
    Live(Option<String>),
}

impl Range {
    /// Reads the argument. A side that is left out is HEAD, as in Git.
    pub(super) fn parse(argument: Option<&str>, live: bool) -> Result<Self, CommandError> {
        let head = |side: &str| if side.is_empty() { "HEAD".to_owned() } else { side.to_owned() };
        let argument = argument.map(str::trim);
        if argument == Some("") {
            return Err(CommandError::usage("the revision is empty").hinted("leave it out to compare with HEAD"));
        }
        let range = match argument {
            None if live => return Ok(Self::Live(None)),
            None => return Ok(Self::WorkingTree("HEAD".to_owned())),
            Some(text) => match (text.split_once("..."), text.split_once("..")) {
                (Some((from, to)), _) => Self::SinceParting(head(from), head(to)),
                (None, Some((from, to))) => Self::Between(head(from), head(to)),
                (None, None) if live => return Ok(Self::Live(Some(text.to_owned()))),
                (None, None) => Self::WorkingTree(text.to_owned()),
            },
        };
        if live {
            return Err(CommandError::usage(
                "--live compares one state of Git with the API servers: give one revision, or none",
            ));
        }
        Ok(range)
    }
}

/// What the right side is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Files that are not committed.
    Files,
    /// A commit, by its full ID.
    Commit(String),
    /// Files of no fleet.
    Loose,
}

/// One side.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// `main (4f1c2aa)`, `working tree`.
    pub(super) label: String,
    /// What its files say.
    pub(super) state: Arc<FleetState>,
    /// The commit it is; `None` for files that are not committed.
    pub(super) commit: Option<String>,
}

/// Where a comparison of two states of Git stands, as far as the next step depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// What `lint --base` takes to judge the same change; `None` when the right side is not what is checked out.
    pub(super) base: Option<String>,
    /// Is the right side a change that `pr create` would propose?
    pub(super) is_proposable: bool,
    /// Is HEAD on no branch? Then `pr create` wants the name of one.
    pub(super) is_detached: bool,
}

impl Side {
    /// What lint is to judge.
    pub(super) fn judged(&self) -> Judged<'_> {
        Judged { label: &self.label, commit: self.commit.as_deref(), state: &self.state }
    }

    /// What it is on the right of a comparison.
    pub(super) fn right(&self) -> Right {
        self.commit.clone().map_or(Right::Files, Right::Commit)
    }

    /// The fleet file. When it cannot be used, the error lists what is wrong with it.
    pub(super) fn fleet(&self) -> Result<&Fleet, CommandError> {
        self.state.fleet.as_ref().ok_or_else(|| {
            let fatal = self.state.problems.iter().filter(|problem| problem.targets.is_empty());
            fatal.fold(CommandError::input(format!("{}: fleet.yaml cannot be used", self.label)), |error, problem| {
                error.because(problem.to_string()).hinted_with(problem.hint.clone())
            })
        })
    }
}

/// What is known from the last time that both sides were read.
#[derive(Default)]
pub(super) struct Known {
    /// Files of the working tree; kept only while somebody watches.
    files: Option<Memory>,
    /// The commit that was read last. It never says anything else.
    commit: Option<(Oid, Arc<FleetState>)>,
}

impl Known {
    /// For looks again and again.
    pub(super) fn of_many() -> Self {
        Self { files: Some(Memory::default()), commit: None }
    }

    fn working_tree(&mut self, root: &Path) -> Side {
        let tree = DirTree::new(root);
        let state = match &mut self.files {
            Some(files) => FleetState::read_again(&tree, files),
            None => FleetState::read(&tree),
        };
        Side { label: "working tree".to_owned(), state: Arc::new(state), commit: None }
    }
}

/// Reads both sides; the left one is `None` when it is live.
pub(super) fn read(root: &Path, range: &Range, known: &mut Known) -> Result<(Option<Side>, Side), CommandError> {
    if *range == Range::Live(None) {
        return Ok((None, known.working_tree(root)));
    }
    let copy = find(root)?;
    Ok(match range {
        Range::Live(revision) => (None, commit(&copy, revision.as_deref().unwrap_or("HEAD"), None, known)?),
        Range::WorkingTree(revision) => (Some(before(&copy, revision, known)?), known.working_tree(root)),
        Range::Between(from, to) => (Some(commit(&copy, from, None, known)?), commit(&copy, to, None, known)?),
        Range::SinceParting(from, to) => {
            let base = base_of(&copy, from, to)?;
            let label = format!("{from} at the common ancestor");
            (Some(commit(&copy, &base, Some(&label), known)?), commit(&copy, to, None, known)?)
        }
    })
}

/// What can be done with a comparison.
pub(super) fn standing(root: &Path, range: &Range, before: &Side, after: &Side) -> Standing {
    let Ok(copy) = WorkingCopy::find(root) else { return Standing::default() };
    let has_remote = copy.repository.remotes().is_ok_and(|remotes| !remotes.is_empty());
    let head = || resolve(&copy.repository, "HEAD").ok().map(|head| head.to_string());
    let is_here = after.commit.is_none() || after.commit == head();
    let base = before.commit.as_ref().and_then(|_| match range {
        Range::WorkingTree(from) | Range::Between(from, _) => Some(from.clone()),
        Range::SinceParting(from, _) => Some(format!("{from}...")),
        Range::Live(_) => None,
    });
    let is_change = matches!(range, Range::WorkingTree(_) | Range::SinceParting(..)) && before.commit.is_some();
    let is_detached = copy.repository.head_detached().unwrap_or_default();
    Standing { base: base.filter(|_| is_here), is_proposable: has_remote && is_here && is_change, is_detached }
}

/// The fleet in a revision (`REV...`: in the commit where HEAD left it), and what that is called.
pub(crate) fn base(root: &Path, revision: &str) -> Result<(String, Arc<FleetState>), CommandError> {
    let copy = find(root)?;
    let known = &mut Known::default();
    let side = match revision.strip_suffix("...") {
        Some(from) => {
            let base = base_of(&copy, from, "HEAD")?;
            commit(&copy, &base, Some(&format!("{from} at the common ancestor")), known)?
        }
        None => before(&copy, revision, known)?,
    };
    Ok((side.label, side.state))
}

/// One revision.
pub(super) fn revision(root: &Path, revision: &str) -> Result<Side, CommandError> {
    before(&find(root)?, revision, &mut Known::default())
}

fn find(root: &Path) -> Result<WorkingCopy, CommandError> {
    WorkingCopy::find(root).map_err(|error| wrong(&error).hinted("revisions need a Git repository"))
}

/// The commit where two revisions parted.
fn base_of(copy: &WorkingCopy, from: &str, to: &str) -> Result<String, CommandError> {
    let (one, two) = (found(copy, from)?, found(copy, to)?);
    let base = copy.merge_base(one, two).map_err(|error| {
        let deeper = copy.repository.is_shallow().then_some(DEEPER);
        wrong(&error)
            .hinted_with(deeper)
            .hinted(format!("or compare the two as they are: kubectl asm diff {from}..{to}"))
    })?;
    Ok(base.to_string())
}

/// What helps a clone without the history that is asked for.
const DEEPER: &str = "this clone is shallow: git fetch --unshallow, or git fetch --deepen=100";

/// The commit that a revision means. The error says where it may be had.
fn found(copy: &WorkingCopy, revision: &str) -> Result<Oid, CommandError> {
    resolve(&copy.repository, revision).map_err(|error| {
        let error = wrong(&error);
        if copy.repository.is_shallow() {
            return error.hinted(DEEPER);
        }
        match copy.remote_branch(revision) {
            Some(branch) => error.hinted(format!("a remote has it: {branch}")),
            None => error.hinted("list what there is with: git branch --all; get what is new with: git fetch"),
        }
    })
}

/// The old side of the working tree: a fleet that is not committed yet has nothing there.
fn before(copy: &WorkingCopy, revision: &str, known: &mut Known) -> Result<Side, CommandError> {
    if revision == "HEAD" && copy.is_unborn() {
        return Ok(Side { label: "nothing (no commit yet)".to_owned(), ..Side::default() });
    }
    commit(copy, revision, None, known)
}

/// The fleet in a commit. A commit from before the fleet was started has nothing.
fn commit(copy: &WorkingCopy, revision: &str, label: Option<&str>, known: &mut Known) -> Result<Side, CommandError> {
    let id = found(copy, revision)?;
    let short = copy.short(id);
    let name = label.unwrap_or(revision);
    let label = if id.to_string().starts_with(name) { short } else { format!("{name} ({short})") };
    let commit = Some(id.to_string());
    if let Some((_, state)) = known.commit.as_ref().filter(|(known, _)| *known == id) {
        return Ok(Side { label, state: state.clone(), commit });
    }
    if !copy.has_folder(id) {
        return Ok(Side { label, state: Arc::default(), commit });
    }
    let tree = CommitTree::of(&copy.repository, id, &copy.folder).map_err(|error| wrong(&error))?;
    let has_fleet = tree.list().map_err(|error| wrong(&error))?.iter().any(|file| &**file == "fleet.yaml");
    let state = Arc::new(if has_fleet { FleetState::read(&tree) } else { FleetState::default() });
    known.commit = Some((id, state.clone()));
    Ok(Side { label, state, commit })
}

/// A tree that cannot be read.
pub(crate) fn wrong(error: &TreeError) -> CommandError {
    let place = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
    CommandError::input(format!("{place}{}", error.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_git_reads_them() {
        let read = |text: Option<&str>, live| Range::parse(text, live).map_err(|error| error.message);
        let text = |text: &str| text.to_owned();
        assert_eq!(read(None, false), Ok(Range::WorkingTree(text("HEAD"))));
        assert_eq!(read(Some("v1"), false), Ok(Range::WorkingTree(text("v1"))));
        assert_eq!(read(Some("a..b"), false), Ok(Range::Between(text("a"), text("b"))));
        assert_eq!(read(Some("a.."), false), Ok(Range::Between(text("a"), text("HEAD"))));
        assert_eq!(read(Some("...b"), false), Ok(Range::SinceParting(text("HEAD"), text("b"))));
        assert_eq!(read(None, true), Ok(Range::Live(None)));
        assert_eq!(read(Some("v1"), true), Ok(Range::Live(Some(text("v1")))));
        assert!(read(Some("a..b"), true).is_err());
        assert!(read(Some(""), false).is_err());
    }
}
