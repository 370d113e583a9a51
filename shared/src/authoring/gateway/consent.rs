//! The approval of a step that loses addresses: its file under `approvals/`.

use super::super::fleet_view::ensure_free;
use super::super::text::{File, Node, field, list};
use super::super::{AuthoringError, FileEdit};
use super::NAMESPACE;
use crate::fleet::{API_VERSION, ApprovalAction, FleetState, Tree};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;
use std::collections::BTreeSet;

/// What is agreed to.
pub(super) struct Consent<'a> {
    pub(super) action: ApprovalAction,
    pub(super) gateway: &'a str,
    /// Addresses that people named.
    pub(super) named: &'a [String],
    /// Addresses that the live gateway loses.
    pub(super) lost: &'a [String],
    /// The gateway as it runs.
    pub(super) live: Option<&'a Value>,
}

impl Consent<'_> {
    /// The file. An approval of the same step that names as much is left as it is.
    pub(super) fn file(&self, tree: &dyn Tree, state: &FleetState) -> Result<Option<FileEdit>, AuthoringError> {
        let (word, verb) = match self.action {
            ApprovalAction::Delete => ("delete", "Delete"),
            ApprovalAction::Release => ("release", "Release"),
            ApprovalAction::TakeOver => ("take-over", "TakeOver"),
        };
        let addresses: BTreeSet<&String> = self.named.iter().chain(self.lost).collect();
        let uid = self.live.and_then(|live| live.at("/metadata/uid")).and_then(Value::as_str);
        let covers = |spec: &crate::fleet::ApprovalSpec| {
            spec.action == self.action
                && spec.kind == format!("IstioGateway.{ASM}")
                && spec.name == self.gateway
                && addresses.iter().all(|address| spec.addresses.contains(address))
                && (spec.uid.is_none() || spec.uid.as_deref() == uid)
        };
        if state.approvals.iter().any(|(approval, _)| covers(&approval.spec)) {
            return Ok(None);
        }
        let mut name = format!("{word}-mesh-istiogateway-{}", self.gateway);
        name.truncate(63);
        let name = name.trim_end_matches('-');
        let path = format!("approvals/{name}.yaml");
        ensure_free(tree, &path)?;
        let mut spec = vec![
            field("action", verb),
            field("target", "mesh"),
            field("kind", format!("IstioGateway.{ASM}")),
            field("namespace", NAMESPACE),
            field("name", self.gateway),
        ];
        spec.extend(uid.map(|uid| field("uid", uid)));
        spec.push(field("addresses", list(addresses.into_iter().map(String::as_str))));
        let approval: Node = [
            field("apiVersion", API_VERSION),
            field("kind", "Approval"),
            field("metadata", [field("name", name)]),
            field("spec", spec),
        ]
        .into();
        let mut file = File::default();
        file.push(&["Consent to lose these addresses for good. Remove this file when it is done."], &approval);
        Ok(Some(FileEdit::create(path, file.finish())))
    }
}

/// Why no approval could be written, and how to get one.
pub(super) fn without_addresses(gateway: &str, verb: &str) -> String {
    format!(
        "the agent holds this back until an approval names the addresses that are lost: run `kubectl asm gateway {verb}` with \
         --live or --address ADDRESS, or take the file from kubectl asm status once {gateway} is held back"
    )
}
