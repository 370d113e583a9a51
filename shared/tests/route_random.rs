//! What holds for every request and every way to write the same objects into files.

use asm_shared::fleet::{FleetState, LooseFolder, MemoryTree};
use asm_shared::route::{Front, Missing, Options, Request, Sni, Stage, Table, compile};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const MESH: &str = include_str!("route/bookstore/mesh.yaml");
const WORKLOADS: &str = include_str!("route/bookstore/workloads.yaml");
const NORTH: &str = include_str!("route/bookstore/clusters/north/workloads.yaml");

/// Each document is a file; the numbers order them.
fn state(order: &[usize]) -> FleetState {
    let documents: Vec<&str> = MESH.split("\n---\n").chain(WORKLOADS.split("\n---\n")).collect();
    let files = documents.iter().enumerate().map(|(index, text)| {
        let rank = order.get(index).copied().unwrap_or(index);
        (format!("{rank:04}-{index:04}.yaml"), (*text).to_owned())
    });
    let mesh: MemoryTree = files.collect();
    let north: MemoryTree = [("workloads.yaml", NORTH)].into_iter().collect();
    let folders = [
        LooseFolder { tree: &mesh, name: "", cluster: None },
        LooseFolder { tree: &north, name: "north", cluster: Some("north") },
    ];
    FleetState::read_loose(&folders, &["own"])
}

fn table(state: &FleetState) -> Table<'_> {
    let labels: BTreeMap<String, String> = [("istio".to_owned(), "ingressgateway".to_owned())].into();
    let options = Options { missing: Missing::Absent, pod_ports: true, ..Options::default() };
    compile(state, &Front::of_pod(state, &labels, "istio-system"), &options)
}

static STATE: LazyLock<FleetState> = LazyLock::new(|| state(&[]));
static TABLE: LazyLock<Table<'static>> = LazyLock::new(|| table(&STATE));

fn hosts() -> impl Strategy<Value = String> {
    let known = [
        "stars.example.com",
        "tie.example.com",
        "age.example.com",
        "a.example.com",
        "b.example.com",
        "m.example.com",
        "teams.example.com",
        "db.example.com",
        "[::1]",
        "1.2.3.4",
        "*",
        "",
        ":",
        "]:",
        "[",
    ];
    prop_oneof![
        8 => (prop::sample::select(known.to_vec()), prop::option::of("[:]{0,1}[0-9]{0,6}"))
            .prop_map(|(host, port)| format!("{host}{}", port.unwrap_or_default())),
        2 => any::<String>(),
    ]
}

fn paths() -> impl Strategy<Value = String> {
    let known = [
        "/books",
        "/static/",
        "/all",
        "/rewrite/",
        "/split",
        "/query",
        "/x/y/",
        "/x",
        "/cart/items/",
        "/old/",
        "/older/",
        "/CASE",
        "/users/7/",
        "/red/one",
        "/method",
        "/without",
        "/v1/books",
    ];
    prop_oneof![
        6 => (prop::sample::select(known.to_vec()), r"[a-z0-9/.%?&=#\\ -]{0,12}").prop_map(|(path, more)| format!("{path}{more}")),
        2 => any::<String>(),
        1 => Just("/".repeat(8192)),
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    let ports = prop_oneof![Just(80), Just(443), Just(8081), Just(8444), Just(3306), any::<u16>()];
    let sni = prop_oneof![Just(Sni::Host), Just(Sni::Absent), any::<String>().prop_map(Sni::Name)];
    let names = prop_oneof![Just("Reader".to_owned()), Just("debug".to_owned()), any::<String>()];
    let headers = prop::collection::vec((names, prop_oneof![Just("jason".to_owned()), any::<String>()]), 0..3);
    let methods =
        prop_oneof![Just("GET".to_owned()), Just("POST".to_owned()), Just("CONNECT".to_owned()), any::<String>()];
    let parts = (ports, any::<bool>(), sni, any::<bool>(), hosts(), methods, paths(), headers);
    parts.prop_map(|(port, tls, sni, client_certificate, host, method, path, headers)| Request {
        port,
        tls,
        sni,
        client_certificate,
        host,
        method,
        path,
        headers,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn the_way_ends_where_the_answer_does(request in requests()) {
        let outcome = TABLE.lookup(&request);
        let trace = TABLE.explain(&request);
        prop_assert!(trace.outcome.answer.same(&outcome.answer));
        let (last, before) = trace.steps.split_last().unwrap();
        let works = ["forward", "tcp", "redirect", "direct", "abort"].contains(&outcome.answer.word());
        prop_assert_eq!(last.passed, works, "{:?} {:#?}", outcome.answer.word(), trace.steps);
        prop_assert!(works || last.fix.is_some());
        prop_assert!(before.iter().all(|step| step.passed));
        prop_assert!(trace.steps.windows(2).all(|pair| pair[0].stage <= pair[1].stage
            || pair[1].stage >= Stage::Destination));
        let expected: &[Stage] = match outcome.answer.word() {
            "no-listener" => &[Stage::Front, Stage::Gateways, Stage::Listener],
            "closed" => &[Stage::Front, Stage::FilterChain, Stage::Destination, Stage::Subset, Stage::Endpoints],
            "no-virtual-host" | "bad-request" => &[Stage::VirtualHost],
            "no-route" => &[Stage::Route],
            "no-cluster" => &[Stage::Destination, Stage::Subset],
            "no-endpoint" => &[Stage::Endpoints],
            _ => return Ok(()),
        };
        prop_assert!(expected.contains(&last.stage), "{:?} {:?}", outcome.answer.word(), last.stage);
    }

    #[test]
    fn a_url_is_a_request_or_an_error(url in any::<String>(), host in hosts(), path in paths()) {
        for url in [url, format!("http://{host}{path}"), format!("https://{host}{path}")] {
            if let Ok(request) = Request::from_url(&url, None, &[]) {
                prop_assert!(request.port > 0 && request.path.starts_with('/'));
                TABLE.lookup(&request);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_files_does_not_matter(order in prop::collection::vec(0_usize..1000, 40), asked in prop::collection::vec(requests(), 40)) {
        let other = state(&order);
        let other = table(&other);
        for request in asked {
            let (one, two) = (TABLE.lookup(&request), other.lookup(&request));
            prop_assert!(one.answer.same(&two.answer), "{request:?}");
            prop_assert_eq!(one.alternatives.len(), two.alternatives.len());
        }
    }
}

#[test]
fn the_fleet_of_these_tests_is_whole() {
    assert!(STATE.problems.is_empty(), "{:?}", STATE.problems);
    assert!(TABLE.refused().iter().any(|it| it.place.pointer.ends_with("/uri/regex")));
}
