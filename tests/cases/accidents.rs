//! Commits that nobody meant: no load balancer is lost, nothing is removed.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{EXPECTED, PATIENCE, Story, api, condition, targets};
use asm_lab::{HOST, Lab, LabOptions, wait_for};
use serde_json::{Value, json};

/// A Service with a load balancer of its own.
const DOOR: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: door\n  namespace: default\nspec:\n  type: LoadBalancer\n  \
                    ports:\n    - name: http\n      port: 80\n      targetPort: 9080\n  selector:\n    app: reviews\n";

#[tokio::test(flavor = "multi_thread")]
async fn no_commit_loses_a_load_balancer_by_accident() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    story.write("clusters/m1c1/door.yaml", DOOR)?;
    let revision = story.commit_and_push("a fleet with a door")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&revision).await?;
    let door = lab.cloud("m1c1").load_balancer_of("default", "door").context("the door has no load balancer")?;

    moved_file(&story).await?;
    type_changed(&story, &door.address).await?;
    emptied_folder(&story).await?;
    cluster_left(&story).await?;

    for cluster in ["mesh", "m1c1", "m1c2"] {
        let lost = lab.cloud(cluster).deleted();
        ensure!(lost.is_empty(), "{cluster} lost {lost:?}");
    }
    let now = lab.cloud("m1c1").load_balancer_of("default", "door").context("the door's load balancer is gone")?;
    assert_eq!((now.id, now.address), (door.id, door.address));
    Ok(())
}

async fn uid_of_gateway(story: &Story<'_>) -> Result<Value> {
    Ok(story.live(&EXPECTED[0]).await?.context("the gateway is gone")?["metadata"]["uid"].clone())
}

/// Takes the last commit back and waits until all is well.
async fn undo(story: &Story<'_>) -> Result<()> {
    story.git(&["revert", "--no-edit", "HEAD"])?;
    let mended = story.commit_and_push("take it back")?;
    story.wait_ready(&mended).await?;
    Ok(())
}

/// The same objects in other files: nothing happens to them.
async fn moved_file(story: &Story<'_>) -> Result<()> {
    let before = uid_of_gateway(story).await?;
    story.git(&["mv", "mesh/gateways", "mesh/edge"])?;
    story.git(&["mv", "clusters/m1c1/door.yaml", "clusters/m1c1/front-door.yaml"])?;
    let moved = story.commit_and_push("other file names")?;
    story.wait_ready(&moved).await?;
    assert_eq!(uid_of_gateway(story).await?, before);
    Ok(())
}

/// A Service that would give its load balancer up: held back, with the address.
async fn type_changed(story: &Story<'_>, address: &str) -> Result<()> {
    story.write("clusters/m1c1/front-door.yaml", &DOOR.replace("LoadBalancer", "ClusterIP"))?;
    story.commit_and_push("the door closes")?;
    let sync = story.wait_status("the change is held back", |sync| sync["status"]["heldBack"] == 1).await?;
    let held = targets(&sync).find_map(|target| target["held"].get(0)).cloned().unwrap_or_default();
    assert_eq!((&held["action"], &held["addresses"]), (&json!("Release"), &json!([address])), "{held:#}");
    undo(story).await
}

/// Everything of the mesh removed: held back as a whole.
async fn emptied_folder(story: &Story<'_>) -> Result<()> {
    story.git(&["rm", "-r", "--quiet", "mesh"])?;
    story.commit_and_push("no mesh")?;
    story
        .wait_status("emptying the mesh is held back", |sync| {
            let message = condition(sync, "HeldBack").and_then(|c| c["message"].as_str()).unwrap_or_default();
            message.contains("mesh: all 3 objects have left Git and stay")
        })
        .await?;
    ensure!(story.differences(&EXPECTED[..3]).await?.is_empty(), "objects of the mesh were removed");
    undo(story).await
}

/// A cluster that leaves fleet.yaml, with all its files: it is left as it is.
async fn cluster_left(story: &Story<'_>) -> Result<()> {
    let reports = api(story.lab, HOST, "kubectl-asm.io/v1alpha1", "DriftReport", "driftreports", Some("asm-system"))?;
    ensure!(reports.get_opt("shop-m1c1").await?.is_some(), "there is no drift report of m1c1");
    story.plugin_ok(&["cluster", "remove", "m1c1", "--with-files"])?;
    let without = story.commit_and_push("without m1c1")?;
    let sync = story.wait_ready(&without).await?;
    assert_eq!(targets(&sync).count(), 2);
    let message = condition(&sync, "Synced").and_then(|c| c["message"].as_str()).unwrap_or_default().to_owned();
    assert!(message.contains("m1c1 left fleet.yaml; what was synced there is left alone"), "{message}");
    ensure!(story.differences(EXPECTED).await?.is_empty(), "objects were removed");
    wait_for("the drift report of m1c1 is gone", PATIENCE, || async {
        Ok(reports.get_opt("shop-m1c1").await?.is_none().then_some(()))
    })
    .await
}
