//! A part of a graph: what ways through it have a host, a gateway, a namespace or a cluster.

use super::walk::Walk;
use super::{Change, Edge, Graph, Kind, Node, State};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What is wanted. Of each list one entry is enough; what is empty wants everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Hosts as a client asks for them: the virtual host that would answer is taken, also one with a wildcard.
    pub hosts: Vec<String>,
    /// Gateways, by the name of the IstioGateway or of the Gateway, `NAMESPACE/NAME` for a Gateway of one namespace.
    pub gateways: Vec<String>,
    /// Namespaces of any object on the way.
    pub namespaces: Vec<String>,
    /// Member clusters of load balancers, gateway pods or endpoints.
    pub clusters: Vec<String>,
    /// Only ways on which something is broken.
    pub broken: bool,
    /// Only ways on which something is not as in the base.
    pub changed: bool,
}

impl Filter {
    /// Does it want everything?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The part of a graph that is wanted: whole ways, from the host to the endpoints. Where two of them cross, the part has
    /// what both have, and so perhaps a third way between the same steps.
    pub fn apply(&self, graph: &Graph) -> Graph {
        let mut graph = graph.clone();
        if !self.hosts.is_empty() {
            graph = of_hosts(&graph, &self.hosts);
        }
        if !self.gateways.is_empty() {
            graph = through(&graph, |node| self.gateways.iter().any(|name| is_gateway(node, name)), |_| false);
        }
        if !self.namespaces.is_empty() {
            let wanted = |name: &str| self.namespaces.iter().any(|wanted| wanted == name);
            graph = through(&graph, |node| node.namespace.as_deref().is_some_and(wanted), |_| false);
        }
        if !self.clusters.is_empty() {
            let wanted = |name: &str| self.clusters.iter().any(|wanted| wanted == name);
            graph = through(&graph, |node| node.cluster.as_deref().is_some_and(wanted), |_| false);
        }
        if self.broken {
            graph = through(&graph, |node| node.state == State::Broken, |edge| edge.state == State::Broken);
        }
        if self.changed {
            graph = through(&graph, |node| node.change != Change::Same, |edge| edge.change != Change::Same);
        }
        graph
    }
}

fn is_gateway(node: &Node, wanted: &str) -> bool {
    let (space, wanted) = wanted.split_once('/').map_or((None, wanted), |(space, name)| (Some(space), name));
    let name = node.name.rsplit_once('/').map_or(node.name.as_str(), |(_, name)| name);
    matches!(node.kind, Kind::Pods | Kind::Server)
        && name == wanted
        && space.is_none_or(|space| node.namespace.as_deref() == Some(space))
}

/// The narrowest of these hosts that takes a request for `host`, as Envoy chooses: the name itself, then the longest that
/// begins with a wildcard, then the longest that ends with one, then `*`.
fn answering<'h>(host: &str, known: impl Iterator<Item = &'h str>) -> Option<&'h str> {
    let host = host.to_ascii_lowercase();
    let rank = |name: &str| {
        if name.eq_ignore_ascii_case(&host) {
            return Some((3, name.len()));
        }
        if name == "*" {
            return Some((0, 0));
        }
        // The wildcard stands for at least one character.
        let longer = host.len() >= name.len();
        let lower = name.to_ascii_lowercase();
        if let Some(suffix) = lower.strip_prefix('*') {
            return (longer && host.ends_with(suffix)).then_some((2, name.len()));
        }
        let prefix = lower.strip_suffix('*')?;
        (longer && host.starts_with(prefix)).then_some((1, name.len()))
    };
    known.filter_map(|name| Some((rank(name)?, name))).max_by_key(|(rank, _)| *rank).map(|(_, name)| name)
}

/// Ways of requests for these hosts. On each port of a gateway's pods the narrowest virtual host answers, and no other.
fn of_hosts(graph: &Graph, wanted: &[String]) -> Graph {
    let walk = Walk::new(graph);
    let index = graph.index();
    // Per port of pods: the hosts of its servers.
    let mut served: HashMap<(&str, Option<u16>), BTreeSet<&str>> = HashMap::new();
    for edge in &graph.edges {
        let to_server = index.get(&*edge.to).is_some_and(|to| graph.nodes[*to].kind == Kind::Server);
        if to_server {
            served.entry((&*edge.from, edge.port)).or_default().extend(edge.hosts.iter().map(|host| &**host));
        }
    }
    let hosts: BTreeSet<&str> = wanted
        .iter()
        .flat_map(|host| {
            let exact = graph.nodes.iter().filter(|node| node.kind == Kind::Host && node.name == *host);
            let chosen = served.values().filter_map(|known| answering(host, known.iter().copied()));
            exact.map(|node| node.name.as_str()).chain(chosen).collect::<Vec<_>>()
        })
        .collect();
    let mut kept = Kept::default();
    for root in walk.roots() {
        let node = &graph.nodes[root];
        if node.kind == Kind::Host && hosts.contains(node.name.as_str()) {
            kept.node(root);
            super::walk::all(&walk, root, |_, step| {
                let edge = &graph.edges[step.edge];
                let port = served.get(&(&*edge.from, edge.port));
                // A wider host of the same port does not answer for this one.
                let answers = port.is_none_or(|known| {
                    wanted
                        .iter()
                        .any(|host| answering(host, known.iter().copied()) == Some(&node.name) || *host == node.name)
                });
                if answers {
                    kept.step(step.edge, step.to);
                }
            });
        }
    }
    let hosts: BTreeSet<Arc<str>> = hosts.into_iter().map(Into::into).collect();
    let mut part = kept.of(graph);
    for edge in &mut part.edges {
        edge.hosts.retain(|host| hosts.contains(host));
    }
    part
}

/// Ways that go through such a node or edge.
fn through(graph: &Graph, node: impl Fn(&Node) -> bool, edge: impl Fn(&Edge) -> bool) -> Graph {
    let walk = Walk::new(graph);
    let mut kept = Kept::default();
    for root in walk.roots() {
        let mut known = HashMap::new();
        let mut part = Part { walk: &walk, node: &node, edge: &edge, kept: &mut kept, known: HashMap::new() };
        part.visit(root, walk.begin(root), false, &mut known);
    }
    // What no way of a host leads through.
    let (mut useful, mut seen) = (HashMap::new(), HashSet::new());
    for root in walk.roots() {
        seen.insert(root);
        super::walk::all(&walk, root, |_, step| {
            seen.insert(step.to);
        });
    }
    for alone in (0..graph.nodes.len()).filter(|index| !seen.contains(index)) {
        let way = super::walk::Way { host: None, port: None };
        let mut part = Part { walk: &walk, node: &node, edge: &edge, kept: &mut kept, known: HashMap::new() };
        part.visit(alone, way, false, &mut useful);
    }
    kept.of(graph)
}

/// What is kept of a graph.
#[derive(Default)]
struct Kept {
    nodes: HashSet<usize>,
    edges: HashSet<usize>,
}

impl Kept {
    fn node(&mut self, node: usize) {
        self.nodes.insert(node);
    }

    fn step(&mut self, edge: usize, to: usize) {
        self.edges.insert(edge);
        self.nodes.insert(to);
    }

    fn of(self, graph: &Graph) -> Graph {
        let nodes = graph.nodes.iter().enumerate().filter(|(index, _)| self.nodes.contains(index));
        let edges = graph.edges.iter().enumerate().filter(|(index, _)| self.edges.contains(index));
        Graph {
            nodes: nodes.map(|(_, node)| node.clone()).collect(),
            edges: edges.map(|(_, edge)| edge.clone()).collect(),
        }
    }
}

/// A walk from one root that keeps the ways which go through something.
struct Part<'a, 'g, N, E> {
    walk: &'a Walk<'g>,
    node: &'a N,
    edge: &'a E,
    kept: &'a mut Kept,
    /// Per node, port, and whether the way went through it already: is the way kept?
    known: HashMap<(usize, Option<u16>, bool), bool>,
}

impl<'g, N: Fn(&Node) -> bool, E: Fn(&Edge) -> bool> Part<'_, 'g, N, E> {
    /// Is anything kept from here on? `found`: the way went through what is wanted already.
    fn visit(
        &mut self,
        at: usize,
        way: super::walk::Way<'g>,
        found: bool,
        useful: &mut HashMap<(usize, Option<u16>), bool>,
    ) -> bool {
        let found = found || (self.node)(&self.walk.graph.nodes[at]);
        if let Some(known) = self.known.get(&(at, way.port, found)) {
            return *known;
        }
        let mut keep = found;
        for step in self.walk.useful_steps(at, way, useful) {
            let here = found || (self.edge)(&self.walk.graph.edges[step.edge]);
            if self.visit(step.to, step.way, here, useful) {
                self.kept.step(step.edge, step.to);
                keep = true;
            }
        }
        if keep {
            self.kept.node(at);
        }
        self.known.insert((at, way.port, found), keep);
        keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_host_answers() {
        let known = ["*", "*.example.com", "*.shop.example.com", "shop.*", "shop.example.com"];
        for (host, expected) in [
            ("shop.example.com", "shop.example.com"),
            ("SHOP.example.com", "shop.example.com"),
            ("a.shop.example.com", "*.shop.example.com"),
            ("b.example.com", "*.example.com"),
            ("example.com", "*"),
            ("shop.example.org", "shop.*"),
        ] {
            assert_eq!(answering(host, known.into_iter()), Some(expected), "{host}");
        }
        assert_eq!(answering("a", ["b"].into_iter()), None);
    }
}
