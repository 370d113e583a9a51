//! The gateways of a fleet: addresses, hosts, routes; by name, host, address or cluster.

use super::Look;
use super::overview::addresses;
use super::parts::{self, State, elsewhere, has, link, link_with, pill, slice, wide};
use crate::web::views::FleetView;
use asm_shared::topology::{Gateway, GatewayDoor};
use maud::{Markup, html};
use std::collections::BTreeSet;

/// Gateways of one page.
const EACH: usize = 50;
/// Hosts that a row names.
const HOSTS: usize = 3;

pub(super) fn of(view: &FleetView, look: &Look) -> Option<Markup> {
    let (commit, drawn) = match parts::drawn(view) {
        Ok(found) => found,
        Err(why) => {
            return Some(html! { section.card #gateways data-part aria-label="Gateways" {
                h2 { "Gateways" } p.none { (why) }
            } });
        }
    };
    let all = &drawn.topology.gateways;
    let found: Vec<&Gateway> = all.iter().filter(|gateway| fits(view, gateway, look)).collect();
    let part = slice(found.len(), EACH, look);
    let path = ["fleets", &view.name, "gateways"];
    Some(html! {
        section.card aria-labelledby="gateways-title" {
            h2 #gateways-title { "Gateways" }
            form.filter role="search" action=(link(&path)) {
                label { "Name, host or address " input type="search" name="q" value=(look.q) autocomplete="off"; }
                label { "Cluster " select name="cluster" {
                    option value="" { "all" }
                    @for cluster in &commit.clusters {
                        option value=(cluster) selected[*cluster == look.cluster] { (cluster) }
                    }
                } }
                button type="submit" { "Show" }
                @if !look.q.is_empty() || !look.cluster.is_empty() { a href=(link(&path)) { "all" } }
            }
            div #gateways data-part {
                p.hint { (found.len()) " of " (all.len()) " gateways" }
                @if !found.is_empty() { (table(view, found.get(part.from..part.to).unwrap_or_default())) }
                (part.turn("gateways", |page| {
                    link_with(&path, &[("q", &look.q), ("cluster", &look.cluster), ("page", &page.to_string())])
                }))
                (elsewhere(view))
            }
        }
    })
}

fn fits(view: &FleetView, gateway: &Gateway, look: &Look) -> bool {
    let in_cluster = look.cluster.is_empty()
        || gateway.clusters.contains(&look.cluster)
        || gateway.doors.iter().any(|door| door.cluster == look.cluster);
    let named = || {
        look.q.trim().is_empty()
            || has(&format!("{}/{}", gateway.namespace, gateway.name), &look.q)
            || gateway.hosts.iter().any(|host| has(&host.name, &look.q))
            || all_addresses(view, gateway).iter().any(|address| has(address, &look.q))
    };
    in_cluster && named()
}

fn table(view: &FleetView, gateways: &[&Gateway]) -> Markup {
    wide(
        "Gateways",
        html! { table {
            thead { tr { th { "Gateway" } th { "State" } th { "Runs in" } th { "Addresses" } th { "Hosts" } th.number { "Routes" } } }
            tbody { @for gateway in gateways { (row(view, gateway)) } }
        } },
    )
}

fn row(view: &FleetView, gateway: &Gateway) -> Markup {
    let (state, word) = state(view, gateway);
    let routes: BTreeSet<_> =
        gateway.hosts.iter().flat_map(|host| &host.routes).map(|route| (&route.namespace, &route.name)).collect();
    html! { tr {
        th scope="row" {
            a href=(link(&["fleets", &view.name, "gateways", &gateway.namespace, &gateway.name])) {
                (gateway.namespace) "/" (gateway.name)
            }
        }
        td { (pill(state, word)) }
        td { @if gateway.serverless { "ASM (serverless)" } @else { (gateway.clusters.join(", ")) } }
        td { (addresses(&all_addresses(view, gateway).into_iter().collect::<Vec<_>>())) }
        td {
            @for host in gateway.hosts.iter().take(HOSTS) { code { (host.name) } " " }
            @if gateway.hosts.len() > HOSTS { "and " (gateway.hosts.len() - HOSTS) " more" }
        }
        td.number { (routes.len()) }
    } }
}

/// How a gateway and what stands in front of it are.
pub(super) fn state(view: &FleetView, gateway: &Gateway) -> (State, &'static str) {
    let objects = || gateway.object.iter().chain(gateway.doors.iter().map(|door| &door.object));
    let sick = objects().any(|(target, id)| {
        view.target(target.name()).is_some_and(|target| target.unhealthy.iter().any(|(sick, _)| sick == id))
    });
    if sick {
        return (State::Waiting, "unhealthy");
    }
    let drifted = objects().any(|(target, id)| {
        let kind = id.group_kind.to_string();
        view.target(target.name()).is_some_and(|target| {
            let mut objects = target.drift.objects.iter();
            objects.any(|one| {
                one.kind == kind && one.name == *id.name && one.namespace.as_deref() == id.namespace.as_deref()
            })
        })
    });
    if drifted { (State::Warned, "drifted") } else { (State::Good, "as in Git") }
}

/// The addresses of a door: those that run, or else those that the files fix.
pub(super) fn of_door(view: &FleetView, door: &GatewayDoor) -> Vec<String> {
    let (target, id) = &door.object;
    let live = view.target(target.name()).and_then(|target| target.addresses.get(id));
    live.unwrap_or(&door.addresses).clone()
}

fn all_addresses(view: &FleetView, gateway: &Gateway) -> BTreeSet<String> {
    let own = gateway.object.iter().filter_map(|(target, id)| view.target(target.name())?.addresses.get(id)).flatten();
    own.cloned().chain(gateway.doors.iter().flat_map(|door| of_door(view, door))).collect()
}
