//! Installing and upgrading everything, by the agent and by the bare loop, one after the other on one API server.

use crate::fleet::{Fleet, SPACE, by_agent as is_agent};
use crate::workload::{FIRST, SECOND, Workload};
use crate::{bare, say};
use anyhow::Result;
use asm_lab::{AuditEntry, Lab, LabOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
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
        let (cpu, mark) = (fleet.cpu()?, lab.audit_mark(CLUSTER).await?);
        let agent = by_agent(fleet, workload, version).await?;
        let cpu = fleet.cpu()? - cpu;
        let entries = lab.audit_since(CLUSTER, mark).await?;
        let requests = verbs(&entries);
        let ratio = agent.as_secs_f64() / bare.as_secs_f64();
        say(&format!(
            "{step}: loop {bare:.1?}, agent {agent:.1?}, ratio {ratio:.2}, CPU of the agent {cpu:.1} s, requests {requests:?}"
        ));
        rows.push(json!({
            "step": step, "bare": bare.as_secs_f64(), "agent": agent.as_secs_f64(), "cpu": cpu, "memory": fleet.memory()?,
            "requests": requests,
        }));
    }
    Ok(json!({"steps": rows}))
}

/// What the agent has asked, by verb.
pub(crate) fn verbs(entries: &[AuditEntry]) -> BTreeMap<&str, usize> {
    let mut verbs = BTreeMap::new();
    for entry in entries.iter().filter(|entry| is_agent(entry)) {
        *verbs.entry(entry.verb.as_str()).or_default() += 1;
    }
    verbs
}

async fn by_agent(fleet: &mut Fleet<'_>, workload: Workload, version: &str) -> Result<Duration> {
    let files = workload.files(&format!("clusters/{CLUSTER}"), SPACE, version);
    let (revision, told) = fleet.push(&files).await?;
    fleet.ready(&revision).await?;
    Ok(told.elapsed())
}
