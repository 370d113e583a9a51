//! Status, drift reports, numbers and the page: what becomes of all that is known. One replica writes the status, each the drift
//! reports of its own targets.

use super::post::Post;
use super::{Snapshots, Supervisor};
use crate::fleet::brief::Brief;
use crate::fleet::conditions::status;
use crate::fleet::view;
use crate::metrics::SyncOutcome;
use crate::web::TargetView;
use asm_shared::api::{FleetSyncStatus, RevertOutcome, RevertResult, RevertStatus};
use asm_shared::fleet::Target;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A status that could not be written is tried again after this.
const STATUS_RETRY: Duration = Duration::from_secs(2);

impl Supervisor {
    /// Counts how a commit went, once, when every target has ended its pass for it. One replica counts; each has a trace.
    fn count_sync(&mut self) {
        let Some(since) = self.syncing_since else { return };
        let revision = self.commit.as_ref().map(|commit| &*commit.revision);
        let reports: Vec<&Brief> = self.known.targets.iter().filter_map(|(_, brief)| brief.as_ref()).collect();
        let ended = |report: &&Brief| report.settled && Some(&*report.wanted) == revision;
        if reports.is_empty() || reports.len() < self.posts.len() || !reports.iter().all(ended) {
            return;
        }
        let synced = reports.iter().filter(|report| report.is_synced()).count();
        let outcome = if synced == reports.len() {
            SyncOutcome::Synced
        } else if reports.iter().any(|report| report.is_held()) {
            SyncOutcome::Held
        } else if synced > 0 {
            SyncOutcome::Partial
        } else {
            SyncOutcome::Failed
        };
        let word = match outcome {
            SyncOutcome::Synced => "Synced",
            SyncOutcome::Held => "Held",
            SyncOutcome::Partial => "Partial",
            SyncOutcome::Failed => "Failed",
        };
        self.syncing.end(reports.len(), word);
        if self.share.leads {
            self.context.metrics.synced(outcome, since.elapsed());
        }
        self.syncing_since = None;
    }

    /// Writes status and drift reports. Gives back after which time to write again, if it failed.
    pub(super) async fn write(&mut self, snapshots: Option<&Snapshots>) -> Option<Duration> {
        let brief_of = |target: &Target| self.posts.get(target).and_then(Post::brief);
        self.known.targets =
            self.order_of_targets.iter().map(|target| (target.name().to_owned(), brief_of(target))).collect();
        self.known.namespace.clone_from(&self.context.namespace);
        self.find_dead_ways();
        if self.share.leads {
            self.settle_request();
            self.settle_revert();
        }
        self.count_sync();
        let status = status(&self.known, &self.last_status, &Time(Timestamp::now()));
        if let Some(snapshots) = snapshots {
            snapshots.send_replace(Some(Arc::new(status.clone())));
        }
        let suspended = self.sync.spec.suspend;
        let is_there = self.numbers.as_mut().is_some_and(|numbers| numbers.tell(&status, suspended, Instant::now()));
        self.show(&status);
        if !self.context.may_write() {
            return Some(STATUS_RETRY);
        }
        let mut failed = None;
        if self.share.leads {
            self.events.turned(&self.last_status, &status, is_there).await;
            let started = Instant::now();
            failed = self.writer.write(&status).await.err();
            self.status_took = started.elapsed();
        }
        self.last_status = status;
        let reports = self.posts.values().filter_map(|post| post.report.as_ref());
        let (has_read, not_written) = self.writer.write_drifts(reports).await;
        failed = not_written.or(failed);
        for target in std::mem::take(&mut self.stale_reports) {
            if let Err(error) = self.writer.forget(&target).await {
                self.stale_reports.insert(target);
                failed = Some(error);
            }
        }
        // What a former agent had in the reports is known only now.
        if has_read {
            self.show(&self.last_status);
        }
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
        let view = |target: &Target| {
            let mut view = self.view_of(target);
            if *target == Target::Mesh {
                view.unhealthy.extend(self.known.dead.iter().cloned());
            }
            view
        };
        self.context.views.publish(crate::web::News {
            name: self.label(),
            namespace: &self.context.namespace,
            spec: &self.sync.spec,
            status,
            targets: self.order_of_targets.iter().map(view).collect(),
            commit: self.commit.clone(),
            at: Timestamp::now(),
        });
    }

    /// What the page shows of a target, whoever works on it.
    fn view_of(&self, target: &Target) -> TargetView {
        let (name, post) = (target.name(), self.posts.get(target));
        if let Some(report) = post.and_then(|post| post.report.as_ref()) {
            return view::of(report, self.writer.history(name));
        }
        let Some(post) = post else { return TargetView { name: name.to_owned(), ..TargetView::default() } };
        let (brief, drift) = (post.brief(), self.reports.of(name));
        view::of_other(name, brief.as_ref(), &post.shown, drift.as_deref(), self.share.holder(&post.item))
    }

    /// A wish is fulfilled when every target has ended its pass for it.
    fn settle_request(&mut self) {
        let Some(request) = self.request.clone() else { return };
        let revision = self.commit.as_ref().map(|commit| &*commit.revision);
        let ended = |brief: &Brief| {
            brief.settled && brief.request.as_deref() == Some(&*request) && Some(&*brief.wanted) == revision
        };
        let targets = &self.known.targets;
        if !targets.is_empty() && targets.iter().all(|(_, brief)| brief.as_ref().is_some_and(ended)) {
            self.known.handled = Some(request.to_string());
            self.request = None;
        }
    }

    /// A wish to put values back is carried out when every target that it names has answered.
    fn settle_revert(&mut self) {
        let Some(request) = self.revert.clone() else { return };
        // Before the first commit is read nothing is known of the targets.
        if self.known.targets.is_empty() {
            return;
        }
        let mut results: Vec<RevertResult> = Vec::new();
        for object in &request.objects {
            let Some((_, brief)) = self.known.targets.iter().find(|(target, _)| *target == object.target) else {
                let message = Some(format!("the fleet has no target {}", object.target));
                results.push(RevertResult { object: object.clone(), outcome: RevertOutcome::NotInGit, message });
                continue;
            };
            let answer = brief.as_ref().and_then(|brief| brief.reverted.as_ref());
            let Some(answer) = answer.filter(|answer| answer.id == request.id) else { return };
            results.extend(answer.results.iter().find(|result| result.object == *object).cloned());
        }
        self.known.reverted = Some(RevertStatus { id: request.id.clone(), results });
        self.revert = None;
        self.forget_revert();
    }

    /// A wish to put values back is over: a target that starts anew must not carry it out again.
    pub(super) fn forget_revert(&self) {
        for work in self.posts.values().filter_map(|post| post.work.as_ref()) {
            work.orders.send_if_modified(|order| {
                order.revert = None;
                false
            });
        }
    }
}
