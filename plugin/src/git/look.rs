//! What the user's repository holds: where HEAD stands, what has changed, which remotes there are.

use super::call::{Call, PATHS, nul_separated};
use super::{Git, UNFINISHED};
use crate::error::CommandError;
use asm_shared::fleet::layout::{Area, classify};
use asm_shared::pull_request::ChangedFile;
use std::path::PathBuf;
use tempfile::TempDir;

/// Where HEAD stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    /// The commit.
    pub(crate) head: String,
    /// The branch; `None` when HEAD is detached.
    pub(crate) branch: Option<String>,
    /// Was the history cut off when it was cloned?
    pub(crate) is_shallow: bool,
    /// The folder of the fleet in the repository, with a slash at its end, or empty.
    pub(crate) prefix: String,
}

/// What is not committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dirty {
    /// Files of the fleet, by their paths in it.
    pub(crate) fleet: Vec<String>,
    /// Everything else, by its path in the repository.
    pub(crate) others: Vec<String>,
}

/// Is it one of the fleet's files? What lies beside them (notes, scripts) is not committed for anybody.
fn is_fleet(path: &str) -> bool {
    classify(path) != Area::Ignored
}

impl Git<'_> {
    /// Where HEAD stands; an error when there is no commit, or when something is unfinished.
    pub(crate) fn stand(&self) -> Result<Stand, CommandError> {
        let folder = self.call(["rev-parse", "--absolute-git-dir"]).maybe().map(PathBuf::from).ok_or_else(|| {
            CommandError::input("the fleet is in no Git repository")
                .hinted("start one with: git init && git add . && git commit")
        })?;
        if let Some((_, what)) = UNFINISHED.iter().find(|(file, _)| folder.join(file).exists()) {
            return Err(CommandError::input(format!("a {what} is going on in this repository"))
                .hinted(format!("finish it, or end it with: git {what} --abort")));
        }
        let head = self.resolve("HEAD").ok_or_else(|| {
            CommandError::input("the repository has no commit yet, so there is nothing to compare with").hinted(
                "commit and push what there is: git add . && git commit && git push --set-upstream REMOTE BRANCH",
            )
        })?;
        Ok(Stand {
            head,
            branch: self.call(["symbolic-ref", "--quiet", "--short", "HEAD"]).maybe(),
            is_shallow: self.call(["rev-parse", "--is-shallow-repository"]).maybe().as_deref() == Some("true"),
            prefix: self.call(["rev-parse", "--show-prefix"]).maybe().unwrap_or_default(),
        })
    }

    /// The commit of a revision, if this clone has it.
    pub(crate) fn resolve(&self, revision: &str) -> Option<String> {
        self.call(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")]).maybe()
    }

    /// What a symbolic ref stands for.
    pub(crate) fn symbolic(&self, name: &str) -> Option<String> {
        self.call(["symbolic-ref", "--quiet", name]).maybe()
    }

    /// The short ID of a commit.
    pub(crate) fn short(&self, commit: &str) -> String {
        self.call(["rev-parse", "--short", commit]).maybe().unwrap_or_else(|| commit.chars().take(7).collect())
    }

    /// A setting.
    pub(crate) fn config(&self, name: &str) -> Option<String> {
        self.call(["config", "--get", name]).maybe()
    }

    /// Names of remotes.
    pub(crate) fn remotes(&self) -> Vec<String> {
        self.call(["remote"]).maybe().map(|text| text.lines().map(str::to_owned).collect()).unwrap_or_default()
    }

    /// The addresses of a remote: where a push goes, and what its setting says, before `url.*.insteadOf`.
    pub(crate) fn addresses(&self, remote: &str) -> Vec<String> {
        let pushed = self.call(["remote", "get-url", "--push", remote]).maybe();
        let set = ["pushurl", "url"].map(|name| self.config(&format!("remote.{remote}.{name}")));
        pushed.into_iter().chain(set.into_iter().flatten()).collect()
    }

    /// Is it a name that a branch can have?
    pub(crate) fn is_branch_name(&self, name: &str) -> bool {
        self.call(["check-ref-format", "--branch", name]).maybe().as_deref() == Some(name)
    }

    /// The commit in which two histories meet.
    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Option<String> {
        self.call(["merge-base", one, other]).maybe()
    }

    /// What is not committed; an error when there are conflicts among it.
    pub(crate) fn dirty(&self, stand: &Stand) -> Result<Dirty, CommandError> {
        let status = self
            .call(["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"])
            .ask("ask Git what has changed")?;
        let (mut dirty, mut conflicts) = (Dirty::default(), Vec::new());
        for entry in status.split('\0').filter(|entry| entry.len() > 3) {
            let (code, path) = entry.split_at(3);
            if code.contains('U') || matches!(code.trim_end(), "AA" | "DD") {
                conflicts.push(path);
            }
            match path.strip_prefix(&stand.prefix).filter(|path| is_fleet(path)) {
                Some(path) => dirty.fleet.push(path.to_owned()),
                // What Git does not know and no fleet has is nobody's work in progress.
                None if code.starts_with("??") => {}
                None => dirty.others.push(path.to_owned()),
            }
        }
        if conflicts.is_empty() {
            return Ok(dirty);
        }
        Err(CommandError::input(format!(
            "Git has conflicts in {}",
            asm_shared::pull_request::plain(&conflicts.join(", "))
        ))
        .hinted("resolve them and commit first"))
    }

    /// The files of the fleet that differ between two commits.
    pub(crate) fn changed_files(&self, from: &str, to: &str) -> Result<Vec<ChangedFile>, CommandError> {
        let text = self
            .call(["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--relative", from, to])
            .ask("ask Git which files differ")?;
        let mut files = Vec::new();
        let mut parts = text.split('\0').filter(|part| !part.is_empty());
        // `:100644 100644 OLD NEW M`, then the path.
        while let (Some(meta), Some(path)) = (parts.next(), parts.next()) {
            let meta: Vec<_> = meta.trim_start_matches(':').split(' ').collect();
            let [mode_before, mode_after, before, after, _] = meta[..] else { continue };
            let content = |mode: &str, id: &str| (!id.bytes().all(|b| b == b'0')).then(|| format!("{mode} {id}"));
            if is_fleet(path) {
                files.push(ChangedFile {
                    path: path.to_owned(),
                    before: content(mode_before, before),
                    after: content(mode_after, after),
                });
            }
        }
        Ok(files)
    }

    /// A commit of files of the working tree on top of HEAD that no branch has: to compare with, and to be forgotten.
    /// Neither the index nor any hook or key is used.
    pub(crate) fn provisional(&self, stand: &Stand, paths: &[String]) -> Result<String, CommandError> {
        let folder =
            TempDir::new().map_err(|error| CommandError::input("cannot make a temporary folder").caused_by(&error))?;
        let index = folder.path().join("index");
        let with = |call: Call| call.env("GIT_INDEX_FILE", &index);
        let what = "read the changes of the fleet";
        with(self.call(["read-tree", &stand.head])).ask(what)?;
        with(self.call(["add", "--all"].iter().chain(&PATHS))).input(nul_separated(paths)).ask(what)?;
        let tree = with(self.call(["write-tree"])).ask(what)?;
        let who = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
        let call = self.call(["commit-tree", tree.trim(), "-p", &stand.head, "-m", "provisional"]);
        let call = who.iter().fold(call, |call, name| call.env(name, "kubectl-asm@localhost"));
        // The same files on the same commit are the same commit.
        let call = call.env("GIT_AUTHOR_DATE", "@0 +0000").env("GIT_COMMITTER_DATE", "@0 +0000");
        Ok(call.ask(what)?.trim().to_owned())
    }
}
