//! Bookinfo over two clusters behind a serverless gateway: its page shows all versions of reviews equally often, and after
//! one commit only v3, without a failure on the way.

use super::{answered, live};
use anyhow::{Context as _, Result, ensure};
use asm_lab::dataplane::traffic::{Question, Traffic};
use asm_lab::story::{ALL_V3, PATIENCE, Story};
use asm_lab::{Lab, LabOptions, MESH, wait_for};
use serde_json::json;
use std::collections::BTreeSet;

const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];

#[test]
fn a_third_each_then_all_v3() -> Result<()> {
    live(module_path!(), "a_third_each_then_all_v3", case)
}

async fn case() -> Result<()> {
    let lab = Lab::start(LabOptions::live()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let first = story.commit_and_push("a gateway and Bookinfo in two clusters")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&first).await?;

    let gateway = lab.cloud(MESH).load_balancers();
    let address = &gateway.first().context("the serverless gateway has no address")?.address;
    let page = Question::reviews(address, "shop.example.com", "/productpage");
    answered(&page).await?;
    wait_for("every version answers", PATIENCE, || async {
        Ok((page.count(12).await.answers.len() == VERSIONS.len()).then_some(()))
    })
    .await?;
    let spread = page.count(600).await;
    println!("{spread}, p = {:.3}", spread.evenness(VERSIONS));
    ensure!(spread.evenness(VERSIONS) > 0.01, "{spread}");

    // v3 runs in the one cluster, everything else in the other.
    let mut places = BTreeSet::new();
    for _ in 0..30 {
        let (version, answer) = page.ask().await?;
        let clusters = ["/cluster", "/reviews/cluster"].map(|at| answer.text(at).to_owned());
        places.insert((version, clusters));
    }
    let place = |version: &str, cluster: &str| (version.to_owned(), ["m1c2".to_owned(), cluster.to_owned()]);
    ensure!(places == BTreeSet::from([place("v1", "m1c2"), place("v2", "m1c2"), place("v3", "m1c1")]), "{places:?}");
    println!("memory in bytes: {:?}", lab.data_plane().map(|plane| plane.memory()));

    let traffic = Traffic::start(std::slice::from_ref(&page));
    story.plugin_ok(ALL_V3)?;
    let second = story.commit_and_push("all reviews to v3")?;
    story.wait_ready(&second).await?;
    wait_for("only v3 answers", PATIENCE, || async { Ok(page.count(10).await.only("v3").then_some(())) }).await?;
    let meanwhile = traffic.stop().await?;
    println!("meanwhile: {}", meanwhile[0]);
    ensure!(meanwhile[0].failures.is_empty(), "{}", meanwhile[0]);
    let after = page.count(300).await;
    ensure!(after.only("v3") && after.total() == 300, "{after}");
    Ok(())
}
