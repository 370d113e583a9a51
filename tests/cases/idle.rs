//! An unchanged fleet costs nothing: no writes, no reads but watches, only the Lease is kept.

use anyhow::Result;
use asm_lab::story::{PATIENCE, Story};
use asm_lab::{AuditEntry, HOST, Lab, LabOptions, MESH, users, wait_for};
use serde_json::json;
use std::time::Duration;

/// Renewals of the Lease, one a second, that measure the time: 15 s, or 5 minutes in the full run.
fn renewals() -> usize {
    if std::env::var_os("KUBECTL_ASM_FULL").is_some() { 300 } else { 15 }
}

fn is_lease(entry: &AuditEntry) -> bool {
    entry.resource.as_ref().is_some_and(|resource| resource.resource == "leases")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_fleet_costs_no_write_and_no_read_but_watches_and_the_lease() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let revision = story.commit_and_push("a fleet")?;
    story.install(json!({})).await?;
    story.agent = Some(asm_lab::AgentProcess::spawn(&lab, story.agent_args_with_short_lease()?)?);
    story.wait_ready(&revision).await?;
    quiet(&lab).await?;

    let mut marks = Vec::new();
    for context in [HOST, MESH, "m1c1", "m1c2"] {
        marks.push((context, lab.audit_mark(context).await?));
    }
    let (_, host) = marks[0];
    wait_for("enough renewals of the Lease", PATIENCE + Duration::from_secs(2 * renewals() as u64), || async {
        let entries = lab.audit_since(HOST, host).await?;
        let count = entries.iter().filter(|e| ours(e) && is_lease(e) && e.is_write()).count();
        Ok((count >= renewals()).then_some(()))
    })
    .await?;
    for (context, mark) in marks {
        let entries = lab.audit_since(context, mark).await?;
        let costly: Vec<&AuditEntry> =
            entries.iter().filter(|entry| ours(entry) && !is_lease(entry) && entry.verb != "watch").collect();
        assert!(costly.is_empty(), "on {context}: {costly:#?}\n{}", story.log());
    }
    Ok(())
}

fn ours(entry: &AuditEntry) -> bool {
    entry.user == users::AGENT || entry.user == users::AGENT_SERVICE_ACCOUNT
}

/// Waits until the agent has written its last status and everything that follows from the first sync is over.
async fn quiet(lab: &Lab) -> Result<()> {
    wait_for("the agent is quiet", PATIENCE, || async {
        let mark = lab.audit_mark(HOST).await?;
        let renewed = || async {
            let entries = lab.audit_since(HOST, mark).await?;
            let ours: Vec<&AuditEntry> = entries.iter().filter(|entry| ours(entry)).collect();
            let renewals = ours.iter().filter(|entry| is_lease(entry) && entry.is_write()).count();
            let others = ours.iter().filter(|entry| !is_lease(entry)).count();
            Ok((renewals >= 2 || others > 0).then_some(others == 0))
        };
        let calm = wait_for("two renewals", PATIENCE, renewed).await?;
        Ok(calm.then_some(()))
    })
    .await
}
