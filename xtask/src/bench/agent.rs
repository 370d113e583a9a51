//! The agent on real API servers, beside a bare loop of server-side applies: the example `bench_agent` measures, this
//! makes tables.

use super::figures;
use anyhow::{Result, ensure};
use serde_json::Value;
use std::fmt::Write as _;

/// The tables. Takes a quarter of an hour; its progress goes to the terminal.
pub(super) fn run() -> Result<String> {
    tables(&figures("bench_agent", &[])?)
}

/// `get 3, list 23`.
fn by_verb(requests: &Value) -> String {
    let verbs = requests.as_object().into_iter().flatten();
    verbs.map(|(verb, count)| format!("{verb} {count}")).collect::<Vec<_>>().join(", ")
}

fn tables(figures: &Value) -> Result<String> {
    let mut text = String::from(
        "etcd, the API servers, the controller manager, the Git server and the agent share the machine. The *loop* applies \
         the same objects server-side with 32 in flight and does nothing else; a Deployment counts when its controller has \
         observed it.\n\n\
         | commit visible → everything ready | loop | agent | ratio (goal ≤ 1.3) | CPU of the agent | peak memory (goal ≤ 64 MiB) | \
         requests |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (part, what) in [("apps", "1,000 apps of 4 objects"), ("maps", "10,000 ConfigMaps")] {
        for step in figures[part]["steps"].as_array().into_iter().flatten() {
            let (bare, agent) = (number(&step["bare"]), number(&step["agent"]));
            writeln!(
                text,
                "| {what}, {} | {bare:.1} s | {agent:.1} s | {:.2} | {:.1} s | {:.0} MiB | {} |",
                step["step"].as_str().unwrap_or_default(),
                agent / bare,
                number(&step["cpu"]),
                number(&step["memory"]["peak"]),
                by_verb(&step["requests"])
            )?;
        }
    }
    text.push_str("\n| with 10,000 objects that stand | goal | minimum | median | 99th percentile | besides |\n|---|---|---|---|---|---|\n");
    let maps = &figures["maps"];
    let rows = [
        ("one changed field, commit visible → applied", "≤ 1 s", "change", "writes"),
        ("somebody writes past Git → reported", "≤ 1 s", "drift", ""),
        ("start on an unchanged fleet → compared", "≤ 3 s, no write", "restart", "writes"),
    ];
    for (what, goal, part, beside) in rows {
        let mut times: Vec<f64> = maps[part]["seconds"].as_array().into_iter().flatten().map(number).collect();
        times.sort_by(f64::total_cmp);
        ensure!(!times.is_empty(), "no times of {part}");
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        let beside = if beside.is_empty() {
            String::new()
        } else {
            format!("{} {beside} in {} times", maps[part][beside], times.len())
        };
        writeln!(
            text,
            "| {what} | {goal} | {:.2} s | {:.2} s | {:.2} s | {beside} |",
            at(0),
            at(50),
            times[times.len() - 1]
        )?;
    }
    let (idle, wide) = (&maps["idle"], &figures["wide"]);
    writeln!(
        text,
        "\n- Idle with 10,000 objects: {:.0} requests an hour ({:.0} for the Lease, {:.0} watches, {:.0} others; goal ≤ 500), \
         {:.0} s of CPU an hour, {:.0} MiB.",
        number(&idle["lease"]) + number(&idle["watches"]) + number(&idle["others"]),
        number(&idle["lease"]),
        number(&idle["watches"]),
        number(&idle["others"]),
        number(&idle["cpu"]),
        number(&idle["memory"]["now"])
    )?;
    writeln!(
        text,
        "- 10,000 objects in each of {} clusters: installed in {:.1} s with at most {:.0} MiB; after a restart ({:.1} s) at most \
         {:.0} MiB (goal ≤ 150 MiB).",
        wide["clusters"],
        number(&wide["install"]),
        number(&wide["installed"]["peak"]),
        number(&wide["restart"]),
        number(&wide["memory"]["peak"])
    )?;
    let memory: Vec<String> = figures["commits"]["memory"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|mib| format!("{:.0}", number(mib)))
        .collect();
    writeln!(
        text,
        "- {} commits in a row, memory after each tenth of them, in MiB: {}.",
        figures["commits"]["commits"],
        memory.join(", ")
    )?;
    Ok(text)
}

pub(super) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}
