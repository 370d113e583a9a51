//! What a write is about to do, on disk before it begins: a run that was killed in the middle is taken back by the next
//! one.
//!
//! The journal lies in the root of the repository, so somebody may have committed one: it is believed only about files
//! that a fleet may have.

use crate::error::CommandError;
use asm_shared::authoring::FileEdit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use tempfile::NamedTempFile;

/// The journal's name.
const NAME: &str = ".kubectl-asm-journal";
/// How the names of temporary files begin.
pub(super) const TEMPORARY: &str = ".kubectl-asm-";

/// A file that is being changed; `None` where there is none.
#[derive(Serialize, Deserialize)]
struct Entry {
    path: String,
    before: Option<String>,
    after: Option<String>,
}

/// The journal of a write that is under way. It is locked as long as this lives.
pub(super) struct Journal {
    path: PathBuf,
    _locked: File,
}

impl Journal {
    /// Writes down what is going to be done.
    pub(super) fn start(root: &Path, edits: &[&FileEdit]) -> Result<Self, CommandError> {
        let path = root.join(NAME);
        let failed = |error: &std::io::Error| super::cannot("write in", root, error);
        let entries: Vec<_> = edits
            .iter()
            .map(|edit| Entry { path: edit.path.clone(), before: edit.before.clone(), after: edit.after.clone() })
            .collect();
        let text = serde_json::to_vec(&entries)
            .map_err(|error| CommandError::internal("cannot write the journal").caused_by(&error))?;
        let mut temp = temporary(root).map_err(|error| failed(&error))?;
        // Some file systems have no locks; then two runs at once are not kept apart.
        let _ = temp.as_file().try_lock();
        temp.write_all(&text).and_then(|()| temp.as_file().sync_all()).map_err(|error| failed(&error))?;
        let locked = temp.persist_noclobber(&path).map_err(|error| {
            if error.error.kind() == ErrorKind::AlreadyExists {
                CommandError::input(format!("another kubectl asm is writing in {}", root.display()))
                    .hinted("run the command again")
            } else {
                failed(&error.error)
            }
        })?;
        Ok(Self { path, _locked: locked })
    }

    /// Everything is done, or taken back.
    pub(super) fn close(self) {
        // When it cannot be removed, the next run finds every file as it was written, and takes the write back: so that is
        // said there. A directory that lets a file be made lets it be removed.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A temporary file in a directory.
pub(super) fn temporary(directory: &Path) -> std::io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory)
}

/// Takes back what a run that was killed has left half done, and tells which files it had been about to write. Waits for a
/// run that is still writing.
pub(crate) fn recover(root: &Path) -> Result<Option<Vec<String>>, CommandError> {
    let path = root.join(NAME);
    let failed = |error: &dyn std::fmt::Display| {
        CommandError::input("a command was interrupted while it wrote, and what it did cannot be taken back")
            .because(error.to_string())
            .hinted(format!("look at the files with git status, then remove {}", path.display()))
    };
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let _ = file.lock();
    if !path.exists() {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(|error| failed(&error))?;
    let entries: Vec<Entry> = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
    if let Some(entry) = entries.iter().find(|entry| !may_be_written(root, &entry.path)) {
        return Err(failed(&format!("the journal names {}, which no command writes", entry.path)));
    }
    for entry in &entries {
        take_back(root, entry).map_err(|error| failed(&format!("{}: {error}", entry.path)))?;
    }
    clean_up(root, &entries);
    std::fs::remove_file(&path).map_err(|error| failed(&error))?;
    Ok(Some(entries.into_iter().map(|entry| entry.path).collect()))
}

/// Is it a file inside the repository that a fleet may have? Nothing of Git's own, nothing behind a link to elsewhere.
fn may_be_written(root: &Path, path: &str) -> bool {
    let path = Path::new(path);
    let is_plain = path.components().all(|part| match part {
        Component::Normal(name) => name == ".gitkeep" || !name.to_string_lossy().starts_with('.'),
        _ => false,
    });
    let full = root.join(path);
    let parent = full.ancestors().skip(1).find_map(|directory| directory.canonicalize().ok());
    is_plain && matches!((parent, root.canonicalize()), (Some(parent), Ok(root)) if parent.starts_with(&root))
}

/// Puts the old content back where the new one stands. Whatever else stands there is newer than both and stays.
fn take_back(root: &Path, entry: &Entry) -> std::io::Result<()> {
    let target = root.join(&entry.path);
    let found = match std::fs::read(&target) {
        Ok(found) => Some(found),
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory) =>
        {
            None
        }
        Err(error) => return Err(error),
    };
    if found.as_deref() != entry.after.as_deref().map(str::as_bytes) || entry.before == entry.after {
        return Ok(());
    }
    match &entry.before {
        None => std::fs::remove_file(&target),
        Some(content) => {
            let directory = target.parent().unwrap_or(root);
            std::fs::create_dir_all(directory)?;
            let mut temp = temporary(directory)?;
            temp.write_all(content.as_bytes())?;
            temp.as_file().sync_all()?;
            super::copy_permissions(&target, temp.path())?;
            temp.persist(&target).map(drop).map_err(|error| error.error)
        }
    }
}

/// Removes temporary files, and folders that were made for files that do not come.
fn clean_up(root: &Path, entries: &[Entry]) {
    let targets: Vec<_> = entries.iter().map(|entry| root.join(&entry.path)).collect();
    let directories: BTreeSet<&Path> = targets.iter().filter_map(|target| target.parent()).chain([root]).collect();
    for entry in directories.into_iter().filter_map(|directory| std::fs::read_dir(directory).ok()).flatten().flatten() {
        let name = entry.file_name();
        if name != NAME && name.to_string_lossy().starts_with(TEMPORARY) {
            // What stays is a hidden file that nothing reads.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    for (target, entry) in targets.iter().zip(entries) {
        if entry.before.is_none() {
            super::remove_empty(target, root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{stage, write_files};
    use super::*;

    fn edit(path: &str, before: Option<&str>, after: Option<&str>) -> FileEdit {
        FileEdit { path: path.to_owned(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
    }

    fn files(root: &Path) -> Vec<(String, String)> {
        fn collect(root: &Path, directory: &Path, found: &mut Vec<(String, String)>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    found.push((name, "a directory".to_owned()));
                    collect(root, &path, found);
                } else {
                    found.push((name, std::fs::read_to_string(path).unwrap()));
                }
            }
        }
        let mut found = Vec::new();
        collect(root, root, &mut found);
        found.sort();
        found
    }

    #[test]
    fn killed_after_any_number_of_files() {
        let edits = [
            edit("a", Some("old a"), Some("new a")),
            edit("new/folder/b", None, Some("new b")),
            edit("c", Some("old c"), None),
            edit("d", Some("old d"), Some("new d")),
        ];
        let edits: Vec<_> = edits.iter().collect();
        for (staged, moved) in (0..=edits.len()).flat_map(|staged| (0..=staged).map(move |moved| (staged, moved))) {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path();
            for name in ["a", "c", "d"] {
                std::fs::write(root.join(name), format!("old {name}")).unwrap();
            }
            let before = files(root);
            let journal = Journal::start(root, &edits).unwrap();
            let mut all: Vec<_> =
                edits[..staged].iter().map(|edit| stage(root, edit, &mut Vec::new()).unwrap()).collect();
            all[..moved].iter_mut().for_each(|file| file.put().unwrap());
            // Killed: nothing is cleaned up, and the lock is gone.
            all.into_iter().for_each(std::mem::forget);
            drop(journal);
            assert_eq!(recover(root).unwrap().map(|files| files.len()), Some(4));
            assert_eq!(files(root), before, "{staged} written, {moved} in place");
            assert_eq!(recover(root).unwrap(), None);
            write_files(root, &edits).unwrap();
            assert!(files(root).iter().all(|(name, _)| !name.contains(TEMPORARY)));
        }
    }

    #[test]
    fn what_somebody_wrote_since_stays() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::write(root.join("a"), "theirs").unwrap();
        drop(Journal::start(root, &[&edit("a", Some("old"), Some("new"))]).unwrap());
        recover(root).unwrap();
        assert_eq!(files(root), [("a".to_owned(), "theirs".to_owned())]);
    }

    #[test]
    fn a_journal_from_elsewhere_writes_nothing_outside_of_the_fleet() {
        for path in ["../a", "/tmp/a", ".git/config", "mesh/../../a", "link/a"] {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path().join("fleet");
            std::fs::create_dir(&root).unwrap();
            #[cfg(unix)]
            std::os::unix::fs::symlink(directory.path(), root.join("link")).unwrap();
            drop(Journal::start(&root, &[&edit(path, Some("evil"), None)]).unwrap());
            if path != "link/a" || cfg!(unix) {
                assert!(recover(&root).unwrap_err().to_string().contains("which no command writes"), "{path}");
            }
            assert!(!directory.path().join("a").exists() && !root.join(".git").exists(), "{path}");
        }
    }

    #[test]
    fn two_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let first = Journal::start(root, &[]).unwrap();
        let error = write_files(root, &[&edit("a", None, Some("new"))]).unwrap_err();
        assert!(error.to_string().contains("another kubectl asm is writing"), "{error}");
        first.close();
        write_files(root, &[&edit("a", None, Some("new"))]).unwrap();
    }
}
