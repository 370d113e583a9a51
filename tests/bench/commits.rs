//! Commit after commit: nothing may grow with them.

use crate::fleet::{Fleet, SPACE};
use crate::say;
use crate::sizes::{CLUSTER, options};
use crate::workload::map;
use anyhow::Result;
use asm_lab::Lab;
use serde_json::{Value, json};
use std::time::Instant;

/// How many; memory is read ten times on the way.
const COMMITS: usize = 1_000;

/// Makes them, each waited for.
pub(crate) async fn run() -> Result<Value> {
    let lab = Lab::start(options(&[CLUSTER])).await?;
    let mut fleet = Fleet::start(&lab).await?;
    let mut memory = Vec::new();
    let started = Instant::now();
    for number in 1..=COMMITS {
        let file = (format!("clusters/{CLUSTER}/map.yaml"), format!("{}\n", map(SPACE, 0, &number.to_string())));
        let (revision, _) = fleet.push(&[file]).await?;
        fleet.ready(&revision).await?;
        if number % (COMMITS / 10) == 0 {
            let now = fleet.memory()?["now"].as_f64().unwrap_or_default();
            say(&format!("{number} commits: {now:.1} MiB"));
            memory.push(now);
        }
    }
    Ok(json!({"commits": COMMITS, "seconds": started.elapsed().as_secs_f64(), "memory": memory}))
}
