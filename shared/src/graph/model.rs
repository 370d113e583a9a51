//! Nodes and edges.

use crate::fleet::{Manifest, Position};
use crate::lint::Severity;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// The ways of requests through a fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Graph {
    /// By kind, in the order of the way; within a kind as the files have them.
    pub nodes: Vec<Node>,
    /// In the order of the nodes that they come from.
    pub edges: Vec<Edge>,
}

/// A place on the way.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// The same in every revision: made of names, not of positions.
    pub id: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
    /// What else is to know, a few words each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// The member cluster that it is in; left out for what belongs to the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Arc<str>>,
    /// Its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Arc<str>>,
    /// Where it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// How it is.
    pub state: State,
    /// Why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What became of it since the base; `same` without one.
    pub change: Change,
}

/// What a node is; the order is that of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A host that clients ask for.
    Host,
    /// A load balancer.
    LoadBalancer,
    /// A port of a Service in front of a gateway's pods.
    Service,
    /// The pods of a gateway in one cluster.
    Pods,
    /// A server of a Gateway (Istio).
    Server,
    /// A VirtualService.
    VirtualService,
    /// A rule of it.
    Rule,
    /// A destination: host, port, subset.
    Destination,
    /// Pods of a destination in one cluster.
    Endpoints,
}

impl Kind {
    /// All of them, in the order of the way.
    pub const ALL: [Self; 9] = [
        Self::Host,
        Self::LoadBalancer,
        Self::Service,
        Self::Pods,
        Self::Server,
        Self::VirtualService,
        Self::Rule,
        Self::Destination,
        Self::Endpoints,
    ];

    /// As a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Host => "Host",
            Self::LoadBalancer => "Load balancer",
            Self::Service => "Service",
            Self::Pods => "Gateway pods",
            Self::Server => "Gateway",
            Self::VirtualService => "VirtualService",
            Self::Rule => "Rule",
            Self::Destination => "Destination",
            Self::Endpoints => "Endpoints",
        }
    }
}

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// File, line and column.
    #[serde(flatten)]
    pub position: Position,
    /// The object: `VirtualService default/bookinfo`.
    pub object: String,
    /// JSON pointer in it; left out for the whole object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pointer: String,
}

impl Place {
    /// A field of a manifest.
    pub fn of(manifest: &Manifest, pointer: &str) -> Self {
        let position = if pointer.is_empty() { manifest.position.clone() } else { manifest.position_of(pointer) };
        Self { position, object: manifest.id.to_string(), pointer: pointer.to_owned() }
    }

    /// `mesh/routes.yaml:12`.
    pub fn line(&self) -> String {
        format!("{}:{}", self.position.file, self.position.line)
    }
}

/// How a node or an edge is. The order is that of severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// As far as the files say, it works.
    #[default]
    Works,
    /// The files do not hold it; taken as working.
    Elsewhere,
    /// Nothing comes after it.
    Idle,
    /// Lint warns of it.
    Warning,
    /// No request gets further.
    Broken,
}

impl State {
    /// The word in the output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Elsewhere => "elsewhere",
            Self::Idle => "idle",
            Self::Warning => "warning",
            Self::Broken => "broken",
        }
    }
}

/// What became of something since the base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is the same, or nothing was compared.
    #[default]
    Same,
    /// It has other words, another weight, another state.
    Changed,
    /// The base does not have it.
    Added,
    /// Only the base has it.
    Removed,
}

/// Something to know about a node or an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The rule of lint that found it; left out when the route table says it and no rule does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
    /// How bad it is.
    pub severity: Severity,
    /// Is it why no request gets further?
    pub breaks: bool,
    /// What is wrong and why.
    pub message: String,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Note {
    /// What is shown where there is little room: the rule, or `broken`.
    pub fn short(&self) -> &str {
        self.rule.as_deref().unwrap_or("broken")
    }
}

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// ID of the node that it comes from.
    pub from: Arc<str>,
    /// ID of the node that it goes to.
    pub to: Arc<str>,
    /// What goes this way.
    pub role: Role,
    /// A few words: `443 → 8443`, `80 %`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Why it is there: the label, host or port that fits.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Part of the requests that goes this way, from 0 to 1, where weights split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Hosts that it is for, in order; all when left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Arc<str>>,
    /// Port of the gateway's pods that it is for; all when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Where it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// How it is.
    pub state: State,
    /// Why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What became of it since the base; `same` without one.
    pub change: Change,
    /// Its words in the base, when they are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
}

/// What goes over an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// The request.
    #[default]
    Request,
    /// A copy of it.
    Mirror,
}

impl Edge {
    /// An edge about which nothing else is to know.
    pub fn new(from: Arc<str>, to: Arc<str>) -> Self {
        Self {
            from,
            to,
            role: Role::Request,
            label: String::new(),
            reason: String::new(),
            share: None,
            hosts: Vec::new(),
            port: None,
            place: None,
            state: State::Works,
            notes: Vec::new(),
            change: Change::Same,
            was: None,
        }
    }

    /// Its words, with those that it had in the base.
    pub fn words(&self) -> String {
        match &self.was {
            Some(was) if *was != self.label => format!("{was} ⇒ {}", self.label),
            _ => self.label.clone(),
        }
    }

    /// What tells it from other edges.
    pub(super) fn key(&self) -> (Arc<str>, Arc<str>, Role) {
        (self.from.clone(), self.to.clone(), self.role)
    }
}

impl Node {
    /// ID of the node that stands for the sidecars of all workloads.
    pub const SIDECARS: &'static str = "pods/mesh";

    /// What it is, as a heading. Sidecars stand where gateways do, and are none.
    pub fn title(&self) -> &'static str {
        if &*self.id == Self::SIDECARS { "Sidecars" } else { self.kind.title() }
    }

    /// A node about which nothing else is to know.
    pub fn new(kind: Kind, id: impl Into<Arc<str>>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            kind,
            name: name.into(),
            details: Vec::new(),
            cluster: None,
            namespace: None,
            place: None,
            state: State::Works,
            notes: Vec::new(),
            change: Change::Same,
        }
    }

    /// Name, details, cluster, state and notes, for who sees no picture and where a picture has no room.
    pub fn described(&self) -> String {
        let mut text = format!("{} {}", self.title(), self.name);
        for detail in &self.details {
            text.push_str(" · ");
            text.push_str(detail);
        }
        if let Some(cluster) = &self.cluster {
            text.push_str(" · in ");
            text.push_str(cluster);
        }
        if let Some(place) = &self.place {
            text.push_str(" · ");
            text.push_str(&place.line());
        }
        for note in &self.notes {
            text.push_str(&format!(" · {}: {}", note.short(), note.message));
        }
        text
    }
}

impl Graph {
    /// The heading of all nodes of a kind.
    pub fn heading(&self, kind: Kind) -> &'static str {
        let of_kind = || self.nodes.iter().filter(|node| node.kind == kind);
        let is_sidecars = |node: &Node| &*node.id == Node::SIDECARS;
        match kind {
            Kind::Pods if of_kind().next().is_some() && of_kind().all(is_sidecars) => "Sidecars",
            Kind::Pods if of_kind().any(is_sidecars) => "Gateway pods, sidecars",
            kind => kind.title(),
        }
    }

    /// Is anything broken that is still there?
    pub fn is_broken(&self) -> bool {
        let nodes = self.nodes.iter().map(|node| (node.state, node.change));
        nodes
            .chain(self.edges.iter().map(|edge| (edge.state, edge.change)))
            .any(|(state, change)| state == State::Broken && change != Change::Removed)
    }

    /// Does it differ from its base?
    pub fn is_changed(&self) -> bool {
        let nodes = self.nodes.iter().map(|node| node.change);
        nodes.chain(self.edges.iter().map(|edge| edge.change)).any(|change| change != Change::Same)
    }

    /// Nodes by their ID.
    pub(super) fn index(&self) -> HashMap<&str, usize> {
        self.nodes.iter().enumerate().map(|(index, node)| (&*node.id, index)).collect()
    }

    /// Puts nodes and edges into their order; nodes of one kind stay as they are.
    pub(super) fn arrange(&mut self) {
        self.nodes.sort_by_key(|node| node.kind);
        let at: HashMap<Arc<str>, usize> =
            self.nodes.iter().enumerate().map(|(index, node)| (node.id.clone(), index)).collect();
        let place = |id: &Arc<str>| at.get(id).copied().unwrap_or(usize::MAX);
        self.edges.sort_by_key(|edge| (place(&edge.from), place(&edge.to), edge.role));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_sidecars_is_not_headed_as_gateways() {
        let (sidecars, gateway) = (Node::new(Kind::Pods, Node::SIDECARS, "mesh"), Node::new(Kind::Pods, "pods/a", "a"));
        for (nodes, heading) in [
            (vec![], "Gateway pods"),
            (vec![gateway.clone()], "Gateway pods"),
            (vec![sidecars.clone()], "Sidecars"),
            (vec![gateway, sidecars.clone()], "Gateway pods, sidecars"),
        ] {
            assert_eq!(Graph { nodes, edges: Vec::new() }.heading(Kind::Pods), heading);
        }
        assert!(sidecars.described().starts_with("Sidecars mesh"));
    }
}
