//! The LoadBalancer Services of a cluster: those of Git and those that ASM makes of gateways. Looked at when something moves
//! (their own watch, an Event of the cloud controller), and for as long as no pod answers behind them.

use super::signals::{Interest, Signal, is_refusal};
use super::{News, Worker};
use asm_io::cluster::ClusterError;
use asm_shared::asm::addresses;
use asm_shared::health::{Health, front};
use asm_shared::object::{GroupKind, ObjectId};
use kube::api::ListParams;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A Service that nothing answers behind is looked at again after this, doubled each time …
const FIRST: Duration = Duration::from_secs(1);
/// … up to this.
const LAST: Duration = Duration::from_secs(30);

/// What is known of them.
#[derive(Debug, Default)]
pub(crate) struct Fronts {
    /// What the cloud controller said last, by reason.
    said: BTreeMap<ObjectId, BTreeMap<String, Value>>,
    /// The addresses that were seen.
    addresses: BTreeMap<ObjectId, Vec<String>>,
    /// Behind these nothing answers.
    pub(super) dark: BTreeSet<ObjectId>,
    pause: Duration,
}

impl Fronts {
    /// Takes in what the cloud controller said; the newest of each kind is kept.
    fn hear(&mut self, id: &ObjectId, event: Value) {
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let known = self.said.entry(id.clone()).or_default();
        let before = known.get(&text(&event, "reason"));
        if before.is_none_or(|before| text(before, "lastTimestamp") <= text(&event, "lastTimestamp")) {
            known.insert(text(&event, "reason"), event);
        }
    }

    /// Remembers the addresses; says so when one that was known is another one now.
    fn at(&mut self, id: &ObjectId, now: Vec<String>) -> Option<String> {
        if now.is_empty() {
            return None;
        }
        let before = self.addresses.insert(id.clone(), now.clone());
        before.and_then(|before| front::moved(&before, &now))
    }

    /// When to look again at those behind which nothing answers.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        if self.dark.is_empty() {
            self.pause = Duration::ZERO;
            return None;
        }
        self.pause = (self.pause * 2).clamp(FIRST, LAST);
        Some(self.pause)
    }

    /// Forgets everything about others than these.
    pub(super) fn retain(&mut self, is_known: impl Fn(&ObjectId) -> bool) {
        self.said.retain(|id, _| is_known(id));
        self.addresses.retain(|id, _| is_known(id));
        self.dark.retain(is_known);
    }
}

impl Worker {
    /// Takes in a signal. `true` when something is to be looked at.
    pub(super) fn heed(&mut self, signal: Signal) -> bool {
        let (id, event) = match signal {
            Signal::Said(id, event) => (id, Some(event)),
            Signal::Moved(id) => (id, None),
            Signal::Secret(id) => return self.state.certificates.moved(&self.order.desired.arrival, id),
            Signal::Slices(number, seen) => return self.state.behind.see(number, seen),
        };
        let generated = self.order.desired.generated.contains(&id);
        // Services of others are none of our business.
        if !generated && (event.is_none() || !self.state.inventory.contains_key(&id)) {
            return false;
        }
        if let Some(event) = event {
            self.state.fronts.hear(&id, event);
        }
        self.state.look_again.insert(id);
        true
    }

    /// Has the Services that ASM makes looked at, and forgets those of gateways that are gone.
    pub(super) fn follow_fronts(&mut self) {
        let desired = self.order.desired.clone();
        let generated = &desired.generated;
        let gateways: BTreeSet<&ObjectId> =
            desired.arrival.choices.iter().map(|choice| &choice.used_by.object).collect();
        let inventory = &self.state.inventory;
        let is_front = |id: &ObjectId| generated.contains(id) || inventory.contains_key(id);
        self.state.fronts.retain(is_front);
        let strange =
            |id: &&ObjectId| !is_front(id) && !desired.arrival.credentials.contains_key(*id) && !gateways.contains(*id);
        let gone: Vec<ObjectId> = self.state.unhealthy.keys().filter(strange).cloned().collect();
        for id in gone {
            self.state.works(&id);
        }
        self.state.look_again.extend(generated.iter().cloned());
    }

    /// Takes up what else has to be there so that requests arrive.
    pub(super) fn follow_arrival(&mut self) {
        let desired = self.order.desired.clone();
        let arrival = &desired.arrival;
        self.state.certificates.follow(arrival);
        let secrets = arrival.secret_namespaces().into_iter().map(Interest::Secrets);
        let interests = secrets.chain(self.state.behind.follow(arrival)).collect();
        self.signals.follow(&interests);
        self.state.ways = None;
        self.state.unseen = true;
    }

    /// Looks at it. Until everything of it was looked at, nobody knows whether requests arrive.
    pub(super) async fn look_at_arrival(&mut self) {
        self.look_at_certificates().await;
        self.look_behind().await;
        let is_seen = self.state.certificates.is_settled() && self.state.behind.is_settled();
        self.state.unseen &= !is_seen;
    }

    /// Judges a LoadBalancer Service.
    pub(super) async fn judge_front(&mut self, id: &ObjectId, found: Option<&Value>) {
        let slices = match found {
            Some(_) => self.slices(id).await,
            None => None,
        };
        let desired = self.order.desired.clone();
        let (generated, listeners) = (desired.generated.contains(id), desired.arrival.listeners.get(id));
        let events: Vec<Value> =
            self.state.fronts.said.get(id).into_iter().flat_map(|all| all.values().cloned()).collect();
        let verdict = front::judge(&front::Front {
            service: found,
            slices: slices.as_deref(),
            events: &events,
            generated,
            listeners,
        });
        if let Some(told) = self.state.fronts.at(id, found.map(addresses::of_service).unwrap_or_default()) {
            tracing::warn!(target = %self.target(), object = %id, "{told}");
            self.news.push(News::Moved { object: id.to_string(), told });
        }
        if verdict.is_dark {
            self.state.fronts.dark.insert(id.clone());
        } else {
            self.state.fronts.dark.remove(id);
        }
        let whose = if generated { "(made by ASM) " } else { "" };
        match verdict.health {
            Health::Healthy => self.state.works(id),
            Health::Progressing(why) => self.state.ails(id, format!("{whose}{why}")),
            Health::Failed(why) => self.state.ails(id, format!("{whose}failed: {why}")),
        }
    }

    /// The EndpointSlices of a Service; nothing when they may not be read.
    async fn slices(&self, id: &ObjectId) -> Option<Vec<Value>> {
        let kind = GroupKind::new("discovery.k8s.io", "EndpointSlice");
        let list = async {
            let api = self.resources.api(&kind, "discovery.k8s.io/v1", id.namespace.as_deref()).await?;
            let params = ListParams::default().labels(&format!("kubernetes.io/service-name={}", id.name));
            api.list(&params).await.map_err(ClusterError::from)
        };
        match list.await {
            Ok(list) => Some(list.items.iter().filter_map(|slice| serde_json::to_value(slice).ok()).collect()),
            Err(error) => {
                if !is_refusal(&error) {
                    self.count_error(&error);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id() -> ObjectId {
        ObjectId::new("", "Service", Some("shop"), "door")
    }

    #[test]
    fn of_each_kind_the_newest_event_is_kept() {
        let mut fronts = Fronts::default();
        for time in ["2026-01-01T00:00:02Z", "2026-01-01T00:00:01Z"] {
            fronts.hear(&id(), json!({"reason": "SyncLoadBalancerFailed", "lastTimestamp": time}));
        }
        assert_eq!(fronts.said[&id()]["SyncLoadBalancerFailed"]["lastTimestamp"], "2026-01-01T00:00:02Z");
        fronts.retain(|_| false);
        assert!(fronts.said.is_empty());
    }

    #[test]
    fn looks_get_rarer_and_begin_anew() {
        let mut fronts = Fronts::default();
        assert_eq!(fronts.pause(), None);
        fronts.dark.insert(id());
        let pauses: Vec<u64> = std::iter::from_fn(|| fronts.pause()).take(7).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        fronts.dark.clear();
        assert_eq!(fronts.pause(), None);
        fronts.dark.insert(id());
        assert_eq!(fronts.pause(), Some(FIRST));
    }
}
