//! Removing one object that has left Git: only the incarnation that was applied, and never a load balancer without
//! consent.

use super::guard;
use super::resources::Resources;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::{HeldChange, labels};
use asm_shared::plan::{Desired, Prune, wants_look};
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};

/// How often an object is looked at again that somebody writes at the same time.
const TRIES: usize = 3;

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
    /// It is another FleetSync's now; left alone.
    Taken,
    /// Somebody keeps writing it; to be tried again.
    Busy,
}

/// Removes an object.
pub(super) async fn remove(resources: &Resources, desired: &Desired, prune: &Prune) -> Result<Removal, ClusterError> {
    if let Some(end) = look(resources, desired, prune, true).await? {
        return Ok(end);
    }
    let id = &prune.id;
    let api = resources.api(&id.group_kind, &prune.api_version, id.namespace.as_deref()).await?;
    for _ in 0..TRIES {
        // The label and the UID are looked at last, and the delete is of exactly what was looked at: between a watch event and
        // now, another FleetSync may have taken the object over.
        let Some(found) = api.get_metadata_opt(&id.name).await? else { return Ok(Removal::Gone) };
        let metadata = found.metadata;
        if metadata.uid.as_deref() != Some(&*prune.uid) {
            return Ok(Removal::Stranger);
        }
        let set = metadata.labels.as_ref().and_then(|all| all.get(labels::PART_OF));
        if set.map(String::as_str) != Some(&*desired.set) {
            return Ok(Removal::Taken);
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: metadata.uid, resource_version: metadata.resource_version }),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        match api.delete(&id.name, &params).await {
            Ok(answer) => return Ok(if answer.is_right() { Removal::Gone } else { Removal::Leaving }),
            Err(error) => {
                let error = ClusterError::from(error);
                match error.kind {
                    ErrorKind::NotFound => return Ok(Removal::Gone),
                    ErrorKind::Conflict(_) => {}
                    _ => return Err(error),
                }
            }
        }
    }
    Ok(Removal::Busy)
}

/// Would its removal lose something, and has somebody consented to exactly that?
pub(super) async fn is_consented(
    resources: &Resources,
    desired: &Desired,
    prune: &Prune,
) -> Result<bool, ClusterError> {
    let id = &prune.id;
    if !wants_look(&id.group_kind) {
        return Ok(false);
    }
    let api = resources.api(&id.group_kind, &prune.api_version, id.namespace.as_deref()).await?;
    let live = api.get_opt(&id.name).await?.filter(|live| live.metadata.uid.as_deref() == Some(&*prune.uid));
    let Some(live) = live else { return Ok(false) };
    let live = serde_json::to_value(&live).map_err(|error| ClusterError::new(ErrorKind::Other, error.to_string()))?;
    guard::is_consented(resources, desired, id, &live).await
}

/// Looks at an object that is to be removed. Gives back why it is not to be, if there is a reason. `do_it`: it is removed right
/// afterwards.
pub(super) async fn look(
    resources: &Resources,
    desired: &Desired,
    prune: &Prune,
    do_it: bool,
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
    Ok(guard::deletion(resources, desired, id, &live, do_it).await?.map(Removal::Held))
}
