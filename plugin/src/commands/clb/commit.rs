//! Commits of the steps of `clb replace`, by the user's own Git: identity, signing and hooks are theirs.

use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::FileEdit;
use std::path::Path;
use std::process::Command;

/// Refuses unless the repository is on a branch, with nothing uncommitted: a step is one commit and holds nothing else.
pub(super) fn ensure_clean(root: &Path) -> Result<(), CommandError> {
    let dirty = git(root, &["status", "--porcelain", "--untracked-files=all", "--", "."])
        .map_err(|error| error.hinted("each step is a commit: the fleet must be in a Git repository"))?;
    let staged = git(root, &["status", "--porcelain", "--untracked-files=no"])?;
    if let Some(first) = dirty.lines().chain(staged.lines()).next() {
        let path = first.get(3..).unwrap_or(first);
        return Err(CommandError::input(format!("the working tree has changes that are not committed: {path}"))
            .because("each step of a replacement is a commit of its own, and must hold nothing else")
            .hinted("commit them or put them aside (git stash), then run the command again"));
    }
    for (reference, what) in
        [("MERGE_HEAD", "a merge"), ("CHERRY_PICK_HEAD", "a cherry-pick"), ("REVERT_HEAD", "a revert")]
    {
        if git(root, &["rev-parse", "--quiet", "--verify", reference]).is_ok() {
            return Err(CommandError::input(format!("{what} is under way in this repository"))
                .hinted("finish or abort it, then run the command again"));
        }
    }
    if git(root, &["symbolic-ref", "--quiet", "HEAD"]).is_err() {
        return Err(CommandError::input("the repository is on no branch (detached HEAD, perhaps amid a rebase)")
            .hinted("choose a branch with: git switch BRANCH"));
    }
    Ok(())
}

/// Writes the edits and commits them; takes everything back when the commit is refused.
pub(super) fn commit(
    context: &Context,
    repo: &FleetRepo,
    edits: &[FileEdit],
    args: WriteArgs,
    subject: &str,
    body: &str,
) -> Result<(), CommandError> {
    let format = context.output(&write::FORMATS)?;
    let edits: Vec<&FileEdit> = edits.iter().collect();
    write::check(repo, &edits)?;
    if args.is_dry_run() {
        return write::report(context, format, &edits, args);
    }
    write::write_files(&repo.root, &edits)?;
    let paths: Vec<&str> = edits.iter().map(|edit| edit.path.as_str()).collect();
    let committed = git(&repo.root, &[&["add", "--all", "--"][..], &paths].concat()).and_then(|_| {
        git(&repo.root, &[&["commit", "--quiet", "--message", subject, "--message", body, "--"][..], &paths].concat())
    });
    if let Err(error) = committed {
        return Err(take_back(repo, &edits, &paths, error));
    }
    write::report(context, format, &edits, args)?;
    let id = git(&repo.root, &["rev-parse", "--short", "HEAD"])?;
    let branch = git(&repo.root, &["symbolic-ref", "--short", "HEAD"])?;
    context.ui().status(&format!("committed {id} on {branch}: {subject}"));
    Ok(())
}

fn take_back(repo: &FleetRepo, edits: &[&FileEdit], paths: &[&str], error: CommandError) -> CommandError {
    let inverse: Vec<FileEdit> = edits
        .iter()
        .map(|edit| FileEdit { path: edit.path.clone(), before: edit.after.clone(), after: edit.before.clone() })
        .collect();
    let restored = write::write_files(&repo.root, &inverse.iter().collect::<Vec<_>>())
        .and_then(|()| git(&repo.root, &[&["reset", "--quiet", "--"][..], paths].concat()));
    match restored {
        Ok(_) => error.hinted("the files are as they were; mend this and run the command again"),
        Err(lost) => error.because(format!("and the files could not be put back: {lost}")),
    }
}

fn git(root: &Path, args: &[&str]) -> Result<String, CommandError> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(args)
        .output()
        .map_err(|error| CommandError::input("cannot run git").caused_by(&error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let verb = args.first().copied().unwrap_or_default();
    Err(CommandError::input(format!("git {verb} failed")).because(if said.is_empty() {
        "it says nothing".to_owned()
    } else {
        said
    }))
}
