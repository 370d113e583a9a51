//! What a commit says: read once into what targets are to hold, and again when more of it is asked for.
//!
//! The whole of it is large, and is let go of soon. The repository on disk has it.

use super::lint;
use asm_shared::api::LintMode;
use asm_shared::fleet::{FleetState, Target};
use asm_shared::health::arrival::Arrivals;
use asm_shared::health::ways::Way;
use asm_shared::plan::Desired;
use std::collections::BTreeMap;
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

impl Reader {
    /// Everything that the commit says, judged by lint; and how long lint took. Takes a while: not for a thread that others
    /// wait for.
    pub(super) fn read(&self) -> Result<(FleetState, Duration), String> {
        let repository = git2::Repository::open_bare(&self.repository).map_err(|error| error.message().to_owned())?;
        let tree = asm_io::tree::CommitTree::open(&repository, &self.revision, &self.path)
            .map_err(|error| error.to_string())?;
        let mut state = FleetState::read(&tree);
        let span = crate::trace::lint();
        let took = span.in_scope(|| lint::judge(&tree, &mut state, self.lint));
        span.record("held", state.held.len());
        Ok((state, took))
    }
}

/// A commit with a valid fleet file, and what it wants of the targets that are this replica's.
pub(super) struct Base {
    reader: Reader,
    /// As long as more targets may be asked for.
    state: Option<Arc<FleetState>>,
    desired: BTreeMap<Target, Arc<Desired>>,
    /// Where the routes lead, once something was asked for.
    ways: Option<Arc<[Way]>>,
}

impl Base {
    /// Nothing has been asked for yet.
    pub(super) fn new(reader: Reader, state: Arc<FleetState>) -> Self {
        Self { reader, state: Some(state), desired: BTreeMap::new(), ways: None }
    }

    /// What a target is to hold, if it was asked for.
    pub(super) fn desired(&self, target: &Target) -> Option<&Arc<Desired>> {
        self.desired.get(target)
    }

    /// The commit.
    pub(super) fn revision(&self) -> &str {
        &self.reader.revision
    }

    /// Where the routes lead; nothing before anything was asked for.
    pub(super) fn ways(&self) -> &[Way] {
        self.ways.as_deref().unwrap_or_default()
    }

    /// Makes what targets are to hold, each with the label value of its set.
    pub(super) async fn provide(&mut self, mut targets: Vec<(Target, String)>) -> Result<(), String> {
        targets.retain(|(target, _)| !self.desired.contains_key(target));
        // Whoever writes the status has to know the ways, also without a target of its own.
        if targets.is_empty() && self.ways.is_some() {
            return Ok(());
        }
        let (reader, state) = (self.reader.clone(), self.state.clone());
        let make = move || {
            let state = state.map_or_else(|| reader.read().map(|(state, _)| Arc::new(state)), Ok)?;
            let arrivals = Arrivals::of(&state);
            let desired = |(target, set): (Target, String)| {
                let desired = Desired::of(&state, &target, &reader.revision, &set);
                let desired = Desired { arrival: arrivals.at(&target), ..desired };
                (target, Arc::new(desired))
            };
            let made: Vec<_> = targets.into_iter().map(desired).collect();
            Ok::<_, String>((made, arrivals.ways))
        };
        let (made, ways) = tokio::task::spawn_blocking(make).await.map_err(|error| error.to_string())??;
        self.desired.extend(made);
        self.ways = Some(ways);
        Ok(())
    }

    /// A target is another replica's now.
    pub(super) fn forget(&mut self, target: &Target) {
        self.desired.remove(target);
    }

    /// No more is asked for now.
    pub(super) fn let_go(&mut self) {
        self.state = None;
    }
}
