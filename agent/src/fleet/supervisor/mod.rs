//! One FleetSync: looks at the branch, turns a commit into orders for the targets of this replica, and gathers what they say.
//! What the targets of other replicas say comes by way of their Leases (`crate::lease`).

mod dead;
mod hear;
mod look;
mod others;
mod post;
mod reports;
mod status;
mod wishes;

use super::at;
use super::commit::Base;
use super::conditions::Known;
use super::events::Events;
use super::expiry::Expiry;
use super::numbers::Numbers;
use super::progress::Progress;
use super::status::StatusWriter;
use super::worker::Word;
use crate::context::FleetContext;
use crate::lease::{Offer, Share};
use crate::source::{self, Source};
use crate::trace;
use crate::web::Commit;
use asm_shared::api::{FleetSync, FleetSyncStatus, LintMode, RevertRequest};
use asm_shared::fleet::Target;
use kube::{Resource as _, ResourceExt as _};
use post::Post;
use reports::Reports;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Reports are gathered this long before the status is written …
const GATHER: Duration = Duration::from_millis(100);
/// … and after a status that took long to write (hundreds of targets) this many times as long as it took, up to the second.
const WRITE_SHARE: u32 = 4;
const LONGEST_GATHER: Duration = Duration::from_secs(2);
/// Steps of targets are gathered this long before other replicas are told.
const TELL: Duration = Duration::from_millis(20);
/// Reports on their way.
const IN_FLIGHT: usize = 256;

/// What is known, for whoever waits for it (`--once`).
pub(super) type Snapshots = channel::Sender<Option<Arc<FleetSyncStatus>>>;

struct Supervisor {
    context: FleetContext,
    sync: Arc<FleetSync>,
    source: Source,
    progress: Progress,
    words: mpsc::Sender<Word>,
    /// How the targets are shared among the replicas.
    share: Arc<Share>,
    /// The targets of this FleetSync, for the other replicas.
    offer: Offer,
    posts: BTreeMap<Target, Post>,
    order_of_targets: Vec<Target>,
    /// Those of them that are clusters; one list for the orders of all.
    members: Arc<[Target]>,
    /// When targets that are this replica's, but whose last task has not ended yet, are tried again.
    man_at: Option<Instant>,
    /// Targets that are another replica's by now and come to the end of what they do.
    leaving: JoinSet<()>,
    /// The commit that was read last.
    commit: Option<Arc<Commit>>,
    /// The last commit with a valid fleet file: what targets are ordered.
    base: Option<Base>,
    /// When the whole of it is let go of.
    let_go_at: Option<Instant>,
    /// Commits that other replicas have, and this one has looked for.
    looked_for: Option<String>,
    /// Path inside the repository that `commit` was read from, and what was done about errors in it.
    path: String,
    lint: LintMode,
    known: Known,
    last_status: FleetSyncStatus,
    writer: StatusWriter,
    /// How long writing the status took.
    status_took: Duration,
    /// Targets that left the fleet and whose drift reports are still there.
    stale_reports: BTreeSet<String>,
    events: Events,
    /// Drift reports of other replicas' targets.
    reports: Reports,
    /// Since when routes lead nowhere.
    dead_since: dead::Since,
    /// While this replica writes the status.
    numbers: Option<Numbers>,
    expiry: Expiry,
    /// The wish that is being fulfilled.
    request: Option<Arc<str>>,
    /// The wish to put Git's values back that is being carried out.
    revert: Option<Arc<RevertRequest>>,
    /// Since when the present commit is being synced; none once that was counted.
    syncing_since: Option<Instant>,
    /// The same for traces.
    syncing: trace::Syncing,
}

/// Follows one FleetSync until its channel closes or the agent ends.
pub(super) async fn run(
    context: FleetContext,
    mut specs: channel::Receiver<Arc<FleetSync>>,
    snapshots: Option<Snapshots>,
) {
    let sync = specs.borrow_and_update().clone();
    let (words, mut heard) = mpsc::channel(IN_FLIGHT);
    let mut shares = context.shards.subscribe();
    let mut supervisor = Supervisor::new(context, sync, words);
    let mut board = supervisor.progress.subscribe();
    let mut poll_at = Instant::now();
    let mut write_at = Some(Instant::now());
    let mut tell_at = None;
    let mut gather = GATHER;
    shares.mark_changed();
    loop {
        tokio::select! {
            () = supervisor.context.shutdown.cancelled() => return,
            changed = specs.changed() => {
                if changed.is_err() {
                    return;
                }
                let sync = specs.borrow_and_update().clone();
                if supervisor.wishes(sync) {
                    poll_at = Instant::now();
                }
                write_at.get_or_insert_with(|| Instant::now() + gather);
            }
            // How the work is shared is told as long as there is an agent.
            Ok(()) = shares.changed() => {
                let (share, sync) = (shares.borrow_and_update().clone(), specs.borrow().clone());
                if supervisor.shared(share, &sync).await {
                    poll_at = Instant::now();
                }
                tell_at.get_or_insert_with(|| Instant::now() + TELL);
                write_at.get_or_insert_with(|| Instant::now() + gather);
            }
            Ok(()) = board.changed() => {
                board.borrow_and_update();
                tell_at.get_or_insert_with(|| Instant::now() + TELL);
            }
            () = at(tell_at) => {
                tell_at = None;
                supervisor.tell_others();
            }
            () = supervisor.reports.changed() => {
                write_at.get_or_insert_with(|| Instant::now() + gather);
            }
            Some(_) = supervisor.leaving.join_next() => supervisor.man_posts().await,
            () = at(supervisor.man_at) => supervisor.man_posts().await,
            () = at(supervisor.let_go_at) => supervisor.let_go(),
            () = tokio::time::sleep_until(poll_at) => {
                supervisor.poll().await;
                let interval = Duration::from_secs(supervisor.sync.spec.source.interval_seconds.into());
                poll_at = Instant::now() + source::next_poll(interval, &mut rand::rng());
                write_at.get_or_insert_with(|| Instant::now() + gather);
            }
            Some(word) = heard.recv() => {
                supervisor.hear(word).await;
                tell_at.get_or_insert_with(|| Instant::now() + TELL);
                write_at.get_or_insert_with(|| Instant::now() + gather);
            }
            () = at(write_at) => {
                write_at = supervisor.write(snapshots.as_ref()).await.map(|delay| Instant::now() + delay);
                gather = (supervisor.status_took * WRITE_SHARE).clamp(GATHER, LONGEST_GATHER);
            }
        }
    }
}

impl Supervisor {
    fn new(context: FleetContext, sync: Arc<FleetSync>, words: mpsc::Sender<Word>) -> Self {
        let name = sync.name_any();
        let owner = sync.controller_owner_ref(&()).unwrap_or_default();
        let dir = context.data_dir.join(sync.uid().unwrap_or_else(|| name.clone()));
        let previous = sync.status.clone().unwrap_or_default();
        let mut supervisor = Self {
            source: Source::open(&dir),
            progress: Progress::default(),
            words,
            share: Arc::default(),
            offer: context.shards.offer(),
            man_at: None,
            posts: BTreeMap::new(),
            order_of_targets: Vec::new(),
            members: Arc::default(),
            leaving: JoinSet::new(),
            commit: None,
            base: None,
            let_go_at: None,
            looked_for: None,
            path: String::new(),
            lint: LintMode::default(),
            known: Known::default(),
            writer: StatusWriter::new(context.client.clone(), &context.namespace, &name, owner),
            status_took: Duration::ZERO,
            stale_reports: BTreeSet::new(),
            events: Events::new(&context, sync.object_ref(&())),
            reports: Reports::default(),
            dead_since: dead::Since::default(),
            numbers: None,
            last_status: previous,
            expiry: Expiry::default(),
            request: None,
            revert: None,
            syncing_since: None,
            syncing: trace::Syncing::default(),
            context,
            sync,
        };
        supervisor.read_handled();
        supervisor.read_wishes();
        // Known before the first fetch, so that another FleetSync that is quicker does not take them.
        for target in &supervisor.last_status.targets {
            supervisor.claim(&target.name);
        }
        supervisor
    }

    /// How metrics and the page call it.
    fn label(&self) -> String {
        super::label(&self.context, &super::full_name(&self.sync)).to_owned()
    }
}
