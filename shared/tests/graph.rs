//! The graph of small fleets (`tests/graph/*.txtar`) in every form.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics; fixtures are files"
)]

use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::graph::{
    Change, Filter, Graph, HEADERS, Kind, Node, Role, State, build, compare, dot, mermaid, rows, svg, tree,
};
use asm_shared::lint::{Assumptions, RULES, run};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata:\n  name: shop\nspec:\n  mesh: {}\n  \
                     clusters:\n    - name: m1c1\n      id: c11111111111111111111111111111111\n    - name: m1c2\n      id: \
                     c22222222222222222222222222222222\n  groups:\n    - name: all\n      clusters: [m1c1, m1c2]\n";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The files of a case: each begins with a line `-- path --`, as in Go's txtar.
fn files(text: &str) -> MemoryTree {
    let mut tree: MemoryTree = [("fleet.yaml", FLEET)].into_iter().collect();
    let mut parts = text.split("\n-- ");
    parts.next();
    for part in parts {
        let (path, content) = part.split_once(" --\n").unwrap();
        tree.insert(path, format!("{}\n", content.trim_end_matches('\n')));
    }
    tree
}

fn graph_of(text: &str) -> Graph {
    let state = FleetState::read(&files(text));
    assert!(state.problems.is_empty(), "{:?}", state.problems);
    let findings = run(&state, RULES, Assumptions::default());
    build(&state, &findings)
}

fn fixture(name: &str) -> String {
    std::fs::read_to_string(folder("graph").join(format!("{name}.txtar"))).unwrap()
}

fn shown(graph: &Graph) -> String {
    let lines: Vec<String> = tree(graph).iter().map(|line| line.text()).collect();
    for line in &lines {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
    }
    lines.join("\n") + "\n"
}

fn table(graph: &Graph) -> String {
    let mut text = HEADERS.join(" | ") + "\n";
    for row in rows(graph) {
        writeln!(text, "{}", row.join(" | ")).unwrap();
    }
    text
}

/// The fleet `shop` with another text in place of one of its own.
fn shop_with(old: &str, new: &str) -> String {
    let text = fixture("shop");
    assert!(text.contains(old), "{old}");
    text.replace(old, new)
}

fn node<'g>(graph: &'g Graph, id: &str) -> &'g Node {
    graph
        .nodes
        .iter()
        .find(|node| &*node.id == id)
        .unwrap_or_else(|| panic!("no {id} among {:#?}", graph.nodes.iter().map(|node| &node.id).collect::<Vec<_>>()))
}

#[test]
fn trees() {
    insta::assert_snapshot!("shop_tree", shown(&graph_of(&fixture("shop"))));
    insta::assert_snapshot!("broken_tree", shown(&graph_of(&fixture("broken"))));
}

#[test]
fn tables() {
    insta::assert_snapshot!("shop_table", table(&graph_of(&fixture("shop"))));
    insta::assert_snapshot!("broken_table", table(&graph_of(&fixture("broken"))));
}

#[test]
fn pictures_as_text() {
    let graph = graph_of(&fixture("broken"));
    insta::assert_snapshot!("broken_mermaid", mermaid(&graph));
    insta::assert_snapshot!("broken_dot", dot(&graph));
    insta::assert_snapshot!("broken_svg", svg(&graph, "shop: routing"));
}

#[test]
fn the_model() {
    insta::assert_snapshot!("broken_model", serde_json::to_string_pretty(&graph_of(&fixture("broken"))).unwrap());
}

/// Each broken link, and the rule of lint that says so, at the node or the edge where it breaks.
#[test]
fn every_kind_of_broken_link_is_found_where_it_is() {
    let graph = graph_of(&fixture("broken"));
    let mut found: Vec<String> = Vec::new();
    for node in graph.nodes.iter().filter(|node| node.state == State::Broken) {
        found.extend(node.notes.iter().map(|note| format!("{} {}", note.short(), node.id)));
    }
    for edge in graph.edges.iter().filter(|edge| edge.state == State::Broken) {
        found.extend(edge.notes.iter().map(|note| format!("{} {} → {}", note.short(), edge.from, edge.to)));
    }
    found.sort();
    let expected = [
        "certificate-reach pods/m1c2/istio-system/ingressgateway → server/default/edge/https",
        "destination-host rule/default/shop/prefix:/unknown → to/cart.default.svc.cluster.local:80",
        "destination-subset rule/default/shop/prefix:/subset → to/reviews.default.svc.cluster.local:9080@v7",
        "gateway-port pods/m1c1/istio-system/ingressgateway → server/default/edge/admin",
        "gateway-port pods/m1c2/istio-system/ingressgateway → server/default/edge/admin",
        "gateway-port server/default/edge/admin",
        "gateway-selector server/default/nowhere/http",
        "load-balancer-selector svc/m1c1/istio-system/istio-ingressgateway-2",
        "subset-pods to/reviews.default.svc.cluster.local:9080@v9",
        "virtual-service-gateway server/default/edgy → vs/default/lost",
        "virtual-service-host server/default/edge/http → vs/default/lost",
    ];
    assert_eq!(found, expected);
}

/// What lint ignores is not said; what the table says is, although no rule does.
#[test]
fn without_lint_the_table_speaks() {
    let state = FleetState::read(&files(&fixture("broken")));
    let graph = build(&state, &[]);
    let cart = graph.edges.iter().find(|edge| edge.to.starts_with("to/cart.")).unwrap();
    assert_eq!((cart.state, cart.notes[0].short()), (State::Broken, "broken"));
    let v9 = node(&graph, "to/reviews.default.svc.cluster.local:9080@v9");
    assert_eq!((v9.state, v9.notes[0].message.as_str()), (State::Broken, "no pod has the labels of the subset: 503"));
}

/// The fleets that our own commands write have nothing broken.
#[test]
fn clean_fleets_have_no_red() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder("lint-clean")).unwrap() {
        let path = entry.unwrap().path();
        let graph = graph_of(&std::fs::read_to_string(&path).unwrap());
        assert!(!graph.is_broken(), "{}\n{}", path.display(), shown(&graph));
        count += usize::from(graph.nodes.iter().any(|node| node.kind == Kind::Destination));
    }
    assert!(count >= 3, "{count} fleets with routes");
}

#[test]
fn a_part_of_it_is_whole_ways() {
    let graph = graph_of(&fixture("shop"));
    let part = |filter: Filter| {
        let part = filter.apply(&graph);
        let ids = |kind: Kind| {
            let of_kind = part.nodes.iter().filter(|node| node.kind == kind);
            of_kind.map(|node| node.id.to_string()).collect::<Vec<_>>().join(" ")
        };
        (ids(Kind::Host), ids(Kind::Pods), ids(Kind::Endpoints).split(' ').count(), part.edges.len())
    };
    let names = |name: &str| vec![name.to_owned()];
    // The HTTPS server has the host itself; plain HTTP answers it by its wildcard.
    let (hosts, ..) = part(Filter { hosts: names("shop.example.com"), ..Filter::default() });
    assert_eq!(hosts, "host/* host/shop.example.com");
    let (hosts, ..) = part(Filter { hosts: names("other.example.com"), ..Filter::default() });
    assert_eq!(hosts, "host/*");
    let (hosts, pods, ..) = part(Filter { gateways: names("intern"), ..Filter::default() });
    assert_eq!((hosts.as_str(), pods.as_str()), ("host/* host/shop.example.com", "pods/mesh/istio-system/intern"));
    // Through the Gateway go all of them.
    let (_, pods, ..) = part(Filter { gateways: names("default/edge"), ..Filter::default() });
    assert_eq!(pods.split(' ').count(), 3);
    // What is in m1c1: its load balancers with everything behind them, and the other ones' ways to its pods.
    let filter = Filter { clusters: names("m1c1"), gateways: names("intern"), ..Filter::default() };
    let only = filter.apply(&graph);
    let rules: Vec<&str> =
        only.nodes.iter().filter(|node| node.kind == Kind::Endpoints).map(|node| node.name.as_str()).collect();
    assert!(rules.iter().all(|name| name.starts_with("m1c1")), "{rules:?}");
    assert_eq!(part(Filter { namespaces: names("nobody"), ..Filter::default() }), (String::new(), String::new(), 1, 0));
    assert_eq!(part(Filter { broken: true, ..Filter::default() }), (String::new(), String::new(), 1, 0));
    assert_eq!(Filter::default().apply(&graph), graph);
}

#[test]
fn a_change_is_seen_on_the_way() {
    let before = graph_of(&fixture("shop"));
    let after = shop_with(
        "{destination: {host: reviews, subset: v1}, weight: 80}",
        "{destination: {host: reviews, subset: v1}, weight: 50}",
    );
    let after = after.replace(
        "{destination: {host: reviews, subset: v3}, weight: 20}",
        "{destination: {host: reviews, subset: v3}, weight: 50}",
    );
    // A rule more, a rule less, a gateway less in a cluster.
    let after = after.replace(
        "    - match:\n        - uri: {prefix: /old}\n      redirect: {uri: /productpage, redirectCode: 308}\n",
        "    - match:\n        - uri: {prefix: /new}\n      route:\n        - destination: {host: ratings}\n",
    );
    let after = after.replace(", c22222222222222222222222222222222]\n  replicaCount", "]\n  replicaCount");
    let graph = compare(&before, graph_of(&after));
    insta::assert_snapshot!("change_tree", shown(&graph));
    let only = Filter { changed: true, ..Filter::default() }.apply(&graph);
    insta::assert_snapshot!("change_only", shown(&only));
    insta::assert_snapshot!("change_mermaid", mermaid(&only));
    assert!(graph.is_changed() && !graph.is_broken());
    let share = graph.edges.iter().find(|edge| edge.to.ends_with("@v1") && edge.role == Role::Request).unwrap();
    assert_eq!((share.change, share.words().as_str()), (Change::Changed, "80 % ⇒ 50 %"));
    assert_eq!(node(&graph, "rule/default/bookinfo/prefix:/old").change, Change::Removed);
    assert_eq!(node(&graph, "rule/default/bookinfo/prefix:/new").change, Change::Added);
    assert_eq!(node(&graph, "pods/m1c2/istio-system/ingressgateway").change, Change::Removed);
    // A line above everything moves places and is no change.
    let moved = shop_with("-- mesh/routes/bookinfo.yaml --\n", "-- mesh/routes/bookinfo.yaml --\n# moved\n");
    assert!(!compare(&before, graph_of(&moved)).is_changed());
}

/// Names are whatever somebody wrote: nothing of them is obeyed by a terminal, a browser, Mermaid or Graphviz.
#[test]
fn names_are_harmless() {
    let evil = r#"x\e[31m</title><script>alert(1)</script>\"|`#;]-->\u202e"#;
    let text = shop_with("- name: pages", &format!("- name: \"{evil}\""));
    let text = text.replace("{exact: /login}", &format!("{{exact: \"/{evil}\"}}"));
    let graph = graph_of(&text);
    for (what, page) in [
        ("tree", shown(&graph)),
        ("table", table(&graph)),
        ("mermaid", mermaid(&graph)),
        ("dot", dot(&graph)),
        ("svg", svg(&graph, evil)),
    ] {
        assert!(page.contains("alert(1)"), "{what}");
        let bad: Vec<char> = page.chars().filter(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}').collect();
        assert!(bad.is_empty(), "{what}: {bad:?}");
    }
    assert!(!svg(&graph, evil).contains("<script"));
    assert!(!mermaid(&graph).contains("<script"));
    let quoted =
        mermaid(&graph).lines().filter(|line| line.contains("alert")).all(|line| line.matches('"').count() == 2);
    assert!(quoted, "{}", mermaid(&graph));
}

#[test]
fn the_same_files_give_the_same_bytes() {
    for name in ["shop", "broken"] {
        let first = graph_of(&fixture(name));
        for _ in 0..5 {
            assert_eq!(svg(&graph_of(&fixture(name)), "x"), svg(&first, "x"));
        }
    }
}

/// A thousand gateways, each with its own host; built, filtered and drawn without anything growing faster than they do.
#[test]
fn a_thousand_gateways() {
    let mut text = String::new();
    for number in 0..1000 {
        write!(
            text,
            "\n-- mesh/g{number}.yaml --\napiVersion: istio.alibabacloud.com/v1beta1\nkind: IstioGateway\nmetadata: {{name: g{number}, namespace: istio-system}}\n\
             spec: {{clusterIds: [c11111111111111111111111111111111], ports: [{{name: http, port: 80}}]}}\n---\n\
             apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: g{number}, namespace: shop}}\n\
             spec: {{selector: {{istio: g{number}}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [h{number}.example.com]}}]}}\n---\n\
             apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v{number}, namespace: shop}}\n\
             spec: {{hosts: [h{number}.example.com], gateways: [g{number}], http: [{{route: [{{destination: {{host: s{}}}}}]}}]}}\n",
            number % 10
        )
        .unwrap();
    }
    let state = FleetState::read(&files(&text));
    let graph = build(&state, &[]);
    let of_kind = |graph: &Graph, kind: Kind| graph.nodes.iter().filter(|node| node.kind == kind).count();
    assert_eq!((of_kind(&graph, Kind::Pods), of_kind(&graph, Kind::Destination)), (1000, 10));
    let part = Filter { hosts: vec!["h7.example.com".to_owned()], ..Filter::default() }.apply(&graph);
    assert_eq!((part.nodes.len(), part.edges.len()), (8, 7));
    assert_eq!(svg(&graph, "all").matches("<g class=\"node").count(), graph.nodes.len());
    assert!(svg(&part, "part").len() < 16_000);
    assert_eq!(tree(&part).len(), 6);
}
