//! Two graphs as one: what was added, removed and changed since the base.

use super::{Change, Edge, Graph, Node};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// `after`, with what of it is not in `before`, and with what only `before` has. Places are no difference: a line above
/// moves them.
pub fn compare(before: &Graph, after: Graph) -> Graph {
    let mut graph = after;
    let old: HashMap<&str, &Node> = before.nodes.iter().map(|node| (&*node.id, node)).collect();
    for node in &mut graph.nodes {
        node.change = match old.get(&*node.id) {
            None => Change::Added,
            Some(old) if differs(old, node) => Change::Changed,
            Some(_) => Change::Same,
        };
    }
    let old: HashMap<_, &Edge> = before.edges.iter().map(|edge| (edge.key(), edge)).collect();
    for edge in &mut graph.edges {
        match old.get(&edge.key()) {
            None => edge.change = Change::Added,
            Some(old) if leads_otherwise(old, edge) => {
                edge.change = Change::Changed;
                edge.was = Some(old.label.clone());
            }
            Some(_) => {}
        }
    }
    take_over(before, &mut graph);
    graph.arrange();
    graph
}

/// Puts what only the base has beside what it stood beside there.
fn take_over(before: &Graph, graph: &mut Graph) {
    let known: HashSet<Arc<str>> = graph.nodes.iter().map(|node| node.id.clone()).collect();
    let mut nodes = std::mem::take(&mut graph.nodes);
    let mut previous: Option<&Arc<str>> = None;
    for node in &before.nodes {
        if !known.contains(&node.id) {
            let after = previous.and_then(|id| nodes.iter().position(|node| node.id == *id)).map_or(0, |at| at + 1);
            nodes.insert(after, Node { change: Change::Removed, ..node.clone() });
        }
        previous = Some(&node.id);
    }
    graph.nodes = nodes;
    let known: HashSet<_> = graph.edges.iter().map(Edge::key).collect();
    let gone = before.edges.iter().filter(|edge| !known.contains(&edge.key()));
    graph.edges.extend(gone.map(|edge| Edge { change: Change::Removed, ..edge.clone() }).collect::<Vec<_>>());
}

fn differs(before: &Node, after: &Node) -> bool {
    (&before.name, &before.details, &before.cluster, before.state)
        != (&after.name, &after.details, &after.cluster, after.state)
}

fn leads_otherwise(before: &Edge, after: &Edge) -> bool {
    // That a server gets a host is seen at the host, and is no change for its other hosts.
    let hosts = |edge: &Edge| (!edge.from.starts_with("pods/")).then(|| edge.hosts.clone());
    (&before.label, before.share, hosts(before), before.port, before.state)
        != (&after.label, after.share, hosts(after), after.port, after.state)
}
