//! The simulator of routes: how long a table takes to compile, and how many requests one core looks up.

use super::{figures, spread};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::time::Duration;

/// The table. Measured in one process: a program that is started for each request would measure its start.
pub(super) fn run(runs: u32) -> Result<String> {
    let figures = figures("bench_route", &[&runs.to_string()])?;
    let numbers = |name: &str| figures[name].as_array().map(|all| all.iter().filter_map(Value::as_f64).collect());
    let compiled: Vec<f64> = numbers("compiled").context("no times of compiling")?;
    let mut times: Vec<Duration> = compiled.into_iter().map(|it| Duration::from_secs_f64(it / 1e9)).collect();
    times.sort();
    let mut rates: Vec<f64> = numbers("lookups").context("no look-ups")?;
    rates.sort_by(f64::total_cmp);
    ensure!(!times.is_empty() && !rates.is_empty(), "nothing was measured");
    ensure!(figures["forwarded"] == figures["routes"], "not every request of the bench is forwarded");
    let [minimum, median, maximum] = spread(&times);
    let [slow, middle, fast] = [rates[0], rates[rates.len() / 2], rates[rates.len() - 1]].map(millions);
    let table = format!(
        "| what | goal | minimum | median | maximum |\n|---|---|---|---|---|\n\
         | compiling 1,000 VirtualServices with 5 rules each, 2 clusters | < 200 ms | {minimum} | {median} | {maximum} |\n\
         | look-ups per second on one core | ≥ 1 million | {slow} | {middle} | {fast} |\n"
    );
    anstream::println!("route, compiling: {minimum} / {median} / {maximum}");
    anstream::println!("route, look-ups per second: {slow} / {middle} / {fast}");
    Ok(table)
}

fn millions(rate: f64) -> String {
    format!("{:.2} million", rate / 1e6)
}
