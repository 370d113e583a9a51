//! Measures the simulator in one process, on one core: `cargo xtask bench route` runs it and writes its figures down.
//! A line of JSON: nanoseconds of each compilation, and look-ups per second of each batch, in time of the processor where the
//! system tells it: what else runs on the machine does not count.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program that measures; the core it measures has no clock"
)]

use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::route::{Options, Request, compile, gateways};
use serde_json::json;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// VirtualServices, each with a host, five rules, a Service and a DestinationRule of its own.
const ROUTES: usize = 1000;
/// Look-ups of one batch.
const BATCH: u32 = 1_000_000;

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: bench}\nspec:\n  mesh: {}\n  clusters: \
                     [{name: m1c1, id: c11111111111111111111111111111111}, {name: m1c2, id: c22222222222222222222222222222222}]\n";
const GATEWAY: &str = "\
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: ingressgateway, namespace: istio-system}
spec:
  clusterIds: [c11111111111111111111111111111111, c22222222222222222222222222222222]
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [\"*\"]}]
";
const ROUTE: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME, namespace: shop}
spec:
  hosts: [NAME.example.com]
  gateways: [web]
  http:
  - {match: [{uri: {exact: /login}}, {uri: {prefix: /static/}}], route: [{destination: {host: NAME}}]}
  - {match: [{uri: {prefix: /api/}, headers: {x-user: {exact: jason}}}], route: [{destination: {host: NAME, subset: v2}}]}
  - {match: [{uri: {regex: \"/item/[0-9]+\"}}], route: [{destination: {host: NAME}}]}
  - match: [{uri: {prefix: /api/}}]
    route:
    - {destination: {host: NAME, subset: v1}, weight: 90}
    - {destination: {host: NAME, subset: v2}, weight: 10}
  - {route: [{destination: {host: NAME}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: NAME, namespace: shop}
spec: {host: NAME, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
";
const APPLICATION: &str = "\
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec: {selector: {app: NAME}, ports: [{name: http, port: 9080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME-v1, namespace: shop}
spec:
  selector: {matchLabels: {app: NAME, version: v1}}
  template: {metadata: {labels: {app: NAME, version: v1}}, spec: {containers: [{name: c, image: x}]}}
";

fn main() {
    let runs: usize = std::env::args().nth(1).and_then(|runs| runs.parse().ok()).unwrap_or(10);
    let mut tree = MemoryTree::default();
    tree.insert("fleet.yaml", FLEET);
    tree.insert("mesh/gateway.yaml", GATEWAY);
    for number in 0..ROUTES {
        let name = format!("route-{number}");
        tree.insert(&format!("mesh/{name}.yaml"), ROUTE.replace("NAME", &name));
        for cluster in ["m1c1", "m1c2"] {
            tree.insert(&format!("clusters/{cluster}/{name}.yaml"), APPLICATION.replace("NAME", &name));
        }
    }
    let state = FleetState::read(&tree);
    let Some(front) = gateways(&state).into_iter().next() else { return println!("no gateway: {:?}", state.problems) };
    let options = Options::default();
    let mut compiled = Vec::new();
    for _ in 0..runs {
        let started = Clock::start();
        black_box(compile(&state, &front, &options));
        compiled.push(started.elapsed().as_nanos());
    }
    let table = compile(&state, &front, &options);
    let requests: Vec<Request> = (0..ROUTES).filter_map(request).collect();
    let forwarded = requests.iter().filter(|request| table.lookup(request).answer.word() == "forward").count();
    let mut rates = Vec::new();
    for _ in 0..runs {
        let started = Clock::start();
        for request in requests.iter().cycle().take(BATCH as usize) {
            black_box(table.lookup(black_box(request)));
        }
        rates.push(f64::from(BATCH) / started.elapsed().as_secs_f64());
    }
    println!("{}", json!({"routes": ROUTES, "forwarded": forwarded, "compiled": compiled, "lookups": rates}));
}

/// Time of the processor, or of the day.
struct Clock {
    began: Instant,
    busy: Option<u64>,
}

impl Clock {
    fn start() -> Self {
        Self { began: Instant::now(), busy: busy() }
    }

    fn elapsed(&self) -> Duration {
        let busy = self.busy.zip(busy()).map(|(before, now)| Duration::from_nanos(now.saturating_sub(before)));
        busy.filter(|time| !time.is_zero()).unwrap_or_else(|| self.began.elapsed())
    }
}

/// Nanoseconds that this thread has run, on Linux.
fn busy() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
}

/// Each host is asked; the paths take turns with the rules.
fn request(number: usize) -> Option<Request> {
    let paths = ["/login", "/static/site.css", "/api/v1/carts?id=1", "/item/42", "/anything/else"];
    let path = paths.get(number % paths.len())?;
    let headers = [("user-agent".to_owned(), "bench".to_owned()), ("accept".to_owned(), "*/*".to_owned())];
    Request::from_url(&format!("http://route-{number}.example.com{path}"), None, &headers).ok()
}
