//! Five replicas over five hundred light clusters: how the work is shared, what a lost replica costs, and what a target costs.

use crate::say;
use crate::sizes::options;
use anyhow::{Context as _, Result, ensure};
use asm_lab::{AuditEntry, AuditMark, HOST, Lab, Replicas};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const REPLICAS: usize = 5;
/// Clusters, and ConfigMaps in each: the second shows what an object costs, beside what a target costs.
const SIZES: [(usize, usize); 2] = [(500, 4), (500, 40)];
/// As by default.
const LEASE: Duration = Duration::from_secs(30);
/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(300);

/// Both sizes.
pub(crate) async fn run() -> Result<Value> {
    let mut rows = Vec::new();
    for (nth, (clusters, objects)) in SIZES.into_iter().enumerate() {
        say(&format!("{REPLICAS} replicas, {clusters} clusters, {objects} objects each"));
        rows.push(one(clusters, objects, nth == 0).await?);
    }
    Ok(json!({"replicas": REPLICAS, "lease": LEASE.as_secs(), "idle": IDLE.as_secs(), "sizes": rows}))
}

async fn one(clusters: usize, objects: usize, everything: bool) -> Result<Value> {
    let lab = Lab::start(options(&["m1c1"])).await?;
    let begun = Instant::now();
    let mut replicas = Replicas::start(&lab, (REPLICAS, clusters, objects), LEASE).await?;
    let started = Instant::now();
    let loads = replicas.balanced(Duration::from_secs(600)).await?;
    say(&format!("set up in {:.0?}, shared after {:.1?}: {loads:?}", started - begun, started.elapsed()));
    let first = replicas.story.git(&["rev-parse", "HEAD"])?;
    replicas.ready(&first).await?;
    let install = started.elapsed().as_secs_f64();
    let memory = memory(&replicas)?;
    say(&format!("installed after {install:.1} s, memory {memory:?} MiB"));

    let (packs, cpu, mark) = (lab.git().packs(), cpu(&replicas)?, lab.audit_mark(HOST).await?);
    let (revision, told) = replicas.push("second").await?;
    let sync = replicas.ready(&revision).await?;
    let upgrade = told.elapsed().as_secs_f64();
    let writes = replicas.written_once("second")?;
    let packs = lab.git().packs() - packs;
    ensure!(packs == REPLICAS as u64, "{REPLICAS} replicas fetched {packs} times");
    let upgrade_cpu = self::cpu(&replicas)? - cpu;
    let home = writes_at_home(&lab, mark).await?;
    let after = self::memory(&replicas)?;
    let status = sync.to_string().len();
    say(&format!(
        "a commit everywhere after {upgrade:.1} s: {writes} writes, {packs} fetches, {upgrade_cpu:.1} s of CPU"
    ));
    let mut row = json!({
        "clusters": clusters, "objects": objects, "loads": loads, "install": install, "memory": memory, "after": after,
        "upgrade": upgrade, "writes": writes, "fetches": packs, "upgradeCpu": upgrade_cpu, "fleetSync": status, "home": home,
        "leaseBytes": lease_bytes(&lab).await?,
    });
    if everything {
        row["idle"] = idle(&lab, &replicas).await?;
        row["lost"] = lost(&mut replicas).await?;
    }
    Ok(row)
}

/// Writes of all replicas to the home cluster since a mark, by resource.
async fn writes_at_home(lab: &Lab, mark: AuditMark) -> Result<BTreeMap<String, usize>> {
    let mut writes = BTreeMap::new();
    for entry in lab.audit_since(HOST, mark).await?.iter().filter(|entry| ours(entry) && entry.is_write()) {
        let name = entry.resource.as_ref().map(|resource| resource.resource.clone()).unwrap_or_default();
        *writes.entry(name).or_default() += 1;
    }
    Ok(writes)
}

fn ours(entry: &AuditEntry) -> bool {
    entry.user_agent.contains("(replica-")
}

/// Requests of all replicas while nothing happens, per replica and hour.
async fn idle(lab: &Lab, replicas: &Replicas<'_>) -> Result<Value> {
    let mark = lab.audit_mark(HOST).await?;
    let (before, cpu) = (replicas.fakes.requests(), cpu(replicas)?);
    tokio::time::sleep(IDLE).await;
    let entries = lab.audit_since(HOST, mark).await?;
    let lease = |entry: &AuditEntry| entry.resource.as_ref().is_some_and(|resource| resource.resource == "leases");
    let hour = 3600.0 / IDLE.as_secs_f64() / REPLICAS as f64;
    let count = |wanted: &dyn Fn(&AuditEntry) -> bool| {
        entries.iter().filter(|entry| ours(entry) && wanted(entry)).count() as f64 * hour
    };
    let leases = count(&|entry| lease(entry) && entry.verb != "watch");
    let watches = count(&|entry| entry.verb == "watch");
    let others = count(&|entry| !lease(entry) && entry.verb != "watch");
    let sum = |requests: &BTreeMap<String, (u64, u64)>| requests.values().map(|(all, _)| *all).sum::<u64>();
    let targets = (sum(&replicas.fakes.requests()) - sum(&before)) as f64 * hour;
    let cpu = (self::cpu(replicas)? - cpu) * hour;
    say(&format!(
        "idle, per replica and hour: {leases:.0} for Leases, {watches:.0} watches and {others:.0} others at home, \
                  {targets:.0} at targets, {cpu:.0} s of CPU"
    ));
    Ok(json!({"leases": leases, "watches": watches, "others": others, "targets": targets, "cpu": cpu}))
}

/// One replica after the other is killed, the leader among them.
async fn lost(replicas: &mut Replicas<'_>) -> Result<Value> {
    let mut rows = Vec::new();
    for n in 0..2 {
        let name = format!("replica-{n}");
        let writes = replicas.fakes.writes().len();
        let (lost, took) = replicas.lose(&name, LEASE + Duration::from_secs(5)).await?;
        replicas.balanced(Duration::from_secs(60)).await?;
        ensure!(replicas.fakes.writes().len() == writes, "taking over is no reason to write");
        let round = format!("without-{n}");
        let (revision, _) = replicas.push(&round).await?;
        replicas.ready(&revision).await?;
        replicas.written_once(&round)?;
        say(&format!("{name} killed: {lost} targets taken over after {took:.1?}, nothing written twice"));
        rows.push(json!({"targets": lost, "seconds": took.as_secs_f64()}));
    }
    Ok(Value::Array(rows))
}

/// Resident memory of each replica now, in MiB.
fn memory(replicas: &Replicas<'_>) -> Result<Vec<f64>> {
    replicas.agents.values().map(|agent| Ok(agent.memory()? as f64 / f64::from(1 << 20))).collect()
}

/// Seconds of CPU of all replicas so far.
fn cpu(replicas: &Replicas<'_>) -> Result<f64> {
    replicas.agents.values().map(|agent| crate::fleet::cpu_of(agent.pid())).sum()
}

/// What the Lease of a target takes, on average.
async fn lease_bytes(lab: &Lab) -> Result<usize> {
    let leases =
        asm_lab::story::api(lab, HOST, "coordination.k8s.io/v1", "Lease", "leases", Some(asm_lab::story::NAMESPACE))?;
    let list = leases.list(&Default::default()).await?;
    let sizes: Result<Vec<usize>, _> =
        list.iter().map(|lease| serde_json::to_vec(lease).map(|text| text.len())).collect();
    let sizes = sizes.context("a Lease cannot be written down")?;
    Ok(sizes.iter().sum::<usize>() / sizes.len().max(1))
}
