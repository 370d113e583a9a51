//! Commits with the user's own Git: their identity, their signing key, their hooks.

mod call;
mod commit;
mod look;
mod network;

pub(crate) use look::{Dirty, Stand};
pub(crate) use network::{Network, RemoteRefs};

use crate::context::FleetRepo;
use crate::error::CommandError;
use crate::write;
use asm_shared::authoring::FileEdit;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The user's Git in one working tree.
pub(crate) struct Git<'a> {
    root: &'a Path,
}

/// Files in Git's own folder that stand for something unfinished.
const UNFINISHED: [(&str, &str); 5] = [
    ("MERGE_HEAD", "merge"),
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
];

impl<'a> Git<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root }
    }

    fn run(&self, args: &[&str]) -> Result<Output, CommandError> {
        Command::new("git")
            .arg("-C")
            .arg(self.root)
            .arg("--literal-pathspecs")
            .args(args)
            .output()
            .map_err(|error| CommandError::input("cannot run git").caused_by(&error))
    }

    /// What Git says on stdout; what it says on stderr when it fails.
    fn ask(&self, what: &str, args: &[&str]) -> Result<String, CommandError> {
        let output = self.run(args)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let told = if told.is_empty() { String::from_utf8_lossy(&output.stdout).trim().to_owned() } else { told };
        Err(CommandError::input(format!("cannot {what}")).because(told))
    }

    /// Refuses a tree in which a commit would take more along than is meant, or would stand in the middle of something.
    pub(crate) fn ensure_clean(&self) -> Result<(), CommandError> {
        let folder =
            self.ask("commit steps: the fleet is in no Git repository", &["rev-parse", "--absolute-git-dir"])?;
        let folder = PathBuf::from(folder.trim());
        if let Some((_, what)) = UNFINISHED.iter().find(|(file, _)| folder.join(file).exists()) {
            return Err(CommandError::input(format!("a {what} is going on in this repository: nothing was written"))
                .hinted(format!("finish it, or end it with: git {what} --abort")));
        }
        let status = self.ask(
            "ask Git what has changed",
            &["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"],
        )?;
        let (mut conflicts, mut dirty) = (Vec::new(), Vec::new());
        for entry in status.split('\0').filter(|entry| entry.len() > 3) {
            let (code, path) = entry.split_at(3);
            let code = code.trim_end();
            if code.contains('U') || matches!(code, "AA" | "DD") {
                conflicts.push(path);
            // What Git does not know yet matters only where it is part of a fleet.
            } else if code != "??" || path.ends_with(".yaml") || path.ends_with(".yml") {
                dirty.push(path);
            }
        }
        let list = |paths: &[&str]| {
            let more = if paths.len() > 3 { format!(" and {} more", paths.len() - 3) } else { String::new() };
            format!("{}{more}", paths[..paths.len().min(3)].join(", "))
        };
        if !conflicts.is_empty() {
            return Err(CommandError::input(format!("Git has conflicts in {}: nothing was written", list(&conflicts)))
                .hinted("resolve them and commit first"));
        }
        if !dirty.is_empty() {
            return Err(CommandError::input(format!(
                "{} {} not committed: nothing was written, because what is written becomes a commit of its own",
                list(&dirty),
                if dirty.len() == 1 { "is" } else { "are" }
            ))
            .hinted("commit or stash that first"));
        }
        Ok(())
    }

    /// Refuses a detached HEAD, for commits that people are told to push.
    pub(crate) fn ensure_branch(&self) -> Result<String, CommandError> {
        let branch = self.ask("find the branch", &["symbolic-ref", "--quiet", "--short", "HEAD"]);
        branch.map(|branch| branch.trim().to_owned()).map_err(|_| {
            CommandError::input("the repository is on no branch (detached HEAD, perhaps amid a rebase)")
                .hinted("choose a branch with: git switch BRANCH")
        })
    }

    /// Makes a branch here and switches to it. Gives back what was checked out before, for [`Self::abandon_branch`].
    pub(crate) fn begin_branch(&self, name: &str) -> Result<String, CommandError> {
        let before = match self.ensure_branch() {
            Ok(branch) => branch,
            Err(_) => self.ask("find the commit", &["rev-parse", "--verify", "HEAD"])?.trim().to_owned(),
        };
        self.ask(&format!("make the branch {name}"), &["switch", "--quiet", "--create", name])
            .map_err(|error| error.hinted("choose another name with --branch"))?;
        Ok(before)
    }

    /// Goes back to where [`Self::begin_branch`] was called: the branch has nothing of its own.
    pub(crate) fn abandon_branch(&self, name: &str, before: &str, error: CommandError) -> CommandError {
        let is_branch = self.run(&["show-ref", "--verify", "--quiet", &format!("refs/heads/{before}")]);
        let is_branch = is_branch.is_ok_and(|output| output.status.success());
        let back: &[&str] = if is_branch { &["switch", "--quiet"] } else { &["switch", "--quiet", "--detach"] };
        let back = self.ask("go back", &[back, &[before]].concat());
        match back.and_then(|_| self.ask("remove the branch", &["branch", "--quiet", "-D", name])) {
            Ok(_) => error,
            Err(lost) => error.because(format!("and the branch {name} is still there: {lost}")),
        }
    }

    /// Writes the edits and commits them, and nothing else. When the commit fails (a hook, no identity), the files are as
    /// they were before. Returns the commit's short ID.
    pub(crate) fn write_and_commit(
        &self,
        repo: &FleetRepo,
        edits: &[FileEdit],
        message: &str,
    ) -> Result<String, CommandError> {
        write::write_files(&repo.root, &edits.iter().collect::<Vec<_>>())?;
        self.commit(edits, message).map_err(|error| {
            let back: Vec<_> = edits.iter().map(back).collect();
            match write::write_files(&repo.root, &back.iter().collect::<Vec<_>>()) {
                Ok(()) => error.hinted("the files are as they were; mend this and run the command again"),
                Err(lost) => error.because(format!("and the files could not be put back: {lost}")),
            }
        })
    }

    fn commit(&self, edits: &[FileEdit], message: &str) -> Result<String, CommandError> {
        let paths: Vec<_> = edits.iter().map(|edit| edit.path.as_str()).collect();
        let commit = || {
            self.ask("stage the step", &[&["add", "--all", "--"], &paths[..]].concat())?;
            self.ask("commit the step", &[&["commit", "--quiet", "-m", message, "--"], &paths[..]].concat())
        };
        commit().inspect_err(|_| {
            // Only the index: the files are put back by the caller.
            let _ = self.run(&[&["reset", "--quiet", "--"], &paths[..]].concat());
        })?;
        Ok(self.ask("ask Git for the commit", &["rev-parse", "--short", "HEAD"])?.trim().to_owned())
    }
}

fn back(edit: &FileEdit) -> FileEdit {
    FileEdit { path: edit.path.clone(), before: edit.after.clone(), after: edit.before.clone() }
}
