//! Numbers for `/metrics`. Label values come from enums, never from error texts, so that their number is bounded; the
//! only names among them are those of FleetSyncs and of the targets in their `fleet.yaml`.

mod fleet;
#[cfg(test)]
mod monitoring;

pub use fleet::{FleetNumbers, TargetNumbers};

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::NotificationKind;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// What kind of API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum TargetKind {
    /// The host cluster's API: FleetSyncs, Secrets, inventories.
    Host,
    /// The mesh control plane's API.
    Mesh,
    /// A member cluster's API.
    Member,
}

impl TargetKind {
    /// The kind of a target by its name: `mesh` or a cluster's name.
    pub fn of(target: &str) -> Self {
        if target == "mesh" { Self::Mesh } else { Self::Member }
    }
}

/// How applying one object went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ApplyOutcome {
    /// It is new.
    Created,
    /// It has changed.
    Configured,
    /// It was right already.
    Unchanged,
    /// Another manager owns a field that Git sets.
    Conflict,
    /// The API server refuses it as invalid.
    Invalid,
    /// Anything else went wrong.
    Error,
}

impl From<&str> for ApplyOutcome {
    fn from(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            "configured" => Self::Configured,
            "unchanged" => Self::Unchanged,
            "conflict" => Self::Conflict,
            "invalid" => Self::Invalid,
            _ => Self::Error,
        }
    }
}

impl From<&ClusterError> for ApplyOutcome {
    fn from(error: &ClusterError) -> Self {
        match error.kind {
            ErrorKind::Conflict(_) | ErrorKind::AlreadyExists => Self::Conflict,
            ErrorKind::Invalid(_) => Self::Invalid,
            _ => Self::Error,
        }
    }
}

/// How removing one object went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum PruneOutcome {
    /// It was deleted.
    Deleted,
    /// It waits for an approval or the prune budget.
    Held,
    /// It could not be deleted.
    Error,
}

/// How a look at the Git server went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum FetchOutcome {
    /// A commit that was not known yet.
    Changed,
    /// The commit that is known already.
    Unchanged,
    /// The server refused the credentials.
    Unauthorized,
    /// The server could not be reached.
    Unreachable,
    /// It took too long.
    Timeout,
    /// The branch was rewritten or went back.
    NotFastForward,
    /// The commit or tag is not signed as it should be.
    BadSignature,
    /// Anything else: wrong URL, no such branch, too large, broken objects.
    Refused,
}

/// What became of a hint (webhook).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum HintOutcome {
    /// It leads to a look at the branch.
    Taken,
    /// No FleetSync of that name takes hints.
    Unknown,
    /// Its secret or signature is missing or wrong.
    Refused,
    /// It is larger than any sender's.
    TooLarge,
    /// There were too many.
    Throttled,
    /// The Secret could not be read.
    Unavailable,
}

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum SyncOutcome {
    /// Everything is at the commit.
    Synced,
    /// Something waits for an approval.
    Held,
    /// Some objects or targets failed.
    Partial,
    /// Nothing could be applied.
    Failed,
}

/// What became of a message to people elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum NotificationOutcome {
    /// It was taken.
    Sent,
    /// It was not taken, and is tried again.
    Retried,
    /// It was not taken, and nobody tries again.
    GivenUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum ReceiverKind {
    DingTalk,
    Lark,
    Slack,
    Generic,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NotificationLabels {
    receiver: ReceiverKind,
    outcome: NotificationOutcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum ApiErrorKind {
    Unauthorized,
    Forbidden,
    NotFound,
    Conflict,
    Invalid,
    Throttled,
    Server,
    Unreachable,
    Timeout,
    Expired,
    Other,
}

impl ApiErrorKind {
    fn of(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::Unauthorized => Self::Unauthorized,
            ErrorKind::Forbidden => Self::Forbidden,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::AlreadyExists | ErrorKind::Conflict(_) => Self::Conflict,
            ErrorKind::Invalid(_) => Self::Invalid,
            ErrorKind::Throttled(_) => Self::Throttled,
            ErrorKind::Server => Self::Server,
            ErrorKind::Unreachable => Self::Unreachable,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Expired => Self::Expired,
            ErrorKind::Other => Self::Other,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApplyLabels {
    target: TargetKind,
    outcome: ApplyOutcome,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PruneLabels {
    target: TargetKind,
    outcome: PruneOutcome,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchLabels {
    outcome: FetchOutcome,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HintLabels {
    outcome: HintOutcome,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SyncLabels {
    outcome: SyncOutcome,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabels {
    fleetsync: String,
    target: String,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiErrorLabels {
    target: TargetKind,
    kind: ApiErrorKind,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    target: TargetKind,
}

/// All numbers of the agent.
pub struct Metrics {
    registry: Registry,
    commits: Counter,
    fetches: Family<FetchLabels, Histogram, fn() -> Histogram>,
    syncs: Family<SyncLabels, Histogram, fn() -> Histogram>,
    applied: Family<ApplyLabels, Counter>,
    pruned: Family<PruneLabels, Counter>,
    drifted: Family<NameLabels, Gauge>,
    held: Family<NameLabels, Gauge>,
    held_by_lint: Family<NameLabels, Gauge>,
    api_errors: Family<ApiErrorLabels, Counter>,
    watch_restarts: Family<KindLabels, Counter>,
    leader: Gauge,
    hints: Family<HintLabels, Counter>,
    expires: Family<NameLabels, Gauge>,
    last_sync: Family<NameLabels, Gauge<f64, AtomicU64>>,
    fleet: fleet::Fleet,
    notifications: Family<NotificationLabels, Counter>,
}

// 5 ms (nothing new on a near server) to 82 s (a first fetch of a large repository).
fn fetch_seconds() -> Histogram {
    Histogram::new((0..8).map(|step| 0.005 * 4_f64.powi(step)))
}

// 50 ms to 205 s: waiting for load balancers takes minutes.
fn sync_seconds() -> Histogram {
    Histogram::new((0..7).map(|step| 0.05 * 4_f64.powi(step)))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("asm_agent");
        let metrics = Self {
            commits: Counter::default(),
            fetches: Family::new_with_constructor(fetch_seconds),
            syncs: Family::new_with_constructor(sync_seconds),
            applied: Family::default(),
            pruned: Family::default(),
            drifted: Family::default(),
            held: Family::default(),
            held_by_lint: Family::default(),
            api_errors: Family::default(),
            watch_restarts: Family::default(),
            leader: Gauge::default(),
            hints: Family::default(),
            expires: Family::default(),
            last_sync: Family::default(),
            fleet: fleet::Fleet::default(),
            notifications: Family::default(),
            registry: Registry::default(),
        };
        registry.register("commits_seen", "Commits that were new to the agent", metrics.commits.clone());
        registry.register_with_unit(
            "git_fetch_duration",
            "Time of one look at the Git server, by outcome",
            Unit::Seconds,
            metrics.fetches.clone(),
        );
        registry.register_with_unit(
            "sync_duration",
            "Time from a commit to the end of its sync, by outcome",
            Unit::Seconds,
            metrics.syncs.clone(),
        );
        registry.register("objects_applied", "Objects applied, by outcome", metrics.applied.clone());
        registry.register("objects_pruned", "Objects that have left Git, by outcome", metrics.pruned.clone());
        registry.register("drifted_objects", "Objects that differ from Git", metrics.drifted.clone());
        registry.register("held_changes", "Changes that wait for an approval in Git", metrics.held.clone());
        registry.register("lint_held_objects", "Objects that lint holds back", metrics.held_by_lint.clone());
        registry.register("api_errors", "Failed API requests, by kind of failure", metrics.api_errors.clone());
        registry.register("watch_restarts", "Watches that had to be opened anew", metrics.watch_restarts.clone());
        registry.register("leader", "1 while this replica writes the status of FleetSyncs", metrics.leader.clone());
        registry.register("webhooks", "Hints from Git servers, by outcome", metrics.hints.clone());
        registry.register_with_unit(
            "credentials_expire_timestamp",
            "When the credentials of the target's kubeconfig end (Unix time)",
            Unit::Seconds,
            metrics.expires.clone(),
        );
        registry.register_with_unit(
            "last_synced_timestamp",
            "When the target was last seen at its commit (Unix time)",
            Unit::Seconds,
            metrics.last_sync.clone(),
        );
        registry.register("build", "Version of the agent", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        metrics.fleet.register(&mut registry);
        registry.register("notifications", "Messages to people elsewhere, by outcome", metrics.notifications.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// A commit that was new to the agent.
    pub fn commit_seen(&self) {
        self.commits.inc();
    }

    /// One look at the Git server. The outcome of a [`crate::source::Source::fetch`] comes from
    /// [`crate::source::outcome`].
    pub fn fetched(&self, outcome: FetchOutcome, took: Duration) {
        self.fetches.get_or_create(&FetchLabels { outcome }).observe(took.as_secs_f64());
    }

    /// One sync of a commit into all targets.
    pub fn synced(&self, outcome: SyncOutcome, took: Duration) {
        self.syncs.get_or_create(&SyncLabels { outcome }).observe(took.as_secs_f64());
    }

    /// One object was applied to a target (`mesh` or a cluster's name). The outcome may be given as a word: `created`,
    /// `configured`, `unchanged`, `conflict`, `invalid`; anything else counts as an error.
    pub fn applied(&self, target: &str, outcome: impl Into<ApplyOutcome>) {
        self.applied.get_or_create(&ApplyLabels { target: TargetKind::of(target), outcome: outcome.into() }).inc();
    }

    /// One object that has left Git was dealt with.
    pub fn pruned(&self, target: &str, outcome: PruneOutcome) {
        self.pruned.get_or_create(&PruneLabels { target: TargetKind::of(target), outcome }).inc();
    }

    /// How many objects of a target differ from Git now.
    pub fn drifted(&self, fleetsync: &str, target: &str, objects: u32) {
        self.drifted.get_or_create(&names(fleetsync, target)).set(objects.into());
    }

    /// How many changes of a target wait for an approval now.
    pub fn held(&self, fleetsync: &str, target: &str, changes: u32) {
        self.held.get_or_create(&names(fleetsync, target)).set(changes.into());
    }

    /// How many objects of a target lint holds back now.
    pub fn held_by_lint(&self, fleetsync: &str, target: &str, objects: u32) {
        self.held_by_lint.get_or_create(&names(fleetsync, target)).set(objects.into());
    }

    /// A target was seen at its commit at this time.
    pub fn target_synced(&self, fleetsync: &str, target: &str, at: jiff::Timestamp) {
        self.last_sync.get_or_create(&names(fleetsync, target)).set(at.as_duration().as_secs_f64());
    }

    /// A hint came in.
    pub fn hinted(&self, outcome: HintOutcome) {
        self.hints.get_or_create(&HintLabels { outcome }).inc();
    }

    /// A message to people elsewhere was sent, or not.
    pub fn notified(&self, kind: NotificationKind, outcome: NotificationOutcome) {
        let receiver = match kind {
            NotificationKind::DingTalk => ReceiverKind::DingTalk,
            NotificationKind::Lark => ReceiverKind::Lark,
            NotificationKind::Slack => ReceiverKind::Slack,
            NotificationKind::Generic => ReceiverKind::Generic,
        };
        self.notifications.get_or_create(&NotificationLabels { receiver, outcome }).inc();
    }

    /// When the credentials of a target end; none: they do not say.
    pub fn credentials_expire(&self, fleetsync: &str, target: &str, at: Option<jiff::Timestamp>) {
        let names = names(fleetsync, target);
        match at {
            Some(at) => {
                self.expires.get_or_create(&names).set(at.as_second());
            }
            None => {
                self.expires.remove(&names);
            }
        }
    }

    /// A target has left `fleet.yaml`, or its FleetSync is gone: its numbers go too.
    pub fn forget_target(&self, fleetsync: &str, target: &str) {
        let names = names(fleetsync, target);
        self.drifted.remove(&names);
        self.held.remove(&names);
        self.held_by_lint.remove(&names);
        self.last_sync.remove(&names);
        self.expires.remove(&names);
        self.forget_numbers_of(&names);
    }

    /// A request to an API server failed.
    pub fn api_error(&self, target: TargetKind, error: &ClusterError) {
        self.api_errors.get_or_create(&ApiErrorLabels { target, kind: ApiErrorKind::of(&error.kind) }).inc();
    }

    /// A watch had to be opened anew.
    pub fn watch_restarted(&self, target: TargetKind) {
        self.watch_restarts.get_or_create(&KindLabels { target }).inc();
    }

    /// Whether this replica may write.
    pub fn leader(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// The text that Prometheus reads.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut buffer = String::new();
        text::encode(&mut buffer, &self.registry)?;
        Ok(buffer)
    }
}

fn names(fleetsync: &str, target: &str) -> NameLabels {
    NameLabels { fleetsync: fleetsync.to_owned(), target: target.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use asm_io::cluster::{ClusterError, ErrorKind};

    use super::{ApplyOutcome, FetchOutcome, Metrics, PruneOutcome, SyncOutcome, TargetKind};

    #[test]
    fn text_names_what_happened_and_forgets_targets() {
        let metrics = Metrics::default();
        metrics.commit_seen();
        metrics.fetched(FetchOutcome::NotFastForward, Duration::from_millis(7));
        metrics.synced(SyncOutcome::Partial, Duration::from_secs(2));
        metrics.applied("mesh", ApplyOutcome::Created);
        metrics.applied("m1c1", "unchanged");
        metrics.pruned("m1c1", PruneOutcome::Held);
        metrics.drifted("fleet", "m1c1", 3);
        metrics.held("fleet", "m1c1", 1);
        metrics.held_by_lint("fleet", "m1c1", 2);
        metrics.watch_restarted(TargetKind::Host);
        metrics.leader(true);
        let text = metrics.encode().unwrap();
        for line in [
            "asm_agent_commits_seen_total 1",
            "asm_agent_git_fetch_duration_seconds_count{outcome=\"NotFastForward\"} 1",
            "asm_agent_sync_duration_seconds_count{outcome=\"Partial\"} 1",
            "asm_agent_objects_applied_total{target=\"Mesh\",outcome=\"Created\"} 1",
            "asm_agent_objects_applied_total{target=\"Member\",outcome=\"Unchanged\"} 1",
            "asm_agent_objects_pruned_total{target=\"Member\",outcome=\"Held\"} 1",
            "asm_agent_drifted_objects{fleetsync=\"fleet\",target=\"m1c1\"} 3",
            "asm_agent_held_changes{fleetsync=\"fleet\",target=\"m1c1\"} 1",
            "asm_agent_lint_held_objects{fleetsync=\"fleet\",target=\"m1c1\"} 2",
            "asm_agent_watch_restarts_total{target=\"Host\"} 1",
            "asm_agent_leader 1",
            concat!("asm_agent_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        metrics.forget_target("fleet", "m1c1");
        assert!(!metrics.encode().unwrap().contains("fleetsync=\"fleet\""));
    }

    #[test]
    fn api_errors_are_counted_by_kind() {
        let metrics = Metrics::default();
        metrics.api_error(TargetKind::Member, &ClusterError::new(ErrorKind::Forbidden, "secret words"));
        let text = metrics.encode().unwrap();
        assert!(text.contains("asm_agent_api_errors_total{target=\"Member\",kind=\"Forbidden\"} 1"), "{text}");
        assert!(!text.contains("secret words"));
    }
}
