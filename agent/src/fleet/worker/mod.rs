//! One target (the mesh API or a member cluster): its own task, client, watches, back-off. Nothing that happens to it
//! reaches another target.

mod apply;
mod behind;
mod certificates;
mod ending;
mod foreign;
mod fronts;
mod guard;
mod identity;
mod judge;
mod leaving;
mod lint;
mod pace;
mod parting;
mod pass;
mod remove;
mod report;
mod resources;
mod revert;
mod signals;
mod stage;
mod state;
mod wanted;
mod watch;

#[cfg(test)]
pub(super) use certificates::Ending;
pub(super) use report::TargetReport;
pub(super) use state::seconds;

use super::at;
use super::inventory::InventoryStore;
use super::progress::{Progress, Reached};
use crate::context::FleetContext;
use crate::credentials::{Actor, Fence};
use crate::metrics::TargetKind;
use crate::trace;
use asm_io::cluster::ClusterError;
use asm_shared::api::{Change, DriftMode, KeyReference, PastDrift, RevertRequest, SyncProblem};
use asm_shared::fleet::Target;
use asm_shared::object::ObjectId;
use asm_shared::plan::{Desired, PruneLimits};
use identity::{Held, Identity, lost};
use jiff::Timestamp;
use pace::Pace;
use pass::PassEnd;
use resources::Resources;
use signals::Signals;
use state::{Seen, TargetState, WatchedKind};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch as channel};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use watch::Watches;

/// How long a pass waits for the first lists.
const LIST_PATIENCE: Duration = Duration::from_secs(10);
/// Back-off after something that may pass by itself: first and last.
const SOON: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// Back-off after something that only a change elsewhere can mend (a missing CRD, a refused object): first and last.
const LATER: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(300));

/// Said of an API server that answers 401.
const UNKNOWN: &str = "the API server does not know the credentials (any more)";
/// After a fault of the agent itself: it may be with the next event, too.
const ANEW: Duration = Duration::from_secs(60);

/// A field that is left alone until some day is looked at this often at least, whatever the clocks do meanwhile.
const THAW_LOOK: Duration = Duration::from_secs(24 * 3600);

/// What a target is told to do.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Git's objects.
    pub(super) desired: Arc<Desired>,
    /// Members of the fleet, for the mesh's routes to wait for.
    pub(super) members: Arc<[Target]>,
    /// Report drift or correct it.
    pub(super) mode: DriftMode,
    /// Limits on removing.
    pub(super) limits: PruneLimits,
    /// Apply nothing.
    pub(super) suspended: bool,
    /// Wish to sync now (annotation value).
    pub(super) request: Option<Arc<str>>,
    /// Wish to put Git's values back now.
    pub(super) revert: Option<Arc<RevertRequest>>,
    /// Secret with the kubeconfig.
    pub(super) kubeconfig: KeyReference,
    /// Service account to act as.
    pub(super) service_account: Option<Arc<str>>,
    /// What a pass is a part of, for traces.
    pub(super) syncing: trace::Syncing,
}

/// Something worth an Event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    /// A drift was noticed.
    Drift {
        /// The object.
        object: String,
        /// What happened.
        change: Change,
        /// Paths.
        fields: String,
        /// Manager.
        by: String,
    },
    /// The address of a load balancer is another one.
    Moved {
        /// The object.
        object: String,
        /// From what to what.
        told: String,
    },
    /// Git's value was put back.
    Corrected {
        /// The object.
        object: String,
    },
    /// A drift is over.
    Ended(Box<PastDrift>),
    /// Something is put back again and again, and is left as it is for a while.
    Contested {
        /// Both sides and until when.
        note: String,
    },
    /// A commit was applied over what somebody had changed.
    Overwritten {
        /// The object.
        object: String,
        /// Paths.
        fields: String,
        /// Manager.
        by: String,
    },
    /// Git's value was put back because somebody asked for it.
    Reverted {
        /// The object.
        object: String,
    },
}

/// What a target says.
#[derive(Debug)]
pub(super) enum Word {
    /// How it stands now.
    Report(Box<TargetReport>),
    /// Something happened.
    News(Target, News),
}

/// What a target's task needs.
#[derive(Clone)]
pub(super) struct Setting {
    /// The agent's surroundings.
    pub(super) context: FleetContext,
    /// Label value of the set.
    pub(super) set: String,
    /// The FleetSync, `namespace/name`.
    pub(super) owner: String,
    /// Where the inventory is kept.
    pub(super) store: InventoryStore,
    /// How far the others are.
    pub(super) progress: Progress,
    /// Orders.
    pub(super) orders: channel::Receiver<Order>,
    /// Reports.
    pub(super) words: mpsc::Sender<Word>,
}

/// Runs a target, anew when it breaks: a fault of ours with one object neither ends its target in silence nor reaches
/// another one.
pub(super) async fn kept(setting: Setting) {
    loop {
        let task = AbortOnDropHandle::new(tokio::spawn(run(setting.clone())));
        match task.await {
            // The words of a panic may quote what it was about; the log has its place.
            Err(broken) if broken.is_panic() => {}
            _ => return,
        }
        let order = setting.orders.borrow().clone();
        let mut report = TargetReport::new(&order.desired.target, &order.desired.revision);
        report.objects = order.desired.objects.len();
        report.blocked = Some(format!(
            "a fault of the agent stopped the work on this target; its log says where; tried again every {} s",
            ANEW.as_secs()
        ));
        report.settled = true;
        setting.progress.reached(&order.desired.target, &order.desired.revision, Reached::Failed);
        if setting.words.send(Word::Report(Box::new(report))).await.is_err() {
            return;
        }
        tokio::time::sleep(ANEW).await;
    }
}

/// Runs a target until its orders end or the agent does.
pub(super) async fn run(setting: Setting) {
    let mut orders = setting.orders.clone();
    let mut delay = SOON.0;
    loop {
        let order = orders.borrow_and_update().clone();
        let why = match Worker::start(&setting, order.clone()).await {
            Ok(worker) => match worker.run(&mut orders).await {
                Ended::Over => return,
                Ended::Anew => {
                    delay = SOON.0;
                    continue;
                }
                Ended::Credentials(why) => {
                    format!("{why}; renew the kubeconfig in Secret {}", order.kubeconfig.name)
                }
            },
            Err(why) => why,
        };
        let order = orders.borrow().clone();
        let mut report = TargetReport::new(&order.desired.target, &order.desired.revision);
        report.objects = order.desired.objects.len();
        setting.progress.reached(&order.desired.target, &order.desired.revision, Reached::Failed);
        tracing::warn!(target = %order.desired.target, "cannot be worked on: {why}");
        report.reverted = revert::unavailable(&order, &why);
        report.blocked = Some(why);
        report.settled = true;
        report.request.clone_from(&order.request);
        if setting.words.send(Word::Report(Box::new(report))).await.is_err() {
            return;
        }
        // A Secret that appears or is renewed is read at the next try; a new order tries at once.
        tokio::select! {
            () = setting.context.shutdown.cancelled() => return,
            changed = orders.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(delay) => delay = (delay * 2).min(SOON.1),
        }
    }
}

/// Why a worker ended.
enum Ended {
    /// The orders or the agent ended.
    Over,
    /// It is to begin anew at once: another Secret is to be used, say.
    Anew,
    /// The credentials are refused: read them again.
    Credentials(String),
}

/// A target with working credentials.
struct Worker {
    context: FleetContext,
    set: String,
    owner: String,
    store: InventoryStore,
    progress: Progress,
    words: mpsc::Sender<Word>,
    order: Order,
    resources: Resources,
    /// Which content of the Secret the client was made of.
    version: String,
    watches: Watches,
    signals: Signals,
    kinds: BTreeSet<WatchedKind>,
    state: TargetState,
    report: TargetReport,
    /// The report as it was sent last.
    sent: Option<TargetReport>,
    news: Vec<News>,
    /// The inventory differs from what is stored.
    dirty: bool,
    /// A look failed and has to be repeated.
    look_later: bool,
    /// Workloads that the last pass wrote and that do not work yet.
    starting: BTreeSet<ObjectId>,
    /// It has made no pass yet.
    fresh: bool,
    /// Which cluster it is.
    identity: Identity,
    /// That no other target is the same cluster, as long as this one lives.
    claim: Option<Held>,
}

impl Worker {
    async fn start(setting: &Setting, order: Order) -> Result<Self, String> {
        let (host, namespace) = (&setting.context.client, &setting.context.namespace);
        let actor = order
            .service_account
            .as_deref()
            .map(|name| Actor::new(namespace, name).map_err(|why| format!("spec.serviceAccountName {name:?}: {why}")));
        let actor = actor.transpose()?;
        let guards = (Fence::new(setting.context.tenure.clone()), setting.context.limits);
        let access = crate::credentials::target(host, namespace, &order.kubeconfig, actor.as_ref(), guards);
        let access = access.await.map_err(|error| error.to_string())?;
        let (inventory, stored) = setting.store.load().await.map_err(|error| error.to_string())?;
        let mut report = TargetReport::new(&order.desired.target, &order.desired.revision);
        report.expires = access.expires;
        let state = TargetState::with(inventory);
        let signals = match order.desired.target {
            Target::Mesh => Signals::none(),
            Target::Cluster(_) => Signals::start(&access.client),
        };
        Ok(Self {
            signals,
            context: setting.context.clone(),
            set: setting.set.clone(),
            owner: setting.owner.clone(),
            store: setting.store.clone(),
            progress: setting.progress.clone(),
            words: setting.words.clone(),
            resources: Resources::new(access.client),
            version: access.version,
            watches: Watches::new(&setting.set),
            kinds: BTreeSet::new(),
            state,
            report,
            sent: None,
            news: Vec::new(),
            dirty: false,
            look_later: false,
            starting: BTreeSet::new(),
            identity: Identity { stored, ..Identity::default() },
            claim: None,
            fresh: true,
            order,
        })
    }

    fn target(&self) -> &str {
        self.order.desired.target.name()
    }

    fn problem(&mut self, at: String, message: String) {
        // What RBAC refuses is said with what to do about it.
        let message = match asm_shared::access::advice(&message, self.target()) {
            Some(advice) => format!("{message}; {advice}"),
            None => message,
        };
        tracing::warn!(target = %self.order.desired.target, at, "{message}");
        self.state.problems.push(SyncProblem { at, message });
    }

    /// Writes the inventory if it has changed.
    async fn save(&mut self) -> Result<(), super::inventory::InventoryError> {
        if self.dirty {
            self.store.save(&self.state.inventory, self.identity.stored.as_deref()).await?;
            self.dirty = false;
        }
        Ok(())
    }

    async fn run(mut self, orders: &mut channel::Receiver<Order>) -> Ended {
        let ended = self.work(orders).await;
        // Not when it is cut off: then something may be on its way.
        self.claim.iter().for_each(Held::ended);
        ended
    }

    async fn work(&mut self, orders: &mut channel::Receiver<Order>) -> Ended {
        let mut pass_at = Some(Instant::now());
        let mut pace = Pace::default();
        let mut backoff = Backoff::default();
        let mut list_deadline = self.follow();
        self.follow_arrival();
        let mut board = self.progress.subscribe();
        let mut waits_for_mesh = false;
        let (mut sets, mut waits_for_owner) = (self.context.sets.subscribe(), false);
        let mut thaw_at = self.thaw_at();
        let (host, namespace) = (self.context.client.clone(), self.context.namespace.clone());
        let secret = self.order.kubeconfig.name.clone();
        let renewed = crate::credentials::changed(host, namespace, secret, self.version.clone());
        tokio::pin!(renewed);
        loop {
            let lists_done = self.state.is_settled(&self.kinds);
            let start = pass_at.map(|at| if lists_done { at } else { at.max(list_deadline) });
            tokio::select! {
                () = self.context.shutdown.cancelled() => return Ended::Over,
                () = &mut renewed => {
                    tracing::info!(target = %self.target(), secret = self.order.kubeconfig.name, "the Secret has changed");
                    return Ended::Anew;
                }
                () = lost(self.claim.as_ref()) => {
                    tracing::warn!(target = %self.target(), "the cluster is another replica's by now: begun anew");
                    return Ended::Anew;
                }
                changed = orders.changed() => {
                    if changed.is_err() {
                        return Ended::Over;
                    }
                    let order = orders.borrow_and_update().clone();
                    if order.kubeconfig != self.order.kubeconfig || order.service_account != self.order.service_account {
                        return Ended::Anew;
                    }
                    let is_another = !Arc::ptr_eq(&self.order.desired, &order.desired);
                    self.order = order;
                    list_deadline = self.follow();
                    if is_another {
                        self.follow_arrival();
                    }
                    backoff = Backoff::default();
                    pass_at = Some(Instant::now());
                    thaw_at = self.thaw_at();
                }
                () = at(thaw_at) => {
                    self.state.suspect_frozen(&self.order.desired);
                    // What is fought about is put back once more.
                    self.state.suspects.extend(self.state.drift.keys().cloned());
                    thaw_at = self.thaw_at();
                    pace.now(Instant::now());
                    self.tell().await;
                }
                (kind, seen) = self.watches.next() => {
                    let failed = self.state.is_failing();
                    self.see(&kind, seen);
                    while let Some((kind, seen)) = self.watches.ready() {
                        self.see(&kind, seen);
                    }
                    if let Some(why) = self.state.unauthorized() {
                        return Ended::Credentials(why);
                    }
                    if failed && !self.state.is_failing() && pass_at.is_some() {
                        // It is back: no need to sit out the pause.
                        backoff = Backoff::default();
                        pass_at = Some(Instant::now());
                    }
                    if !self.state.suspects.is_empty() || !self.state.look_again.is_empty() {
                        pace.touched(Instant::now());
                    }
                    self.tell().await;
                }
                signal = self.signals.next() => {
                    let mut heard = self.heed(signal);
                    while let Some(signal) = self.signals.ready() {
                        heard |= self.heed(signal);
                    }
                    if heard {
                        pace.heard(Instant::now());
                    }
                }
                () = at(pace.due()), if lists_done && start.is_none_or(|start| start > Instant::now()) => {
                    let started = Instant::now();
                    if self.look().await {
                        pass_at = Some(Instant::now());
                    }
                    self.tell_started();
                    thaw_at = self.thaw_at();
                    let later = std::mem::take(&mut self.look_later).then_some(SOON.0);
                    let pauses = [later, self.state.fronts.pause(), self.state.certificates.pause(Timestamp::now())];
                    pace.looked(started, Instant::now(), pauses.into_iter().flatten().min());
                    if let Err(error) = self.save().await {
                        tracing::warn!(target = %self.target(), "{error}");
                    }
                    self.tell().await;
                }
                () = at(start) => {
                    pass_at = None;
                    waits_for_mesh = false;
                    if self.order.suspended {
                        self.report.settled = true;
                        self.report.request.clone_from(&self.order.request);
                    } else {
                        // Another try at the same commit is no news until it has ended.
                        if self.sent.as_ref().is_none_or(|sent| sent.wanted != self.order.desired.revision) {
                            self.report.settled = false;
                            self.tell().await;
                        }
                        // What changes from here on is news for the pass after this one.
                        sets.mark_unchanged();
                        let (order, name) = (&self.order, &self.owner);
                        let desired = &order.desired;
                        let span = order.syncing.pass(name, &desired.target, &desired.revision, desired.objects.len());
                        let end = self.pass().instrument(span.clone()).await;
                        span.record("problems", self.state.problems.len());
                        span.record("outcome", end.word());
                        drop(span);
                        if end.unauthorized {
                            // Open watches go on for a while after a token has ended.
                            self.tell().await;
                            return Ended::Credentials(UNKNOWN.to_owned());
                        }
                        (waits_for_mesh, waits_for_owner) = (end.waits_for_mesh, end.waits_for_owner);
                        let next = backoff.next(end).map(|delay| Instant::now() + delay);
                        pass_at = next.into_iter().chain(self.state.parting.end()).min();
                        self.follow();
                        let waits = waits_for_mesh && !self.progress.mesh_failed(&self.order.desired.revision);
                        self.report.settled = !waits && self.state.parting.end().is_none();
                        self.report.request.clone_from(&self.order.request);
                    }
                    self.revert().await;
                    pace.now(Instant::now());
                    self.tell().await;
                }
                Ok(()) = sets.changed(), if waits_for_owner => {
                    waits_for_owner = false;
                    pass_at = Some(Instant::now());
                }
                changed = board.changed(), if waits_for_mesh => {
                    let revision = &self.order.desired.revision;
                    // What somebody consented to goes also when lint finds errors in the mesh.
                    if changed.is_ok() && (self.progress.rerouted(revision) || self.progress.wrong(revision)) {
                        pass_at = Some(Instant::now());
                    } else if self.progress.mesh_failed(&self.order.desired.revision) {
                        // It may still get there; until then there is nothing more to wait for.
                        self.report.settled = true;
                        self.tell().await;
                    }
                }
            }
        }
    }

    /// Takes in what a watch saw.
    fn see(&mut self, kind: &WatchedKind, seen: Seen) {
        if matches!(seen, Seen::Broken(_)) {
            self.context.metrics.watch_restarted(TargetKind::of(self.target()));
        }
        self.state.see(kind, seen);
    }

    /// An API server said no, or nothing.
    fn count_error(&self, error: &ClusterError) {
        self.context.metrics.api_error(TargetKind::of(self.target()), error);
    }

    /// When a field is no longer left alone, or a fight is taken up again.
    fn thaw_at(&self) -> Option<Instant> {
        let now = Timestamp::now();
        let (thaw, fight) = (self.order.desired.next_thaw(now), self.state.fights.next(now));
        let until = thaw.into_iter().chain(fight).min()?;
        let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        Some(Instant::now() + wait.min(THAW_LOOK))
    }

    /// Watches what the present order needs. Gives back until when a pass waits for the lists.
    fn follow(&mut self) -> Instant {
        self.kinds = self.state.kinds_for(&self.order.desired);
        self.state.retain_kinds(&self.kinds);
        self.watches.follow(&self.resources, &self.kinds);
        self.follow_fronts();
        Instant::now() + LIST_PATIENCE
    }

    /// Sends a report if it says something new, and the news.
    async fn tell(&mut self) {
        let ended = std::mem::take(&mut self.state.ended).into_iter();
        self.news.extend(ended.map(|past| News::Ended(Box::new(past))));
        for news in std::mem::take(&mut self.news) {
            // A closed channel means that the agent ends; nobody is left to hear it.
            let _ = self.words.send(Word::News(self.order.desired.target.clone(), news)).await;
        }
        let desired = self.order.desired.clone();
        let declared_at =
            |id: &ObjectId| desired.objects.get(id).map(|object| object.position.to_string()).unwrap_or_default();
        let mut next = self.report.clone();
        next.wanted = desired.revision.clone();
        next.objects = desired.objects.len();
        next.fill(&self.state, declared_at);
        next.lint = lint::held_objects(&desired, &self.state);
        let frozen = desired.frozen_at(Timestamp::now()).map(|(id, field)| (id.clone(), field.clone()));
        next.frozen = frozen.collect();
        next.blocked = self.identity.misled.clone();
        next.blocked = next.blocked.or_else(|| self.state.unreachable().map(|failure| failure.message.clone()));
        if let Some(why) = &next.blocked {
            let asked = self.order.revert.as_ref().map(|request| &request.id);
            if asked.is_some() && next.reverted.as_ref().map(|done| &done.id) != asked {
                next.reverted = revert::unavailable(&self.order, why);
            }
            self.progress.reached(&desired.target, &desired.revision, Reached::Failed);
            next.settled = true;
            next.request.clone_from(&self.order.request);
        }
        self.report = next.clone();
        if self.sent.as_ref() != Some(&next) {
            self.sent = Some(next.clone());
            let _ = self.words.send(Word::Report(Box::new(next))).await;
        }
    }
}

/// Growing pauses between passes that fail.
#[derive(Default)]
struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The pause before the next pass; none after a clean one.
    fn next(&mut self, end: PassEnd) -> Option<Duration> {
        let (first, last) = match end {
            PassEnd { retry_soon: true, .. } => SOON,
            PassEnd { failed: true, .. } => LATER,
            _ => {
                self.last = None;
                return None;
            }
        };
        let delay = self.last.map_or(first, |delay| (delay * 2).max(first)).min(last);
        self.last = Some(delay);
        Some(delay)
    }
}
