//! What a change means beyond the bytes: which addresses are lost, what restarts, what clients notice.
//!
//! One table of effects; each looks at one object before and after. The texts are for people and stand below the change.

mod annotations;
mod destroyed;
mod gateway;
mod service;
mod workload;

use super::FieldChange;
use crate::object::At as _;
use crate::object::{FieldPath, ObjectId};
use serde_json::Value;

/// One object before and after.
pub(super) struct Pair<'a> {
    pub(super) id: &'a ObjectId,
    pub(super) before: Option<&'a Value>,
    pub(super) after: Option<&'a Value>,
    pub(super) fields: &'a [FieldChange],
}

/// What a change means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Consequence {
    /// For people, one sentence or two without a full stop at the end.
    pub(super) text: String,
    /// The change cannot be made on the object as it is: it would have to be deleted and made again.
    pub(super) replaces: bool,
}

impl Consequence {
    fn note(text: impl Into<String>) -> Self {
        Self { text: text.into(), replaces: false }
    }

    fn replacement(text: impl Into<String>) -> Self {
        Self { text: text.into(), replaces: true }
    }
}

/// One row: what it is about, and how it is found.
struct Effect {
    /// For the reader of this table only.
    _about: &'static str,
    find: fn(&Pair<'_>) -> Vec<Consequence>,
}

const fn effect(about: &'static str, find: fn(&Pair<'_>) -> Vec<Consequence>) -> Effect {
    Effect { _about: about, find }
}

/// The table. Sources: `asm-domain.md` §4.2, §4.5, §4.6, §7.1, §7.2, §7.3; Kubernetes API validation.
const EFFECTS: &[Effect] = &[
    effect("deleting a LoadBalancer Service deletes its load balancer", service::destroyed),
    effect("taking type LoadBalancer away deletes the load balancer", service::type_changed),
    effect("loadBalancerClass is immutable", service::class_changed),
    effect("annotations that the cloud controller never changes", service::annotations_changed),
    effect("externalTrafficPolicy and the client's address", service::traffic_policy_changed),
    effect("ports that are closed or renamed", service::ports_changed),
    effect("deleting a gateway deletes its load balancers", gateway::destroyed),
    effect("switching between serverless and ordinary", gateway::serverless_toggled),
    effect("taking a cluster away from a gateway", gateway::clusters_left),
    effect("taking serviceType LoadBalancer away from a gateway", gateway::type_changed),
    effect("loadBalancerClass of a gateway", gateway::class_changed),
    effect("annotations of the gateway's Service", gateway::annotations_changed),
    effect("externalTrafficPolicy of a gateway", gateway::traffic_policy_changed),
    effect("ports of a gateway", gateway::ports_changed),
    effect("fields of a gateway that end up in its pod template", gateway::pods_restart),
    effect("pod templates", workload::pods_restart),
    effect("no pod is left", workload::scaled_to_zero),
    effect("fields that the API server never changes", workload::immutable),
];

/// Everything that a change means, in the order of the table. What is destroyed always means something.
pub(super) fn of(pair: &Pair<'_>) -> Vec<Consequence> {
    let mut found: Vec<Consequence> = EFFECTS.iter().flat_map(|effect| (effect.find)(pair)).collect();
    if found.is_empty() {
        found.extend(destroyed::otherwise(pair));
    }
    found
}

impl<'a> Pair<'a> {
    fn is(&self, group: &str, kind: &str) -> bool {
        self.id.group_kind.is(group, kind)
    }

    /// Both sides, when the object is there before and after.
    fn both(&self) -> Option<(&'a Value, &'a Value)> {
        Some((self.before?, self.after?))
    }

    /// The old object, when it is destroyed.
    fn destroyed(&self) -> Option<&'a Value> {
        if self.after.is_none() { self.before } else { None }
    }

    /// Does any changed field lie at or below this path of plain fields?
    fn touches(&self, fields: &[&str]) -> bool {
        let path = FieldPath::of_fields(fields.iter().copied());
        // A change of the whole `spec` touches everything in it.
        self.fields.iter().any(|change| change.path.starts_with(&path) || path.starts_with(&change.path))
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.at(pointer).and_then(Value::as_str)
}

/// ` 198.51.100.7`, ` 198.51.100.7 and lb.example.com`, or nothing: for "its address{}".
fn named(addresses: &[String]) -> String {
    if addresses.is_empty() { String::new() } else { format!(" {}", addresses.join(" and ")) }
}
