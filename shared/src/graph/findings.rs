//! What lint finds, put where it holds: at the node or edge that is written nearest to the finding.

use super::Edge;
use super::model::{Node, Note, Role, State};
use crate::fleet::Target;
use crate::lint::{Finding, Severity};
use crate::object::ObjectId;
use std::collections::HashMap;
use std::sync::Arc;

/// Rules that are about the links of the way: what they find lets no request further, also where they only warn.
const LINKS: [&str; 12] = [
    "gateway-selector",
    "virtual-service-gateway",
    "virtual-service-host",
    "destination-host",
    "destination-port",
    "destination-subset",
    "subset-pods",
    "gateway-port",
    "load-balancer-selector",
    "load-balancer-port",
    "certificate-reach",
    "dead-door",
];

/// Where something is written, and what it is in the graph.
struct Anchor {
    /// The target for which it holds; any when absent.
    target: Option<Target>,
    /// As findings have it: `spec.servers[0]`.
    path: String,
    on: On,
}

/// A node or an edge.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum On {
    Node(Arc<str>),
    Edge(Arc<str>, Arc<str>, Role),
}

/// Where everything is written.
#[derive(Default)]
pub(super) struct Anchors(HashMap<ObjectId, Vec<Anchor>>);

impl Anchors {
    /// Something is written at a JSON pointer of an object.
    pub(super) fn add(&mut self, object: &ObjectId, target: Option<&Target>, pointer: &str, on: On) {
        let (path, target) = (path(pointer), target.cloned());
        let known = self.0.entry(object.clone()).or_default();
        if !known.iter().any(|anchor| anchor.on == on && anchor.path == path && anchor.target == target) {
            known.push(Anchor { target, path, on });
        }
    }

    /// The nearest of them that a finding is about.
    fn of(&self, finding: &Finding) -> Vec<&On> {
        let Some(known) = finding.place.object.as_ref().and_then(|object| self.0.get(object)) else {
            return Vec::new();
        };
        let holds = |anchor: &&Anchor| {
            let here = anchor.target.as_ref().is_none_or(|target| finding.targets.contains(target));
            here && covers(&anchor.path, &finding.place.path)
        };
        let found: Vec<&Anchor> = known.iter().filter(holds).collect();
        let nearest = found.iter().map(|anchor| anchor.path.len()).max().unwrap_or_default();
        found.into_iter().filter(|anchor| anchor.path.len() == nearest).map(|anchor| &anchor.on).collect()
    }

    /// Is anything written in this object?
    pub(super) fn has(&self, object: &ObjectId) -> bool {
        self.0.contains_key(object)
    }
}

/// Puts the findings of warning and above where they hold. What lint says of a link that the table says too is said once.
pub(super) fn attach(anchors: &Anchors, findings: &[Finding], nodes: &mut [Node], edges: &mut [Edge]) {
    let node_at: HashMap<Arc<str>, usize> =
        nodes.iter().enumerate().map(|(index, node)| (node.id.clone(), index)).collect();
    let edge_at: HashMap<_, usize> = edges.iter().enumerate().map(|(index, edge)| (edge.key(), index)).collect();
    for finding in findings.iter().filter(|finding| finding.severity >= Severity::Warning) {
        let breaks = finding.severity == Severity::Error || LINKS.contains(&finding.rule);
        let note = Note {
            rule: Some(finding.rule.into()),
            severity: finding.severity,
            breaks,
            message: finding.message.clone(),
            hint: finding.hint.clone(),
        };
        let state = if breaks { State::Broken } else { State::Warning };
        for on in anchors.of(finding) {
            match on {
                On::Node(id) => {
                    if let Some(node) = node_at.get(id).and_then(|at| nodes.get_mut(*at)) {
                        node.state = node.state.max(state);
                        say(&mut node.notes, note.clone());
                    }
                }
                On::Edge(from, to, role) => {
                    let found = edge_at.get(&(from.clone(), to.clone(), *role));
                    if let Some(edge) = found.and_then(|at| edges.get_mut(*at)) {
                        edge.state = edge.state.max(state);
                        say(&mut edge.notes, note.clone());
                    }
                }
            }
        }
    }
}

/// Adds a note. What the table said about the same fault goes: lint says it better, and has a page about it.
fn say(notes: &mut Vec<Note>, note: Note) {
    if note.breaks {
        notes.retain(|said| said.rule.is_some());
    }
    if !notes.contains(&note) {
        notes.push(note);
    }
}

/// Is `inner` the field `outer` or inside it?
fn covers(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| outer.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

/// `/spec/servers/0/port` as findings have it: `spec.servers[0].port`.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for token in pointer.split('/').skip(1) {
        if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{token}]"));
        } else {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(token);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_what_is_inside_them() {
        assert_eq!(path("/spec/http/0/route/12"), "spec.http[0].route[12]");
        assert!(covers("spec.http[1]", "spec.http[1].route[0]"));
        assert!(covers("", "spec") && covers("spec", "spec"));
        assert!(!covers("spec.http[1]", "spec.http[10]"));
    }
}
