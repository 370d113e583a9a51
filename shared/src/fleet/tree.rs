//! Where the files of a fleet come from: a working directory, a commit's objects, or memory (tests). No checkout is made.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A set of files by path. Paths use `/`, are relative, and never leave the tree.
pub trait Tree {
    /// All regular files, in byte order of their paths. Symbolic links and submodules are not followed and not listed.
    fn list(&self) -> Result<Vec<Arc<str>>, TreeError>;

    /// The content of one file.
    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError>;

    /// The contents of several files, in their order. A tree that can read them side by side does.
    fn read_all(&self, paths: &[&str]) -> Vec<Result<Vec<u8>, TreeError>> {
        paths.iter().map(|path| self.read(path)).collect()
    }
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct TreeError {
    /// Path inside the tree; empty for the tree itself.
    pub path: String,
    /// What failed.
    pub reason: String,
}

/// A part of a tree: the files whose paths begin with one of some prefixes.
pub struct Part<'a> {
    tree: &'a dyn Tree,
    prefixes: &'a [&'a str],
}

impl<'a> Part<'a> {
    /// Of a tree, what begins with these: `mesh/`, `fleet.yaml`.
    pub fn of(tree: &'a dyn Tree, prefixes: &'a [&'a str]) -> Self {
        Self { tree, prefixes }
    }
}

impl Tree for Part<'_> {
    fn list(&self) -> Result<Vec<Arc<str>>, TreeError> {
        let mut paths = self.tree.list()?;
        paths.retain(|path| self.prefixes.iter().any(|prefix| path.starts_with(prefix)));
        Ok(paths)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        self.tree.read(path)
    }

    fn read_all(&self, paths: &[&str]) -> Vec<Result<Vec<u8>, TreeError>> {
        self.tree.read_all(paths)
    }
}

/// Files held in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree(BTreeMap<Arc<str>, Arc<[u8]>>);

impl MemoryTree {
    /// Puts a file in; a file that is there already is replaced.
    pub fn insert(&mut self, path: &str, content: impl AsRef<[u8]>) {
        self.0.insert(path.into(), content.as_ref().into());
    }

    /// Takes a file out.
    pub fn remove(&mut self, path: &str) {
        self.0.remove(path);
    }
}

impl<P: AsRef<str>, C: AsRef<[u8]>> FromIterator<(P, C)> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = (P, C)>>(files: I) -> Self {
        let mut tree = Self::default();
        for (path, content) in files {
            tree.insert(path.as_ref(), content);
        }
        tree
    }
}

impl Tree for MemoryTree {
    fn list(&self) -> Result<Vec<Arc<str>>, TreeError> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        self.0
            .get(path)
            .map(|content| content.to_vec())
            .ok_or_else(|| TreeError { path: path.to_owned(), reason: "no such file".to_owned() })
    }
}
