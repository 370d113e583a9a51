//! Changes of a gateway that exists.

use super::super::edit::state_after;
use super::super::fleet_view::fleet;
use super::super::workspace::{Change, Workspace};
use super::super::{AuthoringError, Plan};
use super::consent::{Consent, without_addresses};
use super::settings::GatewaySettings;
use super::{check, create, find};
use crate::asm::gateway;
use crate::diff::{Op, diff};
use crate::fleet::{ApprovalAction, FleetState, Manifest, Tree};
use crate::object::At as _;
use crate::plan;
use serde_json::Value;

/// Change a gateway. Only what is given changes, and only the bytes that it needs.
#[derive(Clone, Debug, Default)]
pub struct EditGateway {
    /// Name of the IstioGateway.
    pub name: String,
    /// The clusters that it runs in, all of them; as they are when `None`.
    pub clusters: Option<Vec<String>>,
    /// What is set.
    pub settings: GatewaySettings,
    /// Make changes that lose an address.
    pub allow_address_loss: bool,
    /// Addresses that are lost, for the approval.
    pub addresses: Vec<String>,
    /// The gateway as it runs, for the approval.
    pub live: Option<Value>,
}

impl EditGateway {
    /// The edit of the gateway's file, and the approval of what is lost.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let fleet = fleet(state)?;
        let manifest = find(state, &self.name)?;
        let before = &*manifest.object;
        let mut after = before.clone();
        if let Some(names) = &self.clusters {
            set_clusters(&mut after, create::ids_of(names, state)?);
        }
        let mut warnings = self.settings.apply(&self.name, state, &mut after).map_err(|error| at(manifest, error))?;
        for finding in check::introduced(&self.name, Some(before), &after, state, fleet) {
            if finding.fatal {
                let error = AuthoringError::new(finding.message).hints(finding.hints);
                return Err(error.at(&manifest.position_of(&finding.pointer)));
            }
            warnings.push(finding.message);
        }
        let mut workspace = Workspace::new(tree);
        workspace.change(manifest, &changes(before, &after))?;
        let mut edits = workspace.finish();
        if edits.is_empty() {
            return Ok(Plan { edits, warnings });
        }
        let now = state_after(tree, &edits);
        let effects = diff(state, &now).changes.into_iter().filter(|change| change.id == manifest.id);
        let effects: Vec<_> = effects.collect();
        let consequences = || effects.iter().flat_map(|change| change.consequences.iter().cloned());
        let releases = |live: &Value| -> Vec<plan::Danger> {
            let all = plan::of_change(manifest.group_kind(), &after, live).into_iter();
            all.filter(|danger| danger.action() == Some(ApprovalAction::Release)).collect()
        };
        let releases_one = !releases(before).is_empty();
        let replaced = effects.iter().any(|change| change.op == Op::Replace);
        if (releases_one || replaced) && !self.allow_address_loss {
            return Err(consequences()
                .fold(
                    AuthoringError::new(format!("this change of {} loses an address, or cannot be made", self.name))
                        .at(&manifest.position),
                    AuthoringError::hint,
                )
                .hint("a second gateway beside it keeps the address until DNS has moved: kubectl asm gateway create")
                .hint("to lose the address all the same: --allow-address-loss"));
        }
        warnings.extend(consequences());
        if releases_one {
            let live = self.live.as_ref();
            let lost: Vec<String> = live.into_iter().flat_map(releases).flat_map(|danger| danger.addresses).collect();
            let consent = Consent {
                action: ApprovalAction::Release,
                gateway: &self.name,
                named: &self.addresses,
                lost: &lost,
                live,
            };
            if self.addresses.is_empty() && live.is_none() {
                warnings.push(without_addresses(&self.name, "edit"));
            } else {
                edits.extend(consent.file(tree, state)?);
            }
        }
        Ok(Plan { edits, warnings })
    }
}

fn at(manifest: &Manifest, error: AuthoringError) -> AuthoringError {
    if error.position.is_some() { error } else { error.at(&manifest.position) }
}

/// The clusters in a new order only where they change: those that stay keep their places and their comments.
fn set_clusters(object: &mut Value, wanted: Vec<String>) {
    let kept = gateway::cluster_ids(object).into_iter().filter(|id| wanted.iter().any(|wanted| wanted == id));
    let mut ids: Vec<String> = kept.map(str::to_owned).collect();
    let new: Vec<_> = wanted.into_iter().filter(|id| !ids.contains(id)).collect();
    ids.extend(new);
    object["spec"]["clusterIds"] = ids.into();
}

/// What makes one object of the other: one change per field of `spec`, annotation and label.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    for base in ["/metadata/annotations", "/metadata/labels", "/spec"] {
        let (old, new) = (before.at(base), after.at(base));
        match (old.and_then(Value::as_object), new.and_then(Value::as_object)) {
            (Some(old), Some(new)) => {
                for (key, value) in new.iter().filter(|(key, value)| old.get(*key) != Some(value)) {
                    changes.push(Change::Set(format!("{base}/{}", escaped(key)), value.clone()));
                }
                for key in old.keys().filter(|key| !new.contains_key(*key)) {
                    changes.push(Change::Remove(format!("{base}/{}", escaped(key))));
                }
            }
            _ if old == new => {}
            _ => match new {
                Some(new) => changes.push(Change::Set(base.to_owned(), new.clone())),
                None => changes.push(Change::Remove(base.to_owned())),
            },
        }
    }
    changes
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
