//! What of the objects that have left Git may go although not everything of the commit could be applied: what nothing that is
//! stuck may need, and nothing that is stuck was to replace. What runs is read for it; without an answer all of it stays.

use super::Worker;
use super::pass::PassEnd;
use super::resources::Resources;
use super::stage::{api_version, live};
use asm_shared::object::ObjectId;
use asm_shared::plan::{Desired, Prune, Stuck, waits_for};
use futures::StreamExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// With more on either side a commit has gone wrong as a whole, and nothing is read: all of it waits.
const MOST: usize = 100;
/// Reads in flight.
const IN_FLIGHT: usize = 8;

impl Worker {
    /// Those that may go. What is told of the others stands in the state.
    pub(super) async fn free_to_go(&mut self, desired: &Desired, due: Vec<Prune>, end: &PassEnd) -> Vec<Prune> {
        let count = due.len();
        let bounded = (1..=MOST).contains(&self.state.stuck.len()) && count <= MOST;
        let judged = if bounded && !end.unknown { self.judge_leaving(desired, &due).await } else { None };
        let Some(waiting) = judged else {
            self.state.hold = Some(format!("{count} objects have left Git and stay until everything else is applied"));
            return Vec::new();
        };
        if let Some(first) = waiting.values().next() {
            let at = desired.objects.get(first).map(|object| format!(" ({})", object.position)).unwrap_or_default();
            self.state.hold = Some(format!(
                "{} objects have left Git and stay until {first}{at} is applied, which may need them or was to take their place",
                waiting.len()
            ));
        }
        due.into_iter().filter(|prune| !waiting.contains_key(&prune.id)).collect()
    }

    /// Of these removals those that have to wait, each with what it waits for; nothing when that is not known.
    async fn judge_leaving(&self, desired: &Desired, due: &[Prune]) -> Option<BTreeMap<ObjectId, ObjectId>> {
        let stuck: Vec<(&ObjectId, Value)> =
            self.state.stuck.iter().filter_map(|id| Some((id, desired.objects.get(id)?.object()))).collect();
        if stuck.len() < self.state.stuck.len() {
            return None;
        }
        let versions = stuck.iter().map(|(id, wanted)| ((*id).clone(), api_version(wanted)));
        let versions = versions.chain(due.iter().map(|prune| (prune.id.clone(), prune.api_version.clone())));
        let reads: Vec<_> = versions.map(|(id, version)| read(self.resources.clone(), id, version)).collect();
        let mut found: BTreeMap<ObjectId, Option<Value>> = BTreeMap::new();
        let mut answers = futures::stream::iter(reads).buffer_unordered(IN_FLIGHT);
        while let Some((id, answer)) = answers.next().await {
            found.insert(id, answer?);
        }
        let runs = |id: &ObjectId| found.get(id).and_then(Option::as_ref);
        let stuck: Vec<Stuck<'_>> = stuck.iter().map(|(id, wanted)| Stuck { id, wanted, live: runs(id) }).collect();
        let waits = |prune: &Prune| Some((prune.id.clone(), waits_for(&prune.id, runs(&prune.id)?, &stuck)?.clone()));
        Some(due.iter().filter_map(waits).collect())
    }
}

/// An object as it runs. Owns what it uses, so that many reads can be in flight.
async fn read(resources: Resources, id: ObjectId, api_version: Arc<str>) -> (ObjectId, Option<Option<Value>>) {
    let answer = live(&resources, &id, &api_version).await;
    (id, answer.ok())
}
