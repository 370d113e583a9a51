//! One FleetSync: looks at the branch, turns a commit into orders for the targets, and gathers what they say.

use super::at;
use super::commit::Reader;
use super::conditions::{Known, short, status, told};
use super::events::Events;
use super::expiry::{Credentials, Expiry};
use super::inventory::InventoryStore;
use super::numbers::Numbers;
use super::progress::Progress;
use super::status::StatusWriter;
use super::worker::{self, News, Order, Setting, TargetReport, Word};
use crate::context::FleetContext;
use crate::metrics::SyncOutcome;
use crate::source::{self, Fetched, Source};
use crate::web::Commit;
use asm_shared::api::{
    FleetSync, FleetSyncStatus, LintMode, RevertOutcome, RevertRequest, RevertResult, RevertStatus, SourceStatus,
    labels,
};
use asm_shared::fleet::Target;
use asm_shared::plan::{Desired, PruneLimits};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::events::EventType;
use kube::{Resource as _, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch as channel};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Reports are gathered this long before the status is written.
const GATHER: Duration = Duration::from_millis(100);
/// A status that could not be written is tried again after this.
const STATUS_RETRY: Duration = Duration::from_secs(2);
/// Objects that one wish may name; the answer stands in the status, which stays small.
const MOST_REVERTS: usize = 100;
/// Objects held back by lint that one report makes Events for.
const MOST_EVENTS: usize = 10;
/// Reports on their way.
const IN_FLIGHT: usize = 256;

/// What is known, for whoever waits for it (`--once`).
pub(super) type Snapshots = channel::Sender<Option<Arc<FleetSyncStatus>>>;

/// A target's task.
struct Running {
    orders: channel::Sender<Order>,
    report: Option<TargetReport>,
    _task: AbortOnDropHandle<()>,
}

struct Supervisor {
    context: FleetContext,
    sync: Arc<FleetSync>,
    source: Source,
    progress: Progress,
    words: mpsc::Sender<Word>,
    targets: BTreeMap<Target, Running>,
    order_of_targets: Vec<Target>,
    commit: Option<Arc<Commit>>,
    /// Path inside the repository that it was read from, and what was done about errors in it.
    path: String,
    lint: LintMode,
    known: Known,
    last_status: FleetSyncStatus,
    writer: StatusWriter,
    /// Targets that left the fleet and whose drift reports are still there.
    stale_reports: BTreeSet<String>,
    events: Events,
    numbers: Numbers,
    expiry: Expiry,
    /// The wish that is being fulfilled.
    request: Option<Arc<str>>,
    /// The wish to put Git's values back that is being carried out.
    revert: Option<Arc<RevertRequest>>,
    /// Since when the present commit is being synced; none once that was counted.
    syncing_since: Option<Instant>,
}

/// Follows one FleetSync until its channel closes or the agent ends.
pub(super) async fn run(
    context: FleetContext,
    mut specs: channel::Receiver<Arc<FleetSync>>,
    snapshots: Option<Snapshots>,
) {
    let sync = specs.borrow_and_update().clone();
    let (words, mut heard) = mpsc::channel(IN_FLIGHT);
    let mut supervisor = Supervisor::new(context, sync, words);
    let mut poll_at = Instant::now();
    let mut write_at = Some(Instant::now());
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
                write_at.get_or_insert_with(|| Instant::now() + GATHER);
            }
            () = tokio::time::sleep_until(poll_at) => {
                supervisor.poll().await;
                let interval = Duration::from_secs(supervisor.sync.spec.source.interval_seconds.into());
                poll_at = Instant::now() + source::next_poll(interval, &mut rand::rng());
                write_at.get_or_insert_with(|| Instant::now() + GATHER);
            }
            Some(word) = heard.recv() => {
                supervisor.hear(word).await;
                write_at.get_or_insert_with(|| Instant::now() + GATHER);
            }
            () = at(write_at) => {
                write_at = supervisor.write(snapshots.as_ref()).await.map(|delay| Instant::now() + delay);
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
            targets: BTreeMap::new(),
            order_of_targets: Vec::new(),
            commit: None,
            path: String::new(),
            lint: LintMode::default(),
            known: Known {
                handled: previous.last_handled_reconcile_at.clone(),
                reverted: previous.last_handled_revert.clone(),
                ..Known::default()
            },
            writer: StatusWriter::new(context.client.clone(), &context.namespace, &name, owner),
            stale_reports: BTreeSet::new(),
            events: Events::new(&context, sync.object_ref(&())),
            numbers: Numbers::new(context.metrics.clone(), name, &previous),
            last_status: previous,
            expiry: Expiry::default(),
            request: None,
            revert: None,
            syncing_since: None,
            context,
            sync,
        };
        supervisor.read_wishes();
        // Known before the first fetch, so that another FleetSync that is quicker does not take them.
        for target in &supervisor.last_status.targets {
            supervisor.claim(&target.name);
        }
        supervisor
    }

    fn claim(&self, target: &str) {
        let set = labels::applyset_id(&self.context.namespace, &self.sync.name_any(), target);
        self.context.sets.claim(set, &super::full_name(&self.sync));
    }

    /// How metrics and the page call it.
    fn label(&self) -> String {
        super::label(&self.context, &super::full_name(&self.sync)).to_owned()
    }

    fn read_wishes(&mut self) {
        self.events.follow(&self.sync.spec.notifications);
        self.known.generation = self.sync.metadata.generation;
        self.known.suspended = self.sync.spec.suspend;
        let request = self.sync.annotations().get(labels::RECONCILE_AT);
        self.request = request.filter(|at| Some(*at) != self.known.handled.as_ref()).map(|at| at.as_str().into());
        self.revert = self.sync.annotations().get(labels::REVERT).and_then(|text| {
            let request = serde_json::from_str::<RevertRequest>(text).inspect_err(|error| {
                tracing::warn!(
                    fleetsync = self.sync.name_any(),
                    "annotation {} is not understood: {error}",
                    labels::REVERT
                );
            });
            let request = request.ok().filter(|request| request.objects.len() <= MOST_REVERTS)?;
            let is_done = self.known.reverted.as_ref().is_some_and(|done| done.id == request.id);
            (!is_done).then(|| Arc::new(request))
        });
    }

    /// Takes in a changed FleetSync. `true` when the branch is to be looked at now.
    fn wishes(&mut self, sync: Arc<FleetSync>) -> bool {
        let source_changed = sync.spec.source != self.sync.spec.source || sync.spec.lint != self.sync.spec.lint;
        let accept = |sync: &FleetSync| sync.annotations().get(source::ACCEPT_REVISION).cloned();
        let accepted = accept(&sync) != accept(&self.sync);
        let hint = |sync: &FleetSync| sync.annotations().get(labels::HINT_AT).cloned();
        let hinted = hint(&sync).is_some() && hint(&sync) != hint(&self.sync);
        self.sync = sync;
        let before = self.request.clone();
        self.read_wishes();
        self.give_orders();
        source_changed || accepted || hinted || (self.request.is_some() && self.request != before)
    }

    /// Looks at the branch; reads the fleet when there is a new commit.
    async fn poll(&mut self) {
        self.warn_of_expiry().await;
        let spec = self.sync.spec.source.clone();
        let started = Instant::now();
        let secrets = match crate::credentials::source(&self.context.client, &self.context.namespace, &spec).await {
            Ok(secrets) => secrets,
            Err(error) => return self.source_failed("CredentialsUnusable", error.to_string()).await,
        };
        let last = self.last_revision();
        let accept = self.sync.annotations().get(source::ACCEPT_REVISION).cloned();
        let result = self.source.fetch(&spec, secrets, last.as_deref(), accept.as_deref()).await;
        self.context.metrics.fetched(source::outcome(&result), started.elapsed());
        match result {
            Err(error) => {
                let hint = error.hint(&self.context.namespace, &self.sync.name_any());
                self.source_failed(error.reason(), format!("{error}; {hint}")).await;
            }
            Ok(fetched) => {
                self.known.source_error = None;
                self.known.passed_over.clone_from(&fetched.passed_over);
                if let Some(source) = &mut self.known.source {
                    source.url = Some(fetched.url.clone());
                    source.signed_by.clone_from(&fetched.signed_by);
                }
                let known = self.commit.as_ref().is_some_and(|commit| *commit.revision == *fetched.revision);
                if !known || self.path != spec.path || self.lint != self.sync.spec.lint {
                    self.read(fetched, &spec.path).await;
                }
                // A wish is passed on also when there is no new commit.
                self.give_orders();
            }
        }
    }

    /// Says in time that credentials of targets come to their end.
    async fn warn_of_expiry(&mut self) {
        let ends = self.targets.iter().filter_map(|(target, running)| {
            let end = running.report.as_ref()?.expires?;
            let reference = self.sync.spec.kubeconfig_of(target.name());
            Some(Credentials { target: target.name().to_owned(), secret: reference.name, key: reference.key, end })
        });
        self.known.expiring = ends.collect();
        for word in self.expiry.due(&self.known.expiring, &self.context.namespace, Timestamp::now()) {
            tracing::warn!(fleetsync = self.sync.name_any(), "{word}");
            self.events.publish(EventType::Warning, "CredentialsExpireSoon", "Watch", word).await;
        }
    }

    /// The commit that new ones must descend from.
    fn last_revision(&self) -> Option<String> {
        let source = self.known.source.as_ref().or(self.last_status.source.as_ref())?;
        source.revision.clone()
    }

    async fn source_failed(&mut self, reason: &'static str, message: String) {
        let news = self.known.source_error.as_ref().is_none_or(|(known, _)| *known != reason);
        if news {
            tracing::warn!(fleetsync = self.sync.name_any(), reason, "{message}");
            self.events.publish(EventType::Warning, reason, "Fetch", message.clone()).await;
        }
        self.known.source_error = Some((reason, message));
        // The wish to sync is answered: it cannot be fulfilled now, and the condition says why.
        if let Some(request) = self.request.take() {
            self.known.handled = Some(request.to_string());
        }
    }

    async fn read(&mut self, fetched: Fetched, path: &str) {
        let reader = Reader {
            repository: fetched.repository.clone(),
            revision: fetched.revision.as_str().into(),
            path: path.to_owned(),
            lint: self.sync.spec.lint,
        };
        let (namespace, name) = (self.context.namespace.clone(), self.sync.name_any());
        let (again, reading) = (reader.clone(), reader.clone());
        let content = match tokio::task::spawn_blocking(move || reading.read(&namespace, &name)).await {
            Ok(Ok(content)) => content,
            Ok(Err(error)) => return self.source_failed("TreeUnreadable", error).await,
            Err(error) => {
                return self.source_failed("TreeUnreadable", format!("the reader ended unexpectedly: {error}")).await;
            }
        };
        self.context.metrics.commit_seen();
        let revision = short(&reader.revision);
        tracing::info!(
            fleetsync = self.sync.name_any(),
            revision,
            objects = content.objects,
            problems = content.problems.len(),
            held = content.held,
            lint_ms = content.lint_took.as_millis(),
            "new commit"
        );
        self.known.source = Some(SourceStatus {
            revision: Some(fetched.revision),
            subject: Some(fetched.subject),
            author: Some(fetched.author),
            seen_at: Some(Time(Timestamp::now())),
            url: Some(fetched.url),
            signed_by: fetched.signed_by,
        });
        self.known.has_fleet = content.has_fleet;
        if let Some(first) = content.problems.first() {
            let count = content.problems.len();
            let note = format!("{revision}: {count} problems, first {}: {}", first.at, first.message);
            self.events.publish(EventType::Warning, "FilesWrong", "Read", note).await;
        }
        self.known.problems = content.problems;
        self.path = reader.path;
        self.lint = reader.lint;
        self.syncing_since = Some(Instant::now());
        self.commit = Some(Arc::new(Commit::new(&reader.revision, content.clusters, move || again.state())));
        // Without a valid fleet file the last orders stand: nothing is applied or removed.
        if content.has_fleet {
            self.make_orders(content.desired);
        }
    }

    /// Turns a commit into orders.
    fn make_orders(&mut self, desired: Vec<Arc<Desired>>) {
        let targets: Vec<Target> = desired.iter().map(|desired| desired.target.clone()).collect();
        let members: Arc<[Target]> = targets.iter().filter(|target| **target != Target::Mesh).cloned().collect();
        let left: Vec<Target> = self.targets.keys().filter(|target| !targets.contains(target)).cloned().collect();
        for target in left {
            self.targets.remove(&target);
            self.known.left.push(target.name().to_owned());
            self.stale_reports.insert(target.name().to_owned());
            self.context.metrics.forget_target(&self.label(), target.name());
        }
        self.known.left.retain(|name| targets.iter().all(|target| target.name() != name));
        self.stale_reports.retain(|name| targets.iter().all(|target| target.name() != name));
        for desired in desired {
            let (target, set) = (desired.target.clone(), desired.set.to_string());
            self.claim(target.name());
            let order = self.order(&target, desired, &members);
            match self.targets.get(&target) {
                Some(running) => {
                    running.orders.send_replace(order);
                }
                None => {
                    let running = self.start(&target, order, set);
                    self.targets.insert(target, running);
                }
            }
        }
        self.order_of_targets = targets;
    }

    /// Gives the orders again when anything but the commit changed.
    fn give_orders(&mut self) {
        for (target, running) in &self.targets {
            let last = running.orders.borrow().clone();
            let order = self.order(target, last.desired.clone(), &last.members);
            let same = order.mode == last.mode
                && order.suspended == last.suspended
                && order.request == last.request
                // That there is no wish any more is no order.
                && (order.revert.is_none() || order.revert == last.revert)
                && order.kubeconfig == last.kubeconfig
                && order.service_account == last.service_account
                && order.limits == last.limits;
            if !same {
                running.orders.send_replace(order);
            }
        }
    }

    fn order(&self, target: &Target, desired: Arc<Desired>, members: &Arc<[Target]>) -> Order {
        Order {
            desired,
            members: members.clone(),
            mode: self.sync.spec.drift,
            limits: PruneLimits::of(&self.sync.spec.prune),
            suspended: self.sync.spec.suspend,
            request: self.request.clone(),
            revert: self.revert.clone(),
            kubeconfig: self.sync.spec.kubeconfig_of(target.name()),
            service_account: match &self.sync.spec.service_account_name {
                Some(name) => Some(name.as_str().into()),
                None => self.context.default_service_account.clone(),
            },
        }
    }

    fn start(&self, target: &Target, order: Order, set: String) -> Running {
        let (orders, receiver) = channel::channel(order);
        let name = self.sync.name_any();
        let owner = self.sync.controller_owner_ref(&()).unwrap_or_default();
        let client = self.context.client.clone();
        let setting = Setting {
            store: InventoryStore::new(client, &self.context.namespace, &name, target.name(), owner),
            context: self.context.clone(),
            set,
            owner: super::full_name(&self.sync),
            progress: self.progress.clone(),
            orders: receiver,
            words: self.words.clone(),
        };
        Running { orders, report: None, _task: AbortOnDropHandle::new(tokio::spawn(worker::kept(setting))) }
    }

    async fn hear(&mut self, word: Word) {
        match word {
            Word::News(target, News::Ended(past)) => self.writer.remember(target.name(), *past),
            Word::News(target, news) => {
                match &news {
                    News::Drift { change, .. } => self.context.metrics.drift_found(target.name(), *change),
                    News::Corrected { .. } => self.context.metrics.drift_corrected(target.name()),
                    _ => {}
                }
                self.events.news(&target, news).await;
            }
            Word::Report(report) => {
                let sync = self.label();
                let Some(running) = self.targets.get_mut(&report.target) else { return };
                let before = running.report.as_ref();
                let held_before = before.map(|report| report.held.clone()).unwrap_or_default();
                let fresh: Vec<String> =
                    report.held.iter().filter(|h| !held_before.contains(h)).map(|h| h.message.clone()).collect();
                let lint_before = before.map(|report| report.lint.clone()).unwrap_or_default();
                let wrong = report.lint.iter().filter(|held| !lint_before.contains(held));
                let wrong: Vec<String> = wrong.map(|held| told(report.target.name(), held)).collect();
                let target = report.target.name();
                self.context.metrics.drifted(&sync, target, u32::try_from(report.drift.len()).unwrap_or(u32::MAX));
                let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                self.context.metrics.held(&sync, target, count(report.held.len()));
                self.context.metrics.held_by_lint(&sync, target, count(report.lint.len()));
                self.context.metrics.credentials_expire(&sync, target, report.expires);
                if report.is_synced() {
                    self.context.metrics.target_synced(&sync, target, Timestamp::now());
                }
                running.report = Some(*report);
                for note in fresh {
                    self.events.publish(EventType::Warning, "HeldBack", "Plan", note).await;
                }
                let more = wrong.len().saturating_sub(MOST_EVENTS);
                for note in wrong.into_iter().take(MOST_EVENTS) {
                    self.events.publish(EventType::Warning, "LintErrors", "Lint", note).await;
                }
                if more > 0 {
                    let note = format!("lint holds {more} more objects back; find them with: kubectl asm lint");
                    self.events.publish(EventType::Warning, "LintErrors", "Lint", note).await;
                }
            }
        }
    }

    /// Counts how a commit went, once, when every target has ended its pass for it.
    fn count_sync(&mut self) {
        let Some(since) = self.syncing_since else { return };
        let revision = self.commit.as_ref().map(|commit| &commit.revision);
        let reports: Vec<&TargetReport> = self.targets.values().filter_map(|running| running.report.as_ref()).collect();
        let ended = |report: &&TargetReport| report.settled && Some(&report.wanted) == revision;
        if reports.is_empty() || reports.len() < self.targets.len() || !reports.iter().all(ended) {
            return;
        }
        let synced = reports.iter().filter(|report| report.is_synced()).count();
        let outcome = if synced == reports.len() {
            SyncOutcome::Synced
        } else if reports
            .iter()
            .any(|report| !report.held.is_empty() || !report.lint.is_empty() || report.hold.is_some())
        {
            SyncOutcome::Held
        } else if synced > 0 {
            SyncOutcome::Partial
        } else {
            SyncOutcome::Failed
        };
        self.context.metrics.synced(outcome, since.elapsed());
        self.syncing_since = None;
    }

    /// Writes status and drift reports. Gives back after which time to write again, if it failed.
    async fn write(&mut self, snapshots: Option<&Snapshots>) -> Option<Duration> {
        self.settle_request();
        self.settle_revert();
        self.count_sync();
        let report_of = |target: &Target| self.targets.get(target).and_then(|running| running.report.clone());
        self.known.targets =
            self.order_of_targets.iter().map(|target| (target.name().to_owned(), report_of(target))).collect();
        self.known.namespace.clone_from(&self.context.namespace);
        let status = status(&self.known, &self.last_status, &Time(Timestamp::now()));
        if let Some(snapshots) = snapshots {
            snapshots.send_replace(Some(Arc::new(status.clone())));
        }
        let is_there = self.numbers.tell(&status, self.sync.spec.suspend, Instant::now());
        self.show(&status);
        if !self.context.may_write() {
            return Some(STATUS_RETRY);
        }
        self.events.turned(&self.last_status, &status, is_there).await;
        let mut failed = None;
        if let Err(error) = self.writer.write(&status).await {
            failed = Some(error);
        }
        self.last_status = status;
        for (_, report) in &self.known.targets {
            if let Some(report) = report
                && let Err(error) = self.writer.write_drift(report).await
            {
                failed = Some(error);
            }
        }
        for target in std::mem::take(&mut self.stale_reports) {
            if let Err(error) = self.writer.forget(&target).await {
                self.stale_reports.insert(target);
                failed = Some(error);
            }
        }
        // What a former agent had in the reports is known only now.
        self.show(&self.last_status);
        failed.map(|error| {
            tracing::warn!(fleetsync = self.sync.name_any(), "the status cannot be written: {error}");
            STATUS_RETRY
        })
    }

    /// Gives the page what there is to see.
    fn show(&self, status: &FleetSyncStatus) {
        if !self.context.views.is_on() {
            return;
        }
        self.context.views.publish(crate::web::News {
            name: self.label(),
            namespace: &self.context.namespace,
            spec: &self.sync.spec,
            status,
            targets: super::view::targets(&self.known, &self.writer),
            commit: self.commit.clone(),
            at: Timestamp::now(),
        });
    }

    /// A wish is fulfilled when every target has ended its pass for it.
    fn settle_request(&mut self) {
        let Some(request) = self.request.clone() else { return };
        let revision = self.commit.as_ref().map(|commit| commit.revision.clone());
        let done = !self.targets.is_empty()
            && self.targets.values().all(|running| {
                running.report.as_ref().is_some_and(|report| {
                    report.settled
                        && report.request.as_ref() == Some(&request)
                        && Some(&report.wanted) == revision.as_ref()
                })
            });
        if done {
            self.known.handled = Some(request.to_string());
            self.request = None;
        }
    }

    /// A wish to put values back is carried out when every target that it names has answered.
    fn settle_revert(&mut self) {
        let Some(request) = self.revert.clone() else { return };
        // Before the first commit is read nothing is known of the targets.
        if self.targets.is_empty() {
            return;
        }
        let mut results: Vec<RevertResult> = Vec::new();
        for object in &request.objects {
            let target = self.targets.iter().find(|(target, _)| target.name() == object.target);
            let Some((_, running)) = target else {
                let message = Some(format!("the fleet has no target {}", object.target));
                results.push(RevertResult { object: object.clone(), outcome: RevertOutcome::NotInGit, message });
                continue;
            };
            let answer = running.report.as_ref().and_then(|report| report.reverted.as_deref());
            let Some(answer) = answer.filter(|answer| answer.id == request.id) else { return };
            results.extend(answer.results.iter().find(|result| result.object == *object).cloned());
        }
        for running in self.targets.values() {
            // A target that starts anew must not carry it out again.
            running.orders.send_if_modified(|order| {
                order.revert = None;
                false
            });
        }
        self.known.reverted = Some(RevertStatus { id: request.id.clone(), results });
        self.revert = None;
    }
}
