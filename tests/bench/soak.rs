//! Commits, drift and faults for as long as somebody likes: memory must not grow with them.

use crate::fleet::{Fleet, SPACE};
use crate::say;
use crate::sizes::{CLUSTER, options};
use crate::workload::{map, map_name};
use anyhow::{Result, ensure};
use asm_lab::{ApiProxy, Call, Lab, Verdict, users};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Objects that the commits go round.
const OBJECTS: usize = 200;
/// Rounds between two looks at the memory.
const LOOK: usize = 10;
/// Of the looks these are left out: caches fill, and the allocator keeps what it had at most.
const WARM: f64 = 0.25;
/// Most that memory may grow in an hour, by the line through the looks.
const GROWTH: f64 = 16.0;

/// Runs for so many minutes. Fails when memory grows.
pub(crate) async fn run(minutes: f64) -> Result<Value> {
    let lab = Lab::start(options(&[CLUSTER])).await?;
    let mut fleet = Fleet::start(&lab).await?;
    let proxy = ApiProxy::start(&lab, CLUSTER).await?;
    fleet.story.secret(&format!("{CLUSTER}-kubeconfig"), &proxy.kubeconfig_text(users::AGENT)?).await?;
    let maps: Api<ConfigMap> = Api::namespaced(lab.client(CLUSTER)?, SPACE);
    let manager = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    let (started, mut looks) = (Instant::now(), Vec::new());
    let end = Duration::from_secs_f64(minutes * 60.0);
    let mut round = 0;
    while started.elapsed() < end {
        round += 1;
        // One object comes, one goes, all change.
        let files = (0..OBJECTS / 10).map(|number| {
            let version = (round + number).to_string();
            (
                format!("clusters/{CLUSTER}/{number}.yaml"),
                format!("{}\n", map(SPACE, (round + number) % OBJECTS, &version)),
            )
        });
        trouble(&proxy, round);
        let (revision, _) = fleet.push(&files.collect::<Vec<_>>()).await?;
        fleet.ready(&revision).await?;
        proxy.clear_hooks();
        let patch = json!({"data": {"version": format!("by hand {round}")}});
        maps.patch(&map_name(round % OBJECTS), &manager, &Patch::Merge(patch)).await?;
        if round % LOOK == 0 {
            let now = fleet.memory()?["now"].as_f64().unwrap_or_default();
            looks.push((started.elapsed().as_secs_f64() / 3600.0, now));
        }
    }
    let warm: Vec<(f64, f64)> = looks.iter().skip((looks.len() as f64 * WARM) as usize).copied().collect();
    ensure!(warm.len() >= 4, "{round} rounds in {minutes} minutes are too few to tell: give it more time");
    let slope = slope(&warm);
    let (first, last) = (warm[0].1, warm[warm.len() - 1].1);
    say(&format!("{round} rounds in {minutes} minutes: {first:.1} → {last:.1} MiB, {slope:+.1} MiB an hour"));
    // Within minutes a page or two make a steep line: what counts then is how much it was.
    ensure!(slope <= GROWTH || last - first < 2.0, "memory grows by {slope:.1} MiB an hour; at most {GROWTH} may be");
    Ok(json!({"minutes": minutes, "rounds": round, "slope": slope, "memory": looks}))
}

/// Something else each round: connections that break, silence, refusals.
fn trouble(proxy: &ApiProxy, round: usize) {
    match round % 4 {
        0 => proxy.cut_connections(),
        1 => proxy.silence_watches(),
        kind => {
            let left = Mutex::new(vec![Call::Write, Call::Get]);
            proxy.on_request(move |request| {
                let is_first = left.lock().is_ok_and(|mut left| {
                    let place = left.iter().position(|call| *call == request.call());
                    place.map(|place| left.swap_remove(place)).is_some()
                });
                match (is_first, kind) {
                    (true, 2) => Verdict::Answer(500),
                    (true, _) => Verdict::Reset,
                    _ => Verdict::Pass,
                }
            });
        }
    }
}

/// The slope of the line that is nearest to all points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), point| {
        (above + (point.0 - x) * (point.1 - y), below + (point.0 - x).powi(2))
    });
    above / below
}
