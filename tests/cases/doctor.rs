//! `doctor clb-access` on live clusters: pods on some nodes, kube-proxy in IPVS mode, and the remedy brought by the agent.

use anyhow::{Context as _, Result, ensure};
use asm_lab::controllers::kube_proxy;
use asm_lab::story::Story;
use asm_lab::{Lab, LabOptions};
use serde_json::{Value, json};

const AUTHOR: &[&[&str]] = &[
    &["init", "shop"],
    &["cluster", "add", "m1c1", "--id", "M1C1"],
    &[
        "gateway",
        "create",
        "edge",
        "--cluster",
        "m1c1",
        "--address-type",
        "internet",
        "--external-traffic-policy",
        "Local",
    ],
];

#[tokio::test(flavor = "multi_thread")]
async fn clb_access() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    for command in AUTHOR {
        story.plugin_ok(command)?;
    }
    let revision = story.commit_and_push("a gateway that keeps source addresses")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&revision).await?;
    lab.apply_yaml("m1c1", &kube_proxy::manifests("ipvs", "v1.33.1-aliyun.1")).await?;

    // One replica on two nodes: the other node, and hostNetwork pods on it, do not get through under IPVS.
    let item = asked(&story, &["clb-access", "edge"], 1)?;
    ensure!(item["overall"] == "partlyUnreachable", "{item:#}");
    ensure!(item["dataPlane"] == "kube-proxy with IPVS", "{item:#}");
    ensure!(item["network"] == "Terway (ENI)", "{item:#}");
    let address = lab.cloud("m1c1").load_balancer_of("istio-system", "istio-edge").context("no CLB")?.address;
    ensure!(item["addresses"] == json!([address]), "{item:#}");
    let nodes = item["nodes"].as_array().cloned().unwrap_or_default();
    let with = |ready: u64, from_host: &str| {
        nodes
            .iter()
            .filter(|node| node["readyPods"] == ready && node["fromHost"] == from_host && node["fromPods"] == "yes")
            .count()
    };
    ensure!(nodes.len() == 2 && with(1, "yes") == 1 && with(0, "no") == 1, "{nodes:#?}");
    let away =
        nodes.iter().find(|node| node["readyPods"] == 0).and_then(|node| node["name"].as_str()).context("no node")?;
    asked(&story, &["clb-access", "edge", "--from-node", away], 1)?;

    // Terway gives pods ENIs, so the remedy that keeps source addresses can be taken; the agent brings it.
    story.plugin_ok(&["doctor", "clb-access", "edge", "--fix", "eni"])?;
    let revision = story.commit_and_push("the load balancer reaches pods directly")?;
    story.wait_ready(&revision).await?;
    let item = lab
        .wait_for("the Service has the new policy", asm_lab::story::PATIENCE, || async {
            let output = story.plugin(&["doctor", "clb-access", "edge", "-o", "json"])?;
            let document: Value = serde_json::from_slice(&output.stdout)?;
            let item = document["items"][0].clone();
            Ok((item["externalTrafficPolicy"] == "Cluster").then_some(item))
        })
        .await?;
    ensure!(item["overall"] == "reached" && item["backendType"] == "eni", "{item:#}");
    let kept = lab.cloud("m1c1").load_balancer_of("istio-system", "istio-edge").context("no CLB")?.address;
    ensure!(kept == address, "the address has changed: {address}, {kept}");

    // The whole way of a request ends where nobody has made a Gateway yet.
    let output = story.plugin(&["doctor", "gateway", "edge", "--live", "-o", "json"])?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(document["items"][0]["broken"] == 4, "{document:#}");
    ensure!(
        document["items"][0]["links"][0]["text"].as_str().is_some_and(|text| text.contains(&address)),
        "{document:#}"
    );
    Ok(())
}

/// The only item of a diagnosis that ends with this exit code.
fn asked(story: &Story<'_>, args: &[&str], code: i32) -> Result<Value> {
    let args: Vec<&str> = ["doctor"].iter().chain(args).chain(&["-o", "json"]).copied().collect();
    let output = story.plugin(&args)?;
    ensure!(output.status.code() == Some(code), "{args:?}: {output:?}");
    let document: Value = serde_json::from_slice(&output.stdout)?;
    Ok(document["items"][0].clone())
}
