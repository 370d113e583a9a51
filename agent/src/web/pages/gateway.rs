//! One gateway: doors with their addresses, hosts with their routes, its part of the picture.

use super::Look;
use super::gateways::{of_door, state};
use super::overview::addresses;
use super::parts::{self, link, link_with, pill, slice, text, wide};
use super::picture;
use crate::web::views::FleetView;
use asm_shared::graph::Filter;
use asm_shared::topology::{Gateway, Host};
use maud::{Markup, html};

/// Hosts of one page.
const EACH: usize = 50;

pub(super) fn of(view: &FleetView, look: &Look) -> Option<Markup> {
    let (namespace, name) = look.gateway.split_once('/')?;
    let (_, drawn) = parts::drawn(view).ok()?;
    let gateway = drawn.topology.gateways.iter().find(|known| known.name == name && known.namespace == namespace)?;
    let filter = Filter { gateways: vec![name.to_owned()], ..Filter::default() };
    Some(html! {
        section.card #gateway data-part aria-labelledby="gateway-title" { (facts(view, gateway)) }
        section.card #doors data-part aria-labelledby="doors-title" {
            h3 #doors-title { "Services and load balancers" }
            (doors(view, gateway))
        }
        section.card #hosts data-part aria-labelledby="hosts-title" {
            h3 #hosts-title { "Hosts and routes" }
            (hosts(view, gateway, look))
        }
        section.card #picture data-part aria-labelledby="picture-title" {
            h3 #picture-title { "The way of a request" }
            (picture::part_of(&drawn.graph, &filter, &format!("Gateway {name} of {}", view.name)))
            p.hint { a href=(link_with(&["fleets", &view.name, "picture"], &[("gateway", name)])) { "This part in the picture of the fleet" } }
        }
    })
}

fn facts(view: &FleetView, gateway: &Gateway) -> Markup {
    let (now, word) = state(view, gateway);
    let why = gateway.object.iter().chain(gateway.doors.iter().map(|door| &door.object)).find_map(|(target, id)| {
        let target = view.target(target.name())?;
        target.unhealthy.iter().find(|(sick, _)| sick == id).map(|(id, why)| format!("{id} {why}"))
    });
    html! {
        p.back { a href=(link(&["fleets", &view.name, "gateways"])) { "← All gateways" } }
        div.title { h2 #gateway-title { (gateway.namespace) "/" (gateway.name) } (pill(now, word)) }
        @if let Some(why) = why { p.why { (text(&why)) } }
        dl.facts {
            div { dt { "Kind" } dd { @match &gateway.object {
                Some((_, id)) => { (id.group_kind.kind) @if gateway.serverless { ", serverless" } },
                None => "not in Git",
            } } }
            div { dt { "Runs in" } dd { @if gateway.serverless { "ASM" } @else { (gateway.clusters.join(", ")) } } }
            @if let Some(position) = &gateway.position { div { dt { "In Git" } dd { code { (position.to_string()) } } } }
        }
    }
}

fn doors(view: &FleetView, gateway: &Gateway) -> Markup {
    if gateway.doors.is_empty() {
        return html! { p.none { "No Service in Git leads to its pods." } };
    }
    wide(
        "Services and load balancers",
        html! { table {
            thead { tr { th { "Service" } th { "Cluster" } th { "Type" } th { "Ports" } th { "Addresses" } } }
            tbody { @for door in &gateway.doors { tr {
                th scope="row" { code { (door.service) } @if door.generated { span.hint { " made by ASM" } } }
                td { (door.cluster) }
                td { (door.kind) }
                td { (door.ports.join(", ")) }
                td { @let found = of_door(view, door);
                    @if found.is_empty() && door.kind == "LoadBalancer" { span.warned { "none yet" } } @else { (addresses(&found)) } }
            } } }
        } },
    )
}

fn hosts(view: &FleetView, gateway: &Gateway, look: &Look) -> Markup {
    if gateway.hosts.is_empty() {
        return html! { p.none { "No Gateway selects its pods: requests find nobody." } };
    }
    let part = slice(gateway.hosts.len(), EACH, look);
    let path = ["fleets", &view.name, "gateways", &gateway.namespace, &gateway.name];
    html! {
        (wide("Hosts and routes", html! { table {
            thead { tr { th { "Host" } th { "VirtualService" } th.number { "Routes" } th { "Leads to" } th { "In Git" } } }
            @for host in gateway.hosts.get(part.from..part.to).unwrap_or_default() { tbody { (host_rows(host)) } }
        } }))
        (part.turn("hosts", |page| link_with(&path, &[("page", &page.to_string())])))
    }
}

fn host_rows(host: &Host) -> Markup {
    let rows = host.routes.len().max(1);
    html! {
        @for (index, route) in host.routes.iter().enumerate() { tr {
            @if index == 0 { (host_cell(host, rows)) }
            td { code { (route.namespace) "/" (route.name) } }
            td.number { (route.rules) }
            td { @for to in &route.destinations { code { (to) } " " } @if route.more > 0 { "and " (route.more) " more" } }
            td { code { (route.position.to_string()) } }
        } }
        @if host.routes.is_empty() { tr {
            (host_cell(host, 1))
            td colspan="4" { @if host.https_only { "answers with a redirect to HTTPS" } @else { span.warned { "no VirtualService: 404" } } }
        } }
    }
}

fn host_cell(host: &Host, rows: usize) -> Markup {
    html! { th scope="rowgroup" rowspan=(rows) {
        code { (host.name) }
        @if host.tls { " " span.tag { "TLS" } }
        @if host.https_only { " " span.tag { "HTTP → HTTPS" } }
    } }
}
