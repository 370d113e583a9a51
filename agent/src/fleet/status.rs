//! Writing the status of a FleetSync and its DriftReports: only when something changed, gathered over a moment.

use super::worker::TargetReport;
use asm_io::cluster::ClusterError;
use asm_shared::api::{
    DriftReport, DriftReportSpec, DriftReportStatus, DriftedObject, FleetSync, FleetSyncStatus, FrozenReport,
    PastDrift, labels,
};
use asm_shared::drift::remember;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference, Time};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use std::collections::BTreeMap;

/// Drifted objects that a report holds in full.
const MOST_OBJECTS: usize = 200;
/// Drifted fields of one object that a report holds.
const MOST_FIELDS: usize = 20;

/// Drift reports that are written at the same time: the home cluster has others to serve, too.
const REPORTS_IN_FLIGHT: usize = 8;

/// A drift report as it stands now on the API server, and the past drift that it holds.
type Written = (DriftReportStatus, Vec<PastDrift>);

/// Writes both, remembering what was written.
pub(super) struct StatusWriter {
    syncs: Api<FleetSync>,
    reports: Api<DriftReport>,
    name: String,
    owner: OwnerReference,
    written: Option<FleetSyncStatus>,
    written_reports: BTreeMap<String, DriftReportStatus>,
    /// By target: drift that is over. What a former agent wrote is read before the first writing.
    history: BTreeMap<String, Vec<PastDrift>>,
}

impl StatusWriter {
    pub(super) fn new(client: kube::Client, namespace: &str, name: &str, owner: OwnerReference) -> Self {
        Self {
            syncs: Api::namespaced(client.clone(), namespace),
            reports: Api::namespaced(client, namespace),
            name: name.to_owned(),
            owner,
            written: None,
            written_reports: BTreeMap::new(),
            history: BTreeMap::new(),
        }
    }

    /// Another replica has written the status meanwhile.
    pub(super) fn read_anew(&mut self) {
        self.written = None;
    }

    /// Another replica writes the drift report of a target from now on.
    pub(super) fn leave(&mut self, target: &str) {
        self.written_reports.remove(target);
        self.history.remove(target);
    }

    /// Writes the status if it differs from what was written last.
    pub(super) async fn write(&mut self, status: &FleetSyncStatus) -> Result<(), ClusterError> {
        if self.written.as_ref() == Some(status) {
            return Ok(());
        }
        let body = json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync",
            "metadata": {"name": self.name}, "status": status,
        });
        let params = PatchParams::apply(labels::FIELD_MANAGER).force();
        self.syncs.patch_status(&self.name, &params, &Patch::Apply(&body)).await?;
        self.written = Some(status.clone());
        Ok(())
    }

    /// Removes the drift report of a target that has left the fleet: nobody looks at that target any more.
    pub(super) async fn forget(&mut self, target: &str) -> Result<(), ClusterError> {
        self.written_reports.remove(target);
        self.history.remove(target);
        match self.reports.delete(&format!("{}-{target}", self.name), &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers a drift that is over; the next report holds it.
    pub(super) fn remember(&mut self, target: &str, past: PastDrift) {
        remember(self.history.entry(target.to_owned()).or_default(), [past]);
    }

    /// Drift of a target that is over, newest first.
    pub(super) fn history(&self, target: &str) -> &[PastDrift] {
        self.history.get(target).map(Vec::as_slice).unwrap_or_default()
    }

    /// Writes the drift reports that differ from what was written last: side by side, because each is an object of its own, and
    /// one that is slow to write is no reason to keep the others from people. Gives back whether the past of a target was read
    /// before, which somebody else wrote, and why one could not be written; the others are.
    pub(super) async fn write_drifts<'a>(
        &mut self,
        reports: impl Iterator<Item = &'a TargetReport>,
    ) -> (bool, Option<ClusterError>) {
        let (writer, mut waiting, mut done) = (&*self, reports.fuse(), Vec::new());
        // Only those in flight are made: a future has room for everything that it may wait for.
        let mut writing = FuturesUnordered::new();
        loop {
            while writing.len() < REPORTS_IN_FLIGHT
                && let Some(report) = waiting.next()
            {
                writing.push(async move { (report.target.name(), writer.write_drift(report).await) });
            }
            let Some(one) = writing.next().await else { break };
            done.push(one);
        }
        drop(writing);
        let (mut has_read, mut failed) = (false, None);
        for (target, result) in done {
            match result {
                Ok(Some((status, history))) => {
                    has_read |= self.written_reports.insert(target.to_owned(), status).is_none();
                    self.history.insert(target.to_owned(), history);
                }
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        (has_read, failed)
    }

    /// Writes the drift report of a target if it differs from what was written last, and gives back what stands there then.
    async fn write_drift(&self, report: &TargetReport) -> Result<Option<Written>, ClusterError> {
        let target = report.target.name();
        let name = format!("{}-{target}", self.name);
        let written = self.written_reports.get(target);
        let mut history = self.history.get(target).cloned().unwrap_or_default();
        if written.is_none() {
            let before = self.reports.get_opt(&name).await?.and_then(|report| report.status);
            history.extend(before.unwrap_or_default().history);
            remember(&mut history, []);
        }
        let status = drift_status(report, history.clone());
        if written == Some(&status) {
            return Ok(None);
        }
        let params = PatchParams::apply(labels::FIELD_MANAGER).force();
        if written.is_none() {
            let mut object =
                DriftReport::new(&name, DriftReportSpec { fleet_sync: self.name.clone(), target: target.to_owned() });
            object.metadata.owner_references = Some(vec![self.owner.clone()]);
            self.reports.patch(&name, &params, &Patch::Apply(&object)).await?;
        }
        let body = json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "DriftReport",
            "metadata": {"name": name}, "status": status,
        });
        self.reports.patch_status(&name, &params, &Patch::Apply(&body)).await?;
        Ok(Some((status, history)))
    }
}

/// What a report says of drift, within bounds.
pub(super) fn drift_status(report: &TargetReport, history: Vec<PastDrift>) -> DriftReportStatus {
    let objects = report.drift.iter().take(MOST_OBJECTS).map(|(id, (drift, declared_at))| DriftedObject {
        kind: id.group_kind.to_string(),
        namespace: id.namespace.as_deref().map(str::to_owned),
        name: id.name.to_string(),
        change: drift.change,
        declared_at: declared_at.clone(),
        since: MicroTime(drift.since),
        fields: drift.fields.iter().take(MOST_FIELDS).cloned().collect(),
        more_fields: u32::try_from(drift.fields.len().saturating_sub(MOST_FIELDS)).unwrap_or(u32::MAX),
        user: drift.user.clone(),
        note: drift.note.clone(),
    });
    let frozen = report.frozen.iter().take(MOST_OBJECTS).map(|(id, field)| FrozenReport {
        kind: id.group_kind.to_string(),
        namespace: id.namespace.as_deref().map(str::to_owned),
        name: id.name.to_string(),
        path: field.path.to_string(),
        reason: field.reason.clone(),
        until: field.until.map(Time),
        declared_at: field.position.to_string(),
    });
    DriftReportStatus {
        revision: Some(report.wanted.to_string()),
        total: u32::try_from(report.drift.len()).unwrap_or(u32::MAX),
        objects: objects.collect(),
        frozen_total: u32::try_from(report.frozen.len()).unwrap_or(u32::MAX),
        frozen: frozen.collect(),
        history,
    }
}

#[cfg(test)]
mod tests {
    use super::{REPORTS_IN_FLIGHT, StatusWriter};
    use crate::fleet::worker::TargetReport;
    use asm_shared::fleet::Target;
    use http::{Request, Response, StatusCode};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tokio::sync::Barrier;

    /// By report: how often its status was written.
    type Writes = Arc<Mutex<BTreeMap<String, usize>>>;

    /// A home cluster without drift reports that answers nothing before as many requests wait as may be in flight, and
    /// refuses what is of `refused`.
    fn client(barrier: &Arc<Barrier>, writes: &Writes, refused: &'static str) -> kube::Client {
        let (barrier, writes) = (barrier.clone(), writes.clone());
        let answer = move |request: Request<Body>| {
            let (barrier, writes) = (barrier.clone(), writes.clone());
            async move {
                barrier.wait().await;
                let path = request.uri().path().to_owned();
                let name = path.trim_end_matches("/status").rsplit('/').next().unwrap_or_default().to_owned();
                let (code, body) = match request.method().as_str() {
                    "GET" => (404, failure(404, "NotFound")),
                    _ if name == refused => (403, failure(403, "Forbidden")),
                    _ => {
                        if path.ends_with("/status") {
                            *writes.lock().unwrap().entry(name.clone()).or_default() += 1;
                        }
                        (
                            200,
                            json!({"apiVersion": "kubectl-asm.io/v1alpha1", "kind": "DriftReport",
                                     "metadata": {"name": name}, "spec": {"fleetSync": "shop", "target": "t"}}),
                        )
                    }
                };
                let mut response = Response::new(Body::from(body.to_string().into_bytes()));
                *response.status_mut() = StatusCode::from_u16(code).unwrap();
                Ok::<_, Infallible>(response)
            }
        };
        kube::Client::new(tower::service_fn(answer), "asm-system")
    }

    fn failure(code: u16, reason: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason})
    }

    fn reports(count: usize, revision: &str) -> Vec<TargetReport> {
        let report = |n| TargetReport::new(&Target::Cluster(format!("c{n}").as_str().into()), &revision.into());
        (0..count).map(report).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn drift_reports_are_written_side_by_side_and_none_waits_for_one_that_is_refused() {
        let barrier = Arc::new(Barrier::new(REPORTS_IN_FLIGHT));
        let writes = Writes::default();
        let mut writer =
            StatusWriter::new(client(&barrier, &writes, ""), "asm-system", "shop", OwnerReference::default());
        // One after the other they would wait for ever.
        let first = reports(2 * REPORTS_IN_FLIGHT, "a");
        let done = tokio::time::timeout(Duration::from_secs(60), writer.write_drifts(first.iter())).await;
        let (has_read, failed) = done.expect("as many as may be are in flight");
        assert!(has_read && failed.is_none(), "they are written: {failed:?}");
        assert_eq!(writes.lock().unwrap().len(), first.len());
        // What says nothing new is not written.
        let again = tokio::time::timeout(Duration::from_secs(60), writer.write_drifts(first.iter())).await;
        let (has_read, failed) = again.expect("there is nothing to wait for");
        assert!(!has_read && failed.is_none(), "there is nothing to fail: {failed:?}");
        assert!(writes.lock().unwrap().values().all(|times| *times == 1));

        let (barrier, writes) = (Arc::new(Barrier::new(1)), Writes::default());
        let client = client(&barrier, &writes, "shop-c3");
        let mut writer = StatusWriter::new(client, "asm-system", "shop", OwnerReference::default());
        assert!(writer.write_drifts(first.iter()).await.1.is_some());
        assert_eq!(writes.lock().unwrap().len(), first.len() - 1);
        assert!(writer.write_drifts(first.iter()).await.1.is_some(), "it is tried again");
        assert!(writes.lock().unwrap().values().all(|times| *times == 1), "and only that one");
    }
}
