//! Accidents beside the repository: the FleetSync, Secrets, API servers, the Git server.

use super::{End, Scene, balancer, says, spec};
use anyhow::Result;
use asm_lab::story::{FLEET_SYNC, NAMESPACE, Story, api};
use asm_lab::{ApiProxy, GitMode, HOST, users};
use kube::api::DeleteParams;
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
    answers(scene).await?;
    names(scene).await?;
    sets(scene).await
}

async fn well(scene: &Scene<'_>) -> Result<()> {
    scene.story.fleet_sync(spec()).await?;
    let back = scene.commit("all is well", |_| Ok(()))?;
    scene.hint().await?;
    scene.story.wait_ready(&back).await?;
    Ok(())
}

async fn source(scene: &mut Scene<'_>) -> Result<()> {
    scene.story.fleet_sync(with(&[("source", json!({"path": "fleets/shop"}))])).await?;
    scene.come_to("the path of the fleet is wrong", says(["fleets/shop"]), None).await?;
    well(scene).await?;
    scene.lab().git().set_mode(GitMode::Status(503));
    scene.hint().await?;
    scene.come_to("the Git server fails", says(["SourceReady", "503"]), None).await?;
    scene.lab().git().set_mode(GitMode::Ok);
    well(scene).await
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
    well(scene).await?;
    scene.story.secret("m1c8-kubeconfig", &lab.kubeconfig_text("m1c1", users::AGENT)?).await?;
    let same = says(["m1c8-kubeconfig leads to the cluster of m1c1"]);
    scene
        .files("two names for one cluster", same, |s| {
            s.plugin_ok(&["cluster", "add", "m1c8", "--id", &format!("c{}", "8".repeat(32))])?;
            s.write("clusters/m1c8/map.yaml", &map("map"))
        })
        .await?;
    well(scene).await
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
    well(scene).await
}

/// A cluster that leaves, and comes back by another name.
async fn names(scene: &mut Scene<'_>) -> Result<()> {
    let lab = scene.lab();
    scene.story.secret("m1c9-kubeconfig", &lab.kubeconfig_text("m1c1", users::AGENT)?).await?;
    scene
        .files("a cluster leaves fleet.yaml with its files", End::Ready, |s| {
            s.plugin_ok(&["cluster", "remove", "m1c1", "--with-files"]).map(drop)
        })
        .await?;
    scene
        .files("… and comes back by another name", End::Ready, |s| {
            let fleet = std::fs::read_to_string(s.dir().join("fleet.yaml"))?;
            s.write("fleet.yaml", &fleet.replace("m1c1", "m1c9"))?;
            s.git(&["mv", "clusters/m1c1", "clusters/m1c9"]).map(drop)
        })
        .await?;
    well(scene).await
}

/// More than one FleetSync.
async fn sets(scene: &mut Scene<'_>) -> Result<()> {
    let lab = scene.lab();
    scene.story.fleet_sync(with(&[("suspend", json!(true))])).await?;
    scene
        .files("an object leaves Git while applying is suspended", says(["Suspended"]), |s| {
            s.git(&["rm", "-f", "--quiet", DOOR]).map(drop)
        })
        .await?;
    well(scene).await?;
    // The FleetSync goes and comes: nothing that it has made goes with it.
    let syncs = api(lab, HOST, "kubectl-asm.io/v1alpha1", "FleetSync", "fleetsyncs", Some(NAMESPACE))?;
    syncs.delete(FLEET_SYNC, &DeleteParams::default()).await?;
    asm_lab::wait_for("the FleetSync is gone", super::PATIENCE, || async {
        Ok(syncs.get_opt(FLEET_SYNC).await?.is_none().then_some(()))
    })
    .await?;
    scene.story.fleet_sync(spec()).await?;
    let head = scene.story.git(&["rev-parse", "HEAD"])?;
    scene.come_to("the FleetSync is deleted and made again", End::Ready, Some(&head)).await?;

    // A second fleet takes an object over: as long as both want it, both say so; then it is the other's.
    let other = Story::begin(lab)?;
    other.plugin_ok(&["init", "doors", "--region", "cn-hangzhou"])?;
    other.plugin_ok(&["cluster", "add", "m1c1", "--id", "M1C1"])?;
    other.write(DOOR, &balancer("door", "default", ""))?;
    other.commit_and_push("the door")?;
    let sync = json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync",
        "metadata": {"name": "doors", "namespace": NAMESPACE},
        "spec": {"source": {"url": other.url(), "intervalSeconds": 1}, "lint": "Off", "prune": {"graceSeconds": 0}},
    });
    lab.apply_yaml(HOST, &sync.to_string()).await?;
    let drifted = asm_lab::wait_for("the first FleetSync says who has it", super::PATIENCE, || async {
        let sync = scene.story.status().await?;
        Ok((sync["status"]["drifted"] == 1).then_some(sync))
    })
    .await?;
    anyhow::ensure!(super::text(&drifted).contains("Service default/door modified"), "{}", super::text(&drifted));
    scene.nothing_is_lost("one object in two fleets").await?;
    scene
        .files("an object moves from one fleet to another", End::Ready, |s| {
            s.git(&["rm", "-f", "--quiet", DOOR]).map(drop)
        })
        .await
}
