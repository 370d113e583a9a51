//! Is an object doing its work? Judged from its own status, per kind; kinds without a status are healthy once they exist.
//!
//! Generic rules (kstatus) call a LoadBalancer Service ready as soon as it has a cluster IP, and an IstioGateway at once,
//! because it has no conditions; here both wait for their address.
//!
//! What no object says of itself is judged link by link: `front` (a load balancer and what is behind it), `certificate` (the
//! Secret that a Gateway names), `ways` (the pods that routes lead to); `arrival` says what of it a cluster has to have.

pub mod arrival;
pub mod certificate;
pub mod front;
mod istio_gateway;
mod service;
pub mod ways;
mod workload;

use crate::object::At as _;
use crate::object::{GroupKind, kinds};
use serde_json::Value;

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Healthy,
    /// Not yet; the text says what is awaited.
    Progressing(String),
    /// It says itself that it failed.
    Failed(String),
}

impl Health {
    /// Is it healthy?
    pub fn is_healthy(&self) -> bool {
        *self == Self::Healthy
    }
}

/// Does this kind have a status that health is read from? Others need no second look.
pub fn has_status(group_kind: &GroupKind) -> bool {
    rule(group_kind).is_some()
}

/// Judges an object as the API server returned it.
pub fn judge(group_kind: &GroupKind, live: &Value) -> Health {
    if live.at("/metadata/deletionTimestamp").is_some() {
        return Health::Progressing("is being deleted".to_owned());
    }
    rule(group_kind).map_or(Health::Healthy, |rule| rule(live))
}

type Rule = fn(&Value) -> Health;

fn rule(group_kind: &GroupKind) -> Option<Rule> {
    match (&*group_kind.group, &*group_kind.kind) {
        ("", "Service") => Some(service::judge),
        ("apps", "Deployment") => Some(workload::deployment),
        ("apps", "StatefulSet") => Some(workload::stateful_set),
        ("apps", "DaemonSet") => Some(workload::daemon_set),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Some(workload::definition),
        (kinds::ASM, "IstioGateway") => Some(istio_gateway::judge),
        _ => None,
    }
}

/// An integer at a JSON pointer; 0 when absent, as the API server leaves zeros out.
fn number(object: &Value, pointer: &str) -> i64 {
    object.at(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// Has the controller seen the newest spec?
fn observed(object: &Value) -> bool {
    number(object, "/status/observedGeneration") >= number(object, "/metadata/generation")
}
