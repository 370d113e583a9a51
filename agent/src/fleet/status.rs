//! Writing the status of a FleetSync and its DriftReports: only when something changed, gathered over a moment.

use super::worker::TargetReport;
use asm_io::cluster::ClusterError;
use asm_shared::api::{
    DriftReport, DriftReportSpec, DriftReportStatus, DriftedObject, FleetSync, FleetSyncStatus, FrozenReport,
    PastDrift, labels,
};
use asm_shared::drift::remember;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference, Time};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use std::collections::BTreeMap;

/// Drifted objects that a report holds in full.
const MOST_OBJECTS: usize = 200;
/// Drifted fields of one object that a report holds.
const MOST_FIELDS: usize = 20;

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

    /// Writes the drift report of a target if it differs from what was written last. `true` when the past of the target was
    /// read before, which somebody else wrote.
    pub(super) async fn write_drift(&mut self, report: &TargetReport) -> Result<bool, ClusterError> {
        let target = report.target.name();
        let name = format!("{}-{target}", self.name);
        let is_first = !self.written_reports.contains_key(target);
        if is_first {
            let before = self.reports.get_opt(&name).await?.and_then(|report| report.status);
            let own = self.history.entry(target.to_owned()).or_default();
            own.extend(before.unwrap_or_default().history);
            remember(own, []);
        }
        let status = drift_status(report, self.history.get(target).cloned().unwrap_or_default());
        if self.written_reports.get(target) == Some(&status) {
            return Ok(false);
        }
        let params = PatchParams::apply(labels::FIELD_MANAGER).force();
        if is_first {
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
        self.written_reports.insert(target.to_owned(), status);
        Ok(is_first)
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
