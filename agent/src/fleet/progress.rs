//! How far each target is with a commit, so that make-before-break holds across API servers: routes wait for the
//! workloads of every cluster, removals in a cluster wait until the mesh has the commit's routes and no others. A dead target holds nobody up for long.

use asm_shared::fleet::Target;
use asm_shared::plan::Stage;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long routes wait for the workloads of slow clusters.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// All stages before this one are applied.
    Stage(Stage),
    /// Everything is applied.
    Applied,
    /// And the routes that have left Git are removed.
    Rerouted,
    /// It could not be brought to this commit; nobody should wait for it.
    Failed,
}

/// Where each target is, with the commit that this is about.
type Board = BTreeMap<Target, (Arc<str>, Reached)>;

/// The board that the targets of one FleetSync share.
#[derive(Clone)]
pub(super) struct Progress(watch::Sender<Board>);

impl Default for Progress {
    fn default() -> Self {
        Self(watch::Sender::new(Board::new()))
    }
}

impl Progress {
    /// Says where a target is.
    pub(super) fn reached(&self, target: &Target, revision: &Arc<str>, reached: Reached) {
        self.0.send_modify(|board| {
            board.insert(target.clone(), (revision.clone(), reached));
        });
    }

    /// Waits until every other target of the commit has its workloads, or has failed, or patience ends.
    pub(super) async fn workloads(&self, others: &[Target], revision: &Arc<str>) {
        let mut board = self.0.subscribe();
        let arrived = board.wait_for(|board| {
            others.iter().all(|target| match board.get(target) {
                Some((at, Reached::Applied | Reached::Rerouted | Reached::Failed)) => at == revision,
                Some((at, Reached::Stage(stage))) => at == revision && *stage > Stage::Workload,
                None => false,
            })
        });
        // Both outcomes lead on: what is late is late, and the routes of the other clusters must not wait for ever.
        let _ = tokio::time::timeout(PATIENCE, arrived).await;
    }

    /// Has the mesh this commit's routes and no others, so that nothing sends requests to what is about to be removed?
    pub(super) fn rerouted(&self, revision: &Arc<str>) -> bool {
        matches!(self.0.borrow().get(&Target::Mesh), Some((at, Reached::Rerouted)) if at == revision)
    }

    /// Did the mesh fail to get to this commit, or is something held back there?
    pub(super) fn mesh_failed(&self, revision: &Arc<str>) -> bool {
        matches!(self.0.borrow().get(&Target::Mesh), Some((at, Reached::Failed)) if at == revision)
    }

    /// Waits until the board changes.
    pub(super) fn subscribe(&self) -> watch::Receiver<Board> {
        self.0.subscribe()
    }
}
