//! Straight after a sync nothing differs, for every kind that the product knows: what API servers and controllers fill in
//! is nobody's change.

use anyhow::Result;
use asm_lab::story::{FLEET_SYNC, Story};
use asm_lab::{AgentProcess, Lab, LabOptions};
use asm_shared::object::kinds::{KINDS, Place};
use serde_json::json;

/// Kinds of member clusters, written as people write them: quantities, durations and ports in several ways, defaults left
/// out here and spelled out there.
const MEMBER: &str = include_str!("every_kind/member.yaml");
/// Kinds of the mesh.
const MESH: &str = include_str!("every_kind/mesh.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn nothing_differs_straight_after_a_sync_whatever_the_kind() -> Result<()> {
    // A kind that the product learns needs an object here.
    let absent: Vec<&str> = KINDS
        .iter()
        .filter(|row| {
            let line = format!("\nkind: {}\n", row.kind);
            let here = |text: &str| text.contains(&line);
            !match row.place {
                Place::Mesh => here(MESH) || row.kind == "IstioGateway",
                Place::Member => here(MEMBER),
                Place::Both => here(MEMBER) && (here(MESH) || row.kind != "Namespace"),
            }
        })
        .map(|row| row.kind)
        .collect();
    assert!(absent.is_empty(), "no object of {absent:?}");

    let lab = Lab::start(LabOptions::default()).await?;
    let story = Story::begin(&lab)?;
    story.author()?;
    story.write("clusters/m1c1/every-kind.yaml", MEMBER)?;
    story.write("mesh/every-kind.yaml", MESH)?;
    story.commit_and_push("an object of every kind")?;
    story.install(json!({})).await?;
    let mut args = story.agent_args()?;
    args.extend(["--once", FLEET_SYNC, "--timeout", "60s", "--no-leader-election"].map(str::to_owned));
    let mut agent = AgentProcess::spawn(&lab, args)?;
    // Nothing binds the volume claim and nothing runs the pods: what is applied need not work.
    agent.wait()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let output = story.plugin(&["diff", "--live"])?;
    assert_eq!(output.status.code(), Some(0), "{}{}\n{}", text(&output.stdout), text(&output.stderr), agent.log());
    // The same to the letter is another matter: what only the API servers hold is told, and is still no difference.
    let output = story.plugin(&["diff", "--live", "--raw"])?;
    let raw = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{raw}");
    assert!(raw.contains("= Deployment default/every-deployment") && raw.contains("= metadata.uid"), "{raw}");
    assert!(!raw.contains("canary-4711") && !raw.contains("Y2FuYXJ5"), "a secret is shown");
    Ok(())
}
