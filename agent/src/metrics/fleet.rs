//! Numbers of FleetSyncs and their targets. Labels are names out of `fleet.yaml`, so there are as many as targets.

use super::{Metrics, NameLabels, TargetKind, names};
use asm_shared::api::Change;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// How a FleetSync stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct FleetNumbers {
    /// Everything is as Git wants it and works.
    pub ready: bool,
    /// The repository can be read.
    pub source_ready: bool,
    /// Applying is suspended.
    pub suspended: bool,
    /// Targets that are not at the newest commit.
    pub pending: usize,
}

/// How a target stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct TargetNumbers {
    /// It is at its commit and works.
    pub ready: bool,
    /// Objects in Git.
    pub objects: u32,
    /// Objects that do not work yet.
    pub unhealthy: u32,
    /// Objects that could not be applied or read.
    pub failed: u32,
}

/// What happened to an object past Git.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum DriftKind {
    Modified,
    Deleted,
    Replaced,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FleetLabels {
    fleetsync: String,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DriftLabels {
    target: TargetKind,
    change: DriftKind,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    target: TargetKind,
}

/// They.
pub(super) struct Fleet {
    ready: Family<FleetLabels, Gauge>,
    source_ready: Family<FleetLabels, Gauge>,
    suspended: Family<FleetLabels, Gauge>,
    pending: Family<FleetLabels, Gauge>,
    target_ready: Family<NameLabels, Gauge>,
    objects: Family<NameLabels, Gauge>,
    unhealthy: Family<NameLabels, Gauge>,
    failed: Family<NameLabels, Gauge>,
    drift: Family<DriftLabels, Counter>,
    corrected: Family<KindLabels, Counter>,
    commit_ready: Histogram,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            ready: Family::default(),
            source_ready: Family::default(),
            suspended: Family::default(),
            pending: Family::default(),
            target_ready: Family::default(),
            objects: Family::default(),
            unhealthy: Family::default(),
            failed: Family::default(),
            drift: Family::default(),
            corrected: Family::default(),
            // 0.25 s to 17 min: new load balancers and images take minutes.
            commit_ready: Histogram::new((0..7).map(|step| 0.25 * 4_f64.powi(step))),
        }
    }
}

impl Fleet {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("fleetsync_ready", "1 while everything is as Git wants it and works", self.ready.clone());
        registry.register("source_ready", "1 while the repository can be read", self.source_ready.clone());
        registry.register("fleetsync_suspended", "1 while applying is suspended", self.suspended.clone());
        registry.register("targets_pending", "Targets that are not at the newest commit", self.pending.clone());
        registry.register("target_ready", "1 while the target is at its commit and works", self.target_ready.clone());
        registry.register("target_objects", "Objects in Git for the target", self.objects.clone());
        registry.register("unhealthy_objects", "Objects that do not work yet", self.unhealthy.clone());
        registry.register("failed_objects", "Objects that could not be applied or read", self.failed.clone());
        registry.register("drifts", "Objects that were found to differ from Git, by what happened", self.drift.clone());
        registry.register("drifts_corrected", "Objects that were put back to what Git says", self.corrected.clone());
        registry.register_with_unit(
            "commit_ready_duration",
            "Time from reading a commit until everything is as it wants it and works",
            Unit::Seconds,
            self.commit_ready.clone(),
        );
    }
}

impl Metrics {
    /// A FleetSync stands like this now.
    pub fn fleet(&self, fleetsync: &str, numbers: FleetNumbers) {
        let labels = FleetLabels { fleetsync: fleetsync.to_owned() };
        self.fleet.ready.get_or_create(&labels).set(numbers.ready.into());
        self.fleet.source_ready.get_or_create(&labels).set(numbers.source_ready.into());
        self.fleet.suspended.get_or_create(&labels).set(numbers.suspended.into());
        self.fleet.pending.get_or_create(&labels).set(i64::try_from(numbers.pending).unwrap_or(i64::MAX));
    }

    /// A target stands like this now.
    pub fn target(&self, fleetsync: &str, target: &str, numbers: TargetNumbers) {
        let labels = names(fleetsync, target);
        self.fleet.target_ready.get_or_create(&labels).set(numbers.ready.into());
        self.fleet.objects.get_or_create(&labels).set(numbers.objects.into());
        self.fleet.unhealthy.get_or_create(&labels).set(numbers.unhealthy.into());
        self.fleet.failed.get_or_create(&labels).set(numbers.failed.into());
    }

    /// An object was found to differ from Git.
    pub fn drift_found(&self, target: &str, change: Change) {
        let change = match change {
            Change::Modified => DriftKind::Modified,
            Change::Deleted => DriftKind::Deleted,
            Change::Replaced => DriftKind::Replaced,
        };
        self.fleet.drift.get_or_create(&DriftLabels { target: TargetKind::of(target), change }).inc();
    }

    /// An object was put back.
    pub fn drift_corrected(&self, target: &str) {
        self.fleet.corrected.get_or_create(&KindLabels { target: TargetKind::of(target) }).inc();
    }

    /// Everything is as a commit wants it.
    pub fn commit_ready(&self, took: Duration) {
        self.fleet.commit_ready.observe(took.as_secs_f64());
    }

    /// A FleetSync is gone, or another replica works on it.
    pub fn forget_fleet(&self, fleetsync: &str) {
        let labels = FleetLabels { fleetsync: fleetsync.to_owned() };
        for gauge in [&self.fleet.ready, &self.fleet.source_ready, &self.fleet.suspended, &self.fleet.pending] {
            gauge.remove(&labels);
        }
    }

    /// What of a target is told here goes.
    pub(super) fn forget_numbers_of(&self, target: &NameLabels) {
        let fleet = &self.fleet;
        for gauge in [&fleet.target_ready, &fleet.objects, &fleet.unhealthy, &fleet.failed] {
            gauge.remove(target);
        }
    }
}
