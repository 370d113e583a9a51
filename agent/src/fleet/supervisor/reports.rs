//! Drift reports of targets that other replicas work on, as those write them: for the page of this one. They are followed only
//! where there are other replicas and a page.

use crate::fleet::view::short_of;
use asm_shared::api::{DriftReport, DriftReportStatus};
use futures::{StreamExt as _, pin_mut};
use kube::api::Api;
use kube::runtime::watcher::{self, watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio_util::task::AbortOnDropHandle;

/// A watch that is refused or breaks is tried again after this.
const RETRY: Duration = Duration::from_secs(15);

/// Reports by target.
type Known = BTreeMap<String, Arc<DriftReportStatus>>;

/// What is known of them.
pub(super) struct Reports {
    sender: channel::Sender<Known>,
    known: channel::Receiver<Known>,
    task: Option<AbortOnDropHandle<()>>,
}

impl Default for Reports {
    fn default() -> Self {
        let (sender, known) = channel::channel(Known::new());
        Self { sender, known, task: None }
    }
}

impl Reports {
    /// Begins to follow the reports of a FleetSync, or ends it.
    pub(super) fn follow(&mut self, wanted: bool, client: &kube::Client, namespace: &str, fleet_sync: &str) {
        if !wanted {
            self.task = None;
            self.sender.send_if_modified(|known| !std::mem::take(known).is_empty());
        } else if self.task.is_none() {
            let api = Api::namespaced(client.clone(), namespace);
            let task = tokio::spawn(watch(api, fleet_sync.to_owned(), self.sender.clone()));
            self.task = Some(AbortOnDropHandle::new(task));
        }
    }

    /// Waits until another one is known.
    pub(super) async fn changed(&mut self) {
        if self.known.changed().await.is_err() {
            // Cannot be: this struct holds a sender.
            std::future::pending::<()>().await;
        }
    }

    /// What the report of a target says.
    pub(super) fn of(&self, target: &str) -> Option<Arc<DriftReportStatus>> {
        self.known.borrow().get(target).cloned()
    }
}

async fn watch(api: Api<DriftReport>, fleet_sync: String, sender: channel::Sender<Known>) {
    let stream = watcher(api, watcher::Config::default());
    pin_mut!(stream);
    let mut listed = BTreeSet::new();
    let own = |report: &DriftReport| report.spec.fleet_sync == fleet_sync;
    let set = |report: DriftReport| {
        let (target, status) = (report.spec.target, Arc::new(short_of(report.status.unwrap_or_default())));
        sender.send_if_modified(|known| known.insert(target, status.clone()).as_ref() != Some(&status));
    };
    while let Some(event) = stream.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(report)) if own(&report) => {
                listed.insert(report.spec.target.clone());
                set(report);
            }
            Ok(watcher::Event::InitDone) => {
                sender.send_if_modified(|known| {
                    let before = known.len();
                    known.retain(|target, _| listed.contains(target));
                    known.len() != before
                });
            }
            Ok(watcher::Event::Apply(report)) if own(&report) => set(report),
            Ok(watcher::Event::Delete(report)) if own(&report) => {
                sender.send_if_modified(|known| known.remove(&report.spec.target).is_some());
            }
            Ok(_) => {}
            Err(error) => {
                // The page then says whose page has the rest.
                tracing::debug!(fleet_sync, "drift reports cannot be watched: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
