//! A working directory as a tree.

use super::{MAX_DEPTH, MAX_ENTRIES, MAX_FILE_BYTES, error, parts, too_large, too_many};
use asm_shared::fleet::{Tree, TreeError};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

/// Fewer files than this per thread are not worth one.
const WORTH_A_THREAD: usize = 64;

/// The files under a directory.
#[derive(Clone, Debug)]
pub struct DirTree {
    root: PathBuf,
    max_bytes: u64,
}

impl DirTree {
    /// The files under `root`. Nothing is read yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), max_bytes: MAX_FILE_BYTES }
    }

    /// Refuses files with more bytes than this.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Tree for DirTree {
    fn list(&self) -> Result<Vec<Arc<str>>, TreeError> {
        let mut files = Vec::new();
        let mut entries = 0;
        let mut open = vec![(self.root.clone(), String::new(), 0)];
        while let Some((directory, prefix, depth)) = open.pop() {
            let failed = |reason: std::io::Error| error(&prefix, format!("cannot list the directory: {reason}"));
            for entry in fs::read_dir(&directory).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                entries += 1;
                if entries > MAX_ENTRIES {
                    return Err(too_many());
                }
                // The type of the entry itself: symbolic links are neither files nor directories here.
                let kind = entry.file_type().map_err(failed)?;
                let name = entry.file_name();
                let path = join(&prefix, &name);
                if kind.is_dir() && !hidden(&name) {
                    if depth >= MAX_DEPTH {
                        return Err(error(&path, format!("folders are nested more than {MAX_DEPTH} deep")));
                    }
                    open.push((entry.path(), path, depth + 1));
                } else if kind.is_file() {
                    files.push(Arc::from(path));
                }
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        self.one(path, &mut None)
    }

    fn read_all(&self, paths: &[&str]) -> Vec<Result<Vec<u8>, TreeError>> {
        let read = |paths: &[&str]| {
            let mut folder = None;
            paths.iter().map(|path| self.one(path, &mut folder)).collect::<Vec<_>>()
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(paths.len() / WORTH_A_THREAD);
        if threads < 2 {
            return read(paths);
        }
        thread::scope(|scope| {
            let shares = paths.chunks(paths.len().div_ceil(threads));
            let running: Vec<_> = shares.map(|share| scope.spawn(move || read(share))).collect();
            // A panic of a thread goes on in this one, as it would have without threads.
            let ended = running
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            ended.flatten().collect()
        })
    }
}

impl DirTree {
    /// One file. `folder`: the folder of the file before, whose way is known to have no links.
    fn one<'p>(&self, path: &'p str, folder: &mut Option<&'p str>) -> Result<Vec<u8>, TreeError> {
        let failed = |reason: std::io::Error| error(path, format!("cannot read the file: {reason}"));
        let own = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let is_known = *folder == Some(own);
        let mut full = self.root.clone();
        let mut metadata = None;
        let mut parts = parts(path).ok_or_else(|| error(path, "the path leaves the tree"))?.peekable();
        while let Some(part) = parts.next() {
            full.push(part);
            if is_known && parts.peek().is_some() {
                continue;
            }
            let found = fs::symlink_metadata(&full).map_err(failed)?;
            if found.is_symlink() {
                return Err(error(path, "symbolic links are not followed"));
            }
            metadata = Some(found);
        }
        *folder = Some(own);
        let Some(metadata) = metadata.filter(fs::Metadata::is_file) else {
            // Opening a pipe would wait for ever.
            return Err(error(path, "not a regular file"));
        };
        if metadata.len() > self.max_bytes {
            return Err(too_large(path, metadata.len(), self.max_bytes));
        }
        let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        // The file may have grown since.
        File::open(&full).map_err(failed)?.take(self.max_bytes + 1).read_to_end(&mut content).map_err(failed)?;
        let size = content.len() as u64;
        if size > self.max_bytes { Err(too_large(path, size, self.max_bytes)) } else { Ok(content) }
    }
}

fn join(prefix: &str, name: &OsStr) -> String {
    // A name that is not UTF-8 gets U+FFFD, which the fleet's layout reports as a problem of that file alone.
    let name = name.to_string_lossy();
    if prefix.is_empty() { name.into_owned() } else { format!("{prefix}/{name}") }
}

fn hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::fleet::FleetState;

    fn list(tree: &DirTree) -> Vec<String> {
        tree.list().unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn regular_files_are_listed_in_order() {
        let root = tempfile::tempdir().unwrap();
        for path in
            ["mesh/b.yaml", "mesh/a/x.yaml", "mesh/a.yaml", "fleet.yaml", ".git/config", ".cache/x", "中文/x.yaml"]
        {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let tree = DirTree::new(root.path());
        assert_eq!(list(&tree), ["fleet.yaml", "mesh/a.yaml", "mesh/a/x.yaml", "mesh/b.yaml", "中文/x.yaml"]);
        assert_eq!(tree.read("mesh/a/x.yaml").unwrap(), b"x");
        assert_eq!(tree.read("mesh/c.yaml").unwrap_err().path, "mesh/c.yaml");
        assert_eq!(DirTree::new(&root.path().join("none")).list().unwrap_err().path, "");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_outside_is_read() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.yaml"), "x").unwrap();
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("mesh")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("clusters")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.yaml"), root.path().join("mesh/s.yaml")).unwrap();
        let tree = DirTree::new(root.path());
        assert!(list(&tree).is_empty());
        for path in
            ["clusters/secret.yaml", "mesh/s.yaml", "../x", "/etc/passwd", "mesh/../../x", "mesh", "mesh//x", ""]
        {
            tree.read(path).unwrap_err();
        }
    }

    #[test]
    fn large_files_are_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), "12345").unwrap();
        let tree = DirTree::new(root.path());
        assert_eq!(tree.clone().with_max_bytes(5).read("a").unwrap(), b"12345");
        let error = tree.with_max_bytes(4).read("a").unwrap_err();
        assert_eq!(error.to_string(), "a: the file has 5 bytes, more than the 4 that are read");
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf8_is_a_problem_of_that_file() {
        use std::os::unix::ffi::OsStrExt as _;
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("mesh")).unwrap();
        fs::write(root.path().join("mesh").join(OsStr::from_bytes(b"\xff.yaml")), "a: b").unwrap();
        let state = FleetState::read(&DirTree::new(root.path()));
        let problem = state.problems.iter().find(|problem| problem.position.is_some()).unwrap();
        assert_eq!(problem.to_string(), "mesh/\u{fffd}.yaml:1:1: the path is not UTF-8");
        assert_eq!(*problem.targets, ["mesh".into()]);
    }
}
