//! What a pull request would be made of: looked at, and nothing changed.

use super::remotes::{self, Remotes};
use super::run::Run;
use crate::error::CommandError;
use crate::forge::{Head, Kind};
use crate::git::{Dirty, RemoteRefs, Stand};
use asm_io::revisions::WorkingCopy;
use asm_io::tree::{CommitTree, resolve};
use asm_shared::diff::diff;
use asm_shared::fleet::{FleetState, Tree as _, TreeError};
use asm_shared::pull_request::{ChangeSet, plain};
use std::collections::BTreeSet;

/// Names that are listed.
const NAMES: usize = 5;

/// All that is known before anything is done.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) stand: Stand,
    pub(super) remotes: Remotes,
    /// What the remote that is pushed to has; nothing in a dry run.
    pub(super) refs: RemoteRefs,
    /// What the remote that the change is for has; the same unless the other is a fork.
    pub(super) base_refs: RemoteRefs,
    pub(super) base: String,
    pub(super) base_commit: String,
    pub(super) merge_base: String,
    /// Files that are to be committed first.
    pub(super) paths: Vec<String>,
    /// The commit that is proposed, or one that looks like it.
    pub(super) commit: String,
    pub(super) branch: String,
    pub(super) set: ChangeSet,
    /// What the commit that is to be made changes; the same unless there are commits already.
    pub(super) own: ChangeSet,
    /// Is the branch there already, with this very change, although HEAD is elsewhere?
    pub(super) is_elsewhere: bool,
    /// What the user may want to know.
    pub(super) notes: Vec<String>,
}

impl Survey {
    /// The branch, and the fork that it is in.
    pub(super) fn head(&self) -> Head<'_> {
        Head { branch: &self.branch, fork: self.remotes.fork.as_deref() }
    }
}

/// Looks at everything.
pub(super) fn look(run: &Run<'_>) -> Result<Survey, CommandError> {
    let (git, args) = (&run.git, run.args);
    let stand = git.stand()?;
    if stand.branch.is_none() && args.branch.is_none() {
        return Err(CommandError::input("HEAD is on no branch (detached), so it is not clear what to propose")
            .hinted("name a branch for it: kubectl asm pr create --branch NAME")
            .hinted("or go to one first: git switch BRANCH"));
    }
    let remotes = remotes::choose(git, args, &stand, &run.redactor)?;
    let dirty = git.dirty(&stand)?;
    let read = |remote: &str| match args.is_dry_run() {
        true => Ok(RemoteRefs::default()),
        false => {
            let progress = run.context.ui().progress(&format!("reading {remote}"));
            let refs = git.remote_refs(&run.network(remote), request_heads(remotes.place.kind));
            drop(progress);
            refs
        }
    };
    let base_refs = read(&remotes.base)?;
    let refs = if remotes.head == remotes.base { base_refs.clone() } else { read(&remotes.head)? };
    let (base, base_commit) = choose_base(run, &remotes.base, &base_refs)?;
    if args.branch.as_deref() == Some(&base) {
        return Err(CommandError::usage(format!("{base} is the base: a change cannot be proposed to itself"))
            .hinted("give --branch another name, or leave it out"));
    }
    let paths = if args.no_commit { Vec::new() } else { dirty.fleet.clone() };
    let commit = if paths.is_empty() { stand.head.clone() } else { git.provisional(&stand, &paths)? };
    let merge_base =
        git.merge_base(&base_commit, &commit).ok_or_else(|| no_merge_base(&stand, &remotes.base, &base))?;
    let mut set = change_set(run, &merge_base, &commit)?;
    // What the base has meanwhile got in another way, for example squashed, is nothing to propose.
    let still: BTreeSet<_> = git.changed_files(&base_commit, &commit)?.into_iter().map(|file| file.path).collect();
    if !set.files().iter().any(|file| still.contains(&file.path)) {
        set = ChangeSet::new(Vec::new(), asm_shared::diff::FleetDiff::default());
    }
    let own =
        if merge_base == stand.head || paths.is_empty() { set.clone() } else { change_set(run, &stand.head, &commit)? };
    let branch = choose_branch(run, &stand, &base, &set)?;
    let mut notes = notes(&dirty, args.no_commit);
    if let Some(fork) = &remotes.fork {
        let (place, head) = (&remotes.place, plain(&remotes.head));
        notes.push(format!(
            "from the fork {} ({head}) to {} ({})",
            plain(fork),
            plain(&place.path),
            plain(&remotes.base)
        ));
    }
    let mut survey = Survey {
        stand,
        remotes,
        refs,
        base_refs,
        base,
        base_commit,
        merge_base,
        paths,
        commit,
        branch,
        set,
        own,
        is_elsewhere: false,
        notes,
    };
    if !survey.set.files().is_empty() {
        find_branch(run, &mut survey)?;
    }
    Ok(survey)
}

/// The refs under which a forge shows heads of pull requests.
fn request_heads(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Gitea => Some("refs/pull/*/head"),
        Kind::GitLab => Some("refs/merge-requests/*/head"),
        Kind::GitHub | Kind::Gitee | Kind::Codeup => None,
    }
}

/// The branch that the change is for, and its commit. A dry run knows what the clone knows.
fn choose_base(run: &Run<'_>, remote: &str, refs: &RemoteRefs) -> Result<(String, String), CommandError> {
    let (git, args) = (&run.git, run.args);
    let wanted = args.base.clone().or_else(|| git.config("asm.base"));
    if args.is_dry_run() {
        return known_base(run, remote, wanted);
    }
    let base = wanted.or_else(|| refs.default.clone()).ok_or_else(|| {
        CommandError::input(format!("the remote {remote} does not say which branch is its default"))
            .hinted("say what the change is for: --base BRANCH")
    })?;
    let Some(commit) = refs.branch(&base) else {
        let error = CommandError::input(format!("the remote {remote} has no branch {}", plain(&base)));
        let names: Vec<_> = refs.branches().take(NAMES).map(plain).collect();
        return Err(if names.is_empty() {
            error.hinted(format!(
                "it has no branch at all; push the first one: git push {remote} HEAD:refs/heads/{}",
                plain(&base)
            ))
        } else {
            error.hinted(format!("choose one of its branches with --base: {}", names.join(", ")))
        });
    };
    git.get(&run.network(remote), &base, commit)?;
    Ok((base, commit.to_owned()))
}

fn known_base(run: &Run<'_>, remote: &str, wanted: Option<String>) -> Result<(String, String), CommandError> {
    let git = &run.git;
    let prefix = format!("refs/remotes/{remote}/");
    let known =
        |name: &str| git.resolve(&format!("{prefix}{name}")).or_else(|| git.resolve(&format!("refs/heads/{name}")));
    let default =
        || git.symbolic(&format!("{prefix}HEAD")).and_then(|name| name.strip_prefix(&prefix).map(str::to_owned));
    let guess = || ["main", "master"].into_iter().find(|name| known(name).is_some()).map(str::to_owned);
    let base = wanted.or_else(default).or_else(guess).unwrap_or_else(|| "main".to_owned());
    match known(&base) {
        Some(commit) => Ok((base, commit)),
        None => Err(CommandError::input(format!("this clone knows no branch {} of {remote}", plain(&base)))
            .hinted(format!("get it: git fetch {remote}; or choose another with --base BRANCH"))),
    }
}

fn no_merge_base(stand: &Stand, remote: &str, base: &str) -> CommandError {
    let error = CommandError::input(format!(
        "HEAD and {base} of {remote} have no commit in common, as far as this clone knows"
    ));
    if stand.is_shallow {
        error
            .because("the clone is shallow: its history is cut off")
            .hinted(format!("get the rest: git fetch --unshallow {remote}"))
    } else {
        error.hinted("choose the branch that HEAD comes from with --base BRANCH")
    }
}

fn choose_branch(run: &Run<'_>, stand: &Stand, base: &str, set: &ChangeSet) -> Result<String, CommandError> {
    let git = &run.git;
    let Some(name) = &run.args.branch else {
        return Ok(match &stand.branch {
            Some(branch) if branch != base => branch.clone(),
            _ => set.branch(),
        });
    };
    if !git.is_branch_name(name) {
        return Err(CommandError::usage(format!("{} is no name for a branch", plain(name)))
            .hinted("use letters, digits, - and /"));
    }
    if stand.branch.as_ref() != Some(name) && git.resolve(&format!("refs/heads/{name}")).is_some() {
        return Err(CommandError::input(format!("there is a branch {name} already, and HEAD is not on it"))
            .hinted(format!("go there first: git switch {name}; or give --branch another name")));
    }
    Ok(name.clone())
}

fn notes(dirty: &Dirty, no_commit: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let list = |paths: &[String]| {
        let more = paths.len().saturating_sub(NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", paths.iter().take(NAMES).map(|path| plain(path)).collect::<Vec<_>>().join(", "))
    };
    if !dirty.others.is_empty() {
        notes.push(format!("not part of it, because not of the fleet: {}", list(&dirty.others)));
    }
    if no_commit && !dirty.fleet.is_empty() {
        notes.push(format!("not part of it, because not committed: {}", list(&dirty.fleet)));
    }
    notes
}

/// On the base branch: is the branch of this change there already, from another clone or an earlier run?
fn find_branch(run: &Run<'_>, survey: &mut Survey) -> Result<(), CommandError> {
    let git = &run.git;
    if survey.stand.branch.as_ref() == Some(&survey.branch) {
        return Ok(());
    }
    let here = git.resolve(&format!("refs/heads/{}", survey.branch));
    let Some(commit) = survey.refs.branch(&survey.branch).map(str::to_owned).or(here) else { return Ok(()) };
    if commit == survey.commit {
        return Ok(());
    }
    if !run.args.is_dry_run() {
        git.get(&run.network(&survey.remotes.head), &survey.branch, &commit)?;
    }
    let merge_base = git.merge_base(&survey.base_commit, &commit);
    let same = merge_base.as_ref().map(|base| change_set(run, base, &commit)).transpose()?;
    match (merge_base, same) {
        (Some(merge_base), Some(set)) if set.id() == survey.set.id() => {
            (survey.commit, survey.merge_base, survey.is_elsewhere) = (commit, merge_base, true);
            survey.paths.clear();
            survey
                .notes
                .push(format!("the branch {} holds this change already; your files stay as they are", survey.branch));
            Ok(())
        }
        _ => {
            Err(CommandError::input(format!("there is a branch {} already, with something else on it", survey.branch))
                .hinted(format!(
                    "go on there: git fetch {} {branch} && git switch {branch}",
                    survey.remotes.head,
                    branch = survey.branch
                ))
                .hinted("or propose this beside it with --branch NAME"))
        }
    }
}

/// The fleet in a commit; nothing when the fleet was started later.
fn state(copy: &WorkingCopy, revision: &str) -> Result<FleetState, CommandError> {
    let id = resolve(&copy.repository, revision).map_err(|error| wrong(&error))?;
    if !copy.has_folder(id) {
        return Ok(FleetState::default());
    }
    let tree = CommitTree::of(&copy.repository, id, &copy.folder).map_err(|error| wrong(&error))?;
    let has_fleet = tree.list().map_err(|error| wrong(&error))?.iter().any(|file| &**file == "fleet.yaml");
    Ok(if has_fleet { FleetState::read(&tree) } else { FleetState::default() })
}

fn wrong(error: &TreeError) -> CommandError {
    let place = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
    CommandError::input(format!("{place}{}", error.reason))
}

/// What differs between two commits.
pub(super) fn change_set(run: &Run<'_>, from: &str, to: &str) -> Result<ChangeSet, CommandError> {
    let files = run.git.changed_files(from, to)?;
    let copy = WorkingCopy::find(run.root).map_err(|error| wrong(&error))?;
    Ok(ChangeSet::new(files, diff(&state(&copy, from)?, &state(&copy, to)?)))
}

/// Refuses what nobody could merge: files that the fleet cannot read, and conflicts with the base.
pub(super) fn check(run: &Run<'_>, survey: &Survey) -> Result<(), CommandError> {
    let copy = WorkingCopy::find(run.root).map_err(|error| wrong(&error))?;
    let known: BTreeSet<_> =
        state(&copy, &survey.merge_base)?.problems.into_iter().map(|problem| problem.to_string()).collect();
    let problems = state(&copy, &survey.commit)?.problems.into_iter();
    let new: Vec<_> = problems.filter(|problem| !known.contains(&problem.to_string())).collect();
    if !new.is_empty() && !run.args.draft {
        let error =
            CommandError::input("the fleet would have problems that it does not have now: nothing was proposed");
        let error =
            new.into_iter().fold(error, |error, problem| error.because(problem.to_string()).hinted_with(problem.hint));
        return Err(error.hinted("mend them, or show them to others with --draft"));
    }
    let ids = (resolve(&copy.repository, &survey.base_commit), resolve(&copy.repository, &survey.commit));
    let (base, commit) = (ids.0.map_err(|error| wrong(&error))?, ids.1.map_err(|error| wrong(&error))?);
    let conflicts = copy.conflicts(base, commit).map_err(|error| wrong(&error))?;
    if conflicts.is_empty() {
        return Ok(());
    }
    let (remote, base) = (&survey.remotes.base, &survey.base);
    let files: Vec<_> = conflicts.iter().take(NAMES).map(|path| plain(path)).collect();
    Err(CommandError::input(format!(
        "the change contradicts what {base} of {remote} has meanwhile: nothing was pushed"
    ))
    .because(format!("in {}", files.join(", ")))
    .hinted(format!("bring both together: git pull --rebase --autostash {remote} {base}, then run this again")))
}
