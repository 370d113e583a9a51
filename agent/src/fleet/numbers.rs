//! Numbers of one FleetSync for `/metrics`, read off its status. They go with it: a replica that no longer works on it must
//! not go on telling how it was.

use crate::metrics::{FleetNumbers, Metrics, TargetNumbers};
use asm_shared::api::{FleetSyncStatus, TargetStatus, labels};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// What was told, to be taken back.
pub(super) struct Numbers {
    metrics: Arc<Metrics>,
    fleetsync: String,
    targets: BTreeSet<String>,
    /// The commit that is on its way, and since when.
    under_way: Option<(String, Instant)>,
    /// The last commit that was counted.
    counted: Option<String>,
}

impl Numbers {
    /// `previous`: what the status said before this replica; a commit that was everywhere then is not counted again.
    pub(super) fn new(metrics: Arc<Metrics>, fleetsync: String, previous: &FleetSyncStatus) -> Self {
        let revision = previous.source.as_ref().and_then(|source| source.revision.clone());
        let there = |target: &TargetStatus| target.revision.is_some() && target.revision == revision;
        let was_ready = is(&previous.conditions, labels::READY) && previous.targets.iter().all(there);
        let counted = revision.filter(|_| was_ready);
        Self { metrics, fleetsync, targets: BTreeSet::new(), under_way: None, counted }
    }

    /// Tells how things stand. `true` when a commit has just got everywhere.
    pub(super) fn tell(&mut self, status: &FleetSyncStatus, suspended: bool, now: Instant) -> bool {
        let wanted = status.source.as_ref().and_then(|source| source.revision.as_deref());
        let pending = status.targets.iter().filter(|target| target.revision.as_deref() != wanted).count();
        let ready = is(&status.conditions, labels::READY);
        self.metrics.fleet(
            &self.fleetsync,
            FleetNumbers { ready, source_ready: is(&status.conditions, labels::SOURCE_READY), suspended, pending },
        );
        for target in &status.targets {
            self.targets.insert(target.name.clone());
            self.metrics.target(
                &self.fleetsync,
                &target.name,
                TargetNumbers {
                    ready: is(&target.conditions, labels::READY),
                    objects: target.objects,
                    unhealthy: target.unhealthy,
                    failed: target.problem_count,
                },
            );
        }
        let Some(wanted) = wanted else { return false };
        if self.counted.as_deref() == Some(wanted) {
            return false;
        }
        let since = match &self.under_way {
            Some((known, since)) if known == wanted => *since,
            _ => {
                self.under_way = Some((wanted.to_owned(), now));
                now
            }
        };
        let is_there = ready && pending == 0;
        if is_there {
            self.metrics.commit_ready(now.duration_since(since));
            self.counted = Some(wanted.to_owned());
            self.under_way = None;
        }
        is_there
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        self.metrics.forget_fleet(&self.fleetsync);
        for target in &self.targets {
            self.metrics.forget_target(&self.fleetsync, target);
        }
    }
}

fn is(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == kind && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::api::SourceStatus;
    use std::time::Duration;

    fn status(revision: &str, at: &str, ready: bool) -> FleetSyncStatus {
        let condition: Condition = serde_json::from_value(serde_json::json!({
            "type": "Ready", "status": if ready { "True" } else { "False" }, "reason": "A", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        FleetSyncStatus {
            source: Some(SourceStatus { revision: Some(revision.to_owned()), ..SourceStatus::default() }),
            targets: vec![TargetStatus {
                name: "mesh".to_owned(),
                revision: Some(at.to_owned()),
                conditions: vec![condition.clone()],
                ..TargetStatus::default()
            }],
            conditions: vec![condition],
            ..FleetSyncStatus::default()
        }
    }

    #[test]
    fn a_commit_is_counted_once_when_everything_is_ready_and_all_goes_with_the_fleetsync() {
        let metrics = Arc::new(Metrics::default());
        let mut numbers = Numbers::new(metrics.clone(), "shop".to_owned(), &FleetSyncStatus::default());
        let now = Instant::now();
        let has = |line: &str| metrics.encode().unwrap().lines().any(|found| found == line);
        numbers.tell(&status("b", "a", true), false, now);
        assert!(has("asm_agent_targets_pending{fleetsync=\"shop\"} 1"));
        numbers.tell(&status("b", "b", false), false, now + Duration::from_secs(1));
        assert!(has("asm_agent_target_ready{fleetsync=\"shop\",target=\"mesh\"} 0"));
        assert!(has("asm_agent_commit_ready_duration_seconds_count 0"));
        for later in [3, 4] {
            numbers.tell(&status("b", "b", true), false, now + Duration::from_secs(later));
        }
        numbers.tell(&status("b", "b", false), true, now + Duration::from_secs(5));
        numbers.tell(&status("b", "b", true), false, now + Duration::from_secs(9));
        assert!(has("asm_agent_commit_ready_duration_seconds_count 1"), "{}", metrics.encode().unwrap());
        assert!(has("asm_agent_commit_ready_duration_seconds_sum 3.0"), "{}", metrics.encode().unwrap());
        drop(numbers);
        assert!(!metrics.encode().unwrap().contains("shop"));

        let mut restarted = Numbers::new(metrics.clone(), "shop".to_owned(), &status("b", "b", true));
        assert!(!restarted.tell(&status("b", "b", true), false, now), "it was there before the restart");
        assert!(restarted.tell(&status("c", "c", true), false, now));
    }
}
