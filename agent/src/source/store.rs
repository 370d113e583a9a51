//! The folder with the objects: numbered bare repositories, of which the highest counts.
//!
//! Every fetch adds a pack and the library never joins them, so after some packs the next number is begun with a full
//! fetch. The one before stays for whoever still reads from it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::{Repository, RepositoryInitOptions};

use super::SourceError;

pub(super) struct Store {
    dir: PathBuf,
    packs: usize,
}

impl Store {
    pub(super) fn new(dir: &Path, packs: usize) -> Self {
        Self { dir: dir.to_owned(), packs }
    }

    /// The repository to fetch into.
    pub(super) fn open(&self) -> Result<Repository, SourceError> {
        let number = self.newest()?;
        let path = self.path(number);
        if let Ok(repository) = Repository::open_bare(&path)
            && count_packs(&path) <= self.packs
        {
            return Ok(repository);
        }
        self.begin(number + 1)
    }

    /// Begins a new repository, so that what is in the present one is not used any more.
    pub(super) fn retire(&self) -> Result<(), SourceError> {
        let next = self.newest()? + 1;
        self.begin(next).map(drop)
    }

    fn begin(&self, number: u64) -> Result<Repository, SourceError> {
        let path = self.path(number);
        // No template of the machine: it could bring hooks and configuration.
        let mut options = RepositoryInitOptions::new();
        options.bare(true).no_reinit(true).external_template(false);
        let repository = Repository::init_opts(&path, &options).map_err(|error| storage(&path, error.message()))?;
        // Connections that only look at the branches take this setting from here (fetches take it from their options).
        repository
            .config()
            .and_then(|mut config| config.set_str("http.followRedirects", "false"))
            .map_err(|error| storage(&path, error.message()))?;
        for old in self.numbers()?.into_iter().filter(|old| old + 1 < number) {
            let path = self.path(old);
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "an old Git store could not be removed");
            }
        }
        Ok(repository)
    }

    fn newest(&self) -> Result<u64, SourceError> {
        Ok(self.numbers()?.into_iter().max().unwrap_or(0))
    }

    fn numbers(&self) -> Result<Vec<u64>, SourceError> {
        match fs::read_dir(&self.dir) {
            Ok(entries) => Ok(entries
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".git")?.parse().ok())
                .collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.dir).map_err(|error| storage(&self.dir, &error.to_string()))?;
                Ok(Vec::new())
            }
            Err(error) => Err(storage(&self.dir, &error.to_string())),
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number}.git"))
    }
}

fn count_packs(repository: &Path) -> usize {
    fs::read_dir(repository.join("objects/pack")).map_or(0, |entries| {
        entries.flatten().filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack")).count()
    })
}

fn storage(path: &Path, reason: &str) -> SourceError {
    SourceError::Storage { reason: format!("{}: {reason}", path.display()) }
}
