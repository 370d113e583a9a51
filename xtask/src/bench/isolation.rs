//! What clusters that are ill cost those that are well: the example `bench_agent isolation` measures, this makes the table.

use super::agent::number;
use super::figures;
use anyhow::{Result, ensure};
use serde_json::Value;
use std::fmt::Write as _;

/// Most that the 99th percentile may change by.
const GOAL: f64 = 1.05;

/// The table. Takes a quarter of an hour; its progress goes to the terminal.
pub(super) fn run() -> Result<String> {
    table(&figures("bench_agent", &["isolation"])?["isolation"])
}

/// All times of the stretches that are chosen by their number, in order.
fn times(figures: &Value, state: &str, until: &str, chosen: impl Fn(usize) -> bool) -> Vec<f64> {
    let pairs = figures["pairs"].as_array().into_iter().flatten().enumerate();
    let chosen = pairs.filter(|(nth, _)| chosen(*nth));
    let mut times: Vec<f64> =
        chosen.flat_map(|(_, pair)| pair[state][until].as_array().into_iter().flatten().map(number)).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// So many of a hundred times are at most this long.
fn percentile(times: &[f64], share: usize) -> f64 {
    let place = (times.len() * share).div_ceil(100).saturating_sub(1);
    times.get(place).copied().unwrap_or(f64::NAN)
}

fn table(figures: &Value) -> Result<String> {
    let (clusters, sick) = (number(&figures["clusters"]), number(&figures["sick"]));
    let mut text = format!(
        "One agent, {clusters} light fakes of API servers in one process with {} ConfigMaps each, every one of them changed by \
         each commit; home cluster, mesh and Git server are real, and everything shares the machine. *Ill*: one cluster swallows \
         all requests, one answers 10 s late, one has a broken conversion webhook for one of its kinds. Times are those of the \
         {} others, in stretches of {} commits with all well and with three ill beside each other in turns. *By chance*: how much \
         the 99th percentile of one half of the stretches with all well differs from that of the other half.\n\n\
         | from a commit until | goal | times | all well: median | 99 % | three ill: median | 99 % | 99 % changes by | by chance |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        figures["objects"],
        clusters - sick,
        figures["commits"],
    );
    for (until, what, goal) in
        [("ready", "the status says ready", "≤ 5 %"), ("written", "the last object is written", "")]
    {
        let (well, ill) = (times(figures, "well", until, |_| true), times(figures, "ill", until, |_| true));
        ensure!(!well.is_empty() && well.len() == ill.len(), "no times until {until}");
        let halves = [0, 1].map(|half| percentile(&times(figures, "well", until, |nth| nth % 2 == half), 99));
        writeln!(
            text,
            "| {what} | {goal} | 2 × {} | {} | {} | {} | {} | {} | {} |",
            well.len(),
            milliseconds(percentile(&well, 50)),
            milliseconds(percentile(&well, 99)),
            milliseconds(percentile(&ill, 50)),
            milliseconds(percentile(&ill, 99)),
            change(percentile(&ill, 99) / percentile(&well, 99)),
            change(halves[0].max(halves[1]) / halves[0].min(halves[1])),
        )?;
        if until == "ready" && percentile(&ill, 99) / percentile(&well, 99) > GOAL {
            anstream::eprintln!("more than 5 %: look at what chance makes of it before looking at the agent");
        }
    }
    Ok(text)
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.0} ms", seconds * 1000.0)
}

fn change(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::{percentile, table};
    use serde_json::json;

    #[test]
    fn the_worst_of_a_hundred_is_beyond_the_99th_percentile() {
        let times: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((percentile(&times, 50), percentile(&times, 99)), (50.0, 99.0));
        assert_eq!(percentile(&times[..1], 99), 1.0);
    }

    #[test]
    fn the_table_compares_both_states_and_says_what_chance_does() {
        let pair = |well: f64, ill: f64| json!({"well": {"ready": [well], "written": [well]}, "ill": {"ready": [ill], "written": [ill]}});
        let figures =
            json!({"clusters": 20, "sick": 3, "objects": 4, "commits": 1, "pairs": [pair(0.5, 0.52), pair(0.4, 0.3)]});
        let table = table(&figures).unwrap();
        assert!(table.contains("| 2 × 2 | 400 ms | 500 ms | 300 ms | 520 ms | +4.0 % | +25.0 % |"), "{table}");
    }
}
