//! Which steps lose a load balancer's address, or can only fail on it.
//!
//! Deleting a Service of type LoadBalancer deletes its CLB, whatever `delete-protection` says (the cloud controller
//! switches it off itself); deleting an IstioGateway deletes its Services; taking the type, a cluster or the serverless
//! switch away does the same (asm-domain reference 4.6, 7.2). Nobody gets the address back. Settings that are fixed once
//! the load balancer exists cannot be changed at all: the cloud controller refuses them again and again (4.2, 4.5).
//!
//! The kinds of steps are a table, [`CLASSES`]: what happens, and what it takes to go on.

mod gateway;
mod service;
mod table;

pub use table::{CLASSES, DangerClass, Needs};

use crate::fleet::ApprovalAction;
use crate::object::At as _;
use crate::object::{GroupKind, kinds};
use serde_json::Value;

/// A step that needs consent, or that cannot be done to the object at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Danger {
    /// Which row of [`CLASSES`].
    pub class: &'static str,
    /// What it takes to go on.
    pub needs: Needs,
    /// UID of the live object.
    pub uid: String,
    /// Addresses that would be lost.
    pub addresses: Vec<String>,
    /// What would happen, one sentence without a full stop.
    pub consequence: String,
}

impl Danger {
    /// What an approval would have to agree to; `None` when no approval helps.
    pub fn action(&self) -> Option<ApprovalAction> {
        match self.needs {
            Needs::Approval(action) => Some(action),
            Needs::Double(_) => None,
        }
    }
}

/// What is about to be done to an object.
struct Step<'a> {
    live: &'a Value,
    /// `None`: it is to be deleted.
    wanted: Option<&'a Value>,
    /// For what holds other objects: the LoadBalancer Services and IstioGateways among them.
    inside: &'a [Value],
}

/// What a row of the table found.
struct Loss {
    addresses: Vec<String>,
    consequence: String,
}

/// Must the live object be looked at before it is changed or removed? Only these kinds can own a load balancer.
pub fn wants_look(group_kind: &GroupKind) -> bool {
    is_service(group_kind) || is_gateway(group_kind) || holds_others(group_kind)
}

fn is_service(group_kind: &GroupKind) -> bool {
    group_kind.is("", "Service")
}

fn is_gateway(group_kind: &GroupKind) -> bool {
    group_kind.is(kinds::ASM, "IstioGateway")
}

/// Deleting it deletes objects that Git may not know.
fn holds_others(group_kind: &GroupKind) -> bool {
    group_kind.is("", "Namespace") || group_kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
}

/// What deleting the live object would lose. `inside`: LoadBalancer Services and IstioGateways that go with it, for a
/// Namespace or a CustomResourceDefinition.
pub fn of_delete(group_kind: &GroupKind, live: &Value, inside: &[Value]) -> Option<Danger> {
    judge(group_kind, &Step { live, wanted: None, inside }).into_iter().next()
}

/// What changing the live object into the wanted one would lose, or run into: each needs its own consent.
pub fn of_change(group_kind: &GroupKind, wanted: &Value, live: &Value) -> Vec<Danger> {
    judge(group_kind, &Step { live, wanted: Some(wanted), inside: &[] })
}

/// The rows that fit, in the order of the table. Behind a row that loses everything there is nothing left to lose.
fn judge(group_kind: &GroupKind, step: &Step<'_>) -> Vec<Danger> {
    let uid = step.live.at("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    let mut found = Vec::new();
    for row in CLASSES.iter().filter(|row| row.deletes == step.wanted.is_none() && row.is_about(group_kind)) {
        let Some(loss) = row.find(step) else { continue };
        let (addresses, consequence) = (loss.addresses, loss.consequence);
        found.push(Danger { class: row.id, needs: row.needs, uid: uid.to_owned(), addresses, consequence });
        if row.everything {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests;
