//! Replicas of the agent over many light clusters: the example `bench_agent scale` measures, this makes tables.

use super::agent::number;
use super::figures;
use anyhow::Result;
use serde_json::Value;
use std::fmt::Write as _;

/// The tables. Takes a quarter of an hour; its progress goes to the terminal.
pub(super) fn run() -> Result<String> {
    let figures = figures("bench_agent", &["scale"])?;
    tables(&figures["scale"])
}

fn numbers(value: &Value) -> Vec<f64> {
    let mut all: Vec<f64> = match value {
        Value::Object(fields) => fields.values().map(number).collect(),
        other => other.as_array().into_iter().flatten().map(number).collect(),
    };
    all.sort_by(f64::total_cmp);
    all
}

/// `least–most`.
fn range(value: &Value) -> String {
    let all = numbers(value);
    let ends = all.first().zip(all.last());
    ends.map_or_else(|| "?".to_owned(), |(least, most)| format!("{least:.0}–{most:.0}"))
}

fn tables(figures: &Value) -> Result<String> {
    let replicas = &figures["replicas"];
    let mut text = format!(
        "{replicas} replicas share the targets, which are light fakes of API servers in one process (the mesh and the home \
         cluster are real); everything shares the machine. A *commit* changes every object. Each object was written exactly \
         once, each cluster by one replica, and Git was asked for a pack once per replica.\n\n\
         | targets | objects in each | targets per replica | shared and installed after | a commit everywhere after | CPU of all \
         replicas for it | memory per replica | packs fetched |\n|---|---|---|---|---|---|---|---|\n"
    );
    for size in figures["sizes"].as_array().into_iter().flatten() {
        writeln!(
            text,
            "| {} | {} | {} | {:.0} s | {:.1} s | {:.1} s | {} MiB | {} |",
            size["clusters"],
            size["objects"],
            range(&size["loads"]),
            number(&size["install"]),
            number(&size["upgrade"]),
            number(&size["upgradeCpu"]),
            range(&size["after"]),
            size["fetches"],
        )?;
    }
    let first = &figures["sizes"][0];
    let idle = &first["idle"];
    writeln!(
        text,
        "\n- Idle, per replica and hour: {:.0} requests for Leases, {:.0} watches and {:.0} others at home, {:.0} at targets (new \
         watches), {:.0} s of CPU; Leases of {} s.",
        number(&idle["leases"]),
        number(&idle["watches"]),
        number(&idle["others"]),
        number(&idle["targets"]),
        number(&idle["cpu"]),
        figures["lease"],
    )?;
    for lost in first["lost"].as_array().into_iter().flatten() {
        writeln!(
            text,
            "- A replica with {} targets killed: the others had all of them after {:.1} s (goal: ≤ {} s), wrote nothing because of \
             it, and each object of the next commit once.",
            lost["targets"],
            number(&lost["seconds"]),
            number(&figures["lease"]) + 5.0,
        )?;
    }
    let home: Vec<String> =
        first["home"].as_object().into_iter().flatten().map(|(name, n)| format!("{n} of {name}")).collect();
    writeln!(
        text,
        "- Writes to the home cluster for one commit, with {} targets: {}.",
        first["clusters"],
        home.join(", ")
    )?;
    let bytes = number(&first["fleetSync"]);
    writeln!(
        text,
        "- The FleetSync with its status takes {:.0} KiB ({:.0} bytes for each target), a Lease {} bytes.",
        bytes / 1024.0,
        bytes / number(&first["clusters"]),
        first["leaseBytes"],
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::range;
    use serde_json::json;

    #[test]
    fn a_range_is_of_numbers_whatever_their_order() {
        assert_eq!(range(&json!({"a": 101, "b": 100})), "100–101");
        assert_eq!(range(&json!([3.6, 1.2])), "1–4");
        assert_eq!(range(&json!(null)), "?");
    }
}
