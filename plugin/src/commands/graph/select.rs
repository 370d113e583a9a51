//! The part of the graph that is wanted.

use super::GraphArgs;
use super::sides::Sides;
use crate::context::Context;
use crate::error::CommandError;
use asm_shared::authoring::did_you_mean;
use asm_shared::graph::{Filter, Graph, Kind};
use std::collections::BTreeSet;

/// The part that is wanted. A name that nothing has is an error: an empty picture would look like an answer.
pub(super) fn part(context: &Context, args: &GraphArgs, sides: &Sides) -> Result<Graph, CommandError> {
    for target in &args.targets {
        if !sides.clusters.contains(target) {
            let known = sides.clusters.iter().map(String::as_str);
            return Err(unknown("member cluster", target, known.collect()));
        }
    }
    let mut filter = Filter::default();
    let mut graph = sides.graph.clone();
    for host in &args.hosts {
        let wanted = Filter { hosts: vec![host.clone()], ..Filter::default() };
        if wanted.apply(&graph).nodes.is_empty() {
            let known = graph.nodes.iter().filter(|node| node.kind == Kind::Host).map(|node| node.name.as_str());
            return Err(unknown("virtual host that answers", host, known.collect()));
        }
    }
    for name in &args.gateways {
        let wanted = Filter { gateways: vec![name.clone()], ..Filter::default() };
        if wanted.apply(&graph).nodes.is_empty() {
            let gateways = graph.nodes.iter().filter(|node| matches!(node.kind, Kind::Pods | Kind::Server));
            let names = gateways.map(|node| node.name.rsplit('/').next().unwrap_or_default());
            return Err(unknown("gateway", name, names.collect()));
        }
    }
    filter.hosts.clone_from(&args.hosts);
    filter.gateways.clone_from(&args.gateways);
    filter.clusters.clone_from(&args.targets);
    filter.namespaces.extend(context.globals.namespace.clone().filter(|_| !context.globals.all_namespaces));
    filter.broken = args.broken;
    filter.changed = args.changed;
    if !filter.is_empty() {
        graph = filter.apply(&graph);
    }
    Ok(graph)
}

fn unknown(what: &str, name: &str, known: BTreeSet<&str>) -> CommandError {
    let error = CommandError::input(format!("there is no {what} `{name}` in the graph"));
    let near = did_you_mean(name, known.iter().copied());
    let some: Vec<&str> = known.iter().copied().take(10).collect();
    let list = (near.is_none() && !some.is_empty()).then(|| format!("there is: {}", some.join(", ")));
    error.hinted_with(near.or(list))
}
