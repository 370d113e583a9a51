//! Accidents beside the repository: the FleetSync, Secrets, API servers, the Git server.

use super::{Scene, says, spec};
use anyhow::Result;
use asm_lab::{ApiProxy, GitMode, users};
use serde_json::{Value, json};

const DOOR: &str = "clusters/m1c1/door.yaml";

fn with(more: &[(&str, Value)]) -> Value {
    let mut spec = spec();
    for (field, value) in more {
        spec[*field] = value.clone();
    }
    spec
}

/// The Secret of a cluster.
fn point(cluster: &str, secret: &str) -> Value {
    with(&[("targets", json!({"clusters": [{"name": cluster, "kubeconfig": {"name": secret}}]}))])
}

pub(super) async fn all(scene: &mut Scene<'_>) -> Result<()> {
    source(scene).await?;
    kubeconfigs(scene).await?;
    answers(scene).await
}

async fn source(scene: &mut Scene<'_>) -> Result<()> {
    scene.story.fleet_sync(with(&[("source", json!({"path": "fleets/shop"}))])).await?;
    scene.come_to("the path of the fleet is wrong", says(["fleets/shop"]), None).await?;
    scene.well().await?;
    scene.lab().git().set_mode(GitMode::Status(503));
    scene.hint().await?;
    scene.come_to("the Git server fails", says(["SourceReady", "503"]), None).await?;
    scene.lab().git().set_mode(GitMode::Ok);
    scene.well().await
}

async fn kubeconfigs(scene: &mut Scene<'_>) -> Result<()> {
    let lab = scene.lab();
    scene.story.secret("of-another", &lab.kubeconfig_text("m1c2", users::AGENT)?).await?;
    scene.story.fleet_sync(point("m1c1", "of-another")).await?;
    let another = || says(["Secret of-another leads to another cluster than the one that was synced"]);
    scene.come_to("a kubeconfig leads to another cluster", another(), None).await?;
    scene
        .files("… and a commit comes meanwhile", another(), |s| s.write("clusters/m1c1/new.yaml", &map("new")))
        .await?;
    let swapped = with(&[("targets", json!({"mesh": {"name": "of-another"}}))]);
    scene.story.fleet_sync(swapped).await?;
    scene.come_to("the mesh's kubeconfig leads to a member", another(), None).await?;
    scene.well().await?;
    scene.story.secret("m1c8-kubeconfig", &lab.kubeconfig_text("m1c1", users::AGENT)?).await?;
    let same = says(["m1c8-kubeconfig leads to the cluster of m1c1"]);
    scene
        .files("two names for one cluster", same, |s| {
            s.plugin_ok(&["cluster", "add", "m1c8", "--id", &format!("c{}", "8".repeat(32))])?;
            s.write("clusters/m1c8/map.yaml", &map("map"))
        })
        .await?;
    scene.well().await
}

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

/// An API server that answers wrongly for one kind, to an agent that has just come.
async fn answers(scene: &mut Scene<'_>) -> Result<()> {
    let proxy = ApiProxy::start(scene.lab(), "m1c1").await?;
    for status in [403, 404, 500] {
        proxy.on_request(move |request| {
            let services = request.uri.contains("/services") && !request.uri.contains("/services/");
            if services { asm_lab::Verdict::Answer(status) } else { asm_lab::Verdict::Pass }
        });
        let secret = format!("answers-{status}");
        scene.story.secret(&secret, &proxy.kubeconfig_text(users::AGENT)?).await?;
        scene.story.fleet_sync(point("m1c1", &secret)).await?;
        let what = format!("an API server answers {status} for Services while one leaves Git");
        let end = says(["m1c1", "Service cannot be watched"]);
        scene.files(&what, end, |s| s.git(&["rm", "-f", "--quiet", DOOR]).map(drop)).await?;
    }
    proxy.clear_hooks();
    scene.well().await
}
