//! A commit's objects as a tree: blobs come straight from the object database, no file is written.

use super::{MAX_DEPTH, MAX_ENTRIES, MAX_FILE_BYTES, error, parts, too_large, too_many};
use asm_shared::fleet::{Tree, TreeError};
use git2::{ObjectType, Oid, Repository};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

const SYMLINK: i32 = 0o120_000;

/// The files of one commit, or of one folder in it.
pub struct CommitTree<'repo> {
    repository: &'repo Repository,
    commit: Oid,
    files: BTreeMap<Arc<str>, Oid>,
    max_bytes: u64,
}

impl fmt::Debug for CommitTree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitTree").field("commit", &self.commit).field("files", &self.files.len()).finish()
    }
}

/// The commit that a revision (branch, tag, `HEAD~1`, hash) means.
///
/// # Errors
/// When the repository knows no such revision, or when it is no commit.
pub fn resolve(repository: &Repository, revision: &str) -> Result<Oid, TreeError> {
    let object = repository.revparse_single(revision).map_err(|reason| match reason.code() {
        git2::ErrorCode::NotFound => error("", format!("the revision `{revision}` is unknown in this repository")),
        _ => error("", format!("the revision `{revision}` cannot be read: {}", reason.message())),
    })?;
    let commit = object.peel_to_commit();
    commit.map(|commit| commit.id()).map_err(|_| error("", format!("the revision `{revision}` is not a commit")))
}

impl<'repo> CommitTree<'repo> {
    /// The files of a commit under `folder` (the whole commit when it is empty). Trees are read now, blobs when asked for.
    ///
    /// # Errors
    /// When the revision or the folder does not exist, and when the commit's trees hold what no Git client writes.
    pub fn open(repository: &'repo Repository, revision: &str, folder: &str) -> Result<Self, TreeError> {
        Self::of(repository, resolve(repository, revision)?, folder)
    }

    /// Like [`Self::open`], of a commit that is known already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(repository: &'repo Repository, commit: Oid, folder: &str) -> Result<Self, TreeError> {
        let unreadable =
            |reason: git2::Error| error(folder, format!("cannot read commit {commit}: {}", reason.message()));
        let mut root = repository.find_commit(commit).and_then(|commit| commit.tree()).map_err(unreadable)?;
        let folder = folder.trim_end_matches('/');
        let folder = folder.strip_prefix("./").unwrap_or(folder);
        if !matches!(folder, "" | ".") {
            for part in parts(folder).ok_or_else(|| error(folder, "the path leaves the repository"))? {
                let entry = root.get_name(part).filter(|entry| entry.kind() == Some(ObjectType::Tree));
                let entry = entry.ok_or_else(|| error(folder, format!("commit {commit} has no such folder")))?.id();
                root = repository.find_tree(entry).map_err(unreadable)?;
            }
        }
        let mut files = BTreeMap::new();
        let mut entries = 0;
        let mut open = vec![(root.id(), String::new(), 0)];
        while let Some((tree, prefix, depth)) = open.pop() {
            let tree = repository.find_tree(tree).map_err(unreadable)?;
            entries += tree.len();
            if entries > MAX_ENTRIES {
                return Err(too_many());
            }
            let mut names = HashSet::with_capacity(tree.len());
            for entry in &tree {
                let bytes = entry.name_bytes();
                let name = String::from_utf8_lossy(bytes);
                let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}/{name}") };
                // No Git client writes these; whoever made them by hand is after somebody's checkout.
                let forbidden = matches!(bytes, b"" | b"." | b"..") || bytes.eq_ignore_ascii_case(b".git");
                if forbidden || bytes.contains(&b'/') {
                    return Err(error(&path, format!("commit {commit} holds a name that Git forbids")));
                }
                if !names.insert(bytes.to_owned()) {
                    return Err(error(&path, format!("commit {commit} holds this name twice")));
                }
                match entry.kind() {
                    Some(ObjectType::Tree) if bytes.first() != Some(&b'.') => {
                        if depth >= MAX_DEPTH {
                            return Err(error(&path, format!("folders are nested more than {MAX_DEPTH} deep")));
                        }
                        open.push((entry.id(), path, depth + 1));
                    }
                    Some(ObjectType::Blob) if entry.filemode_raw() != SYMLINK => {
                        files.insert(Arc::from(path), entry.id());
                    }
                    // Symbolic links lead anywhere, submodules are other repositories.
                    _ => {}
                }
            }
        }
        Ok(Self { repository, commit, files, max_bytes: MAX_FILE_BYTES })
    }

    /// Refuses files with more bytes than this.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// The commit.
    pub fn commit(&self) -> Oid {
        self.commit
    }
}

impl Tree for CommitTree<'_> {
    fn list(&self) -> Result<Vec<Arc<str>>, TreeError> {
        Ok(self.files.keys().cloned().collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let id = *self.files.get(path).ok_or_else(|| error(path, "no such file"))?;
        let failed =
            |reason: git2::Error| error(path, format!("cannot read the file's object {id}: {}", reason.message()));
        let objects = self.repository.odb().map_err(failed)?;
        // The header tells the size before anything is unpacked.
        let (size, kind) = objects.read_header(id).map_err(failed)?;
        if kind != ObjectType::Blob {
            return Err(error(path, format!("the object {id} is not a file")));
        }
        if size as u64 > self.max_bytes {
            return Err(too_large(path, size as u64, self.max_bytes));
        }
        Ok(objects.read(id).map_err(failed)?.data().to_vec())
    }
}

#[cfg(test)]
#[path = "../../tests/raw/mod.rs"]
mod raw;

#[cfg(test)]
mod tests {
    use super::raw::{commit, tree};
    use super::*;

    fn repository() -> (tempfile::TempDir, Repository) {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(directory.path()).unwrap();
        (directory, repository)
    }

    #[test]
    fn regular_files_are_listed_and_read() {
        let (_directory, repository) = repository();
        let blob = repository.blob(b"content").unwrap();
        let inner = tree(
            &repository,
            &[("100644", b"a.yaml", blob), ("100755", b"run.sh", blob), ("120000", b"link.yaml", blob)],
        );
        let root = tree(
            &repository,
            &[
                ("40000", b".github", inner),
                ("100644", b"fleet.yaml", blob),
                ("40000", b"mesh", inner),
                ("160000", b"module", blob),
            ],
        );
        let id = commit(&repository, root);
        let files = CommitTree::open(&repository, "HEAD", "").unwrap();
        assert_eq!(files.commit(), id);
        assert_eq!(files.list().unwrap(), ["fleet.yaml".into(), "mesh/a.yaml".into(), "mesh/run.sh".into()]);
        assert_eq!(files.read("mesh/a.yaml").unwrap(), b"content");
        assert_eq!(files.read("mesh/link.yaml").unwrap_err().to_string(), "mesh/link.yaml: no such file");
        assert!(files.with_max_bytes(3).read("mesh/a.yaml").unwrap_err().reason.contains("7 bytes"));
        let folder = CommitTree::open(&repository, &id.to_string(), "mesh/").unwrap();
        assert_eq!(folder.list().unwrap(), ["a.yaml".into(), "run.sh".into()]);
        for folder in ["none", "fleet.yaml", "../x", "/mesh", "module"] {
            CommitTree::open(&repository, "HEAD", folder).unwrap_err();
        }
    }

    #[test]
    fn unknown_revisions_are_named() {
        let (_directory, repository) = repository();
        let blob = repository.blob(b"x").unwrap();
        let root = tree(&repository, &[("100644", b"a", blob)]);
        commit(&repository, root);
        assert_eq!(
            resolve(&repository, "main2").unwrap_err().reason,
            "the revision `main2` is unknown in this repository"
        );
        assert_eq!(
            resolve(&repository, &blob.to_string()).unwrap_err().reason,
            format!("the revision `{blob}` is not a commit")
        );
        resolve(&repository, "").unwrap_err();
        resolve(&repository, "HEAD~1").unwrap_err();
    }

    #[test]
    fn trees_that_no_client_writes_are_refused() {
        let (_directory, repository) = repository();
        let blob = repository.blob(b"x").unwrap();
        for name in [&b".git"[..], b".GIT", b"..", b".", b"a/b"] {
            let inner = tree(&repository, &[("100644", name, blob)]);
            let root = tree(&repository, &[("40000", b"mesh", inner)]);
            let id = commit(&repository, root);
            let error = CommitTree::of(&repository, id, "").unwrap_err();
            assert!(error.reason.contains("Git forbids"), "{error}");
        }
        let root = tree(&repository, &[("100644", b"a", blob), ("100644", b"a", blob)]);
        let id = commit(&repository, root);
        assert!(CommitTree::of(&repository, id, "").unwrap_err().reason.contains("twice"));
        // A folder that contains more folders than anybody writes.
        let mut deep = tree(&repository, &[("100644", b"a", blob)]);
        for _ in 0..MAX_DEPTH + 1 {
            deep = tree(&repository, &[("40000", b"d", deep)]);
        }
        let id = commit(&repository, deep);
        assert!(CommitTree::of(&repository, id, "").unwrap_err().reason.contains("nested"));
    }
}
