//! `graph` of a fleet with a thousand gateways, and of smaller and larger ones: each gateway must cost the same, however many
//! there are.

use super::{Case, measure, quiet, spread};
use anyhow::Result;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Gateways, each with a load balancer, a Gateway, a host and a route of its own.
const GATEWAYS: u32 = 1_000;

const CASES: [Case; 3] = [
    Case { what: "`graph`, the whole tree", goal: "≤ 2 s", args: &["graph", "--no-pager"], code: 0 },
    Case { what: "`graph --host`", goal: "≤ 2 s", args: &["graph", "--host", "h7.example.com"], code: 0 },
    Case { what: "`graph -o svg`", goal: "≤ 3 s", args: &["graph", "-o", "svg"], code: 0 },
];

/// Fleets of which the whole tree is drawn: what one gateway costs must not grow with them.
const GROWING: [u32; 4] = [250, 500, 1_000, 2_000];

/// The tables.
pub(super) fn run(program: &Path, runs: u32) -> Result<String> {
    let fleet = fleet(program, GATEWAYS)?;
    let mut table = String::from("| what | goal | minimum | median | maximum |\n|---|---|---|---|---|\n");
    for case in &CASES {
        let [minimum, median, maximum] = spread(&measure(program, fleet.path(), case, runs.min(10))?);
        let what = format!("{}, {GATEWAYS} gateways", case.what);
        writeln!(table, "| {what} | {} | {minimum} | {median} | {maximum} |", case.goal)?;
        anstream::println!("{what}: {minimum} / {median} / {maximum}");
    }
    table.push_str(&growing(program, runs)?);
    Ok(table)
}

/// What one gateway costs in fleets of several sizes.
fn growing(program: &Path, runs: u32) -> Result<String> {
    let mut table = String::from("\n| gateways | `graph`, the whole tree, median | per gateway |\n|---|---|---|\n");
    for gateways in GROWING {
        let fleet = fleet(program, gateways)?;
        let times = measure(program, fleet.path(), &CASES[0], runs.min(5))?;
        let [_, median, _] = spread(&times);
        let middle = times.get(times.len() / 2).copied().unwrap_or_default();
        let each = format!("{:.2} ms", (middle / gateways).as_secs_f64() * 1e3);
        writeln!(table, "| {gateways} | {median} | {each} |")?;
        anstream::println!("`graph`, {gateways} gateways: {median}, {each} each");
    }
    Ok(table)
}

fn fleet(program: &Path, gateways: u32) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    quiet(Command::new(program).args(["init", "bench"]).current_dir(dir.path()))?;
    let id = format!("c{}", "1".repeat(32));
    quiet(Command::new(program).args(["cluster", "add", "m1c1", "--id", &id]).current_dir(dir.path()))?;
    std::fs::create_dir_all(dir.path().join("mesh"))?;
    for number in 0..gateways {
        let text = GATEWAY.replace("NUMBER", &number.to_string()).replace("CLUSTER", &id);
        std::fs::write(dir.path().join(format!("mesh/g{number}.yaml")), text)?;
    }
    Ok(dir)
}

const GATEWAY: &str = "\
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: gNUMBER, namespace: istio-system}
spec: {clusterIds: [CLUSTER], ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gNUMBER, namespace: shop}
spec:
  selector: {istio: gNUMBER}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [hNUMBER.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vNUMBER, namespace: shop}
spec: {hosts: [hNUMBER.example.com], gateways: [gNUMBER], http: [{route: [{destination: {host: backend}}]}]}
";
