//! The load-balancer guard at work: looks at the live object before a step, asks the approvals of the commit, and has a
//! load balancer kept where an approval says so.

use super::resources::Resources;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::HeldChange;
use asm_shared::api::labels::FIELD_MANAGER;
use asm_shared::fleet::{ApprovalAction, Target};
use asm_shared::object::{GroupKind, ObjectId, kinds};
use asm_shared::plan::{Danger, Desired, Keep, Needs, consent, keep, of_change, of_delete};
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

/// IstioGateways of a mesh API.
const ISTIO_GATEWAYS: &str = "istiogateways.istio.alibabacloud.com";
const ISTIO_GATEWAY_VERSION: &str = "istio.alibabacloud.com/v1beta1";

/// May the live object become the wanted one? `healing`: Git's last applied content is put back, so that a setting that
/// cannot change is not being changed by us.
pub(super) async fn change(
    resources: &Resources,
    desired: &Desired,
    id: &ObjectId,
    wanted: &Value,
    live: &Value,
    healing: bool,
) -> Result<Option<HeldChange>, ClusterError> {
    let mut first = Vec::new();
    for danger in of_change(&id.group_kind, wanted, live) {
        if healing && matches!(danger.needs, Needs::Double(_)) {
            continue;
        }
        match agreed(desired, id, &danger, live) {
            Ok(before) => first.push(before),
            Err(why) => return Ok(Some(held(&danger, &desired.target, id, &why))),
        }
    }
    for step in first {
        prepare(resources, step, live, &[]).await?;
    }
    Ok(None)
}

/// May the live object be deleted? `do_it`: have everything ready for that, not only look.
pub(super) async fn deletion(
    resources: &Resources,
    desired: &Desired,
    id: &ObjectId,
    live: &Value,
    do_it: bool,
) -> Result<Option<HeldChange>, ClusterError> {
    let inside = inside(resources, &id.group_kind, &id.name).await?;
    let Some(danger) = of_delete(&id.group_kind, live, &inside) else { return Ok(None) };
    match agreed(desired, id, &danger, live) {
        Ok(step) if do_it => prepare(resources, step, live, &inside).await.map(|()| None),
        Ok(_) => Ok(None),
        Err(why) => Ok(Some(held(&danger, &desired.target, id, &why))),
    }
}

/// Would the deletion of the live object lose something, and does an approval cover all of it?
pub(super) async fn is_consented(
    resources: &Resources,
    desired: &Desired,
    id: &ObjectId,
    live: &Value,
) -> Result<bool, ClusterError> {
    let inside = inside(resources, &id.group_kind, &id.name).await?;
    let danger = of_delete(&id.group_kind, live, &inside);
    Ok(danger.is_some_and(|danger| agreed(desired, id, &danger, live).is_ok()))
}

fn agreed(desired: &Desired, id: &ObjectId, danger: &Danger, live: &Value) -> Result<Keep, String> {
    let approval = consent(danger, &desired.target, id, &*desired.approvals, Timestamp::now())?;
    keep(danger, approval, &id.group_kind, live, desired.cloud_controller.as_deref())
}

/// Has the cloud controller keep the load balancers: of the object, or of those inside it.
async fn prepare(resources: &Resources, step: Keep, live: &Value, inside: &[Value]) -> Result<(), ClusterError> {
    let Keep::Annotate(key) = step else { return Ok(()) };
    let is_service = |object: &&Value| object.pointer("/spec/type").and_then(Value::as_str) == Some("LoadBalancer");
    for service in std::iter::once(live).chain(inside).filter(is_service) {
        let text = |pointer| service.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let api = services(resources, Some(text("/metadata/namespace"))).await?;
        // With the UID: another Service of this name is not meant.
        let patch = json!({"metadata": {"uid": text("/metadata/uid"), "annotations": {&key: "true"}}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        api.patch(text("/metadata/name"), &params, &Patch::Merge(patch)).await?;
    }
    Ok(())
}

async fn services(resources: &Resources, namespace: Option<&str>) -> Result<Api<DynamicObject>, ClusterError> {
    resources.api(&GroupKind::new("", "Service"), "v1", namespace).await
}

/// The load balancers that go with a Namespace or a CustomResourceDefinition, whoever made them.
async fn inside(resources: &Resources, group_kind: &GroupKind, name: &str) -> Result<Vec<Value>, ClusterError> {
    let gateways = (GroupKind::new(kinds::ASM, "IstioGateway"), ISTIO_GATEWAY_VERSION);
    let (kinds, namespace) = if group_kind.is("", "Namespace") {
        (vec![(GroupKind::new("", "Service"), "v1"), gateways], Some(name))
    } else if name == ISTIO_GATEWAYS {
        (vec![gateways], None)
    } else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for (group_kind, api_version) in kinds {
        let api = match resources.api(&group_kind, api_version, namespace).await {
            Ok(api) => api,
            // A member cluster has no IstioGateways.
            Err(error) if error.kind == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match api.list(&ListParams::default()).await {
            Ok(list) => found.extend(list.items.iter().filter_map(|object| serde_json::to_value(object).ok())),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// How a step that waits is shown: what would be lost, and the approval that lets it through.
fn held(danger: &Danger, target: &Target, id: &ObjectId, why: &str) -> HeldChange {
    let addresses = if danger.addresses.is_empty() { "no address yet".to_owned() } else { danger.addresses.join(", ") };
    let (action, next) = match danger.action() {
        Some(action) => (
            ApprovalAction::word(action),
            "; put it back into Git, or commit an Approval with these addresses in approvals/",
        ),
        None => ("Replace", ""),
    };
    HeldChange {
        action: action.to_owned(),
        kind: id.group_kind.to_string(),
        namespace: id.namespace.as_deref().map(str::to_owned),
        name: id.name.to_string(),
        uid: danger.uid.clone(),
        addresses: danger.addresses.clone(),
        message: format!("{id} on {target} is held back: it {} ({addresses}), and {why}{next}", danger.consequence),
    }
}
