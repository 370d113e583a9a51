//! Ten thousand objects that stand: one field changes, somebody writes past Git, the agent starts anew, nothing happens.

use crate::fleet::{Fleet, SPACE, by_agent, is_lease};
use crate::say;
use crate::sizes::{CLUSTER, install_and_upgrade, options, verbs};
use crate::workload::{Workload, map_name, one_changed};
use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{FLEET_SYNC, NAMESPACE};
use asm_lab::{AuditMark, HOST, Lab, MESH};
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Changes, and drifts, that are timed.
const TIMES: usize = 50;
/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(300);

/// The ConfigMaps.
pub(crate) async fn maps() -> Result<Value> {
    let lab = Lab::start(options(&[CLUSTER])).await?;
    let mut fleet = Fleet::start(&lab).await?;
    let mut figures = install_and_upgrade(&lab, &mut fleet, Workload::Maps).await?;
    figures["change"] = changes(&lab, &mut fleet).await?;
    figures["restart"] = restart(&lab, &mut fleet).await?;
    figures["drift"] = drifts(&lab).await?;
    figures["idle"] = idle(&lab, &mut fleet).await?;
    Ok(figures)
}

/// One field of one object: from when the commit can be seen until the API server has it.
async fn changes(lab: &Lab, fleet: &mut Fleet<'_>) -> Result<Value> {
    let maps: Api<ConfigMap> = Api::namespaced(lab.client(CLUSTER)?, SPACE);
    let mark = lab.audit_mark(CLUSTER).await?;
    let mut times = Vec::new();
    for number in 0..TIMES {
        // Each in a file of its own: writing a file puts the others of it back.
        let (place, version) = (number * 137, format!("change-{number}"));
        let name = map_name(place);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut seen = Box::pin(watcher(maps.clone(), config).default_backoff().applied_objects());
        seen.try_next().await?.context("the ConfigMap is not there")?;
        let file = one_changed(&format!("clusters/{CLUSTER}"), SPACE, place, &version);
        let (revision, told) = fleet.push(&[file]).await?;
        loop {
            let map = seen.try_next().await?.context("the watch ended")?;
            if map.data.is_some_and(|data| data.get("version") == Some(&version)) {
                break;
            }
        }
        times.push(told.elapsed().as_secs_f64());
        fleet.ready(&revision).await?;
    }
    let entries = lab.audit_since(CLUSTER, mark).await?;
    let writes = entries.iter().filter(|entry| by_agent(entry) && entry.is_write()).count();
    say(&format!("{TIMES} changes: slowest {:.2} s, {writes} writes", slowest(&times)));
    Ok(json!({"seconds": times, "writes": writes}))
}

/// An agent that starts on a fleet that stands as Git says.
async fn restart(lab: &Lab, fleet: &mut Fleet<'_>) -> Result<Value> {
    let mut times = Vec::new();
    let mark = lab.audit_mark(CLUSTER).await?;
    for _ in 0..5 {
        times.push(fleet.restart().await?.as_secs_f64());
    }
    let entries = lab.audit_since(CLUSTER, mark).await?;
    let verbs = verbs(&entries);
    let writes = entries.iter().filter(|entry| by_agent(entry) && entry.is_write()).count();
    say(&format!("restart: slowest {:.2} s, {writes} writes, requests {verbs:?}", slowest(&times)));
    Ok(json!({"seconds": times, "writes": writes, "requests": verbs, "memory": fleet.memory()?}))
}

/// Somebody writes: from when the API server has it until the DriftReport says it.
async fn drifts(lab: &Lab) -> Result<Value> {
    let maps: Api<ConfigMap> = Api::namespaced(lab.client(CLUSTER)?, SPACE);
    let reports: Api<DynamicObject> =
        asm_lab::story::api(lab, HOST, "kubectl-asm.io/v1alpha1", "DriftReport", "driftreports", Some(NAMESPACE))?;
    let config = watcher::Config::default().fields(&format!("metadata.name={FLEET_SYNC}-{CLUSTER}"));
    let mut seen = Box::pin(watcher(reports, config).default_backoff().applied_objects());
    let manager = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    let mut times = Vec::new();
    for number in 0..TIMES {
        let name = map_name(number * 41 + 7);
        let patch = json!({"data": {"version": format!("by hand {number}")}});
        maps.patch(&name, &manager, &Patch::Merge(patch)).await?;
        let written = Instant::now();
        loop {
            let report = seen.try_next().await?.context("the watch ended")?;
            let objects = report.data["status"]["objects"].as_array().cloned().unwrap_or_default();
            if objects.iter().any(|object| object["name"] == name.as_str()) {
                break;
            }
        }
        times.push(written.elapsed().as_secs_f64());
    }
    say(&format!("{TIMES} drifts: slowest {:.2} s", slowest(&times)));
    Ok(json!({"seconds": times}))
}

/// What an hour without any change costs, from a part of it.
async fn idle(lab: &Lab, fleet: &mut Fleet<'_>) -> Result<Value> {
    // What the last drift has set going is over.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut marks: Vec<(&str, AuditMark)> = Vec::new();
    for context in [HOST, MESH, CLUSTER] {
        marks.push((context, lab.audit_mark(context).await?));
    }
    let cpu = fleet.cpu()?;
    tokio::time::sleep(IDLE).await;
    let cpu = fleet.cpu()? - cpu;
    let (mut lease, mut watches, mut others) = (0_u32, 0_u32, 0_u32);
    for (context, mark) in marks {
        for entry in lab.audit_since(context, mark).await?.iter().filter(|entry| by_agent(entry)) {
            let count = match entry.verb.as_str() {
                _ if is_lease(entry) => &mut lease,
                "watch" => &mut watches,
                _ => &mut others,
            };
            *count += 1;
        }
    }
    ensure!(lease > 0, "an idle agent renews its Lease");
    let per_hour = |count: u32| f64::from(count) * 3600.0 / IDLE.as_secs_f64();
    say(&format!("idle: {lease} requests for the Lease, {watches} watches, {others} others in {IDLE:?}"));
    Ok(json!({
        "lease": per_hour(lease), "watches": per_hour(watches), "others": per_hour(others),
        "cpu": cpu * 3600.0 / IDLE.as_secs_f64(), "memory": fleet.memory()?,
    }))
}

fn slowest(times: &[f64]) -> f64 {
    times.iter().copied().fold(0.0, f64::max)
}
