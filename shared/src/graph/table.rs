//! The graph as a table: a row per way of a request.

use super::text::percent;
use super::walk::{Step, Walk, Way};
use super::{Change, Graph, Kind, Node};
use crate::text::printable;
use std::collections::{HashMap, HashSet};

/// The columns.
pub const HEADERS: [&str; 10] =
    ["host", "load balancer", "service", "pods", "gateway", "route", "rule", "destination", "endpoints", "findings"];

/// The rows; a way that ends early leaves the rest empty.
pub fn rows(graph: &Graph) -> Vec<[String; 10]> {
    let walk = Walk::new(graph);
    let mut table = Table { walk: &walk, rows: Vec::new(), useful: HashMap::new(), drawn: HashSet::new() };
    for root in walk.roots().filter(|root| graph.nodes[*root].kind == Kind::Host) {
        table.useful.clear();
        table.visit(root, walk.begin(root), &mut Vec::new());
    }
    let alone: Vec<usize> = (0..graph.nodes.len()).filter(|node| !table.drawn.contains(node)).collect();
    let nowhere = Way { host: None, port: None };
    let arrives: HashSet<usize> =
        alone.iter().flat_map(|node| walk.steps(*node, nowhere).map(|step| step.to)).collect();
    for top in alone.into_iter().filter(|node| !arrives.contains(node)) {
        table.visit(top, nowhere, &mut Vec::new());
    }
    table.rows
}

struct Table<'a, 'g> {
    walk: &'a Walk<'g>,
    rows: Vec<[String; 10]>,
    useful: HashMap<(usize, Option<u16>), bool>,
    drawn: HashSet<usize>,
}

impl<'g> Table<'_, 'g> {
    fn visit(&mut self, node: usize, way: Way<'g>, before: &mut Vec<(usize, Option<usize>)>) {
        self.drawn.insert(node);
        if before.is_empty() {
            before.push((node, None));
        }
        let mut useful = std::mem::take(&mut self.useful);
        let steps: Vec<Step<'g>> = self.walk.useful_steps(node, way, &mut useful);
        self.useful = useful;
        // The endpoints of a destination are one cell.
        if steps.is_empty() || self.walk.graph.nodes[node].kind == Kind::Destination {
            self.row(before, &steps);
            self.drawn.extend(steps.iter().map(|step| step.to));
            return;
        }
        for step in steps {
            before.push((step.to, Some(step.edge)));
            self.visit(step.to, step.way, before);
            before.pop();
        }
    }

    fn row(&mut self, way: &[(usize, Option<usize>)], ends: &[Step<'g>]) {
        let graph = self.walk.graph;
        let mut cells: [String; 10] = Default::default();
        let mut findings: Vec<String> = Vec::new();
        let all = way.iter().copied().chain(ends.iter().map(|step| (step.to, Some(step.edge))));
        for (node, edge) in all {
            let (node, edge) = (&graph.nodes[node], edge.map(|edge| &graph.edges[edge]));
            let words = edge.map(super::Edge::words).filter(|words| !words.is_empty());
            let text = match (node.kind, words) {
                (Kind::Rule | Kind::Destination, Some(words)) => format!("{words} {}", node.name),
                (Kind::Endpoints, _) => {
                    let share = edge.and_then(|edge| edge.share).map(|share| format!("{} to ", percent(share)));
                    format!("{}{}", share.unwrap_or_default(), node.name)
                }
                _ => named(node),
            };
            let change = edge.map(|edge| edge.change).filter(|change| *change != Change::Same).unwrap_or(node.change);
            let cell = &mut cells[node.kind as usize];
            let separator = if cell.is_empty() { "" } else { ", " };
            cell.push_str(separator);
            cell.push_str(&printable(&format!("{}{text}", sign(change))));
            let notes = node.notes.iter().chain(edge.into_iter().flat_map(|edge| &edge.notes));
            for short in notes.map(|note| note.short().to_owned()) {
                if !findings.contains(&short) {
                    findings.push(short);
                }
            }
        }
        cells[9] = findings.join(",");
        if self.rows.last() != Some(&cells) {
            self.rows.push(cells);
        }
    }
}

fn named(node: &Node) -> String {
    let cluster = match (&node.cluster, node.kind) {
        (Some(cluster), Kind::LoadBalancer | Kind::Service | Kind::Pods) => format!(" ({cluster})"),
        _ => String::new(),
    };
    format!("{}{cluster}", node.name)
}

fn sign(change: Change) -> &'static str {
    match change {
        Change::Same => "",
        Change::Changed => "~",
        Change::Added => "+",
        Change::Removed => "-",
    }
}
