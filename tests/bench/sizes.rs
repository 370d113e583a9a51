//! Installing and upgrading everything, by the agent and by the bare loop, one after the other on one API server.

use crate::fleet::{Fleet, SPACE};
use crate::workload::{FIRST, SECOND, Workload};
use crate::{bare, say};
use anyhow::Result;
use asm_lab::{Lab, LabOptions};
use serde_json::{Value, json};
use std::time::Duration;

/// The cluster that everything goes to.
pub(crate) const CLUSTER: &str = "m1c1";
/// Namespace of the loop's objects.
const LOOP: &str = "bare";

/// A lab whose one cluster has nothing to do but hold objects.
pub(crate) fn options(members: &[&str]) -> LabOptions {
    LabOptions {
        members: members.iter().map(|&name| name.to_owned()).collect(),
        asm: false,
        cloud: false,
        kubelet: false,
        ..LabOptions::default()
    }
}

/// The applications.
pub(crate) async fn apps() -> Result<Value> {
    let lab = Lab::start(options(&[CLUSTER])).await?;
    let mut fleet = Fleet::start(&lab).await?;
    install_and_upgrade(&lab, &mut fleet, Workload::Apps).await
}

/// Brings a workload to both of its versions.
pub(crate) async fn install_and_upgrade(lab: &Lab, fleet: &mut Fleet<'_>, workload: Workload) -> Result<Value> {
    lab.apply_yaml(CLUSTER, &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {LOOP}}}\n")).await?;
    let mut rows = Vec::new();
    for (step, version) in [("install", FIRST), ("upgrade", SECOND)] {
        let bare = bare::apply(lab, CLUSTER, LOOP, &workload.objects(LOOP, version)).await?;
        let cpu = fleet.cpu()?;
        let agent = by_agent(fleet, workload, version).await?;
        let cpu = fleet.cpu()? - cpu;
        let ratio = agent.as_secs_f64() / bare.as_secs_f64();
        say(&format!("{step}: loop {bare:.1?}, agent {agent:.1?}, ratio {ratio:.2}, CPU of the agent {cpu:.1} s"));
        rows.push(json!({
            "step": step, "bare": bare.as_secs_f64(), "agent": agent.as_secs_f64(), "cpu": cpu, "memory": fleet.memory()?,
        }));
    }
    Ok(json!({"steps": rows}))
}

async fn by_agent(fleet: &mut Fleet<'_>, workload: Workload, version: &str) -> Result<Duration> {
    let files = workload.files(&format!("clusters/{CLUSTER}"), SPACE, version);
    let (revision, told) = fleet.push(&files).await?;
    fleet.ready(&revision).await?;
    Ok(told.elapsed())
}
