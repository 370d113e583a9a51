//! The graph of a fleet: what its route tables say, gateway by gateway, and what no table has.

mod apart;
mod front;
mod routes;

use super::findings::{Anchors, On, attach};
use super::model::{Edge, Graph, Kind, Node, Role, State};
use crate::authoring::LoadBalancerService;
use crate::fleet::{FleetState, Target};
use crate::lint::Finding;
use crate::object::ObjectId;
use crate::route::{Options, compile_all, gateways, sidecars};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Makes the graph of a fleet. `findings`: what lint finds in it.
pub fn build(state: &FleetState, findings: &[Finding]) -> Graph {
    let fronts = gateways(state);
    // Git does not know which object is older; what depends on it is said by lint (`order-hazard`).
    let options = Options { same_age: true, ..Options::default() };
    let mut builder = Builder::of(state);
    for table in compile_all(state, &fronts, &options) {
        builder.front(&table);
    }
    builder.sidecars(&sidecars(state, &options));
    builder.idle_ports();
    builder.apart(state, findings);
    builder.finish(findings)
}

/// Collects nodes and edges, each once.
struct Builder {
    nodes: Vec<Node>,
    node_at: HashMap<Arc<str>, usize>,
    edges: Vec<Edge>,
    edge_at: HashMap<(Arc<str>, Arc<str>, Role), usize>,
    anchors: Anchors,
    /// By cluster, namespace and name of the Service.
    balancers: HashMap<(String, String, String), LoadBalancerService>,
    /// Per port of a Service: what clients meet before it.
    entrances: HashMap<Arc<str>, Arc<str>>,
    /// What istiod does not accept, and why.
    refused: HashMap<ObjectId, String>,
    /// Rules whose destinations are there already.
    rules: HashSet<Arc<str>>,
    /// Per list of rules (`/spec/http` of a VirtualService): what tells one from the others.
    words: HashMap<(ObjectId, String), Vec<RuleWords>>,
}

/// What tells a rule from others, wherever it stands.
#[derive(Clone, Default)]
struct RuleWords {
    name: Option<String>,
    matches: String,
    /// How many before it have the same.
    before: usize,
}

impl Builder {
    fn of(state: &FleetState) -> Self {
        let balancers = LoadBalancerService::all(state).into_iter();
        let key =
            |service: &LoadBalancerService| (service.cluster.clone(), service.namespace.clone(), service.name.clone());
        Self {
            nodes: Vec::new(),
            node_at: HashMap::new(),
            edges: Vec::new(),
            edge_at: HashMap::new(),
            anchors: Anchors::default(),
            balancers: balancers.map(|service| (key(&service), service)).collect(),
            entrances: HashMap::new(),
            refused: HashMap::new(),
            rules: HashSet::new(),
            words: HashMap::new(),
        }
    }

    /// The node of this ID, made if it is new.
    fn node(&mut self, kind: Kind, id: String, name: impl FnOnce() -> String) -> (&mut Node, bool) {
        let id: Arc<str> = id.into();
        let (at, is_new) = match self.node_at.get(&id) {
            Some(at) => (*at, false),
            None => {
                self.nodes.push(Node::new(kind, id.clone(), name()));
                self.node_at.insert(id, self.nodes.len() - 1);
                (self.nodes.len() - 1, true)
            }
        };
        (&mut self.nodes[at], is_new)
    }

    fn has(&self, id: &str) -> bool {
        self.node_at.contains_key(id)
    }

    fn get(&mut self, id: &str) -> Option<&mut Node> {
        self.node_at.get(id).and_then(|at| self.nodes.get_mut(*at))
    }

    /// The edge between two nodes, made if it is new.
    fn edge(&mut self, from: &Arc<str>, to: &Arc<str>, role: Role) -> &mut Edge {
        let key = (from.clone(), to.clone(), role);
        let at = *self.edge_at.entry(key).or_insert_with(|| {
            self.edges.push(Edge { role, ..Edge::new(from.clone(), to.clone()) });
            self.edges.len() - 1
        });
        &mut self.edges[at]
    }

    fn finish(mut self, findings: &[Finding]) -> Graph {
        for edge in &mut self.edges {
            edge.hosts.sort();
            edge.hosts.dedup();
        }
        attach(&self.anchors, findings, &mut self.nodes, &mut self.edges);
        self.judge_ports();
        let mut graph = Graph { nodes: self.nodes, edges: self.edges };
        graph.arrange();
        graph
    }

    /// Ports of Services for which no Gateway has a server.
    fn idle_ports(&mut self) {
        let served: HashSet<(Arc<str>, Option<u16>)> =
            self.edges.iter().map(|edge| (edge.from.clone(), edge.port)).collect();
        let idle: Vec<Arc<str>> = self
            .edges
            .iter()
            .filter(|edge| {
                edge.from.starts_with("svc/") && edge.port != Some(0) && !served.contains(&(edge.to.clone(), edge.port))
            })
            .map(|edge| edge.from.clone())
            .collect();
        for id in idle {
            if let Some(node) = self.get(&id).filter(|node| node.state < State::Idle) {
                node.state = State::Idle;
                node.details.push("no server of a Gateway: connections are refused".to_owned());
            }
        }
    }

    /// A port that one of several Services lacks can be reached through the others: lint only warns of it.
    fn judge_ports(&mut self) {
        let reached: HashSet<(Arc<str>, Option<u16>)> =
            self.edges.iter().map(|edge| (edge.to.clone(), edge.port)).collect();
        let alone = |edge: &Edge| !reached.contains(&(edge.from.clone(), edge.port));
        for edge in self.edges.iter_mut().filter(|edge| edge.port.is_some()) {
            if edge.state != State::Broken || alone(edge) {
                continue;
            }
            let notes = edge.notes.iter_mut().filter(|note| note.rule.as_deref() == Some("gateway-port"));
            notes.for_each(|note| note.breaks = false);
            let breaks = edge.notes.iter().any(|note| note.breaks);
            edge.state = if breaks { State::Broken } else { State::Warning };
        }
    }
}

/// The name of a cluster, for what is in one.
fn in_cluster(target: &Target) -> Option<Arc<str>> {
    match target {
        Target::Mesh => None,
        Target::Cluster(name) => Some(name.clone()),
    }
}

fn on(id: &Arc<str>) -> On {
    On::Node(id.clone())
}
