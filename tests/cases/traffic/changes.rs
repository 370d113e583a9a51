//! The order of writes is what keeps requests alive: fifty random changes of subsets and routes through the agent cost no
//! request; the same ones applied in the order of their files' names do.

use super::live;
use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{Story, UnderLoad};
use asm_lab::{Lab, LabOptions, MESH};
use serde_json::json;

/// How many, unless `KUBECTL_ASM_CHANGES` says another number, and `KUBECTL_ASM_SEED` which ones.
const CHANGES: u32 = 50;
const SEED: u64 = 2026;

#[test]
fn the_agents_order_costs_no_request_and_that_of_the_files_does() -> Result<()> {
    live(module_path!(), "the_agents_order_costs_no_request_and_that_of_the_files_does", case)
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> Result<T> {
    let Ok(text) = std::env::var(name) else { return Ok(default) };
    text.parse().ok().with_context(|| format!("{name} is no number: {text}"))
}

async fn case() -> Result<()> {
    let (changes, seed) = (number("KUBECTL_ASM_CHANGES", CHANGES)?, number("KUBECTL_ASM_SEED", SEED)?);
    let lab = Lab::start(LabOptions::live()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let first = story.commit_and_push("a gateway and Bookinfo in two clusters")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&first).await?;
    let gateway = lab.cloud(MESH).load_balancers();
    let address = &gateway.first().context("the serverless gateway has no address")?.address;

    let by_agent = story.changes_by_agent(address, seed, changes).await?;
    show("by the agent", &by_agent);
    story.agent.take().context("no agent")?.terminate()?;
    let by_files = story.changes_by_files(address, seed, changes).await?;
    show("in the order of files", &by_files);
    ensure!(by_agent.broken.is_empty(), "by the agent:\n{}", by_agent.broken.join("\n"));
    // Otherwise this test could not fail either.
    ensure!(!by_files.broken.is_empty(), "no order matters here: {}", by_files.tally);
    // What fails is what the order makes fail: a route to a subset that is not there yet, or no longer.
    let is_5xx = |(_, what): &(_, String)| what.starts_with('5');
    ensure!(by_files.tally.failures.iter().any(is_5xx), "no 5xx among what failed: {}", by_files.tally);
    Ok(())
}

fn show(how: &str, result: &UnderLoad) {
    println!("{} changes {how}: {}; slowest {:?}", result.changes, result.tally, result.tally.slowest);
    for line in &result.broken {
        println!("  {line}");
    }
}
