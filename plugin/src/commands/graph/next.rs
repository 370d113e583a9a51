//! What is said below the tree: what it comes to, and what to do about it.

use super::GraphArgs;
use super::sides::Sides;
use asm_shared::graph::{Change, Graph, Kind, State};
use std::collections::BTreeSet;

/// `2 hosts, 3 load balancers; 2 links broken`.
pub(super) fn summary(sides: &Sides, graph: &Graph) -> String {
    if graph.nodes.is_empty() {
        return if sides.graph.nodes.is_empty() {
            format!("no gateway and no route ({})", sides.label)
        } else {
            "nothing of that kind: the rest of the graph is left out".to_owned()
        };
    }
    let count = |kind: Kind, one: &str, more: &str| {
        let number = graph.nodes.iter().filter(|node| node.kind == kind).count();
        (number > 0).then(|| format!("{number} {}", if number == 1 { one } else { more }))
    };
    let parts: Vec<String> = [
        count(Kind::Host, "host", "hosts"),
        count(Kind::LoadBalancer, "load balancer", "load balancers"),
        count(Kind::VirtualService, "route", "routes"),
        count(Kind::Destination, "destination", "destinations"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut text = parts.join(", ");
    let rules = rules(graph);
    text.push_str(&if !graph.is_broken() {
        "; nothing broken".to_owned()
    } else if rules.is_empty() {
        "; broken links".to_owned()
    } else {
        format!("; broken: {}", rules.into_iter().collect::<Vec<_>>().join(", "))
    });
    if let Some(base) = &sides.base {
        let nodes = graph.nodes.iter().map(|node| node.change);
        let all: Vec<Change> = nodes.chain(graph.edges.iter().map(|edge| edge.change)).collect();
        let of = |wanted: Change| all.iter().filter(|change| **change == wanted).count();
        let (added, changed, removed) = (of(Change::Added), of(Change::Changed), of(Change::Removed));
        text.push_str(&format!("\nsince {base}: {added} added, {changed} changed, {removed} removed"));
    }
    text
}

/// The rules that say why something is broken.
fn rules(graph: &Graph) -> BTreeSet<String> {
    let nodes = graph.nodes.iter().filter(|node| node.change != Change::Removed).flat_map(|node| &node.notes);
    let edges = graph.edges.iter().filter(|edge| edge.change != Change::Removed).flat_map(|edge| &edge.notes);
    nodes.chain(edges).filter(|note| note.breaks).filter_map(|note| note.rule.as_deref()).map(str::to_owned).collect()
}

/// What to do next.
pub(super) fn steps(args: &GraphArgs, sides: &Sides, graph: &Graph) -> Vec<String> {
    let is_loose = !args.manifests.is_empty() || !args.cluster.is_empty();
    let mut hints = Vec::new();
    if graph.nodes.is_empty() {
        if sides.graph.nodes.is_empty() && !is_loose {
            hints.push("make a gateway with: kubectl asm gateway create NAME".to_owned());
        }
        return hints;
    }
    if let Some(rule) = rules(graph).into_iter().next() {
        hints.push(format!("why it is broken: kubectl asm explain {rule}"));
        if !is_loose && args.at.is_none() {
            hints.push("see what can be mended with: kubectl asm lint --fix --dry-run".to_owned());
        }
    }
    if let Some(base) = args.base.as_deref().filter(|_| graph.is_changed()) {
        let base = base.trim_end_matches('.');
        hints.push(format!("see the fields that differ with: kubectl asm diff {base}"));
    }
    let is_large = graph.edges.iter().filter(|edge| edge.state != State::Idle).count() > 400;
    if is_large {
        hints.push("show a part of it with: --host, --gateway, --namespace, --target or --broken".to_owned());
    } else if hints.is_empty() {
        hints.push("as a picture: kubectl asm graph -o svg > graph.svg".to_owned());
    }
    hints
}
