//! Paths on the command line, inside the fleet and inside Git.

use crate::error::CommandError;
use asm_io::revisions::WorkingCopy;
use std::path::{Component, Path, PathBuf};

/// Paths as the user gave them (from where they stand, or from the fleet's root) as paths inside the fleet, with `/`; the
/// root itself is the empty path.
pub(super) fn inside(root: &Path, paths: &[PathBuf]) -> Result<Vec<String>, CommandError> {
    let whole = root
        .canonicalize()
        .map_err(|error| CommandError::input(format!("cannot read {}", root.display())).caused_by(&error))?;
    paths.iter().map(|path| one(&whole, path)).collect()
}

fn one(root: &Path, path: &Path) -> Result<String, CommandError> {
    let found = path.canonicalize().or_else(|error| root.join(path).canonicalize().map_err(|_| error));
    let found =
        found.map_err(|error| CommandError::usage(format!("cannot read {}", path.display())).caused_by(&error))?;
    let inside = found.strip_prefix(root).map_err(|_| {
        CommandError::usage(format!("{} is outside of the fleet repository {}", path.display(), root.display()))
            .hinted("a fleet is judged as a whole; name files of it, or another fleet with --repo DIR")
    })?;
    let parts = inside.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    Ok(parts.collect::<Vec<_>>().join("/"))
}

/// What stands before a path of the fleet in Git, with a slash at its end: forges name files from the repository's root.
/// Empty outside of Git.
pub(super) fn in_git(root: &Path) -> String {
    match WorkingCopy::find(root) {
        Ok(copy) if !copy.folder.is_empty() => format!("{}/", copy.folder),
        _ => String::new(),
    }
}
