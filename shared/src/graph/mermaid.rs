//! The graph as a Mermaid flowchart: GitHub, GitLab and Gitea draw it in Markdown.

use super::{Change, Graph, Kind, Node, Role, State};
use crate::text::printable;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The text of a flowchart.
pub fn mermaid(graph: &Graph) -> String {
    let mut text = String::from("flowchart LR\n");
    let (alone, clusters) = grouped(graph);
    alone.iter().for_each(|index| declare(&mut text, "  ", *index, &graph.nodes[*index]));
    for (number, (cluster, nodes)) in clusters.iter().enumerate() {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(text, "  subgraph c{number}[\"{}\"]", escaped(cluster));
        nodes.iter().for_each(|index| declare(&mut text, "    ", *index, &graph.nodes[*index]));
        text.push_str("  end\n");
    }
    let at = graph.index();
    let mut styles: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut number = 0;
    for edge in &graph.edges {
        let (Some(from), Some(to)) = (at.get(&*edge.from), at.get(&*edge.to)) else { continue };
        let is_dashed = edge.role == Role::Mirror || edge.change == Change::Added || edge.change == Change::Removed;
        let arrow = if is_dashed { "-.->" } else { "-->" };
        let mut words = edge.words();
        for note in &edge.notes {
            words = format!("{words} ✗ {}", note.short()).trim().to_owned();
        }
        let label = if words.is_empty() { String::new() } else { format!("|\"{}\"|", escaped(&words)) };
        let _ = writeln!(text, "  n{from} {arrow}{label} n{to}");
        if let Some(style) = edge_style(edge.state, edge.change) {
            styles.entry(style).or_default().push(number.to_string());
        }
        number += 1;
    }
    for (style, edges) in styles {
        let _ = writeln!(text, "  linkStyle {} {style}", edges.join(","));
    }
    classes(&mut text, graph);
    text
}

/// Nodes of no cluster, and those of each cluster: what stands in front of its gateways and what runs there for itself, so
/// that the way goes in one direction.
pub(super) fn grouped(graph: &Graph) -> (Vec<usize>, Vec<(String, Vec<usize>)>) {
    let mut alone = Vec::new();
    let mut clusters: BTreeMap<(bool, &str), Vec<usize>> = BTreeMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        match &node.cluster {
            Some(cluster) => clusters.entry((node.kind == Kind::Endpoints, cluster)).or_default().push(index),
            None => alone.push(index),
        }
    }
    let name = |is_end: bool, cluster: &str| if is_end { format!("{cluster}: endpoints") } else { cluster.to_owned() };
    (alone, clusters.into_iter().map(|((is_end, cluster), nodes)| (name(is_end, cluster), nodes)).collect())
}

fn declare(text: &mut String, indent: &str, index: usize, node: &Node) {
    let (open, close) = match node.kind {
        Kind::Host => ("([", "])"),
        Kind::LoadBalancer => ("{{", "}}"),
        Kind::Pods | Kind::Endpoints => ("[[", "]]"),
        Kind::Destination => ("(", ")"),
        _ => ("[", "]"),
    };
    let lines: Vec<String> = label(node).iter().map(|line| escaped(line)).collect();
    let _ = writeln!(text, "{indent}n{index}{open}\"{}\"{close}", lines.join("<br/>"));
}

/// The lines of a node: what it is, its details, what is wrong.
pub(super) fn label(node: &Node) -> Vec<String> {
    let title = match node.kind {
        Kind::Host if node.name == "*" => "any host".to_owned(),
        Kind::Server | Kind::VirtualService => format!("{} {}", node.kind.title(), node.name),
        Kind::Pods => format!("pods {}", node.name),
        _ => node.name.clone(),
    };
    let details = (!node.details.is_empty()).then(|| node.details.join(" · "));
    let notes = node.notes.iter().map(|note| format!("{} {}", if note.breaks { "✗" } else { "!" }, note.short()));
    std::iter::once(title).chain(details).chain(notes).collect()
}

/// Text inside quotes. `#` begins the code of a character; a backtick would begin Markdown.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in printable(text).chars() {
        match c {
            '"' => safe.push_str("#quot;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            '&' => safe.push_str("#amp;"),
            '#' | '`' | '\\' | '{' | '}' | ';' | '|' => {
                let _ = write!(safe, "#{};", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

fn edge_style(state: State, change: Change) -> Option<&'static str> {
    Some(match (change, state) {
        (Change::Removed, _) => "stroke:#8a8a8a",
        (_, State::Broken) => "stroke:#d1242f,stroke-width:3px",
        (Change::Added, _) => "stroke:#1a7f37",
        (Change::Changed, _) => "stroke:#8250df",
        (_, State::Warning) => "stroke:#9a6700",
        _ => return None,
    })
}

fn classes(text: &mut String, graph: &Graph) {
    let mut classes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if let Some(class) = class(node) {
            classes.entry(class).or_default().push(format!("n{index}"));
        }
    }
    let styles = [
        ("added", "stroke:#1a7f37,stroke-dasharray:5 4"),
        ("broken", "stroke:#d1242f,stroke-width:3px"),
        ("changed", "stroke:#8250df,stroke-width:2px"),
        ("elsewhere", "stroke-dasharray:2 3"),
        ("idle", "stroke:#8a8a8a"),
        ("removed", "stroke:#8a8a8a,stroke-dasharray:2 3"),
        ("warning", "stroke:#9a6700,stroke-width:2px"),
    ];
    for (class, style) in styles {
        if let Some(nodes) = classes.get(class) {
            let _ = writeln!(text, "  classDef {class} {style}");
            let _ = writeln!(text, "  class {} {class}", nodes.join(","));
        }
    }
}

/// What a node looks like besides its kind.
pub(super) fn class(node: &Node) -> Option<&'static str> {
    Some(match (node.change, node.state) {
        (Change::Removed, _) => "removed",
        (_, State::Broken) => "broken",
        (Change::Added, _) => "added",
        (Change::Changed, _) => "changed",
        (_, State::Warning) => "warning",
        (_, State::Idle) => "idle",
        (_, State::Elsewhere) => "elsewhere",
        (_, State::Works) => return None,
    })
}
