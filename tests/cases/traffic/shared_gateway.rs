//! One Istio Gateway served by two gateways in two clusters, and by no other.

use super::{address, answered, live};
use crate::shared_gateway::COMMANDS;
use anyhow::{Result, ensure};
use asm_lab::dataplane::{get, traffic::Question};
use asm_lab::story::{PATIENCE, Story};
use asm_lab::{Lab, LabOptions, wait_for};
use serde_json::json;

#[test]
fn both_gateways_serve_it_and_no_other_does() -> Result<()> {
    live(module_path!(), "both_gateways_serve_it_and_no_other_does", case)
}

async fn case() -> Result<()> {
    let lab = Lab::start(LabOptions::live()).await?;
    let mut story = Story::begin(&lab)?;
    for command in COMMANDS {
        story.plugin_ok(command)?;
    }
    // One that does not share it, and serves a Gateway of its own: without any its port would be closed.
    story.plugin_ok(&["gateway", "create", "edge-c", "--cluster", "m1c1"])?;
    story.write(
        "mesh/routes/own.yaml",
        "apiVersion: networking.istio.io/v1beta1\nkind: Gateway\nmetadata:\n  name: own\n  namespace: default\nspec:\n  \
         selector:\n    istio: edge-c\n  servers:\n    - hosts:\n        - own.example.com\n      port:\n        name: http\n        \
         number: 80\n        protocol: HTTP\n---\napiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata:\n  \
         name: own\n  namespace: default\nspec:\n  hosts:\n    - own.example.com\n  gateways:\n    - own\n  http:\n    - route:\n        \
         - destination:\n            host: productpage\n            port:\n              number: 9080\n",
    )?;
    let first = story.commit_and_push("two gateways that share one, and a third")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&first).await?;

    let sharing = [address(&lab, "m1c1", "istio-edge-a")?, address(&lab, "m1c2", "istio-edge-b")?];
    for address in &sharing {
        let page = Question::reviews(address, "shop.example.com", "/productpage");
        answered(&page).await?;
        let tally = page.count(60).await;
        println!("http://{address}/productpage: {tally}");
        ensure!(tally.failures.is_empty(), "{address}: {tally}");
        let elsewhere = get(address, "shop.example.com", "/elsewhere").await?;
        ensure!(elsewhere.status == 404, "{address}/elsewhere: {elsewhere:?}");
    }
    let third = address(&lab, "m1c1", "istio-edge-c")?;
    answered(&Question::reviews(&third, "own.example.com", "/productpage")).await?;
    let shared = get(&third, "shop.example.com", "/productpage").await?;
    ensure!(shared.status == 404, "the third gateway serves what it does not share: {shared:?}");

    // It joins by its label alone.
    story.plugin_ok(&["gateway", "share", "--label", "key1=value1", "edge-c", "--gateway", "bookinfo-gateway"])?;
    let joined = story.commit_and_push("the third gateway joins")?;
    story.wait_ready(&joined).await?;
    wait_for("the third gateway serves it too", PATIENCE, || async {
        Ok((get(&third, "shop.example.com", "/productpage").await?.status == 200).then_some(()))
    })
    .await
}
