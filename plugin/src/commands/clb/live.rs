//! Services as the member clusters have them: their addresses.

use crate::context::Context;
use crate::error::CommandError;
use crate::live::{self, LiveTargetName, request_failed, several};
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::asm::addresses;
use asm_shared::fleet::{Fleet, Target};
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::{Api, ListParams};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A Service: cluster, namespace, name.
pub(super) type Key = (String, String, String);

/// What a cluster says about a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Live {
    /// UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<String>,
    /// IPs or host names.
    pub(super) addresses: Vec<String>,
    /// ID of the load balancer, as the cloud controller notes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load_balancer_id: Option<String>,
}

/// What the clusters answered. A Service that a cluster does not have is `None`; what could not be asked is absent.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) services: BTreeMap<Key, Option<Live>>,
    /// Services of type LoadBalancer that nobody asked for, with their clusters; from [`list`] only.
    pub(super) others: Vec<(String, Value)>,
    /// What could not be learned although the cluster answered.
    pub(super) gaps: Vec<String>,
    pub(super) errors: Vec<CommandError>,
}

impl Answers {
    /// The first failure, with the others as causes.
    pub(super) fn error(self) -> Option<CommandError> {
        several::as_one(self.errors)
    }
}

/// Asks the clusters for Services, and nothing else.
pub(super) fn read(context: &Context, fleet: &Fleet, keys: &[Key]) -> Result<Answers, CommandError> {
    let clusters: BTreeSet<&str> = keys.iter().map(|(cluster, ..)| cluster.as_str()).collect();
    ask(
        context,
        fleet,
        |cluster| clusters.contains(cluster),
        async |target, client| {
            let services = some(target, client, keys).await?;
            Ok(Answers { services, ..Answers::default() })
        },
    )
}

/// Asks clusters (all when none is named) for every Service of type LoadBalancer, in one namespace or in all.
pub(super) fn list(
    context: &Context,
    fleet: &Fleet,
    keys: &[Key],
    clusters: &[String],
    namespace: Option<&str>,
) -> Result<Answers, CommandError> {
    let wanted = |cluster: &str| clusters.is_empty() || clusters.iter().any(|name| name == cluster);
    ask(context, fleet, wanted, async |target, client| all(target, client, keys, namespace).await)
}

/// Asks member clusters, several at a time.
fn ask(
    context: &Context,
    fleet: &Fleet,
    wanted: impl Fn(&str) -> bool,
    one: impl AsyncFn(&LiveTargetName, Client) -> Result<Answers, CommandError>,
) -> Result<Answers, CommandError> {
    let mut targets = live::chosen(context, fleet, &[])?;
    targets.retain(|target| target.target != Target::Mesh && wanted(target.target.name()));
    let answers = several::ask(context, "reading Services", &targets, one)?;
    let mut all = Answers { errors: answers.errors, ..Answers::default() };
    for answer in answers.found {
        all.services.extend(answer.services);
        all.others.extend(answer.others);
        all.gaps.extend(answer.gaps);
    }
    Ok(all)
}

/// Every Service of a cluster. Who may not list them may still get those that are asked for.
async fn all(
    target: &LiveTargetName,
    client: Client,
    keys: &[Key],
    namespace: Option<&str>,
) -> Result<Answers, CommandError> {
    let api: Api<Service> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let listed = match api.list(&ListParams::default()).await.map_err(ClusterError::from) {
        Ok(list) => list.items,
        Err(error) if error.kind == ErrorKind::Forbidden => {
            let services = some(target, client, keys).await?;
            let gap = format!(
                "Services that Git does not know are not shown for {}: they cannot be listed (context {}): {}",
                target.target.name(),
                target.kube_context,
                error.message
            );
            return Ok(Answers { services, gaps: vec![gap], ..Answers::default() });
        }
        Err(error) => return Err(request_failed(&target.kube_context, "list Services", &error)),
    };
    let cluster = target.target.name();
    let mut answers = Answers::default();
    answers.services.extend(keys.iter().filter(|(of, ..)| of == cluster).map(|key| (key.clone(), None)));
    for service in listed {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let key = (cluster.to_owned(), text(&service.metadata.namespace), text(&service.metadata.name));
        if let Some(known) = answers.services.get_mut(&key) {
            *known = Some(live(&service));
        } else if service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer") {
            answers.services.insert(key, Some(live(&service)));
            answers.others.push((cluster.to_owned(), serde_json::to_value(service).unwrap_or_default()));
        }
    }
    Ok(answers)
}

/// Some Services of a cluster.
async fn some(
    target: &LiveTargetName,
    client: Client,
    keys: &[Key],
) -> Result<BTreeMap<Key, Option<Live>>, CommandError> {
    let mut found = BTreeMap::new();
    for key in keys.iter().filter(|(cluster, ..)| cluster == target.target.name()) {
        let (_, namespace, name) = key;
        let api: Api<Service> = Api::namespaced(client.clone(), namespace);
        let service = api.get_opt(name).await.map_err(|error| {
            request_failed(
                &target.kube_context,
                &format!("read Service {namespace}/{name}"),
                &ClusterError::from(error),
            )
        })?;
        found.insert(key.clone(), service.map(|service| live(&service)));
    }
    Ok(found)
}

fn live(service: &Service) -> Live {
    let labels = service.metadata.labels.as_ref();
    Live {
        uid: service.metadata.uid.clone(),
        addresses: addresses::of_service(&serde_json::to_value(service).unwrap_or_default()),
        load_balancer_id: labels.and_then(|labels| labels.get("service.k8s.alibaba/loadbalancer-id")).cloned(),
    }
}
