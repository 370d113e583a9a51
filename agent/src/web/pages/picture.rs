//! The ways of requests as a picture: that of `kubectl asm graph`, of the commit that the agent read, with the same filters.

use super::Look;
use super::parts::{self, link, link_with};
use crate::web::views::{Commit, FleetView};
use asm_shared::graph::{Filter, Graph, Kind, svg};
use maud::{Markup, PreEscaped, html};
use std::collections::BTreeSet;

/// Boxes that are drawn at once; nobody can read more.
const BOXES: usize = 400;
/// Choices that a list offers.
const CHOICES: usize = 500;

pub(in crate::web) fn style_of_pictures() -> String {
    let page = svg(&Graph::default(), "");
    let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
    style.map(|(style, _)| style.to_owned()).unwrap_or_default()
}

pub(super) fn of(view: &FleetView, look: &Look) -> Option<Markup> {
    let path = ["fleets", &view.name, "picture"];
    let (commit, drawn) = match parts::drawn(view) {
        Ok(found) => found,
        Err(why) => {
            return Some(html! { section.card #picture data-part aria-label="Picture" {
                h2 { "Picture" } p.none { (why) }
            } });
        }
    };
    let one = |name: &str| if name.trim().is_empty() { Vec::new() } else { vec![name.trim().to_owned()] };
    let filter = Filter {
        hosts: one(&look.host),
        gateways: one(&look.gateway),
        clusters: one(&look.cluster),
        broken: !look.broken.is_empty(),
        ..Filter::default()
    };
    let title = if filter.is_empty() { view.name.clone() } else { format!("A part of {}", view.name) };
    Some(html! {
        section.card aria-labelledby="picture-title" {
            h2 #picture-title { "The way of a request" }
            (form(commit, &drawn.graph, &path, look, &filter))
            div #picture data-part { (part_of(&drawn.graph, &filter, &title)) }
            p.hint {
                "As the files of this commit say; lint's errors are marked. The same, with all that lint says: " code { "kubectl asm graph" }
            }
        }
    })
}

fn form(commit: &Commit, graph: &Graph, path: &[&str], look: &Look, filter: &Filter) -> Markup {
    let names = |kinds: &[Kind]| -> BTreeSet<&str> {
        let nodes = graph.nodes.iter().filter(|node| kinds.contains(&node.kind));
        nodes.map(|node| node.name.rsplit('/').next().unwrap_or_default()).collect()
    };
    let hosts: BTreeSet<&str> = graph.nodes.iter().filter(|n| n.kind == Kind::Host).map(|n| n.name.as_str()).collect();
    html! { form.filter role="search" action=(link(path)) {
        label { "Host " input type="search" name="host" value=(look.host) list="hosts" autocomplete="off"; }
        datalist #hosts { @for host in hosts.iter().take(CHOICES) { option value=(host) {} } }
        label { "Gateway " input type="search" name="gateway" value=(look.gateway) list="gateways" autocomplete="off"; }
        datalist #gateways { @for name in names(&[Kind::Pods, Kind::Server]).iter().take(CHOICES) { option value=(name) {} } }
        label { "Cluster " select name="cluster" {
            option value="" { "all" }
            @for cluster in &commit.clusters { option value=(cluster) selected[*cluster == look.cluster] { (cluster) } }
        } }
        label.check { input type="checkbox" name="broken" value="1" checked[filter.broken]; " only what is broken" }
        button type="submit" { "Show" }
        @if !filter.is_empty() { a href=(link(path)) { "all" } }
        @else if graph.is_broken() { a href=(link_with(path, &[("broken", "1")])) { "what is broken" } }
    } }
}

/// A part of the picture; or why it is not drawn.
pub(super) fn part_of(graph: &Graph, filter: &Filter, title: &str) -> Markup {
    let part;
    let graph = if filter.is_empty() {
        graph
    } else {
        part = filter.apply(graph);
        &part
    };
    if graph.nodes.is_empty() {
        return html! { p.none { "No way of a request has this." } };
    }
    if graph.nodes.len() > BOXES {
        return html! { p { "This would be " (graph.nodes.len()) " boxes, more than anybody reads: choose a host, a gateway or a cluster." } };
    }
    html! { div.picture role="region" aria-label="Picture" tabindex="0" { (PreEscaped(svg(graph, title))) } }
}
