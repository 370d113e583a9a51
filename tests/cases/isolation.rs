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
    broken_conversion(&story).await?;
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

/// An object that the API server refuses, beside one that it takes and one that leaves Git.
async fn refused_object(story: &Story<'_>) -> Result<()> {
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: wrong\nspec:\n  ports:\n    - port: 99999\n";
    let good = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: beside\n";
    story.write("clusters/m1c1/two.yaml", &good.replace("beside", "leaves"))?;
    let before = story.commit_and_push("an object that is to leave")?;
    story.wait_ready(&before).await?;
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
    assert!(maps.get_opt("leaves").await?.is_none(), "what nothing needs does not wait for the refused one");
    story.git(&["rm", "--quiet", "clusters/m1c1/two.yaml"])?;
    let mended = story.commit_and_push("without it")?;
    story.wait_ready(&mended).await?;
    Ok(())
}

/// A kind with two versions, whose objects nobody can convert when there is a webhook for it.
fn gizmos(webhook: bool) -> Value {
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        })
    };
    let conversion = match webhook {
        false => json!({"strategy": "None"}),
        true => json!({
            "strategy": "Webhook",
            "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/convert"}},
        }),
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gizmos.example.com"},
        "spec": {
            "group": "example.com", "names": {"kind": "Gizmo", "plural": "gizmos"}, "scope": "Namespaced",
            "versions": [version("v1", true), version("v2", false)], "conversion": conversion,
        },
    })
}

/// A conversion webhook that does not answer: its kind stays behind and is told, the rest of its cluster goes on.
async fn broken_conversion(story: &Story<'_>) -> Result<()> {
    let gizmo = |size: u32| {
        format!(
            "apiVersion: example.com/v2\nkind: Gizmo\nmetadata: {{name: g, namespace: default}}\nspec: {{size: {size}}}\n"
        )
    };
    story.lab.apply_yaml("m1c1", &gizmos(false).to_string()).await?;
    story.write("clusters/m1c1/gizmo.yaml", &gizmo(1))?;
    let before = story.commit_and_push("a kind of one's own")?;
    story.wait_ready(&before).await?;
    story.lab.apply_yaml("m1c1", &gizmos(true).to_string()).await?;
    story.write("clusters/m1c1/gizmo.yaml", &gizmo(2))?;
    for cluster in ["m1c1", "m1c2"] {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: meanwhile\n";
        story.write(&format!("clusters/{cluster}/meanwhile.yaml"), map)?;
    }
    let broken = story.commit_and_push("while nothing converts")?;
    let told = |sync: &Value| {
        let m1c1 = targets(sync).find(|target| target["name"] == "m1c1");
        let problems = m1c1.and_then(|target| target["problems"].as_array().cloned()).unwrap_or_default();
        problems.iter().any(|problem| {
            problem["at"].as_str().unwrap_or_default().starts_with("clusters/m1c1/gizmo.yaml:")
                && problem["message"].as_str().unwrap_or_default().contains("conversion webhook")
        })
    };
    story
        .wait_status("only the kind stays behind", |sync| {
            at(sync, "mesh", &broken) && at(sync, "m1c2", &broken) && at(sync, "m1c1", &before) && told(sync)
        })
        .await?;
    for cluster in ["m1c1", "m1c2"] {
        let maps = asm_lab::story::api(story.lab, cluster, "v1", "ConfigMap", "configmaps", Some("default"))?;
        assert!(maps.get_opt("meanwhile").await?.is_some(), "nothing of {cluster} was applied");
    }
    story.lab.apply_yaml("m1c1", &gizmos(false).to_string()).await?;
    story.wait_ready(&broken).await?;
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
