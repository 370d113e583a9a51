//! `graph` of a fleet with a thousand gateways.

use super::{Case, measure, quiet, spread};
use anyhow::Result;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Gateways, each with a load balancer, a Gateway, a host and a route of its own.
const GATEWAYS: usize = 1_000;

const CASES: [Case; 3] = [
    Case { what: "`graph`, the whole tree", goal: "≤ 2 s", args: &["graph", "--no-pager"], code: 0 },
    Case { what: "`graph --host`", goal: "≤ 2 s", args: &["graph", "--host", "h7.example.com"], code: 0 },
    Case { what: "`graph -o svg`", goal: "≤ 3 s", args: &["graph", "-o", "svg"], code: 0 },
];

/// The table.
pub(super) fn run(program: &Path, runs: u32) -> Result<String> {
    let fleet = fleet(program)?;
    let mut table = String::from("| what | goal | minimum | median | maximum |\n|---|---|---|---|---|\n");
    for case in &CASES {
        let [minimum, median, maximum] = spread(&measure(program, fleet.path(), case, runs.min(10))?);
        let what = format!("{}, {GATEWAYS} gateways", case.what);
        writeln!(table, "| {what} | {} | {minimum} | {median} | {maximum} |", case.goal)?;
        anstream::println!("{what}: {minimum} / {median} / {maximum}");
    }
    Ok(table)
}

fn fleet(program: &Path) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    quiet(Command::new(program).args(["init", "bench"]).current_dir(dir.path()))?;
    let id = format!("c{}", "1".repeat(32));
    quiet(Command::new(program).args(["cluster", "add", "m1c1", "--id", &id]).current_dir(dir.path()))?;
    std::fs::create_dir_all(dir.path().join("mesh"))?;
    for number in 0..GATEWAYS {
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
