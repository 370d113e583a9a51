//! The agent's own life: it ends cleanly when told, another one takes over, and people can stop and start it.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{FLEET_SYNC, PATIENCE, Story, api};
use asm_lab::{AgentProcess, HOST, Lab, LabOptions, MESH, wait_for};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_told_hands_over_and_can_be_suspended() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let revision = story.commit_and_push("a fleet")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&revision).await?;

    // A second replica leads as soon as the first one has ended: its Lease is given back.
    let standby = AgentProcess::spawn(&lab, story.agent_args()?)?;
    let leases = api(&lab, HOST, "coordination.k8s.io/v1", "Lease", "leases", Some("asm-system"))?;
    let holder = || async {
        let lease = leases.get("asm-agent").await?;
        Ok::<_, anyhow::Error>(lease.data["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
    };
    let first = holder().await?;
    let mut agent = story.agent.take().context("no agent")?;
    let status = agent.terminate()?;
    ensure!(status.success(), "SIGTERM ended it with {status}:\n{}", agent.log());
    wait_for("the other replica leads", PATIENCE, || async {
        let now = holder().await?;
        Ok((!now.is_empty() && now != first).then_some(()))
    })
    .await?;
    story.agent = Some(standby);
    story.write("mesh/note.yaml", &note("one"))?;
    let second = story.commit_and_push("something for the other replica")?;
    story.wait_ready(&second).await?;

    // Suspended, nothing is applied; resumed, everything is.
    story.plugin_ok(&["suspend", "--context", "host"])?;
    story.wait_status("it is suspended", |sync| ready_reason(sync) == "Suspended").await?;
    story.write("mesh/note.yaml", &note("two"))?;
    let third = story.commit_and_push("while suspended")?;
    story.wait_status("the commit is seen", |sync| sync["status"]["source"]["revision"] == *third).await?;
    let rules = api(&lab, MESH, "networking.istio.io/v1beta1", "DestinationRule", "destinationrules", Some("default"))?;
    ensure!(rules.get("note").await?.data["spec"]["host"] == "one", "applied although suspended");
    story.plugin_ok(&["resume", "--context", "host"])?;
    story.wait_ready(&third).await?;
    ensure!(rules.get("note").await?.data["spec"]["host"] == "two");

    // A wish to sync does not wait for the next look at the branch.
    story.fleet_sync(json!({"source": {"intervalSeconds": 3600}})).await?;
    story.write("mesh/note.yaml", &note("three"))?;
    let fourth = story.commit_and_push("with a wish")?;
    story.plugin_ok(&["sync", "--context", "host"])?;
    ensure!(rules.get("note").await?.data["spec"]["host"] == "three", "sync came back before the commit was applied");
    story.wait_ready(&fourth).await?;
    // One that finds nothing to do is answered as well.
    story.plugin_ok(&["sync", "--context", "host", "--timeout", "30s"])?;
    ensure!(story.status().await?["metadata"]["name"] == FLEET_SYNC);
    Ok(())
}

fn note(host: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1beta1\nkind: DestinationRule\nmetadata: {{name: note}}\nspec: {{host: {host}}}\n"
    )
}

fn ready_reason(sync: &Value) -> String {
    let ready = asm_lab::story::condition(sync, "Ready");
    ready.and_then(|ready| ready["reason"].as_str()).unwrap_or_default().to_owned()
}
