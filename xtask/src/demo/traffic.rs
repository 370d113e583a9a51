//! What the story promises of requests, seen with requests: gateways, sidecars and load balancers of a live data plane.

use super::{Steps, push, quoted};
use anyhow::{Context as _, Result, bail, ensure};
use asm_lab::dataplane::enclosure::{self, Output};
use asm_lab::dataplane::get;
use asm_lab::dataplane::traffic::{Question, Tally, Traffic};
use asm_lab::story::{ALL_V3, AUTHOR, PATIENCE, Story, UnderLoad};
use asm_lab::{Lab, LabOptions, MESH, wait_for};
use serde_json::json;
use std::ffi::OsString;
use std::process::ExitCode;

const HOST: &str = "shop.example.com";
const PAGE: &str = "/productpage";
const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];
/// Random changes in each of the two ways.
const CHANGES: u32 = 10;
const SEED: u64 = 7;
const SECOND: &str = "istio-edge-a-2";

/// Two ordinary gateways that share one Gateway, beside the story's serverless one.
const EDGES: &[&[&str]] = &[
    &["gateway", "create", "edge-a", "--cluster", "m1c1"],
    &["gateway", "create", "edge-b", "--cluster", "m1c2"],
    &[
        "gateway",
        "share",
        "--label",
        "key1=value1",
        "edge-a",
        "edge-b",
        "--gateway",
        "shared-gateway",
        "--create-gateway",
        "--port",
        "80",
        "--host",
        HOST,
    ],
    &[
        "route",
        "add",
        "shared",
        "--gateway",
        "shared-gateway",
        "--host",
        HOST,
        "--match",
        "exact:/productpage",
        "--to",
        "productpage:9080",
    ],
];

/// Runs this demo once more in namespaces of its own.
pub(super) fn enclosed() -> Result<ExitCode> {
    if let Some(why) = enclosure::unavailable() {
        bail!("no traffic on this machine: {why}");
    }
    let status = enclosure::again(&["demo", "--traffic"].map(OsString::from), Output::Terminal)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn demo() -> Result<(u32, u32)> {
    let mut steps = Steps::default();
    let lab = steps.step("The lab, with istiod, Envoy and addresses that carry traffic", start_lab()).await;
    let Some(lab) = lab else { return Ok((steps.passed, steps.failed)) };
    let mut story = Story::begin(&lab)?;
    play(&mut steps, &mut story).await;
    Ok((steps.passed, steps.failed))
}

async fn play(steps: &mut Steps, story: &mut Story<'_>) {
    steps.step("A serverless gateway, two ordinary ones, Bookinfo in two clusters: by commands", sync(story)).await;
    steps.step("The page shows each version of reviews a third of the time", thirds(story)).await;
    steps.step("All reviews to v3, while requests go on", all_v3(story)).await;
    steps.step("Both ordinary gateways serve the Gateway that they share", shared(story)).await;
    steps.step("A second load balancer for one of them", second(story)).await;
    steps.step("… is retired, while requests to the first go on", retired(story)).await;
    let what = format!("{CHANGES} random changes of subsets and routes through the agent, while requests go on");
    steps.step(&what, by_agent(story)).await;
    steps.step("The same changes, applied in the order of their files' names", by_files(story)).await;
}

async fn start_lab() -> Result<(Lab, Vec<String>)> {
    let progress = Box::new(|text: &str| anstream::println!("    {text}"));
    let lab = Lab::start(LabOptions { progress: Some(progress), ..LabOptions::live() }).await?;
    Ok((lab, Vec::new()))
}

/// The serverless gateway's address.
fn serverless(story: &Story<'_>) -> Result<String> {
    let all = story.lab.cloud(MESH).load_balancers();
    Ok(all.first().context("the serverless gateway has no address")?.address.clone())
}

fn page(address: &str) -> Question {
    Question::reviews(address, HOST, PAGE)
}

fn line(address: &str, tally: &Tally) -> String {
    format!("http://{address}{PAGE}: {tally}")
}

fn address(story: &Story<'_>, cluster: &str, service: &str) -> Result<String> {
    let found = story.lab.cloud(cluster).load_balancer_of("istio-system", service);
    Ok(found.with_context(|| format!("{service} in {cluster} has no load balancer"))?.address)
}

/// Asks an address as soon as it answers; every answer must be one.
async fn serves(address: &str) -> Result<String> {
    let page = page(address);
    wait_for(format!("{address} answers"), PATIENCE, || async { Ok(Some(page.ask().await?)) }).await?;
    let tally = page.count(60).await;
    ensure!(tally.failures.is_empty(), "{}", line(address, &tally));
    Ok(line(address, &tally))
}

/// A commit synced while requests go on to an address: none may fail.
async fn meanwhile(story: &Story<'_>, address: &str, message: &str) -> Result<Vec<String>> {
    let traffic = Traffic::start(&[page(address)]);
    let (revision, mut lines) = push(story, message).await?;
    story.wait_ready(&revision).await?;
    let tally = traffic.stop().await?.pop().unwrap_or_default();
    ensure!(tally.failures.is_empty(), "{}", line(address, &tally));
    lines.push(format!("meanwhile {}", line(address, &tally)));
    Ok(lines)
}

fn command(story: &Story<'_>, command: &[&str]) -> Result<String> {
    story.plugin_ok(command)?;
    Ok(format!("$ kubectl asm {}", quoted(command)))
}

async fn sync(story: &mut Story<'_>) -> Result<((), Vec<String>)> {
    let mut lines = Vec::new();
    for one in AUTHOR.iter().chain(EDGES) {
        lines.push(command(story, one)?);
    }
    let (revision, more) = push(story, "three gateways and Bookinfo in two clusters").await?;
    lines.extend(more);
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&revision).await?;
    Ok(((), lines))
}

async fn thirds(story: &Story<'_>) -> Result<((), Vec<String>)> {
    let address = serverless(story)?;
    let page = page(&address);
    wait_for("every version answers", PATIENCE, || async {
        Ok((page.count(12).await.answers.len() == VERSIONS.len()).then_some(()))
    })
    .await?;
    let tally = page.count(600).await;
    let evenness = tally.evenness(VERSIONS);
    ensure!(evenness > 0.01, "p = {evenness:.4}: {}", line(&address, &tally));
    Ok(((), vec![line(&address, &tally), format!("χ² test of 1:1:1: p = {evenness:.2}")]))
}

async fn all_v3(story: &Story<'_>) -> Result<((), Vec<String>)> {
    let address = serverless(story)?;
    let mut lines = vec![command(story, ALL_V3)?];
    lines.extend(meanwhile(story, &address, "all reviews to v3").await?);
    let page = page(&address);
    wait_for("only v3 answers", PATIENCE, || async { Ok(page.count(10).await.only("v3").then_some(())) }).await?;
    let tally = page.count(300).await;
    ensure!(tally.only("v3"), "{}", line(&address, &tally));
    lines.push(format!("afterwards {}", line(&address, &tally)));
    Ok(((), lines))
}

async fn shared(story: &Story<'_>) -> Result<((), Vec<String>)> {
    let mut lines = Vec::new();
    for (cluster, service) in [("m1c1", "istio-edge-a"), ("m1c2", "istio-edge-b")] {
        let address = address(story, cluster, service)?;
        lines.push(serves(&address).await?);
        let elsewhere = get(&address, HOST, "/elsewhere").await?.status;
        ensure!(elsewhere == 404, "http://{address}/elsewhere: {elsewhere}");
    }
    Ok(((), lines))
}

async fn second(story: &Story<'_>) -> Result<((), Vec<String>)> {
    let add = ["clb", "add", "--gateway", "edge-a", "--cluster", "m1c1", "--internet", "--spec", "slb.s1.small"];
    let mut lines = vec![command(story, &add)?];
    let first = address(story, "m1c1", "istio-edge-a")?;
    lines.extend(meanwhile(story, &first, "a second load balancer").await?);
    for address in [first, address(story, "m1c1", SECOND)?] {
        lines.push(serves(&address).await?);
    }
    Ok(((), lines))
}

async fn retired(story: &Story<'_>) -> Result<((), Vec<String>)> {
    let (first, second) = (address(story, "m1c1", "istio-edge-a")?, address(story, "m1c1", SECOND)?);
    let remove = ["clb", "remove", SECOND, "--live", "--expires", "1h", "--confirm", SECOND];
    let mut lines = vec![command(story, &remove)?];
    lines.extend(meanwhile(story, &first, "the second load balancer is retired").await?);
    wait_for("the second address does not answer", PATIENCE, || async {
        Ok(get(&second, HOST, PAGE).await.is_err().then_some(()))
    })
    .await?;
    lines.push(format!("http://{second}{PAGE}: no answer any more"));
    lines.push(serves(&first).await?);
    Ok(((), lines))
}

async fn by_agent(story: &Story<'_>) -> Result<((), Vec<String>)> {
    // What is random takes its place.
    story.git(&["rm", "--quiet", "mesh/routes/reviews.yaml"])?;
    let address = serverless(story)?;
    let mut lines = meanwhile(story, &address, "reviews without subsets").await?;
    let result = story.changes_by_agent(&address, SEED, CHANGES).await?;
    ensure!(result.broken.is_empty(), "{}", summary(&result).join("\n"));
    lines.extend(summary(&result));
    Ok(((), lines))
}

async fn by_files(story: &mut Story<'_>) -> Result<((), Vec<String>)> {
    story.agent.take().context("no agent")?.terminate()?;
    let result = story.changes_by_files(&serverless(story)?, SEED, CHANGES).await?;
    ensure!(!result.broken.is_empty(), "nothing failed, so the order did not matter: {}", result.tally);
    Ok(((), summary(&result)))
}

fn summary(result: &UnderLoad) -> Vec<String> {
    let failed = result.tally.failures.len();
    vec![
        format!("{} requests, {failed} without an answer", result.tally.total()),
        format!("{} of {} changes cost a request", result.broken.len(), result.changes),
    ]
}
