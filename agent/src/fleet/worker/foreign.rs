//! Objects of other FleetSyncs. All of them write as one field manager, so no API server says that an object is somebody
//! else's; the label of the set does. An object of a FleetSync that is still there is never taken over in silence.

use super::Worker;
use super::pass::PassEnd;
use super::resources::each_metadata;
use asm_io::cluster::ClusterError;
use asm_shared::api::labels::PART_OF;
use asm_shared::object::{GroupKind, ObjectId};
use asm_shared::plan::{Desired, Hold, TargetPlan};
use kube::api::ListParams;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Worker {
    /// Takes out of the plan what belongs to another FleetSync. Costs nothing while this one is alone; else one list of
    /// metadata for each kind that something is to be written of.
    pub(super) async fn leave_to_others(&mut self, desired: &Desired, plan: &mut TargetPlan, end: &mut PassEnd) {
        if !self.context.sets.has_others(&self.owner) {
            return;
        }
        let mut kinds: BTreeMap<GroupKind, Arc<str>> = BTreeMap::new();
        for (id, _) in plan.apply.values().flatten() {
            if let Some(wanted) = desired.objects.get(id) {
                kinds.entry(id.group_kind.clone()).or_insert_with(|| wanted.api_version.clone());
            }
        }
        for (kind, api_version) in kinds {
            let refused = match self.others(&kind, &api_version).await {
                Ok(found) => found,
                Err(error) if error.is_not_found() => continue,
                Err(error) => {
                    // Nothing is known of them, so nothing is written over them.
                    self.count_error(&error);
                    end.retry_soon = true;
                    end.unknown = true;
                    self.problem(kind.to_string(), format!("it is not known whose they are: {}", error.message));
                    plan.apply.values_mut().for_each(|items| items.retain(|(id, _)| id.group_kind != kind));
                    continue;
                }
            };
            for (id, owner) in &refused {
                let Some(wanted) = desired.objects.get(id) else { continue };
                if plan.apply.values().flatten().all(|(planned, _)| planned != id) {
                    continue;
                }
                let message = format!(
                    "{id} belongs to FleetSync {owner} and is left to it: take it out of one of the two repositories; once \
                     that FleetSync no longer has it, it is applied from here"
                );
                self.problem(wanted.position.to_string(), message);
                end.failed = true;
                end.waits_for_owner = true;
                end.unknown = true;
            }
            let refused: BTreeSet<&ObjectId> = refused.keys().collect();
            plan.apply.values_mut().for_each(|items| items.retain(|(id, _)| !refused.contains(id)));
        }
    }

    /// Objects of a kind that belong to other FleetSyncs of this agent, and whose they are.
    async fn others(&self, kind: &GroupKind, version: &str) -> Result<BTreeMap<ObjectId, String>, ClusterError> {
        let api = self.resources.metadata_api(kind, version).await?;
        let params = ListParams::default().labels(&format!("{PART_OF},{PART_OF}!={}", self.set));
        let mut found = BTreeMap::new();
        each_metadata(&api, params, kind, |metadata| {
            let set = metadata.labels.as_ref().and_then(|labels| labels.get(PART_OF));
            let name = metadata.name.as_deref().unwrap_or_default();
            let id = ObjectId::new(&kind.group, &kind.kind, metadata.namespace.as_deref(), name);
            if let Some(owner) = set.and_then(|set| self.context.sets.other_wants(set, &id, &self.owner)) {
                found.insert(id, owner);
            }
        })
        .await?;
        Ok(found)
    }

    /// Tells the other FleetSyncs what has left Git here and is still there. What may be missing by mistake has not left.
    pub(super) fn give_up(&self, plan: &TargetPlan) {
        let certain = plan.hold != Some(Hold::Incomplete);
        let ids = plan.prune.iter().filter(|_| certain).map(|prune| prune.id.clone());
        self.context.sets.leaving(&self.set, ids.collect());
    }

    /// Is a live object another FleetSync's by now?
    pub(super) fn is_others(&self, live: Option<&Value>) -> bool {
        let labels = live.and_then(|live| live.pointer("/metadata/labels"));
        let set = labels.and_then(|labels| labels.get(PART_OF)).and_then(Value::as_str);
        set.is_some_and(|set| self.context.sets.other(set, &self.owner).is_some())
    }
}
