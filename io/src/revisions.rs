//! Revisions of the Git repository that a working directory lies in: what `A..B` and `A...B` mean.

use asm_shared::fleet::TreeError;
pub use git2::Oid;
use git2::Repository;
use std::path::Path;

/// The Git repository around a directory, and the directory's place in it.
pub struct WorkingCopy {
    /// The repository.
    pub repository: Repository,
    /// The directory inside the repository, with `/`; empty for its root.
    pub folder: String,
}

impl std::fmt::Debug for WorkingCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkingCopy").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl WorkingCopy {
    /// Finds the repository that a directory lies in.
    ///
    /// # Errors
    /// When the directory is in no Git repository, or in one without a working tree.
    pub fn find(directory: &Path) -> Result<Self, TreeError> {
        let shown = directory.display().to_string();
        let failed = |reason: String| TreeError { path: shown.clone(), reason };
        let directory = directory.canonicalize().map_err(|error| failed(error.to_string()))?;
        let repository = Repository::discover(&directory).map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => failed("not in a Git repository".to_owned()),
            _ => failed(format!("the Git repository cannot be opened: {}", error.message())),
        })?;
        let root = repository
            .workdir()
            .ok_or_else(|| failed("the Git repository has no working tree".to_owned()))?
            .canonicalize()
            .map_err(|error| failed(error.to_string()))?;
        let inside = directory.strip_prefix(&root).map_err(|_| failed("outside the Git working tree".to_owned()))?;
        let parts: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        Ok(Self { repository, folder: parts.join("/") })
    }

    /// The commit where two lines of history parted.
    ///
    /// # Errors
    /// When they have nothing in common, as far as this clone knows.
    pub fn merge_base(&self, one: Oid, two: Oid) -> Result<Oid, TreeError> {
        self.repository.merge_base(one, two).map_err(|_| TreeError {
            path: String::new(),
            reason: format!("{one:.7} and {two:.7} have no commit in common"),
        })
    }

    /// The files in which two commits contradict each other, in the repository, by path; empty when they can be merged.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn conflicts(&self, one: Oid, two: Oid) -> Result<Vec<String>, TreeError> {
        let failed = |error: git2::Error| TreeError { path: String::new(), reason: error.message().to_owned() };
        let (one, two) = (self.repository.find_commit(one), self.repository.find_commit(two));
        let index =
            self.repository.merge_commits(&one.map_err(failed)?, &two.map_err(failed)?, None).map_err(failed)?;
        let mut paths = Vec::new();
        for conflict in index.conflicts().map_err(failed)? {
            let conflict = conflict.map_err(failed)?;
            let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
            paths.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
        }
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// The remote-tracking branch of this name (`origin/feature` for `feature`), if there is exactly one.
    pub fn remote_branch(&self, name: &str) -> Option<String> {
        let branches = self.repository.branches(Some(git2::BranchType::Remote)).ok()?;
        let names = branches.flatten().filter_map(|(branch, _)| branch.name().ok().flatten().map(str::to_owned));
        let found: Vec<String> =
            names.filter(|full| full.split_once('/').is_some_and(|(_, short)| short == name)).collect();
        <[String; 1]>::try_from(found).ok().map(|[only]| only)
    }

    /// Is there no commit yet?
    pub fn is_unborn(&self) -> bool {
        self.repository.head().is_err_and(|error| error.code() == git2::ErrorCode::UnbornBranch)
    }

    /// Does a commit have the directory?
    pub fn has_folder(&self, commit: Oid) -> bool {
        let tree = self.repository.find_commit(commit).and_then(|commit| commit.tree());
        self.folder.is_empty()
            || tree.is_ok_and(|tree| {
                tree.get_path(Path::new(&self.folder)).is_ok_and(|entry| entry.kind() == Some(git2::ObjectType::Tree))
            })
    }

    /// The short ID of a commit, as Git prints it.
    pub fn short(&self, commit: Oid) -> String {
        let found = self.repository.find_object(commit, None).and_then(|object| object.short_id());
        let text = found.ok().and_then(|buffer| buffer.as_str().map(str::to_owned).ok());
        text.unwrap_or_else(|| commit.to_string().chars().take(7).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(repository: &Repository, parents: &[Oid], message: &str) -> Oid {
        let signature = git2::Signature::now("a", "a@example.com").unwrap();
        let tree = repository.find_tree(repository.index().unwrap().write_tree().unwrap()).unwrap();
        let parents: Vec<_> = parents.iter().map(|parent| repository.find_commit(*parent).unwrap()).collect();
        let parents: Vec<_> = parents.iter().collect();
        repository.commit(None, &signature, &signature, message, &tree, &parents).unwrap()
    }

    #[test]
    fn a_fleet_in_a_folder_of_a_repository() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init(directory.path()).unwrap();
        let base = commit(&repository, &[], "base");
        let (one, two) = (commit(&repository, &[base], "one"), commit(&repository, &[base], "two"));
        let fleet = directory.path().join("fleets/shop");
        std::fs::create_dir_all(&fleet).unwrap();
        let copy = WorkingCopy::find(&fleet).unwrap();
        assert_eq!(copy.folder, "fleets/shop");
        assert_eq!(copy.merge_base(one, two).unwrap(), base);
        assert!(base.to_string().starts_with(&copy.short(base)));
        let stranger = commit(&repository, &[], "stranger");
        assert!(copy.merge_base(one, stranger).unwrap_err().reason.contains("no commit in common"));
    }

    #[test]
    fn commits_that_contradict_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init(directory.path()).unwrap();
        let write = |path: &str, text: &str, parents: &[Oid]| {
            std::fs::write(directory.path().join(path), text).unwrap();
            let mut index = repository.index().unwrap();
            index.add_path(Path::new(path)).unwrap();
            index.write().unwrap();
            commit(&repository, parents, text)
        };
        let base = write("a", "1", &[]);
        let (two, three) = (write("a", "2", &[base]), write("a", "3", &[base]));
        let copy = WorkingCopy::find(directory.path()).unwrap();
        assert_eq!(copy.conflicts(two, three).unwrap(), ["a"]);
        assert_eq!(copy.conflicts(base, three).unwrap(), [""; 0]);
    }

    #[test]
    fn outside_of_git() {
        let directory = tempfile::tempdir().unwrap();
        let error = WorkingCopy::find(directory.path()).unwrap_err();
        assert_eq!(error.reason, "not in a Git repository");
    }
}
