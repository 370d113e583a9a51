//! What the page shows: one immutable picture of everything, replaced as a whole when something changes.
//!
//! Supervisors publish, the page reads. Whoever reads holds an `Arc` and no lock, so rendering stops nobody's work. Nothing
//! here asks a cluster or Git; what the agent does not know, the page does not know.

use super::history::{self, Entry};
use asm_shared::api::{
    DriftMode, DriftReportStatus, FleetSyncSpec, FleetSyncStatus, HeldChange, HeldObject, LintMode, SyncProblem,
};
use asm_shared::fleet::FleetState;
use asm_shared::graph::{self, Graph};
use asm_shared::lint::{Finding, Place, Severity};
use asm_shared::object::ObjectId;
use asm_shared::topology::Topology;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// Where supervisors publish. Clones share it; one that is off takes nothing.
#[derive(Clone, Debug, Default)]
pub struct Views(Option<watch::Sender<Arc<Board>>>);

/// Everything at one moment.
#[derive(Debug, Default)]
pub struct Board {
    /// Goes up with every change.
    pub version: u64,
    /// By name of the FleetSync.
    pub fleets: BTreeMap<String, Arc<FleetView>>,
    /// The replica that does the work, when it is not this one.
    pub leader: Option<Arc<str>>,
}

/// One FleetSync.
#[derive(Debug)]
pub struct FleetView {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// What it asks for.
    pub wishes: Wishes,
    /// How it stands.
    pub status: FleetSyncStatus,
    /// More of each target than the status has, in the same order.
    pub targets: Vec<TargetView>,
    /// The commit that was read last.
    pub commit: Option<Arc<Commit>>,
    /// What happened lately, newest first.
    pub history: Vec<Entry>,
    /// When this was published.
    pub at: Timestamp,
}

/// What a FleetSync asks for, as far as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Wishes {
    /// The repository.
    pub url: String,
    /// The branch, or the tag.
    pub reference: String,
    /// Folder in it.
    pub path: String,
    /// Report drift, or correct it.
    pub drift: DriftMode,
    /// Whether lint holds objects back.
    pub lint: LintMode,
    /// Applying is suspended.
    pub suspended: bool,
}

impl Wishes {
    /// Of a spec.
    pub fn of(spec: &FleetSyncSpec) -> Self {
        let source = &spec.source;
        Self {
            url: asm_shared::object::redact_text(&source.url),
            reference: source.tag.clone().unwrap_or_else(|| source.branch.clone()),
            path: source.path.clone(),
            drift: spec.drift,
            lint: spec.lint,
            suspended: spec.suspend,
        }
    }
}

/// One target: what its status has no room for. Bounded by whoever publishes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetView {
    /// `mesh` or the cluster's name.
    pub name: String,
    /// What differs from Git; redacted.
    pub drift: DriftReportStatus,
    /// What does not work yet, and why.
    pub unhealthy: Vec<(ObjectId, String)>,
    /// What waits for an approval.
    pub held: Vec<HeldChange>,
    /// What lint holds back.
    pub lint: Vec<HeldObject>,
    /// What could not be synced.
    pub problems: Vec<SyncProblem>,
    /// Addresses that objects hold.
    pub addresses: BTreeMap<ObjectId, Vec<String>>,
    /// What of it is on another replica's page only.
    pub elsewhere: Option<Elsewhere>,
}

/// What of a target another replica knows, and this one does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// That replica, if it is known.
    pub replica: Option<String>,
    /// How much of what, in words.
    pub missing: Vec<String>,
}

/// Reads a commit whole, or says why it cannot be read any more.
type Read = dyn Fn() -> Result<FleetState, String> + Send + Sync;

/// A commit, and what is drawn of it: made when somebody looks for the first time, and kept as long as the commit.
pub struct Commit {
    /// Its ID.
    pub revision: Arc<str>,
    /// Member clusters, in the order of the fleet file.
    pub clusters: Vec<String>,
    read: Box<Read>,
    drawn: OnceLock<Drawn>,
}

/// What is drawn of a commit.
#[derive(Debug)]
pub struct Drawn {
    /// Its gateways.
    pub topology: Topology,
    /// The ways of requests through it, with what lint holds back.
    pub graph: Graph,
}

impl Commit {
    /// With the means to read it whole.
    pub fn new(
        revision: &Arc<str>,
        clusters: Vec<String>,
        read: impl Fn() -> Result<FleetState, String> + Send + Sync + 'static,
    ) -> Self {
        Self { revision: revision.clone(), clusters, read: Box::new(read), drawn: OnceLock::new() }
    }

    /// What is drawn of it. Takes a while the first time: not for a thread that others wait for.
    pub fn drawn(&self) -> Result<&Drawn, String> {
        if let Some(drawn) = self.drawn.get() {
            return Ok(drawn);
        }
        let state = (self.read)()?;
        let made = Drawn { topology: Topology::of(&state), graph: graph::build(&state, &findings(&state)) };
        Ok(self.drawn.get_or_init(|| made))
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.revision)
    }
}

/// The errors that lint holds objects back for; it looks for no others here.
fn findings(state: &FleetState) -> Vec<Finding> {
    let errors = state.held.iter().filter(|held| !held.leans);
    errors
        .map(|held| Finding {
            rule: held.rule,
            severity: Severity::Error,
            code: None,
            message: held.message.clone(),
            hint: held.hint.clone(),
            place: Place { position: held.position.clone(), object: Some(held.id.clone()), path: String::new() },
            related: Vec::new(),
            targets: vec![held.target.clone()],
            fixes: Vec::new(),
        })
        .collect()
}

impl FleetView {
    /// The target of this name.
    pub fn target(&self, name: &str) -> Option<&TargetView> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// Does it say the same, but for the time?
    fn says_the_same(&self, other: &Self) -> bool {
        let commit = |view: &Self| view.commit.as_ref().map(|commit| commit.revision.clone());
        self.wishes == other.wishes
            && self.status == other.status
            && self.targets == other.targets
            && commit(self) == commit(other)
    }
}

/// What a supervisor says of its FleetSync.
#[derive(Debug)]
pub struct News<'a> {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: &'a str,
    /// What it asks for.
    pub spec: &'a FleetSyncSpec,
    /// How it stands.
    pub status: &'a FleetSyncStatus,
    /// Its targets, in the order of the status.
    pub targets: Vec<TargetView>,
    /// The commit that was read last.
    pub commit: Option<Arc<Commit>>,
    /// Now.
    pub at: Timestamp,
}

impl Views {
    /// A board that somebody reads.
    pub fn on() -> Self {
        Self(Some(watch::Sender::new(Arc::new(Board::default()))))
    }

    /// Is anybody to read? What is published for nobody need not be made.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The board, as it is and as it changes.
    pub fn subscribe(&self) -> Option<watch::Receiver<Arc<Board>>> {
        self.0.as_ref().map(watch::Sender::subscribe)
    }

    /// Says how a FleetSync stands now.
    pub fn publish(&self, news: News<'_>) {
        self.change(|board| {
            let before = board.fleets.get(&news.name);
            let view = Arc::new(follow(before.map(Arc::as_ref), news));
            if before.is_some_and(|before| before.says_the_same(&view)) {
                return false;
            }
            board.fleets.insert(view.name.clone(), view);
            true
        });
    }

    /// A FleetSync is gone.
    pub fn forget(&self, name: &str) {
        self.change(|board| board.fleets.remove(name).is_some());
    }

    /// Says who writes the status when this replica has lost its Lease (empty: nobody knows); what it knew is old then.
    pub fn led_by(&self, leader: Option<&str>) {
        self.change(|board| {
            let before = board.leader.as_deref() == leader;
            board.leader = leader.map(Into::into);
            if leader.is_some() {
                board.fleets.clear();
            }
            !before
        });
    }

    /// Replaces the board by a changed copy, which shares all that is the same.
    fn change(&self, change: impl FnOnce(&mut Board) -> bool) {
        let Some(sender) = &self.0 else { return };
        sender.send_if_modified(|board| {
            let mut next =
                Board { version: board.version + 1, fleets: board.fleets.clone(), leader: board.leader.clone() };
            let changed = change(&mut next);
            if changed {
                *board = Arc::new(next);
            }
            changed
        });
    }
}

/// The view that comes after another.
fn follow(before: Option<&FleetView>, news: News<'_>) -> FleetView {
    let mut view = FleetView {
        name: news.name,
        namespace: news.namespace.to_owned(),
        wishes: Wishes::of(news.spec),
        status: news.status.clone(),
        targets: news.targets,
        commit: news.commit,
        history: Vec::new(),
        at: news.at,
    };
    view.history = history::follow(before, &view);
    view
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use asm_shared::fleet::MemoryTree;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What a supervisor might say.
    pub(in crate::web) fn publish(
        views: &Views,
        at: &str,
        change: impl FnOnce(&mut FleetSyncStatus, &mut Vec<TargetView>),
    ) {
        let spec: FleetSyncSpec =
            serde_json::from_value(serde_json::json!({"source": {"url": "https://git.example.com/shop.git"}})).unwrap();
        let mut status = FleetSyncStatus::default();
        let mut targets = vec![TargetView { name: "mesh".to_owned(), ..TargetView::default() }];
        change(&mut status, &mut targets);
        let at = at.parse().unwrap();
        views.publish(News {
            name: "shop".to_owned(),
            namespace: "asm-system",
            spec: &spec,
            status: &status,
            targets,
            commit: None,
            at,
        });
    }

    #[test]
    fn what_says_the_same_wakes_nobody() {
        let views = Views::on();
        let mut board = views.subscribe().unwrap();
        publish(&views, "2026-01-01T00:00:00Z", |_, _| {});
        assert!(board.has_changed().unwrap());
        let first = board.borrow_and_update().clone();
        publish(&views, "2026-01-01T00:00:09Z", |_, _| {});
        assert!(!board.has_changed().unwrap());
        publish(&views, "2026-01-01T00:00:10Z", |status, _| status.drifted = 1);
        assert_eq!(board.borrow_and_update().version, first.version + 1);
        // Whoever holds the old board still sees it as it was.
        assert_eq!(first.fleets["shop"].status.drifted, 0);
    }

    #[test]
    fn a_replica_that_stands_by_shows_nothing_old() {
        let views = Views::on();
        publish(&views, "2026-01-01T00:00:00Z", |_, _| {});
        views.led_by(Some("asm-agent-1"));
        let board = views.subscribe().unwrap().borrow().clone();
        assert!(board.fleets.is_empty());
        assert_eq!(board.leader.as_deref(), Some("asm-agent-1"));
        assert!(!Views::default().is_on());
    }

    #[test]
    fn a_commit_is_drawn_once() {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = reads.clone();
        let commit = Commit::new(&"a".into(), Vec::new(), move || match counted.fetch_add(1, Ordering::SeqCst) {
            0 => Err("the repository is being repaired".to_owned()),
            _ => Ok(FleetState::read(&MemoryTree::default())),
        });
        assert_eq!(commit.drawn().unwrap_err(), "the repository is being repaired");
        assert!(std::ptr::eq(commit.drawn().unwrap(), commit.drawn().unwrap()));
        assert_eq!(reads.load(Ordering::SeqCst), 2, "what was drawn is not read again");
    }
}
