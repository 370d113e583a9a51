//! One agent over twenty light clusters, three of which fall ill in turns: what that is to the time of the others.
//!
//! The machine is never the same twice, so each stretch of commits with everybody well has one with three ill beside it, and
//! which of the two comes first changes.

use crate::say;
use crate::sizes::options;
use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{FLEET_SYNC, NAMESPACE, api, targets};
use asm_lab::{Ailment, HOST, Lab, Replicas};
use futures::TryStreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

const CLUSTERS: usize = 20;
/// ConfigMaps in each.
const OBJECTS: usize = 4;
const SICK: [(&str, Ailment); 3] =
    [("c0000", Ailment::BlackHole), ("c0001", Ailment::Slow(Duration::from_secs(10))), ("c0002", Ailment::Conversion)];
/// Stretches with everybody well, and as many with three ill.
const PAIRS: usize = 8;
/// Commits of one stretch.
const COMMITS: usize = 25;
/// Between one commit that is ready and the next one.
const PAUSE: Duration = Duration::from_millis(200);
/// As by default.
const LEASE: Duration = Duration::from_secs(30);
/// How long a commit may take to the well ones.
const PATIENCE: Duration = Duration::from_secs(120);

/// Seconds from a commit until the last object of a cluster was stored, and until the status called the cluster ready.
#[derive(Default)]
struct Times {
    written: Vec<f64>,
    ready: Vec<f64>,
}

/// The figures: for each pair of stretches the times of the well clusters.
pub(crate) async fn run() -> Result<Value> {
    let lab = Lab::start(options(&["m1c1"])).await?;
    let mut replicas = Replicas::start(&lab, (1, CLUSTERS, OBJECTS), LEASE).await?;
    let seen = Seen::watch(&lab)?;
    let mut round = 0;
    // Not counted: everything is new, and so are the connections.
    for _ in 0..3 {
        commit(&mut replicas, &seen, &mut round).await?;
    }
    let mut pairs = Vec::new();
    for pair in 0..PAIRS {
        let mut times = [Times::default(), Times::default()];
        let order = if pair % 2 == 0 { [false, true] } else { [true, false] };
        for ill in order {
            let into = &mut times[usize::from(ill)];
            stretch(&mut replicas, &seen, &mut round, ill, into).await?;
        }
        let [well, ill] = times.map(|times| json!({"written": times.written, "ready": times.ready}));
        pairs.push(json!({"well": well, "ill": ill}));
    }
    Ok(json!({"clusters": CLUSTERS, "sick": SICK.len(), "objects": OBJECTS, "commits": COMMITS, "pairs": pairs}))
}

/// Commits with everybody well, or with three ill, and then everybody well again.
async fn stretch(
    replicas: &mut Replicas<'_>,
    seen: &Seen,
    round: &mut usize,
    ill: bool,
    times: &mut Times,
) -> Result<()> {
    for (cluster, ailment) in SICK.into_iter().filter(|_| ill) {
        replicas.fakes.ail(cluster, ailment)?;
    }
    let mut last = String::new();
    for _ in 0..COMMITS {
        let (revision, of_one) = commit(replicas, seen, round).await?;
        times.written.extend(of_one.written);
        times.ready.extend(of_one.ready);
        last = revision;
    }
    let sick_there = SICK.iter().filter(|(cluster, _)| seen.at(cluster, &last).is_some()).count();
    ensure!(!ill || sick_there == 0, "{sick_there} of the sick clusters are ready");
    let now = median(&times.ready);
    say(&format!("{}: ready after {now:.3} s (median)", if ill { "three ill" } else { "all well" }));
    for (cluster, _) in SICK {
        replicas.fakes.ail(cluster, Ailment::None)?;
    }
    replicas.ready(&last).await?;
    Ok(())
}

/// One commit that changes everything everywhere, until the well clusters are ready.
async fn commit(replicas: &mut Replicas<'_>, seen: &Seen, round: &mut usize) -> Result<(String, Times)> {
    *round += 1;
    let name = format!("round-{round}");
    let gizmo = format!(
        "apiVersion: example.com/v2\nkind: Gizmo\nmetadata: {{name: g, namespace: default}}\nspec: {{round: '{name}'}}\n"
    );
    replicas.story.write(&format!("clusters/{}/gizmo.yaml", SICK[2].0), &gizmo)?;
    let (revision, told) = replicas.push(&name).await?;
    let well: Vec<String> = (SICK.len()..CLUSTERS).map(|n| format!("c{n:04}")).collect();
    let mut times = Times::default();
    for (cluster, at) in seen.all(&well, &revision).await? {
        times.ready.push(at.duration_since(told).as_secs_f64());
        let writes = replicas.fakes.writes();
        let last = writes.iter().rev().find(|write| write.cluster == cluster && write.round == name);
        let last = last.with_context(|| format!("{cluster} is ready without a write"))?;
        times.written.push(last.at.duration_since(told).as_secs_f64());
    }
    tokio::time::sleep(PAUSE).await;
    Ok((revision, times))
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// When the status first called a cluster ready at a commit.
type At = HashMap<(String, String), Instant>;

/// What the status of the FleetSync says, as it comes.
struct Seen {
    at: Arc<Mutex<At>>,
    news: watch::Receiver<()>,
    _task: AbortOnDropHandle<()>,
}

impl Seen {
    fn watch(lab: &Lab) -> Result<Self> {
        let syncs = api(lab, HOST, "kubectl-asm.io/v1alpha1", "FleetSync", "fleetsyncs", Some(NAMESPACE))?;
        let config = watcher::Config::default().fields(&format!("metadata.name={FLEET_SYNC}"));
        let (at, (sender, news)) = (Arc::<Mutex<At>>::default(), watch::channel(()));
        let into = at.clone();
        let task = async move {
            let mut stream = Box::pin(watcher(syncs, config).default_backoff().applied_objects());
            loop {
                let sync = match stream.try_next().await {
                    Ok(Some(sync)) => sync,
                    Ok(None) => return,
                    // The watcher begins anew by itself.
                    Err(_) => continue,
                };
                let now = Instant::now();
                let Ok(sync) = serde_json::to_value(sync) else { continue };
                let mut at = into.lock().unwrap_or_else(PoisonError::into_inner);
                for target in targets(&sync).filter(|target| is_ready(target)) {
                    let text = |field: &str| target[field].as_str().unwrap_or_default().to_owned();
                    at.entry((text("name"), text("revision"))).or_insert(now);
                }
                drop(at);
                sender.send_replace(());
            }
        };
        Ok(Self { at, news, _task: AbortOnDropHandle::new(tokio::spawn(task)) })
    }

    /// When a cluster was ready at a commit, if it was.
    fn at(&self, cluster: &str, revision: &str) -> Option<Instant> {
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.get(&(cluster.to_owned(), revision.to_owned())).copied()
    }

    /// Waits until all of these are ready at a commit.
    async fn all(&self, clusters: &[String], revision: &str) -> Result<Vec<(String, Instant)>> {
        let mut news = self.news.clone();
        let all = async {
            loop {
                news.borrow_and_update();
                let there = clusters.iter().map(|cluster| Some((cluster.clone(), self.at(cluster, revision)?)));
                if let Some(there) = there.collect::<Option<Vec<_>>>() {
                    return Ok(there);
                }
                news.changed().await.context("nobody watches the status")?;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.with_context(|| format!("{revision} is not ready everywhere"))?
    }
}

fn is_ready(target: &Value) -> bool {
    let conditions = target["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
