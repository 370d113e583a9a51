//! `lint` of large fleets: time and memory, and whether both grow with the number of objects.

use super::{Case, figures, measure, quiet, spread};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Member clusters, all in one group.
const CLUSTERS: usize = 10;

/// Manifests of member clusters, and what linting them should stay under.
const SIZES: [(usize, &str); 2] = [(1_000, "< 1 s, < 150 MB"), (10_000, "linear")];

/// The fleet of which one file is asked too.
const EDITED: usize = 1_000;

/// The table.
pub(super) fn run(program: &Path, runs: u32) -> Result<String> {
    let mut table =
        String::from("| what | goal | minimum | median | maximum | peak memory |\n|---|---|---|---|---|---|\n");
    for (manifests, goal) in SIZES {
        let fleet = fleet(program, manifests, CLUSTERS)?;
        let case = Case { what: "lint", goal, args: &["lint", "--severity", "warning"], code: 0 };
        let runs = if manifests > 1_000 { runs.min(10) } else { runs };
        let [minimum, median, maximum] = spread(&measure(program, fleet.path(), &case, runs)?);
        let memory = peak(program, fleet.path(), case.args)? / 1024;
        let what = format!(
            "{manifests} manifests × {CLUSTERS} clusters = {} objects, and {manifests} of the mesh",
            manifests * CLUSTERS
        );
        writeln!(table, "| {what} | {goal} | {minimum} | {median} | {maximum} | {memory} MB |")?;
        anstream::println!("lint, {what}: {minimum} / {median} / {maximum}, {memory} MB");
        if manifests == EDITED {
            one_file(program, fleet.path(), "one file of this fleet, asked of a new process", runs, &mut table)?;
            in_one_process(fleet.path(), runs, &mut table)?;
        }
    }
    let small = fleet(program, 200, 2)?;
    one_file(program, small.path(), "one file of a fleet of 200 files in 2 clusters", runs, &mut table)?;
    Ok(table)
}

/// As somebody sees it who edits with `lint --watch`, from the end of the save on; and as the agent judges each commit.
fn in_one_process(fleet: &Path, runs: u32, table: &mut String) -> Result<()> {
    let dir = fleet.to_str().context("the temporary directory's name is not UTF-8")?;
    let files = ["mesh/routes/app-7.yaml", "groups/all/app-7.yaml"];
    let figures = figures("bench_lint", &[dir, &runs.to_string(), files[0], files[1]])?;
    let rows = [
        ("/pages/0/whole", "one changed file of this fleet (a VirtualService), with `lint --watch`", "< 50 ms"),
        ("/pages/1/whole", "one changed file that all clusters get (a Deployment and its Service)", "< 50 ms"),
        ("/commits", "this fleet as the agent judges each commit: rules of error level, what is held back", ""),
    ];
    for (name, what, goal) in rows {
        let numbers = figures.pointer(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_f64);
        let mut times: Vec<Duration> = numbers.map(|it| Duration::from_secs_f64(it / 1e9)).collect();
        times.sort();
        ensure!(!times.is_empty(), "nothing was measured of {name}");
        let [minimum, median, maximum] = spread(&times);
        writeln!(table, "| {what} | {goal} | {minimum} | {median} | {maximum} | |")?;
        anstream::println!("lint, {what}: {minimum} / {median} / {maximum}");
    }
    Ok(())
}

/// As an editor's hook asks after each save: the whole fleet is read and judged, one file is shown.
fn one_file(program: &Path, fleet: &Path, what: &str, runs: u32, table: &mut String) -> Result<()> {
    let args = &["lint", "mesh/routes/app-7.yaml", "--severity", "warning"];
    let case = Case { what: "lint", goal: "< 50 ms", args, code: 0 };
    let [minimum, median, maximum] = spread(&measure(program, fleet, &case, runs)?);
    let memory = peak(program, fleet, case.args)? / 1024;
    writeln!(table, "| {what} | {} | {minimum} | {median} | {maximum} | {memory} MB |", case.goal)?;
    anstream::println!("lint, {what}: {minimum} / {median} / {maximum}, {memory} MB");
    Ok(())
}

/// Applications that every cluster runs, each with routes through one gateway. Nothing is wrong with them.
pub(super) fn fleet(program: &Path, manifests: usize, clusters: usize) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    quiet(Command::new(program).args(["init", "bench"]).current_dir(dir.path()))?;
    for cluster in 1..=clusters {
        let name = format!("m1c{cluster}");
        quiet(Command::new(program).args(["cluster", "add", &name, "--group", "all"]).current_dir(dir.path()))?;
    }
    quiet(Command::new(program).args(["gateway", "create", "ingressgateway", "--serverless"]).current_dir(dir.path()))?;
    for folder in ["groups/all", "mesh/routes"] {
        std::fs::create_dir_all(dir.path().join(folder))?;
    }
    std::fs::write(dir.path().join("mesh/gateway.yaml"), GATEWAY)?;
    for number in 0..manifests / 2 {
        let name = format!("app-{number}");
        let fill = |text: &str| text.replace("NAME", &name);
        std::fs::write(dir.path().join(format!("groups/all/{name}.yaml")), fill(APPLICATION))?;
        std::fs::write(dir.path().join(format!("mesh/routes/{name}.yaml")), fill(ROUTES))?;
    }
    Ok(dir)
}

const GATEWAY: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: ['*.example.com']
";

const APPLICATION: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
  namespace: shop
spec:
  replicas: 2
  selector:
    matchLabels: {app: NAME, version: v1}
  template:
    metadata:
      labels: {app: NAME, version: v1}
    spec:
      containers:
        - name: NAME
          image: registry.example.com/NAME:1.0.0
          ports:
            - containerPort: 8080
---
apiVersion: v1
kind: Service
metadata:
  name: NAME
  namespace: shop
spec:
  selector: {app: NAME}
  ports:
    - name: http
      port: 80
      targetPort: 8080
";

const ROUTES: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: NAME
  namespace: shop
spec:
  hosts: [NAME.example.com]
  gateways: [shop]
  http:
    - match:
        - uri: {prefix: /v1}
      route:
        - destination: {host: NAME, subset: v1, port: {number: 80}}
    - route:
        - destination: {host: NAME, port: {number: 80}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: NAME
  namespace: shop
spec:
  host: NAME
  subsets:
    - name: v1
      labels: {version: v1}
";

/// The most memory that a run held, in KiB. The kernel keeps the high-water mark; it is asked until the run ends.
fn peak(program: &Path, dir: &Path, args: &[&str]) -> Result<u64> {
    let mut command = Command::new(program);
    let mut child = command.args(args).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().context("cannot wait for lint")?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = mark.and_then(|mark| mark.trim().trim_end_matches("kB").trim().parse().ok());
        most = most.max(kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(most)
}
