//! How far each target is with a commit, so that make-before-break holds across API servers: routes wait for the
//! workloads of every cluster, removals in a cluster wait until the mesh has the commit's routes and no others. A dead target holds nobody up for long.

use asm_shared::fleet::Target;
use asm_shared::plan::Stage;
use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long the routes of a commit wait for slow clusters to take their workloads, all their stages and tries together.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long they wait for new workloads to work. Most pods are ready by then; one that never is must not hold up the mesh.
const START: Duration = Duration::from_secs(45);

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// All stages before this one are applied.
    Stage(Stage),
    /// Everything is applied.
    Applied,
    /// And the routes that have left Git are removed.
    Rerouted,
    /// Everything is applied as Git has it, and lint finds errors in it: what is wrong may need what has left Git.
    Wrong,
    /// It could not be brought to this commit, and is tried again soon. A second such try in a row counts as `Failed`.
    Retrying,
    /// It could not be brought to this commit; nobody should wait for it.
    Failed,
}

/// How far a target is, as it is told to other replicas: no more than they need, so that it changes seldom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    revision: Arc<str>,
    reached: Phase,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    wrote: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    starting: bool,
    /// Which cluster it is (UID of its `kube-system`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
}

impl Told {
    /// The commit that this is about.
    pub(super) fn revision(&self) -> &str {
        &self.revision
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Begun,
    Workloads,
    Applied,
    Rerouted,
    Wrong,
    Retrying,
    Failed,
}

impl From<&Reached> for Phase {
    fn from(reached: &Reached) -> Self {
        match reached {
            Reached::Stage(stage) if has_workloads(*stage) => Self::Workloads,
            Reached::Stage(_) => Self::Begun,
            Reached::Applied => Self::Applied,
            Reached::Rerouted => Self::Rerouted,
            Reached::Wrong => Self::Wrong,
            Reached::Retrying => Self::Retrying,
            Reached::Failed => Self::Failed,
        }
    }
}

impl From<Phase> for Reached {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Begun => Self::Stage(Stage::Foundation),
            Phase::Workloads => Self::Stage(Stage::IstioGateway),
            Phase::Applied => Self::Applied,
            Phase::Rerouted => Self::Rerouted,
            Phase::Wrong => Self::Wrong,
            Phase::Retrying => Self::Retrying,
            Phase::Failed => Self::Failed,
        }
    }
}

/// Are the workloads there when all stages before this one are applied?
fn has_workloads(stage: Stage) -> bool {
    stage > Stage::Workload
}

/// What is known of a target.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// The commit that this is about.
    revision: Arc<str>,
    reached: Reached,
    /// Services or workloads were written for this commit.
    wrote: bool,
    /// Some workload that was written for this commit does not work yet.
    starting: bool,
    /// A try has failed before.
    retried: bool,
}

/// Where each target is.
type Board = BTreeMap<Target, Place>;

/// The board that the targets of one FleetSync share.
#[derive(Clone)]
pub(super) struct Progress(watch::Sender<Board>, Clusters, Arc<Mutex<Waits>>);

/// What routes have waited for.
#[derive(Default)]
struct Waits {
    /// The commit that is waited for, and until when.
    commit: Option<(Arc<str>, Instant)>,
    /// Targets that were waited for in vain, and have got nowhere since: nobody waits for them again before they have.
    in_vain: BTreeSet<Target>,
}

/// Which target is which cluster (UID of its `kube-system`).
type Clusters = Arc<Mutex<BTreeMap<String, Target>>>;

/// That a cluster is one target's; ends when it is dropped.
pub(super) struct Claim(Clusters, String);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self(watch::Sender::new(Board::new()), Clusters::default(), Arc::default())
    }
}

impl Progress {
    /// Says which cluster a target is.
    ///
    /// # Errors
    /// Another target is that cluster.
    pub(super) fn claim(&self, target: &Target, cluster: &str) -> Result<Claim, Target> {
        let mut clusters = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        match clusters.get(cluster) {
            Some(other) if other != target => Err(other.clone()),
            _ => {
                clusters.insert(cluster.to_owned(), target.clone());
                Ok(Claim(self.1.clone(), cluster.to_owned()))
            }
        }
    }

    /// Where a target of this replica is, for the others.
    pub(super) fn tell(&self, target: &Target) -> Option<Told> {
        let place = self.0.borrow().get(target).cloned()?;
        let clusters = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = clusters.iter().find(|(_, claimed)| *claimed == target).map(|(cluster, _)| cluster.clone());
        let Place { revision, reached, wrote, starting, .. } = place;
        Some(Told { revision, reached: Phase::from(&reached), wrote, starting, cluster })
    }

    /// Where a target of another replica is.
    pub(super) fn told(&self, target: &Target, told: Told) {
        let Told { revision, reached, wrote, starting, cluster } = told;
        let mut clusters = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.retain(|known, claimed| claimed != target || Some(known) == cluster.as_ref());
        if let Some(cluster) = cluster {
            clusters.entry(cluster).or_insert_with(|| target.clone());
        }
        drop(clusters);
        let place = Place { revision, reached: reached.into(), wrote, starting, retried: false };
        self.noted(target, &place.reached);
        self.0.send_if_modified(|board| board.insert(target.clone(), place.clone()).as_ref() != Some(&place));
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.2.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A target that gets somewhere is waited for again.
    fn noted(&self, target: &Target, reached: &Reached) {
        let is_somewhere = match reached {
            Reached::Applied | Reached::Rerouted | Reached::Wrong => true,
            Reached::Stage(stage) => has_workloads(*stage),
            Reached::Retrying | Reached::Failed => false,
        };
        if is_somewhere {
            self.waits().in_vain.remove(target);
        }
    }

    /// Says where a target is.
    pub(super) fn reached(&self, target: &Target, revision: &Arc<str>, reached: Reached) {
        self.noted(target, &reached);
        self.0.send_modify(|board| {
            let same = board.remove(target).filter(|place| place.revision == *revision);
            let (wrote, starting, retried) =
                same.map_or((false, false, false), |place| (place.wrote, place.starting, place.retried));
            let retries = reached == Reached::Retrying;
            let reached = if retries && retried { Reached::Failed } else { reached };
            let revision = revision.clone();
            board.insert(target.clone(), Place { revision, reached, wrote, starting, retried: retried || retries });
        });
    }

    /// Says that a target has written Services or workloads for this commit.
    pub(super) fn wrote(&self, target: &Target, revision: &Arc<str>) {
        self.change(target, revision, |place| std::mem::replace(&mut place.wrote, true));
    }

    /// Says whether workloads that a target has written for this commit do not work yet.
    pub(super) fn starting(&self, target: &Target, revision: &Arc<str>, starting: bool) {
        self.change(target, revision, |place| std::mem::replace(&mut place.starting, starting) == starting);
    }

    /// `change` says whether everything is as it was.
    fn change(&self, target: &Target, revision: &Arc<str>, change: impl FnOnce(&mut Place) -> bool) {
        self.0.send_if_modified(|board| {
            board.get_mut(target).filter(|place| place.revision == *revision).is_some_and(|place| !change(place))
        });
    }

    /// Waits until every other target of the commit has its workloads, and new ones work, or has failed, or patience ends:
    /// that of one commit, and with a cluster that has answered nothing since the last one was over, none. Says whether any of
    /// them wrote something that routes may lead to.
    pub(super) async fn workloads(&self, others: &[Target], revision: &Arc<str>) -> bool {
        let (end, waited_for) = {
            let mut waits = self.waits();
            let known = waits.commit.take().filter(|(commit, _)| commit == revision);
            let (commit, end) = known.unwrap_or_else(|| (revision.clone(), Instant::now() + PATIENCE));
            waits.commit = Some((commit, end));
            (end, others.iter().filter(|target| !waits.in_vain.contains(*target)).cloned().collect::<Vec<_>>())
        };
        let here = |board: &Board, targets: &[Target], holds: fn(&Place) -> bool| {
            let place = |target| board.get(target).filter(|place| place.revision == *revision);
            targets.iter().map(place).map(|place| place.is_some_and(holds)).collect::<Vec<_>>()
        };
        let mut board = self.0.subscribe();
        let has_them = |place: &Place| match place.reached {
            Reached::Applied | Reached::Rerouted | Reached::Wrong | Reached::Retrying | Reached::Failed => true,
            Reached::Stage(stage) => has_workloads(stage),
        };
        // All outcomes lead on: what is late is late, and the routes of the other clusters must not wait for ever.
        let arrived = board.wait_for(|board| here(board, &waited_for, has_them).into_iter().all(|holds| holds));
        if tokio::time::timeout_at(end, arrived.map(drop)).await.is_err() {
            let there = here(&self.0.borrow(), &waited_for, has_them);
            let late = waited_for.iter().zip(there).filter(|(_, there)| !there).map(|(target, _)| target.clone());
            self.waits().in_vain.extend(late);
        }
        let starts = |place: &Place| place.starting && !matches!(place.reached, Reached::Retrying | Reached::Failed);
        let started = board.wait_for(|board| !here(board, &waited_for, starts).into_iter().any(|holds| holds));
        let _ = tokio::time::timeout(START, started).await;
        here(&board.borrow(), others, |place| place.wrote).into_iter().any(|holds| holds)
    }

    /// Has the mesh this commit's routes and no others, so that nothing sends requests to what is about to be removed?
    pub(super) fn rerouted(&self, revision: &Arc<str>) -> bool {
        self.mesh(revision, |reached| *reached == Reached::Rerouted)
    }

    /// Has the mesh this commit's routes and no others, with errors in them?
    pub(super) fn wrong(&self, revision: &Arc<str>) -> bool {
        self.mesh(revision, |reached| *reached == Reached::Wrong)
    }

    /// Did the mesh fail to get to this commit, or is something held back there?
    pub(super) fn mesh_failed(&self, revision: &Arc<str>) -> bool {
        self.mesh(revision, |reached| matches!(reached, Reached::Failed | Reached::Wrong))
    }

    /// Is the mesh so far with this commit?
    fn mesh(&self, revision: &Arc<str>, holds: fn(&Reached) -> bool) -> bool {
        self.0.borrow().get(&Target::Mesh).is_some_and(|mesh| mesh.revision == *revision && holds(&mesh.reached))
    }

    /// Waits until the board changes.
    pub(super) fn subscribe(&self) -> watch::Receiver<Board> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(progress: &Progress, target: &str, revision: &str, reached: Reached) -> (Target, Arc<str>) {
        let (target, revision) = (Target::Cluster(target.into()), Arc::from(revision));
        progress.reached(&target, &revision, reached);
        (target, revision)
    }

    #[tokio::test(start_paused = true)]
    async fn routes_wait_until_new_workloads_work_but_not_for_ever() {
        let progress = Progress::default();
        let (m1c1, revision) = mark(&progress, "m1c1", "a", Reached::Stage(Stage::Service));
        progress.wrote(&m1c1, &revision);
        progress.starting(&m1c1, &revision, true);
        mark(&progress, "m1c1", "a", Reached::Applied);
        let others = [m1c1.clone()];
        let began = tokio::time::Instant::now();
        assert!(progress.workloads(&others, &revision).await, "something was written");
        assert_eq!(began.elapsed(), START);

        progress.starting(&m1c1, &revision, false);
        let began = tokio::time::Instant::now();
        assert!(progress.workloads(&others, &revision).await);
        assert_eq!(began.elapsed(), Duration::ZERO);

        // Another commit starts afresh; one that nobody has come to is not waited for beyond patience.
        let (_, next) = mark(&progress, "m1c1", "b", Reached::Applied);
        assert!(!progress.workloads(&others, &next).await, "nothing was written for this one");
        let began = tokio::time::Instant::now();
        assert!(!progress.workloads(&others, &Arc::from("c")).await);
        assert_eq!(began.elapsed(), PATIENCE);
    }

    /// A cluster that answers nothing costs the routes of one commit their patience, once, and the next ones nothing.
    #[tokio::test(start_paused = true)]
    async fn a_dead_cluster_is_waited_for_once() {
        let progress = Progress::default();
        let (m1c1, a) = mark(&progress, "m1c1", "a", Reached::Applied);
        let dead = Target::Cluster("m1c2".into());
        let others = [m1c1, dead.clone()];
        let waited = async |revision: &Arc<str>| {
            let began = Instant::now();
            progress.workloads(&others, revision).await;
            began.elapsed()
        };
        assert_eq!(waited(&a).await, PATIENCE);
        // DestinationRules have waited; VirtualServices of the same commit, or its next try, do not once more.
        assert_eq!(waited(&a).await, Duration::ZERO);
        let (_, b) = mark(&progress, "m1c1", "b", Reached::Applied);
        progress.reached(&dead, &b, Reached::Stage(Stage::Service));
        progress.reached(&dead, &b, Reached::Retrying);
        assert_eq!(waited(&b).await, Duration::ZERO);
        // The living are waited for all the same.
        assert_eq!(waited(&Arc::from("c")).await, PATIENCE);
        // It is back: the routes of the next commit wait for its workloads again.
        progress.reached(&dead, &b, Reached::Applied);
        let (_, d) = mark(&progress, "m1c1", "d", Reached::Applied);
        assert_eq!(waited(&d).await, PATIENCE);
    }

    /// Two replicas, each with a board of its own: what one tells is what the other waits for.
    #[tokio::test(start_paused = true)]
    async fn steps_of_another_replica_are_waited_for_as_those_of_this_one() {
        let (here, there) = (Progress::default(), Progress::default());
        let (m1c1, revision) = mark(&there, "m1c1", "a", Reached::Stage(Stage::Workload));
        there.wrote(&m1c1, &revision);
        let pass_on = |target: &Target| {
            let told = serde_json::to_string(&there.tell(target).unwrap()).unwrap();
            here.told(target, serde_json::from_str(&told).unwrap());
        };
        pass_on(&m1c1);
        let others = [m1c1.clone()];
        let began = tokio::time::Instant::now();
        assert!(here.workloads(&others, &revision).await);
        assert_eq!(began.elapsed(), PATIENCE, "it has no workloads yet");
        mark(&there, "m1c1", "a", Reached::Stage(Stage::Gateway));
        pass_on(&m1c1);
        let began = tokio::time::Instant::now();
        assert!(here.workloads(&others, &revision).await);
        assert_eq!(began.elapsed(), Duration::ZERO);

        there.reached(&Target::Mesh, &revision, Reached::Applied);
        pass_on(&Target::Mesh);
        assert!(!here.rerouted(&revision), "routes that have left Git are still there");
        there.reached(&Target::Mesh, &revision, Reached::Rerouted);
        pass_on(&Target::Mesh);
        assert!(here.rerouted(&revision) && !here.rerouted(&Arc::from("b")));
        there.reached(&Target::Mesh, &revision, Reached::Failed);
        pass_on(&Target::Mesh);
        assert!(here.mesh_failed(&revision));

        let claim = there.claim(&m1c1, "uid");
        pass_on(&m1c1);
        let m1c2 = Target::Cluster("m1c2".into());
        assert_eq!(here.claim(&m1c2, "uid").err(), Some(m1c1.clone()), "one cluster under two names");
        drop(claim);
        pass_on(&m1c1);
        assert!(here.claim(&m1c2, "uid").is_ok());
    }

    #[test]
    fn two_targets_are_not_one_cluster() {
        let progress = Progress::default();
        let target = |name: &str| Target::Cluster(name.into());
        let first = progress.claim(&target("m1c1"), "uid");
        assert!(first.is_ok() && progress.claim(&target("m1c1"), "other").is_ok());
        assert_eq!(progress.claim(&target("m1c2"), "uid").err(), Some(target("m1c1")));
        drop(first);
        assert!(progress.claim(&target("m1c2"), "uid").is_ok());
    }

    /// What is tried again at once is no reason to give up; what fails again is.
    #[test]
    fn one_failed_try_of_the_mesh_is_no_failure() {
        let progress = Progress::default();
        let revision: Arc<str> = Arc::from("a");
        progress.reached(&Target::Mesh, &revision, Reached::Retrying);
        assert!(!progress.mesh_failed(&revision));
        progress.reached(&Target::Mesh, &revision, Reached::Stage(Stage::ALL[0]));
        progress.reached(&Target::Mesh, &revision, Reached::Retrying);
        assert!(progress.mesh_failed(&revision));
        let next: Arc<str> = Arc::from("b");
        progress.reached(&Target::Mesh, &next, Reached::Retrying);
        assert!(!progress.mesh_failed(&next), "another commit begins anew");
    }
}
