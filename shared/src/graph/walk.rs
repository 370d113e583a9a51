//! The ways through a graph that are possible: a request for a host only follows edges of that host, and leaves the pods of
//! a gateway by servers on the port by which it came.

use super::{Graph, Kind};
use std::collections::HashMap;

/// A graph with its edges at hand.
pub(super) struct Walk<'g> {
    pub(super) graph: &'g Graph,
    /// Per node: the edges that leave it.
    out: Vec<Vec<usize>>,
    /// Per node: how many edges lead to it.
    arriving: Vec<usize>,
    /// Per edge: the node that it goes to.
    to: Vec<usize>,
}

/// What is known of a request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Way<'g> {
    /// The host that it is for; any when it begins behind the hosts.
    pub(super) host: Option<&'g str>,
    /// The port of the pods that it came in by.
    pub(super) port: Option<u16>,
}

/// A step: the edge, the node that it leads to, what is known there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'g> {
    pub(super) edge: usize,
    pub(super) to: usize,
    pub(super) way: Way<'g>,
}

/// Nodes that lead to a server, per node and port; of one host.
type Useful = HashMap<(usize, Option<u16>), bool>;

impl<'g> Walk<'g> {
    pub(super) fn new(graph: &'g Graph) -> Self {
        let index = graph.index();
        let mut walk = Self {
            graph,
            out: vec![Vec::new(); graph.nodes.len()],
            arriving: vec![0; graph.nodes.len()],
            to: vec![0; graph.edges.len()],
        };
        for (number, edge) in graph.edges.iter().enumerate() {
            if let (Some(from), Some(to)) = (index.get(&*edge.from), index.get(&*edge.to)) {
                walk.out[*from].push(number);
                walk.to[number] = *to;
                walk.arriving[*to] += 1;
            }
        }
        walk
    }

    /// The hosts, and everything else to which nothing leads.
    pub(super) fn roots(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.graph.nodes.len()).filter(|node| self.is_host(*node) || self.arriving[*node] == 0)
    }

    fn is_host(&self, node: usize) -> bool {
        self.graph.nodes[node].kind == Kind::Host
    }

    /// Where a way begins.
    pub(super) fn begin(&self, root: usize) -> Way<'g> {
        let host = self.is_host(root).then(|| self.graph.nodes[root].name.as_str());
        Way { host, port: None }
    }

    /// Where a request may go from a node.
    pub(super) fn steps(&self, node: usize, way: Way<'g>) -> impl Iterator<Item = Step<'g>> + '_ {
        self.out[node].iter().filter_map(move |number| {
            let edge = &self.graph.edges[*number];
            let for_host = edge.hosts.is_empty()
                || way.host.is_none_or(|host| edge.hosts.binary_search_by(|known| (**known).cmp(host)).is_ok());
            let for_port = match (way.port, edge.port) {
                (Some(mine), Some(port)) => mine == port,
                _ => true,
            };
            (for_host && for_port).then(|| Step {
                edge: *number,
                to: self.to[*number],
                way: Way { host: way.host, port: edge.port.or(way.port) },
            })
        })
    }

    /// The same, without ways on which no server has the host.
    pub(super) fn useful_steps(&self, node: usize, way: Way<'g>, known: &mut Useful) -> Vec<Step<'g>> {
        let steps: Vec<Step<'g>> = self.steps(node, way).collect();
        if way.host.is_none() {
            return steps;
        }
        steps.into_iter().filter(|step| self.is_useful(step, known)).collect()
    }

    /// Does a step of a request for a host lead to a server?
    fn is_useful(&self, step: &Step<'g>, known: &mut Useful) -> bool {
        if self.graph.nodes[step.to].kind >= Kind::Server {
            return true;
        }
        let key = (step.to, step.way.port);
        if let Some(known) = known.get(&key) {
            return *known;
        }
        // The kinds are in the order of the way: this ends.
        let useful = self.steps(step.to, step.way).any(|next| self.is_useful(&next, known));
        known.insert(key, useful);
        useful
    }
}

/// Every edge that a request may follow from a root, each node and port once. `visit` is told node and step.
pub(super) fn all<'g>(walk: &Walk<'g>, root: usize, mut visit: impl FnMut(usize, &Step<'g>)) {
    let mut useful = Useful::new();
    let mut seen = std::collections::HashSet::new();
    let mut open = vec![(root, walk.begin(root))];
    while let Some((node, way)) = open.pop() {
        if !seen.insert((node, way.port)) {
            continue;
        }
        for step in walk.useful_steps(node, way, &mut useful) {
            visit(node, &step);
            open.push((step.to, step.way));
        }
    }
}
