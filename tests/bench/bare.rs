//! The denominator: applies with as many in flight as help, and nothing else.

use anyhow::{Context as _, Result};
use asm_lab::Lab;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// More than this bring nothing: the API server is busy.
const IN_FLIGHT: usize = 32;

/// How long applying the objects takes, until every Deployment among them has been observed.
pub(crate) async fn apply(lab: &Lab, context: &str, namespace: &str, objects: &[Value]) -> Result<Duration> {
    let client = lab.client(context)?;
    let deployments = objects.iter().filter(|object| object["kind"] == "Deployment").count();
    let watching = tokio::spawn(observed(client.clone(), namespace.to_owned(), deployments, version(objects)));
    let started = Instant::now();
    futures::stream::iter(objects)
        .map(|object| one(&client, namespace, object))
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<Vec<()>>()
        .await?;
    watching.await??;
    Ok(started.elapsed())
}

fn version(objects: &[Value]) -> String {
    let version = objects.first().and_then(|object| object["metadata"]["labels"]["version"].as_str());
    version.unwrap_or_default().to_owned()
}

async fn one(client: &kube::Client, namespace: &str, object: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
    let plural = if kind == "Ingress" { "ingresses".to_owned() } else { format!("{}s", kind.to_lowercase()) };
    let resource = kube::api::ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, &kind), &plural);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let name = text(&object["metadata"]["name"]);
    api.patch(&name, &PatchParams::apply("bare-loop"), &Patch::Apply(object)).await.with_context(|| name.clone())?;
    Ok(())
}

/// Waits until so many Deployments of a version have been observed by their controller.
async fn observed(client: kube::Client, namespace: String, count: usize, version: String) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    let api: Api<Deployment> = Api::namespaced(client, &namespace);
    let config = watcher::Config::default().labels(&format!("version={version}"));
    let mut seen = BTreeSet::new();
    let mut stream = Box::pin(watcher(api, config).default_backoff().applied_objects());
    while let Some(deployment) = stream.try_next().await? {
        let status = deployment.status.and_then(|status| status.observed_generation);
        if status.is_some() && status == deployment.metadata.generation {
            seen.insert(deployment.metadata.name.unwrap_or_default());
        }
        if seen.len() >= count {
            return Ok(());
        }
    }
    anyhow::bail!("the watch of Deployments ended")
}
