//! The graph as one document for machines.

use super::sides::Sides;
use crate::error::CommandError;
use crate::output::{self, Document};
use asm_shared::graph::{Edge, Graph, Node};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The ways of requests through a fleet.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FleetGraph<'a> {
    /// What is drawn: `working tree`, a revision, folders.
    source: &'a str,
    /// What it is compared with; with --base only.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<&'a str>,
    /// Is anything broken?
    broken: bool,
    /// By kind, in the order of the way.
    nodes: &'a [Node],
    /// In the order of the nodes that they come from.
    edges: &'a [Edge],
}

impl Document for FleetGraph<'_> {
    const KIND: &'static str = "FleetGraph";
}

pub(super) fn of(sides: &Sides, graph: &Graph) -> Result<Value, CommandError> {
    output::of(&FleetGraph {
        source: &sides.label,
        base: sides.base.as_deref(),
        broken: graph.is_broken(),
        nodes: &graph.nodes,
        edges: &graph.edges,
    })
}
