//! One broken file, one dead API server: only what is concerned stays behind.

use anyhow::Result;
use asm_lab::story::{EXPECTED, PATIENCE, Story, condition, targets};
use asm_lab::{Ailment, Lab, LabOptions, Replicas, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

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

/// What no request of a test is waited for so long.
const EVER: Duration = Duration::from_secs(3600);
/// Clusters that fall ill, and how.
const SICK: [(&str, Ailment); 3] =
    [("c0000", Ailment::BlackHole), ("c0001", Ailment::Slow(EVER)), ("c0002", Ailment::Conversion)];

fn is_ready(sync: &Value, target: &str) -> bool {
    let status = targets(sync).find(|status| status["name"] == target);
    let conditions = status.and_then(|status| status["conditions"].as_array()).into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Commit after commit, the clusters that are well get there though three others do not, which are where they were; and those
/// follow once they are well. What it costs in time is `cargo xtask bench isolation`.
#[tokio::test(flavor = "multi_thread")]
async fn three_sick_clusters_of_twenty_hold_up_none_of_the_others() -> Result<()> {
    let options = LabOptions { members: vec!["m1c1".to_owned()], asm: false, cloud: false, ..LabOptions::default() };
    let lab = Lab::start(options).await?;
    let mut replicas = Replicas::start(&lab, (1, 20, 3), Duration::from_secs(30)).await?;
    let gizmo = |replicas: &Replicas<'_>, round: &str| {
        let text =
            "apiVersion: example.com/v2\nkind: Gizmo\nmetadata: {name: g, namespace: default}\nspec: {round: ROUND}\n";
        replicas.story.write("clusters/c0002/gizmo.yaml", &text.replace("ROUND", round))
    };
    gizmo(&replicas, "well")?;
    let (before, _) = replicas.push("well").await?;
    replicas.ready(&before).await?;

    for (cluster, ailment) in SICK {
        replicas.fakes.ail(cluster, ailment)?;
    }
    for round in ["ill-1", "ill-2", "ill-3"] {
        gizmo(&replicas, round)?;
        let (revision, _) = replicas.push(round).await?;
        let sync = wait_for("the others are ready", PATIENCE, || async {
            let sync = replicas.story.status().await?;
            let well = (SICK.len()..20).map(|n| format!("c{n:04}")).chain(["mesh".to_owned()]);
            let there = well.into_iter().all(|target| at(&sync, &target, &revision) && is_ready(&sync, &target));
            Ok(there.then_some(sync))
        })
        .await?;
        for (cluster, _) in SICK {
            assert!(at(&sync, cluster, &before), "{cluster} is ill, and at another commit: {sync:#}");
        }
    }
    // What of the third cluster nobody has to convert has gone on.
    let writes = replicas.fakes.writes();
    let of_third = writes.iter().filter(|write| write.cluster == "c0002" && write.round == "ill-3");
    assert_eq!(of_third.map(|write| write.name.as_str()).collect::<std::collections::BTreeSet<_>>().len(), 3);

    for (cluster, _) in SICK {
        replicas.fakes.ail(cluster, Ailment::None)?;
    }
    let last = replicas.story.git(&["rev-parse", "HEAD"])?;
    replicas.ready(&last).await?;
    Ok(())
}
