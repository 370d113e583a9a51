//! `asm-agent --once`: one commit, an outcome on standard output, an exit code for pipelines.

use anyhow::Result;
use asm_lab::story::{FLEET_SYNC, Story};
use asm_lab::{AgentProcess, GitMode, Lab, LabOptions};
use serde_json::json;

/// Runs the agent once. Gives back its exit code and what it printed.
fn once(story: &Story<'_>, name: &str, timeout: &str) -> Result<(Option<i32>, String)> {
    let mut args = story.agent_args()?;
    args.extend(["--once", name, "--timeout", timeout, "--no-leader-election"].map(str::to_owned));
    let mut agent = AgentProcess::spawn(story.lab, args)?;
    let status = agent.wait()?;
    Ok((status.code(), agent.log()))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_tells_a_pipeline_how_it_went() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let story = Story::begin(&lab)?;
    story.author()?;
    let revision = story.commit_and_push("a fleet")?;
    story.install(json!({})).await?;

    let (code, text) = once(&story, FLEET_SYNC, "60s")?;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(&revision[..8]), "{text}");
    assert!(story.differences(asm_lab::story::EXPECTED).await?.is_empty());

    let (code, text) = once(&story, "no-such", "20s")?;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("no-such"), "{text}");

    story.git(&["rm", "--quiet", "mesh/gateways/ingressgateway.yaml"])?;
    story.commit_and_push("remove the gateway")?;
    let (code, text) = once(&story, FLEET_SYNC, "60s")?;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("198.51.100."), "the address that would be lost is not named: {text}");
    story.git(&["revert", "--no-edit", "HEAD"])?;
    story.commit_and_push("put it back")?;

    story.write("clusters/m1c1/broken.yaml", "a: [\n")?;
    story.commit_and_push("a broken file")?;
    let (code, text) = once(&story, FLEET_SYNC, "60s")?;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("clusters/m1c1/broken.yaml:"), "{text}");

    lab.git().set_mode(GitMode::Status(500));
    let (code, text) = once(&story, FLEET_SYNC, "3s")?;
    assert_eq!(code, Some(3), "{text}");
    Ok(())
}
