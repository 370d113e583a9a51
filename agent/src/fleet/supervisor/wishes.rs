//! What people ask for by annotations of the FleetSync.

use super::Supervisor;
use crate::source;
use asm_shared::api::{FleetSync, RevertRequest, labels};
use kube::ResourceExt as _;
use std::sync::Arc;

/// Objects that one wish may name; the answer stands in the status, which stays small.
const MOST_REVERTS: usize = 100;

impl Supervisor {
    pub(super) fn read_wishes(&mut self) {
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

    /// Reads in the status what whoever writes it has answered.
    pub(super) fn read_handled(&mut self) {
        let status = self.sync.status.clone().unwrap_or_default();
        self.known.handled = status.last_handled_reconcile_at;
        self.known.reverted = status.last_handled_revert;
    }

    /// Takes in a changed FleetSync. `true` when the branch is to be looked at now.
    pub(super) fn wishes(&mut self, sync: Arc<FleetSync>) -> bool {
        let source_changed = sync.spec.source != self.sync.spec.source || sync.spec.lint != self.sync.spec.lint;
        let accept = |sync: &FleetSync| sync.annotations().get(source::ACCEPT_REVISION).cloned();
        let accepted = accept(&sync) != accept(&self.sync);
        let hint = |sync: &FleetSync| sync.annotations().get(labels::HINT_AT).cloned();
        let hinted = hint(&sync).is_some() && hint(&sync) != hint(&self.sync);
        self.sync = sync;
        let (before, reverting) = (self.request.clone(), self.revert.is_some());
        if !self.share.leads {
            self.read_handled();
        }
        self.read_wishes();
        if reverting && self.revert.is_none() {
            self.forget_revert();
        }
        self.give_orders();
        source_changed || accepted || hinted || (self.request.is_some() && self.request != before)
    }
}
