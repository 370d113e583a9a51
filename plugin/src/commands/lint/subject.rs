//! What is judged: a fleet, or manifests that are in none.

use super::{LintArgs, paths};
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::loose::Given;
use asm_io::loose::Manifests;
use asm_shared::fleet::{FleetState, Memory, Tree};
use std::path::{Path, PathBuf};

/// Files and what they say.
pub(super) enum Subject {
    Fleet(FleetRepo),
    Loose { files: Manifests, state: FleetState, given: Given },
}

impl Subject {
    /// Reads what the command line names. `known`: files as they were read the last time.
    pub(super) fn open(context: &Context, args: &LintArgs, known: Option<&mut Memory>) -> Result<Self, CommandError> {
        if args.manifests.is_empty() && args.cluster.is_empty() {
            return match known {
                Some(known) => context.repo_again(known),
                None => context.repo(),
            }
            .map(Self::Fleet);
        }
        let given = Given::read(&args.manifests, &args.cluster)?;
        given.refuse_fleets("it is judged by: kubectl asm lint")?;
        if given.folders.is_empty() {
            return Err(CommandError::usage("--cluster names a cluster of loose manifests, and there are none")
                .hinted("give its files, --cluster NAME=DIR, or others with --manifests DIR"));
        }
        let given = given.in_one_cluster_at_least();
        let files = given.open()?;
        let state = given.state_of(&files);
        Ok(Self::Loose { files, state, given })
    }

    pub(super) fn tree(&self) -> &dyn Tree {
        match self {
            Self::Fleet(repo) => &repo.tree,
            Self::Loose { files, .. } => files,
        }
    }

    pub(super) fn state(&self) -> &FleetState {
        match self {
            Self::Fleet(repo) => &repo.state,
            Self::Loose { state, .. } => state,
        }
    }

    /// What stands before the paths of findings in Git. Loose manifests are told as they were named, from where one stands.
    pub(super) fn in_git(&self) -> String {
        match self {
            Self::Fleet(repo) => paths::in_git(&repo.root),
            Self::Loose { given, .. } if given.folders.iter().any(|folder| folder.path.is_absolute()) => String::new(),
            Self::Loose { .. } => paths::in_git(Path::new(".")),
        }
    }

    /// Folders whose files make a difference.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        match self {
            Self::Fleet(repo) => vec![repo.root.clone()],
            Self::Loose { given, .. } => given.watched(),
        }
    }
}
