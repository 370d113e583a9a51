//! What runs of a gateway: the object in the mesh, its Services and pods in the member clusters.

use crate::context::Context;
use crate::error::CommandError;
use crate::kubeconfig;
use crate::live::{self, LiveTargetName, request_failed, several};
use asm_io::cluster::{ClusterError, Resource};
use asm_shared::asm::{addresses, gateway, usage};
use asm_shared::fleet::{Fleet, FleetState, Manifest, Target};
use asm_shared::object::GroupKind;
use asm_shared::object::kinds::ASM;
use kube::api::{DynamicObject, ListParams};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

const NAMESPACE: &str = "istio-system";

/// What runs of a gateway.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LiveGateway {
    /// Is the object in the mesh? Not known when the mesh could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<bool>,
    /// The gateway's own word on its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<String>,
    /// What it complains about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_message: Option<String>,
    /// Its addresses, by its own word.
    pub(super) addresses: Vec<String>,
    /// The clusters that it runs in.
    pub(super) clusters: Vec<LiveCluster>,
    /// What could not be read.
    #[serde(skip)]
    pub(super) unreached: Vec<CommandError>,
}

/// What runs of it in one cluster.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LiveCluster {
    /// Name in the fleet.
    pub(super) cluster: String,
    /// Services in front of the pods; the one that ASM made comes first.
    pub(super) services: Vec<LiveService>,
    /// Pods of the gateway.
    pub(super) pods: Vec<LivePod>,
}

/// A Service in front of the pods.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LiveService {
    /// Name.
    pub(super) name: String,
    /// Its type, for example `LoadBalancer`.
    pub(super) service_type: String,
    /// IPs or host names.
    pub(super) addresses: Vec<String>,
    /// Its ports.
    pub(super) ports: Vec<String>,
}

/// A pod.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LivePod {
    /// Name.
    pub(super) name: String,
    /// Its phase, for example `Running`.
    pub(super) phase: String,
    /// Is it ready?
    pub(super) ready: bool,
    /// Name of the node that it runs on; empty before it has one.
    pub(super) node: String,
}

/// The object in the mesh, `None` when it is not there.
pub(super) fn gateway(
    context: &Context,
    fleet: &Fleet,
    state: &FleetState,
    name: &str,
) -> Result<Option<Value>, CommandError> {
    let contexts = live::contexts(fleet);
    let Some(mesh) = contexts.iter().find(|live| live.target == Target::Mesh) else { return Ok(None) };
    let api_version = state
        .manifests_of(&Target::Mesh)
        .find(|manifest| manifest.group_kind().is(ASM, "IstioGateway") && *manifest.id.name == *name)
        .map(|manifest| manifest.api_version.to_string());
    context.block_on(get(context, mesh, name, &api_version.unwrap_or_else(|| format!("{ASM}/v1beta1"))))
}

/// Everything that runs of it.
pub(super) fn read(context: &Context, fleet: &Fleet, manifest: &Manifest) -> Result<LiveGateway, CommandError> {
    context.block_on(read_all(context, fleet, manifest))
}

async fn read_all(context: &Context, fleet: &Fleet, manifest: &Manifest) -> Result<LiveGateway, CommandError> {
    let ids = gateway::cluster_ids(&manifest.object);
    let runs_in = |name: &str| {
        let mut clusters = fleet.spec.clusters.iter();
        clusters.any(|cluster| cluster.name == name && cluster.id.as_deref().is_some_and(|id| ids.contains(&id)))
    };
    let (mesh, members): (Vec<_>, Vec<_>) =
        live::chosen(context, fleet, &[])?.into_iter().partition(|live| live.target == Target::Mesh);
    let members: Vec<_> = members.into_iter().filter(|live| runs_in(live.target.name())).collect();
    let progress = context.ui().progress("reading the mesh and its clusters");
    let (mut unreached, mut object, mut found) = (Vec::new(), None, None);
    for mesh in &mesh {
        match get(context, mesh, &manifest.id.name, &manifest.api_version).await {
            Ok(answer) => {
                found = Some(answer.is_some());
                object = answer;
            }
            Err(error) => unreached.push(error),
        }
    }
    let answers = several::each(&members, async |name| cluster(context, name, manifest).await).await;
    drop(progress);
    let mut clusters = Vec::new();
    for answer in answers {
        match answer {
            Ok((found, error)) => {
                clusters.push(found);
                unreached.extend(error);
            }
            Err(error) => unreached.push(error),
        }
    }
    let text = |field: &str| {
        let found = object.as_ref().and_then(|object| object.get("status")?.get(field)?.as_str());
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Ok(LiveGateway {
        found,
        status: text("Status"),
        error_message: text("ErrorMessage"),
        addresses: object.as_ref().map(addresses::of_istio_gateway).unwrap_or_default(),
        clusters,
        unreached,
    })
}

async fn get(
    context: &Context,
    mesh: &LiveTargetName,
    name: &str,
    api_version: &str,
) -> Result<Option<Value>, CommandError> {
    let client = kubeconfig::client(context, &mesh.kube_context).await?;
    let Some(resource) = Resource::known(&GroupKind::new(ASM, "IstioGateway"), api_version) else { return Ok(None) };
    let found = resource.objects(client, Some(NAMESPACE)).get_opt(name).await;
    let found = found.map_err(|error| {
        request_failed(&mesh.kube_context, &format!("read the gateway {name}"), &ClusterError::from(error))
    })?;
    Ok(found.map(|object| serde_json::to_value(object).unwrap_or_default()))
}

/// The Services and the pods in one cluster; Services are shown also where pods may not be listed.
async fn cluster(
    context: &Context,
    live: &LiveTargetName,
    manifest: &Manifest,
) -> Result<(LiveCluster, Option<CommandError>), CommandError> {
    let client = kubeconfig::client(context, &live.kube_context).await?;
    let (name, generated) = (&*manifest.id.name, gateway::generated_name(&manifest.id.name));
    let list = async |kind: &str, parameters: ListParams| -> Result<Vec<Value>, CommandError> {
        let Some(resource) = Resource::known(&GroupKind::new("", kind), "v1") else { return Ok(Vec::new()) };
        let found = resource.objects(client.clone(), Some(NAMESPACE)).list(&parameters).await.map_err(|error| {
            let doing = format!("list {kind}s of {}", live.target);
            request_failed(&live.kube_context, &doing, &ClusterError::from(error))
        })?;
        Ok(found.items.iter().map(|item: &DynamicObject| serde_json::to_value(item).unwrap_or_default()).collect())
    };
    let services = list("Service", ListParams::default()).await?;
    let pods = list("Pod", ListParams::default().labels(&format!("app={generated}"))).await;
    let (pods, error) = match pods {
        Ok(pods) => (pods, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let named =
        |object: &Value| object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut services: Vec<_> = services
        .iter()
        .filter(|service| named(service) == generated || usage::is_in_front_of(service, name, &manifest.object))
        .map(|service| LiveService {
            name: named(service),
            service_type: text(service, "/spec/type").unwrap_or_else(|| "ClusterIP".to_owned()),
            addresses: addresses::of_service(service),
            ports: ports(service),
        })
        .collect();
    // The one that ASM made comes first.
    services.sort_by_key(|service| (service.name != generated, service.name.clone()));
    let pods = pods.iter().map(|pod| LivePod {
        name: named(pod),
        phase: text(pod, "/status/phase").unwrap_or_default(),
        ready: is_ready(pod),
        node: text(pod, "/spec/nodeName").unwrap_or_default(),
    });
    Ok((LiveCluster { cluster: live.target.name().to_owned(), services, pods: pods.collect() }, error))
}

fn text(object: &Value, pointer: &str) -> Option<String> {
    object.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// `80:30080/TCP`, as kubectl has it.
fn ports(service: &Value) -> Vec<String> {
    let ports = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let told = |port: &Value| {
        let number = |field: &str| port.get(field).and_then(Value::as_u64);
        let node = number("nodePort").map(|node| format!(":{node}")).unwrap_or_default();
        let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
        format!("{}{node}/{protocol}", number("port").unwrap_or_default())
    };
    ports.map(told).collect()
}
