//! Removing one object that has left Git: only the incarnation that was applied, and never a load balancer without
//! consent.

use super::resources::Resources;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::HeldChange;
use asm_shared::fleet::{ApprovalAction, Target};
use asm_shared::object::{GroupKind, ObjectId, kinds};
use asm_shared::plan::{Danger, Desired, Prune, consent, of_delete, wants_look};
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Preconditions, PropagationPolicy};
use serde_json::Value;

/// What came of it.
#[derive(Debug)]
pub(super) enum Removal {
    /// It is gone, or was gone already.
    Gone,
    /// It goes; finalizers are at work.
    Leaving,
    /// It waits for an approval.
    Held(HeldChange),
    /// Another incarnation is there now; left alone.
    Stranger,
}

/// Removes an object.
pub(super) async fn remove(
    resources: &Resources,
    desired: &Desired,
    prune: &Prune,
    now: Timestamp,
) -> Result<Removal, ClusterError> {
    if let Some(end) = look(resources, desired, prune, now).await? {
        return Ok(end);
    }
    let id = &prune.id;
    let api = resources.api(&id.group_kind, &prune.api_version, id.namespace.as_deref()).await?;
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(prune.uid.to_string()), resource_version: None }),
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    match api.delete(&id.name, &params).await {
        Ok(answer) => Ok(if answer.is_right() { Removal::Gone } else { Removal::Leaving }),
        Err(error) => {
            let error = ClusterError::from(error);
            match error.kind {
                ErrorKind::NotFound => Ok(Removal::Gone),
                ErrorKind::Conflict(_) => Ok(Removal::Stranger),
                _ => Err(error),
            }
        }
    }
}

/// Looks at an object that is to be removed. Gives back why it is not to be, if there is a reason.
pub(super) async fn look(
    resources: &Resources,
    desired: &Desired,
    prune: &Prune,
    now: Timestamp,
) -> Result<Option<Removal>, ClusterError> {
    let id = &prune.id;
    if !wants_look(&id.group_kind) {
        return Ok(None);
    }
    let api = resources.api(&id.group_kind, &prune.api_version, id.namespace.as_deref()).await?;
    let Some(live) = api.get_opt(&id.name).await? else { return Ok(Some(Removal::Gone)) };
    if live.metadata.uid.as_deref() != Some(&*prune.uid) {
        return Ok(Some(Removal::Stranger));
    }
    let live = serde_json::to_value(&live).map_err(|error| ClusterError::new(ErrorKind::Other, error.to_string()))?;
    let inside = if id.group_kind.is("", "Namespace") { inside(resources, &id.name).await? } else { Vec::new() };
    let danger = of_delete(&id.group_kind, &live, &inside);
    Ok(danger.and_then(|danger| {
        let why = consent(&danger, &desired.target, id, &*desired.approvals, now).err()?;
        Some(Removal::Held(held(&danger, &desired.target, id, &why)))
    }))
}

/// The load balancers that live in a namespace, whoever made them.
async fn inside(resources: &Resources, namespace: &str) -> Result<Vec<Value>, ClusterError> {
    let mut found = Vec::new();
    let kinds = [
        (GroupKind::new("", "Service"), "v1"),
        (GroupKind::new(kinds::ASM, "IstioGateway"), "istio.alibabacloud.com/v1beta1"),
    ];
    for (group_kind, api_version) in kinds {
        let api = resources.api(&group_kind, api_version, Some(namespace)).await?;
        match api.list(&ListParams::default()).await {
            Ok(list) => found.extend(list.items.iter().filter_map(|object| serde_json::to_value(object).ok())),
            // A member cluster has no IstioGateways, the mesh perhaps no Services.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// How a step that waits is shown: what would be lost, and the approval that lets it through.
pub(super) fn held(danger: &Danger, target: &Target, id: &ObjectId, why: &str) -> HeldChange {
    let action = match danger.action {
        ApprovalAction::Delete => "Delete",
        ApprovalAction::Release => "Release",
    };
    let addresses = if danger.addresses.is_empty() { "no address yet".to_owned() } else { danger.addresses.join(", ") };
    HeldChange {
        action: action.to_owned(),
        kind: id.group_kind.to_string(),
        namespace: id.namespace.as_deref().map(str::to_owned),
        name: id.name.to_string(),
        uid: danger.uid.clone(),
        addresses: danger.addresses.clone(),
        message: format!(
            "{id} on {target} is held back: it {} ({addresses}), and {why}; put it back into Git, or commit an Approval \
             with these addresses in approvals/",
            danger.consequence
        ),
    }
}
