//! Services as the member clusters have them: their addresses.

use crate::context::Context;
use crate::error::CommandError;
use crate::kubeconfig;
use crate::live::{self, LiveTargetName, request_failed};
use asm_io::cluster::ClusterError;
use asm_shared::asm::addresses;
use asm_shared::fleet::Fleet;
use futures::stream::{self, StreamExt as _};
use k8s_openapi::api::core::v1::Service;
use kube::api::Api;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Clusters asked at the same time.
const CLUSTERS_AT_ONCE: usize = 8;

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
    pub(super) errors: Vec<CommandError>,
}

impl Answers {
    /// The first failure, with the others as causes.
    pub(super) fn error(mut self) -> Option<CommandError> {
        if self.errors.is_empty() {
            return None;
        }
        let first = self.errors.remove(0);
        Some(self.errors.into_iter().fold(first, |error, other| error.because(other.to_string())))
    }
}

/// Asks the clusters for Services.
pub(super) fn read(context: &Context, fleet: &Fleet, keys: &[Key]) -> Result<Answers, CommandError> {
    let targets = live::chosen(context, fleet, &[])?;
    let clusters: BTreeSet<&str> = keys.iter().map(|(cluster, ..)| cluster.as_str()).collect();
    let targets: Vec<&LiveTargetName> =
        targets.iter().filter(|target| clusters.contains(target.target.name())).collect();
    let progress = context.ui().progress("reading Services");
    let answers = context.block_on(async {
        let answers: Vec<_> = stream::iter(targets)
            .map(|target| async move { one(context, target, keys).await })
            .buffered(CLUSTERS_AT_ONCE)
            .collect()
            .await;
        Ok(answers)
    })?;
    drop(progress);
    let mut all = Answers::default();
    for answer in answers {
        match answer {
            Ok(services) => all.services.extend(services),
            Err(error) => all.errors.push(error),
        }
    }
    Ok(all)
}

async fn one(
    context: &Context,
    target: &LiveTargetName,
    keys: &[Key],
) -> Result<Vec<(Key, Option<Live>)>, CommandError> {
    let client = kubeconfig::client(context, &target.kube_context).await?;
    let mut found = Vec::new();
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
        found.push((key.clone(), service.map(|service| live(&service))));
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
