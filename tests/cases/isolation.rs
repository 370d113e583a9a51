//! One broken file, one dead API server: only what is concerned stays behind.

use anyhow::Result;
use asm_lab::story::{EXPECTED, Story, condition, targets};
use asm_lab::{Lab, LabOptions};
use serde_json::{Value, json};

fn at(sync: &Value, target: &str, revision: &str) -> bool {
    targets(sync).any(|status| status["name"] == target && status["revision"] == revision)
}

fn message(sync: &Value, kind: &str) -> String {
    condition(sync, kind).and_then(|c| c["message"].as_str()).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_harms_only_itself() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let first = story.commit_and_push("a fleet")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&first).await?;

    broken_manifest(&story, &first).await?;
    refused_object(&story).await?;
    dead_api_server(&story).await
}

/// A file that cannot be read, in `m1c1`.
async fn broken_manifest(story: &Story<'_>, first: &str) -> Result<()> {
    story.write("clusters/m1c1/broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [\n")?;
    story.write("clusters/m1c2/fine.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: fine\n")?;
    let broken = story.commit_and_push("a broken file and a good one")?;
    let sync = story
        .wait_status("mesh and m1c2 are at the new commit, m1c1 is not", |sync| {
            at(sync, "mesh", &broken) && at(sync, "m1c2", &broken) && at(sync, "m1c1", first)
        })
        .await?;
    let message = message(&sync, "FleetValid");
    assert!(message.starts_with("clusters/m1c1/broken.yaml:"), "{message}");
    assert!(story.differences(EXPECTED).await?.is_empty());

    story.git(&["rm", "--quiet", "clusters/m1c1/broken.yaml"])?;
    let mended = story.commit_and_push("without the broken file")?;
    story.wait_ready(&mended).await?;
    Ok(())
}

/// An object that the API server refuses, beside one that it takes.
async fn refused_object(story: &Story<'_>) -> Result<()> {
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: wrong\nspec:\n  ports:\n    - port: 99999\n";
    let good = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: beside\n";
    story.write("clusters/m1c1/two.yaml", &format!("{good}---\n{service}"))?;
    let refused = story.commit_and_push("an object that the API server refuses")?;
    let sync = story
        .wait_status("the others are at the new commit", |sync| {
            at(sync, "mesh", &refused) && at(sync, "m1c2", &refused) && targets(sync).any(|t| t["problemCount"] == 1)
        })
        .await?;
    let m1c1 = targets(&sync).find(|target| target["name"] == "m1c1").cloned().unwrap_or_default();
    let problem = &m1c1["problems"][0];
    assert_eq!(problem["at"], "clusters/m1c1/two.yaml:6:1", "{m1c1:#}");
    assert!(problem["message"].as_str().unwrap_or_default().contains("99999"), "{problem}");
    let maps = asm_lab::story::api(story.lab, "m1c1", "v1", "ConfigMap", "configmaps", Some("default"))?;
    assert!(maps.get_opt("beside").await?.is_some(), "the object beside the refused one is not there");
    story.git(&["rm", "--quiet", "clusters/m1c1/two.yaml"])?;
    let mended = story.commit_and_push("without it")?;
    story.wait_ready(&mended).await?;
    Ok(())
}

/// An API server that does not answer, and comes back.
async fn dead_api_server(story: &Story<'_>) -> Result<()> {
    let before = story.git(&["rev-parse", "HEAD"])?;
    story.lab.stop_api_server("m1c1")?;
    for cluster in ["m1c1", "m1c2"] {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: late\n";
        story.write(&format!("clusters/{cluster}/late.yaml"), map)?;
    }
    let late = story.commit_and_push("while m1c1 is dead")?;
    let sync = story
        .wait_status("mesh and m1c2 are at the new commit without m1c1", |sync| {
            at(sync, "mesh", &late) && at(sync, "m1c2", &late) && at(sync, "m1c1", &before)
        })
        .await?;
    let why = message(&sync, "Synced");
    assert!(why.contains("m1c1: "), "{why}");
    story.lab.start_api_server("m1c1").await?;
    story.wait_ready(&late).await?;
    let maps = asm_lab::story::api(story.lab, "m1c1", "v1", "ConfigMap", "configmaps", Some("default"))?;
    assert!(maps.get_opt("late").await?.is_some());
    Ok(())
}
