//! The graph in Graphviz' language.

use super::mermaid::{grouped, label};
use super::{Change, Edge, Graph, Kind, Node, Role, State};
use crate::text::printable;
use std::fmt::Write as _;

/// The text of a digraph.
pub fn dot(graph: &Graph) -> String {
    let mut text = String::from(
        "digraph fleet {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=11];\n  \
         edge [fontname=\"sans-serif\", fontsize=10];\n",
    );
    let (alone, clusters) = grouped(graph);
    alone.iter().for_each(|index| declare(&mut text, "  ", *index, &graph.nodes[*index]));
    for (number, (cluster, nodes)) in clusters.iter().enumerate() {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(text, "  subgraph cluster_{number} {{\n    label={};", quoted(cluster));
        nodes.iter().for_each(|index| declare(&mut text, "    ", *index, &graph.nodes[*index]));
        text.push_str("  }\n");
    }
    let at = graph.index();
    for edge in &graph.edges {
        if let (Some(from), Some(to)) = (at.get(&*edge.from), at.get(&*edge.to)) {
            let _ = writeln!(text, "  n{from} -> n{to}{};", attributes(edge));
        }
    }
    text.push_str("}\n");
    text
}

fn declare(text: &mut String, indent: &str, index: usize, node: &Node) {
    let shape = match node.kind {
        Kind::Host => ", shape=oval",
        Kind::LoadBalancer => ", shape=hexagon",
        Kind::Pods | Kind::Endpoints => ", shape=box3d, style=solid",
        _ => "",
    };
    let look = match (node.change, node.state) {
        (Change::Removed, _) => ", color=gray60, fontcolor=gray40, style=dotted",
        (Change::Added, State::Broken) => ", color=\"#d1242f\", fontcolor=\"#d1242f\", penwidth=2, style=dashed",
        (_, State::Broken) => ", color=\"#d1242f\", fontcolor=\"#d1242f\", penwidth=2",
        (Change::Added, _) => ", color=\"#1a7f37\", style=dashed",
        (Change::Changed, _) => ", color=\"#8250df\", penwidth=2",
        (_, State::Warning) => ", color=\"#9a6700\"",
        (_, State::Idle) => ", color=gray60, fontcolor=gray40",
        (_, State::Elsewhere) => ", style=dotted",
        (_, State::Works) => "",
    };
    let label = label(node).join("\n");
    let tooltip = node.described();
    let _ = writeln!(text, "{indent}n{index} [label={}, tooltip={}{shape}{look}];", quoted(&label), quoted(&tooltip));
}

fn attributes(edge: &Edge) -> String {
    let mut words = edge.words();
    for note in &edge.notes {
        words = format!("{words} ✗ {}", note.short()).trim().to_owned();
    }
    let mut all = Vec::new();
    if !words.is_empty() {
        all.push(format!("label={}", quoted(&words)));
    }
    let reason = printable(&edge.reason);
    if !reason.is_empty() {
        all.push(format!("edgetooltip={}", quoted(&reason)));
    }
    let (color, style) = match (edge.change, edge.state) {
        (Change::Removed, _) => ("gray60", "dotted"),
        (Change::Added, State::Broken) => ("#d1242f", "dashed"),
        (Change::Added, _) => ("#1a7f37", "dashed"),
        (_, State::Broken) => ("#d1242f", "bold"),
        (Change::Changed, _) => ("#8250df", "bold"),
        (_, State::Warning) => ("#9a6700", ""),
        (_, State::Idle) => ("gray60", ""),
        (_, State::Works | State::Elsewhere) => ("", ""),
    };
    let style = if style.is_empty() && edge.role == Role::Mirror { "dashed" } else { style };
    if !color.is_empty() {
        all.push(format!("color={0}, fontcolor={0}", quoted(color)));
    }
    if !style.is_empty() {
        all.push(format!("style={style}"));
    }
    if all.is_empty() { String::new() } else { format!(" [{}]", all.join(", ")) }
}

/// A text in quotes. Lines stay lines; everything else that a terminal would obey is written out.
fn quoted(text: &str) -> String {
    let lines: Vec<String> =
        text.split('\n').map(|line| printable(line).replace('\\', "\\\\").replace('"', "\\\"")).collect();
    format!("\"{}\"", lines.join("\\n"))
}
