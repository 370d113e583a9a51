//! Trees from the outside world: a working directory ([`DirTree`]) and a commit's objects ([`CommitTree`]).
//!
//! Both list the same files for the same content: regular files only, relative paths with `/`, nothing in folders whose
//! name begins with a dot, neither symbolic links nor submodules.

mod commit;
mod dir;

pub use commit::{CommitTree, resolve};
pub use dir::DirTree;

use asm_shared::fleet::TreeError;

/// Bytes of a file that are read at most, unless a tree is told otherwise. One more than the YAML reader takes, so that
/// its message, which has a place and a hint, is the one that people see for files that are just too large.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024 + 1;

/// Entries of a tree that are looked at, at most.
pub const MAX_ENTRIES: usize = 500_000;

/// Folders inside each other, at most.
pub const MAX_DEPTH: usize = 64;

fn error(path: &str, reason: impl Into<String>) -> TreeError {
    TreeError { path: path.to_owned(), reason: reason.into() }
}

fn too_large(path: &str, size: u64, limit: u64) -> TreeError {
    error(path, format!("the file has {size} bytes, more than the {limit} that are read"))
}

fn too_many() -> TreeError {
    error("", format!("there are more than {MAX_ENTRIES} entries: give the folder of the fleet"))
}

/// The parts of a path inside a tree; `None` when it is absolute or leaves the tree.
fn parts(path: &str) -> Option<impl Iterator<Item = &str>> {
    let sound = path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']));
    sound.then(|| path.split('/'))
}
