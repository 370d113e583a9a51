//! The graph of small fleets (`tests/graph/*.txtar`) in every form.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics; fixtures are files"
)]

use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::graph::{Change, Filter, Graph, HEADERS, Kind, State, build, compare, dot, mermaid, rows, svg, tree};
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

#[test]
fn trees() {
    insta::assert_snapshot!("shop_tree", shown(&graph_of(&fixture("shop"))));
    insta::assert_snapshot!("broken_tree", shown(&graph_of(&fixture("broken"))));
}
