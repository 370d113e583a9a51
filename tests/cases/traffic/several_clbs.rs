//! Two load balancers on one gateway: both serve; when the second one goes, requests to the first do not notice.

use super::{address, answered, live};
use crate::several_clbs::{AUTHOR, SECOND};
use anyhow::{Result, ensure};
use asm_lab::dataplane::{
    get,
    traffic::{Question, Traffic},
};
use asm_lab::story::{PATIENCE, Story, WAY_IN};
use asm_lab::{Lab, LabOptions, wait_for};
use serde_json::json;

#[test]
fn both_serve_and_the_first_does_not_notice_that_the_second_goes() -> Result<()> {
    live(module_path!(), "both_serve_and_the_first_does_not_notice_that_the_second_goes", case)
}

async fn case() -> Result<()> {
    let lab = Lab::start(LabOptions::live()).await?;
    let mut story = Story::begin(&lab)?;
    for command in AUTHOR.iter().chain([&WAY_IN]) {
        story.plugin_ok(command)?;
    }
    let revision = story.commit_and_push("a gateway with two CLBs in m1c1")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&revision).await?;

    let first = address(&lab, "m1c1", "istio-ingressgateway")?;
    let second = address(&lab, "m1c1", SECOND)?;
    let other = address(&lab, "m1c2", "istio-ingressgateway")?;
    ensure!(first != second && first != other, "{first} {second} {other}");
    for address in [&first, &second, &other] {
        let page = Question::reviews(address, "shop.example.com", "/productpage");
        answered(&page).await?;
        let tally = page.count(60).await;
        println!("http://{address}/productpage: {tally}");
        ensure!(tally.failures.is_empty(), "{address}: {tally}");
    }

    let page = Question::reviews(&first, "shop.example.com", "/productpage");
    let traffic = Traffic::start(std::slice::from_ref(&page));
    story.plugin_ok(&["clb", "remove", SECOND, "--live", "--expires", "1h", "--confirm", SECOND])?;
    let revision = story.commit_and_push("the second CLB is retired")?;
    story.wait_ready(&revision).await?;
    wait_for("the second address does not answer", PATIENCE, || async {
        Ok(get(&second, "shop.example.com", "/productpage").await.is_err().then_some(()))
    })
    .await?;
    let meanwhile = traffic.stop().await?;
    println!("meanwhile: {}", meanwhile[0]);
    ensure!(meanwhile[0].failures.is_empty(), "{}", meanwhile[0]);
    let after = page.count(60).await;
    ensure!(after.failures.is_empty(), "{after}");
    Ok(())
}
