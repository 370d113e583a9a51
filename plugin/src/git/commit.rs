//! Commits of the fleet's files that leave everything else as it is: other changes, staged or not, and the index.
//!
//! The commit is made by `git commit` itself, so that identity, signing and hooks are the user's, but for a HEAD and an
//! index of its own: those of a linked worktree whose files are the user's. Only when all is well is a branch moved.

use super::call::{PATHS, nul_separated, told};
use super::{Git, Stand};
use crate::error::CommandError;
use std::path::PathBuf;
use tempfile::TempDir;

/// A HEAD and an index beside the user's.
struct Beside<'a> {
    git: &'a Git<'a>,
    place: PathBuf,
    folder: PathBuf,
    work_tree: String,
    _parent: TempDir,
}

impl<'a> Beside<'a> {
    fn start(git: &'a Git<'a>, stand: &Stand) -> Result<Self, CommandError> {
        let what = "prepare a commit";
        let parent = TempDir::new().map_err(|error| CommandError::input(format!("cannot {what}")).caused_by(&error))?;
        let place = parent.path().join("kubectl-asm-pr");
        let work_tree = git.call(["rev-parse", "--show-toplevel"]).ask(what)?.trim_end_matches('\n').to_owned();
        git.call(["worktree", "add", "--quiet", "--no-checkout", "--detach"]).arg(&place).arg(&stand.head).ask(what)?;
        let mut beside = Self { git, place, folder: PathBuf::new(), work_tree, _parent: parent };
        let folder = git.call(["-C"]).arg(&beside.place).arg("rev-parse").arg("--absolute-git-dir").ask(what)?;
        beside.folder = PathBuf::from(folder.trim_end_matches('\n'));
        Ok(beside)
    }

    fn call<'s>(&self, args: impl IntoIterator<Item = &'s &'s str>) -> super::call::Call {
        self.git
            .call(args.into_iter().copied())
            .env("GIT_DIR", &self.folder)
            .env("GIT_WORK_TREE", &self.work_tree)
            .without("GIT_INDEX_FILE")
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        // What is left is found by `git worktree prune`, which Git runs by itself.
        let _ = self.git.call(["worktree", "remove", "--force"]).arg(&self.place).output();
    }
}

impl Git<'_> {
    /// Commits files of the working tree on top of HEAD, on no branch. Gives the commit.
    pub(crate) fn commit_beside(&self, stand: &Stand, paths: &[String], message: &str) -> Result<String, CommandError> {
        let beside = Beside::start(self, stand)?;
        let what = "commit the changes of the fleet";
        beside.call(&["read-tree", "HEAD"]).ask(what)?;
        beside.call(["add", "--all"].iter().chain(&PATHS)).input(nul_separated(paths)).ask(what)?;
        let output = beside.call(&["commit", "--quiet", "--file=-"]).input(message).output()?;
        if !output.status.success() {
            return Err(CommandError::input(format!("cannot {what}: nothing was committed or pushed"))
                .because(told(&output))
                .hinted("mend this and run the command again"));
        }
        Ok(beside.call(&["rev-parse", "HEAD"]).ask(what)?.trim().to_owned())
    }

    /// Makes a branch point to a commit and goes there. Files stay as they are; of the index only `paths` change, which
    /// the commit holds as they are in the working tree.
    pub(crate) fn go_to(
        &self,
        stand: &Stand,
        branch: &str,
        commit: &str,
        paths: &[String],
    ) -> Result<(), CommandError> {
        let name = format!("refs/heads/{branch}");
        let is_here = stand.branch.as_deref() == Some(branch);
        let old = if is_here { stand.head.clone() } else { self.resolve(&name).unwrap_or_default() };
        let what = format!("move to the branch {branch}");
        if old != commit {
            // An empty old value means: there must be none.
            let reason = "kubectl asm pr create";
            self.call(["update-ref", "-m", reason, &name, commit, &old]).ask(&what)?;
        }
        if !is_here {
            self.call(["symbolic-ref", "-m", "kubectl asm pr create", "HEAD", &name]).ask(&what)?;
        }
        if !paths.is_empty() {
            let call = self.call(["reset", "--quiet"].iter().chain(&PATHS));
            call.input(nul_separated(paths)).ask(&what)?;
        }
        Ok(())
    }

    /// Lets `git pull` and `git status` know where the branch was pushed to, and the next run which remote it is for when
    /// that is another one. Nothing else depends on it.
    pub(crate) fn track(&self, branch: &str, remote: &str, base: Option<&str>) {
        let merge = format!("refs/heads/{branch}");
        let settings =
            [Some(("remote", remote)), Some(("merge", merge.as_str())), base.map(|base| ("asm-base-remote", base))];
        for (name, value) in settings.into_iter().flatten() {
            let _ = self.call(["config", &format!("branch.{branch}.{name}"), value]).output();
        }
    }
}
