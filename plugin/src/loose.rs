//! Manifests without a fleet.yaml on the command line: `--manifests DIR`, `--cluster NAME[=DIR]`.

use crate::error::CommandError;
use asm_io::loose::{Folder, Manifests};
use asm_shared::fleet::{FleetState, ONLY_CLUSTER, TreeError};
use std::path::{Path, PathBuf};

/// The files and the clusters of the command line.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) folders: Vec<Folder>,
    /// Clusters without files of their own.
    pub(crate) clusters: Vec<String>,
}

impl Given {
    /// Reads the values of both flags.
    pub(crate) fn read(manifests: &[PathBuf], clusters: &[String]) -> Result<Self, CommandError> {
        let mut given = Self {
            folders: manifests.iter().map(|path| Folder { path: path.clone(), cluster: None }).collect(),
            clusters: Vec::new(),
        };
        for text in clusters {
            let (name, path) = text.split_once('=').map_or((text.as_str(), None), |(name, path)| (name, Some(path)));
            if name.is_empty() || name == "mesh" || path == Some("") {
                return Err(CommandError::usage(format!("--cluster {text}: not NAME or NAME=DIR"))
                    .hinted("the mesh's manifests are given with --manifests"));
            }
            match path {
                Some(path) => {
                    given.folders.push(Folder { path: PathBuf::from(path), cluster: Some(name.to_owned()) });
                }
                None => given.clusters.push(name.to_owned()),
            }
        }
        Ok(given)
    }

    /// Workloads without a cluster would go nowhere: where none is named, there is one.
    #[must_use]
    pub(crate) fn in_one_cluster_at_least(mut self) -> Self {
        if self.all_clusters().is_empty() {
            self.clusters.push(ONLY_CLUSTER.to_owned());
        }
        self
    }

    /// A fleet repository is no folder of loose manifests. `instead` ends with the command that takes one.
    pub(crate) fn refuse_fleets(&self, instead: &str) -> Result<(), CommandError> {
        let Some(folder) = self.folders.iter().find(|folder| folder.path.join("fleet.yaml").is_file()) else {
            return Ok(());
        };
        let shown = folder.path.display();
        Err(CommandError::usage(format!("{shown} is a fleet repository, not a folder of loose manifests"))
            .hinted(format!("{instead} --repo {shown}")))
    }

    /// Every cluster that is named.
    pub(crate) fn all_clusters(&self) -> Vec<&str> {
        let own = self.folders.iter().filter_map(|folder| folder.cluster.as_deref());
        self.clusters.iter().map(String::as_str).chain(own).collect()
    }

    /// What is given, in a few words.
    pub(crate) fn label(&self) -> String {
        let paths: Vec<String> = self.folders.iter().map(|folder| folder.path.display().to_string()).collect();
        paths.join(", ")
    }

    /// The files that are given.
    pub(crate) fn open(&self) -> Result<Manifests, CommandError> {
        Manifests::open(&self.folders).map_err(|error| wrong(&error))
    }

    /// What they say.
    pub(crate) fn state(&self) -> Result<FleetState, CommandError> {
        Ok(self.state_of(&self.open()?))
    }

    /// What these files say, with the clusters that are named.
    pub(crate) fn state_of(&self, manifests: &Manifests) -> FleetState {
        manifests.state(&self.clusters.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The folders to look at for changes.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        // Of a file, the folder: editors replace files.
        let folder = |path: &Path| match path.parent().filter(|_| path.is_file()) {
            Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
            Some(parent) => parent.to_owned(),
            None => path.to_owned(),
        };
        self.folders.iter().map(|given| folder(&given.path)).collect()
    }
}

/// A path that cannot be read.
fn wrong(error: &TreeError) -> CommandError {
    CommandError::input(format!("{}: {}", error.path, error.reason)).hinted("--manifests takes folders and files")
}
