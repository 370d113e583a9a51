//! What a commit says: read once into what each target is to hold, and again when somebody wants to see it whole.
//!
//! The whole of it is large, and is let go of at once. The repository on disk has it.

use super::lint;
use asm_shared::api::{LintMode, SyncProblem, labels};
use asm_shared::fleet::{FleetState, Problem, Target};
use asm_shared::plan::Desired;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A commit that is in the repository on disk.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) repository: PathBuf,
    /// Full commit ID.
    pub(super) revision: Arc<str>,
    /// Path of the fleet inside the repository.
    pub(super) path: String,
    pub(super) lint: LintMode,
}

/// What the supervisor keeps of a commit.
pub(super) struct Content {
    /// There is a valid fleet file.
    pub(super) has_fleet: bool,
    pub(super) problems: Vec<SyncProblem>,
    /// What each target is to hold, in the order of the fleet file, the mesh first.
    pub(super) desired: Vec<Arc<Desired>>,
    /// Names of the member clusters.
    pub(super) clusters: Vec<String>,
    /// Objects of all targets together.
    pub(super) objects: usize,
    /// Those of them that lint holds back.
    pub(super) held: usize,
    /// How long lint took.
    pub(super) lint_took: Duration,
}

impl Reader {
    /// Everything that the commit says, judged by lint.
    pub(super) fn state(&self) -> Result<FleetState, String> {
        self.judged().map(|(state, _)| state)
    }

    fn judged(&self) -> Result<(FleetState, Duration), String> {
        let repository = git2::Repository::open_bare(&self.repository).map_err(|error| error.message().to_owned())?;
        let tree = asm_io::tree::CommitTree::open(&repository, &self.revision, &self.path)
            .map_err(|error| error.to_string())?;
        let mut state = FleetState::read(&tree);
        let took = lint::judge(&tree, &mut state, self.lint);
        Ok((state, took))
    }

    /// What is to be done about it by a FleetSync. Takes a while: not for a thread that others wait for.
    pub(super) fn read(&self, namespace: &str, fleet_sync: &str) -> Result<Content, String> {
        let (state, lint_took) = self.judged()?;
        let targets = state.targets();
        let desired = |target| {
            let set = labels::applyset_id(namespace, fleet_sync, Target::name(target));
            Arc::new(Desired::of(&state, target, &self.revision, &set))
        };
        Ok(Content {
            has_fleet: state.fleet.is_some(),
            problems: state.problems.iter().map(sync_problem).collect(),
            desired: targets.iter().map(desired).collect(),
            clusters: targets.iter().filter(|t| **t != Target::Mesh).map(|t| t.name().to_owned()).collect(),
            objects: state.manifests.len(),
            held: state.held.iter().filter(|held| !held.leans).count(),
            lint_took,
        })
    }
}

fn sync_problem(problem: &Problem) -> SyncProblem {
    let at = problem.position.as_ref().map_or_else(|| "fleet".to_owned(), ToString::to_string);
    let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
    SyncProblem { at, message: format!("{}{hint}", problem.message) }
}
