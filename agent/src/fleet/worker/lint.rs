//! Objects that lint holds back: what runs of them stays, and nothing new may rely on them.

use super::Worker;
use super::pass::PassEnd;
use super::stage::live;
use super::state::TargetState;
use super::watch::observed;
use asm_shared::api::{Change, HeldObject};
use asm_shared::fleet::HeldManifest;
use asm_shared::object::{ObjectId, kinds};
use asm_shared::plan::{Desired, Reason, relies_on_more};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use std::sync::Arc;

/// Said of an object that somebody deleted.
const DELETED: &str = "deleted while lint holds it back; the API server keeps no record of who deletes an object. It comes \
                       back with the commit that mends it";
/// Said of an object that somebody deleted and made again.
const REMADE: &str =
    "deleted and made again by someone while lint holds it back; the next commit that mends it applies it";

/// Everything that a target leaves as it runs because of what lint found.
pub(super) fn held_objects(desired: &Desired, state: &TargetState) -> Vec<HeldObject> {
    let held = desired.held.values();
    let waiting = state.waiting.iter().filter_map(|id| desired.leaning.get(id));
    let told = |held: &HeldManifest| held_object(held, state.withheld.contains(&held.id));
    held.chain(waiting).flatten().map(told).collect()
}

fn held_object(held: &HeldManifest, is_withheld: bool) -> HeldObject {
    let hint = held.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    let why = match (held.leans, is_withheld) {
        (true, _) => format!("{} waits for what is held back: {}", held.id, held.message),
        (false, true) => format!("{} is held back: {}{hint}", held.id, held.message),
        (false, false) => format!("{} runs as Git says, which is wrong: {}{hint}", held.id, held.message),
    };
    HeldObject {
        kind: held.id.group_kind.to_string(),
        namespace: held.id.namespace.as_deref().map(str::to_owned),
        name: held.id.name.to_string(),
        rule: held.rule.to_owned(),
        at: held.position.to_string(),
        message: why,
    }
}

impl Worker {
    /// Takes out of a stage what would rely on what is held back in more ways than what runs does.
    pub(super) async fn without_leaning(
        &mut self,
        desired: &Arc<Desired>,
        items: Vec<(ObjectId, Reason)>,
        end: &mut PassEnd,
    ) -> Vec<(ObjectId, Reason)> {
        if desired.leaning.is_empty() {
            return items;
        }
        let mut kept = Vec::with_capacity(items.len());
        for (id, reason) in items {
            let wanted = desired.objects.get(&id).filter(|_| desired.leaning.contains_key(&id));
            let Some(wanted) = wanted else {
                kept.push((id, reason));
                continue;
            };
            match live(&self.resources, &id, &wanted.api_version).await {
                Ok(found) if !relies_on_more(&id.group_kind, &wanted.object(), found.as_ref()) => {
                    kept.push((id, reason))
                }
                Ok(_) => {
                    tracing::warn!(target = %desired.target, object = %id, "waits for what lint holds back");
                    self.state.stuck.insert(id.clone());
                    self.state.waiting.insert(id);
                }
                Err(error) => {
                    self.count_error(&error);
                    end.retry_soon |= error.is_transient();
                    end.failed |= !error.is_transient();
                    end.unknown = true;
                    self.problem(wanted.position.to_string(), format!("{id}: {}", error.message));
                }
            }
        }
        kept
    }

    /// Does a route stay as it runs, although Git wants it otherwise? Then it may still need subsets that Git takes away.
    pub(super) fn keeps_a_route(&self) -> bool {
        let mut kept = self.state.withheld.iter().chain(&self.state.waiting);
        kept.any(|id| id.group_kind.is(kinds::ISTIO_NETWORKING, "VirtualService"))
    }

    /// Judges an object that is held back. That Git says something else is no drift. What was applied before is not kept, so
    /// only that somebody took fields of ours can be told, and not which.
    pub(super) fn judge_held(&mut self, id: &ObjectId, found: Option<&Value>) {
        let Some(applied) = self.state.inventory.get(id).cloned() else { return };
        if applied.uid.is_empty() {
            return;
        }
        let Some(found) = found else {
            return self.drifted(id, Change::Deleted, Vec::new(), Some(DELETED));
        };
        let metadata: ObjectMeta =
            found.get("metadata").and_then(|part| serde_json::from_value(part.clone()).ok()).unwrap_or_default();
        let now = observed(&metadata);
        if now.uid != applied.uid {
            return self.drifted(id, Change::Replaced, Vec::new(), Some(REMADE));
        }
        if now.fingerprint.entry == applied.fingerprint.entry {
            self.state.end_drift(id, jiff::Timestamp::now(), |_| Some(asm_shared::api::DriftOutcome::PutBack));
            return;
        }
        let note = format!("changed{} while lint holds it back; the commit that mends it decides", by(&metadata));
        self.drifted(id, Change::Modified, Vec::new(), Some(&note));
    }
}

/// ` by MANAGER`: whoever wrote last, as far as it is recorded.
fn by(metadata: &ObjectMeta) -> String {
    let entries = metadata.managed_fields.iter().flatten();
    let others = entries.filter(|entry| entry.manager.as_deref() != Some(asm_shared::api::labels::FIELD_MANAGER));
    let specs = others.filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty());
    let last = specs.max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    last.and_then(|entry| entry.manager.as_deref()).map(|manager| format!(" by {manager}")).unwrap_or_default()
}
