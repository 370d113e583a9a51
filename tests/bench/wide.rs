//! Ten thousand objects in each of five clusters: what the agent's memory comes to.

use crate::fleet::{Fleet, SPACE};
use crate::say;
use crate::sizes::options;
use crate::workload::{FIRST, MAPS, Workload};
use anyhow::Result;
use asm_lab::Lab;
use serde_json::{Value, json};

const MEMBERS: &[&str] = &["m1c1", "m1c2", "m1c3", "m1c4", "m1c5"];

/// Installs them, then starts the agent anew.
pub(crate) async fn run() -> Result<Value> {
    let lab = Lab::start(options(MEMBERS)).await?;
    let mut fleet = Fleet::start(&lab).await?;
    let (revision, told) = fleet.push(&Workload::Maps.files("groups/all", SPACE, FIRST)).await?;
    fleet.ready(&revision).await?;
    let (install, installed) = (told.elapsed().as_secs_f64(), fleet.memory()?);
    say(&format!("{} × {MAPS} objects: {install:.1} s, memory {installed}", MEMBERS.len()));
    let restart = fleet.restart().await?.as_secs_f64();
    let memory = fleet.memory()?;
    say(&format!("restart: {restart:.2} s, memory {memory}"));
    Ok(json!({
        "clusters": MEMBERS.len(), "objects": MAPS, "install": install, "installed": installed, "restart": restart,
        "memory": memory,
    }))
}
