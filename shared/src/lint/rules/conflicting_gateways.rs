//! # conflicting-gateways
//!
//! ## What it finds
//!
//! Servers of Gateways that open the same port of the same pods and cannot stand side by side: HTTP and TCP or TLS, two
//! of TCP, or two TLS servers with a host in common (whatever the case of letters, `NAMESPACE/HOST` taken into
//! account). Whether two selectors choose the same pods is told by the pods, not by the texts.
//!
//! Plain HTTP servers are no conflict: istiod joins them. A TLS server for `a.x` beside one for `*.x` is told as
//! information: requests for `a.x` never reach the other one's VirtualServices.
//!
//! ## Why it is bad
//!
//! istiod keeps the server of the older Gateway and drops the other one without an event or a status: requests to its
//! hosts are refused, or get another certificate. Which Gateway is older is not in Git.
//!
//! ## How to mend it
//!
//! Use another port, or one Gateway for the host; for hosts of several teams, one Gateway with a server each.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, is_http, server_host};
use crate::istio::Server;
use crate::object::At as _;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "conflicting-gateways",
    severity: Severity::Error,
    summary: "two Gateways cannot share a port",
    istio: &["IST0145"],
    kiali: &["KIA0301"],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("conflicting_gateways.rs"),
    check,
};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Http,
    Tls,
    Plain,
}

/// A server, with what it opens.
struct Opened<'w> {
    gateway: usize,
    number: usize,
    server: &'w Server,
    family: Family,
}

/// Whose port: pods (by what makes them) or, without any, a selector; the port; the address.
type Key<'w> = (Option<usize>, String, u16, &'w str);

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let mut ports: BTreeMap<Key<'_>, Vec<Opened<'_>>> = BTreeMap::new();
    for (gateway, view) in world.gateways().iter().enumerate() {
        let pods = view.pods.iter().filter_map(|pod| world.pods().get(*pod));
        let mut makers: Vec<_> = pods.map(|pod| Some(std::ptr::from_ref(&*pod.manifest.document).addr())).collect();
        makers.sort_unstable();
        makers.dedup();
        let selector =
            if makers.is_empty() { Value::Object(view.gateway.selector.clone()).to_string() } else { String::new() };
        if makers.is_empty() {
            makers.push(None);
        }
        for (number, server) in view.gateway.servers.iter().enumerate() {
            let Some(port) = server.port else { continue };
            let bind = view.manifest.object.at(&format!("/spec/servers/{number}/bind")).and_then(Value::as_str);
            for maker in &makers {
                let opened = Opened { gateway, number, server, family: family(server) };
                ports.entry((*maker, selector.clone(), port, bind.unwrap_or_default())).or_default().push(opened);
            }
        }
    }
    for ((_, _, port, _), opened) in ports.into_iter().filter(|(_, opened)| opened.len() > 1) {
        judge(world, port, &opened, sink);
    }
}

fn family(server: &Server) -> Family {
    if is_http(server) {
        Family::Http
    } else if server.tls_mode.is_some() || matches!(server.protocol.as_str(), "HTTPS" | "TLS") {
        Family::Tls
    } else {
        Family::Plain
    }
}

fn judge<'a>(world: &World<'a>, port: u16, all: &[Opened<'_>], sink: &mut Sink<'a>) {
    let mut families: BTreeMap<Family, Vec<usize>> = BTreeMap::new();
    let mut by_host: HashMap<String, Vec<(usize, Option<&str>)>> = HashMap::new();
    for (index, one) in all.iter().enumerate() {
        families.entry(one.family).or_default().push(index);
        if one.family == Family::Tls {
            for host in &one.server.hosts {
                let (space, host) = server_host(host, home(world, one));
                by_host.entry(host).or_default().push((index, space));
            }
        }
    }
    let of = |family: Family| families.get(&family).into_iter().flatten().copied();
    for (index, one) in all.iter().enumerate() {
        let mut others: Vec<usize> = match one.family {
            Family::Http => of(Family::Plain).chain(of(Family::Tls)).take(5).collect(),
            Family::Plain => of(Family::Http).chain(of(Family::Plain)).chain(of(Family::Tls)).take(6).collect(),
            Family::Tls => of(Family::Http).chain(of(Family::Plain)).take(5).collect(),
        };
        let mut hosts = Vec::new();
        for host in one.server.hosts.iter().filter(|_| one.family == Family::Tls) {
            let (space, host) = server_host(host, home(world, one));
            let same = by_host.get(&host).into_iter().flatten();
            let same = same.filter(|(other, _)| *other != index).filter(|(_, other)| meet(space, *other));
            let before = others.len();
            others.extend(same.map(|(other, _)| *other).take(5));
            if others.len() > before {
                hosts.push(host);
            } else if let Some((wide, other)) = wider(&host, space, index, &by_host) {
                tell(world, port, (one, &host), (all.get(other), &wide), sink);
            }
        }
        others.retain(|other| *other != index);
        others.sort_unstable();
        others.dedup();
        let others: Vec<&Opened<'_>> = others.iter().filter_map(|other| all.get(*other)).collect();
        if !others.is_empty() {
            conflict(world, port, one, &hosts, &others, sink);
        }
    }
}

fn conflict<'a>(
    world: &World<'a>,
    port: u16,
    one: &Opened<'_>,
    hosts: &[String],
    others: &[&Opened<'_>],
    sink: &mut Sink<'a>,
) {
    let Some(view) = world.gateways().get(one.gateway) else { return };
    let mut names: Vec<String> = others.iter().map(|other| name(world, other)).collect();
    names.dedup();
    let message = match one.family {
        Family::Tls if !hosts.is_empty() => {
            format!(
                "the port {port} of the same pods has a server for {} already, in {}",
                hosts.join(", "),
                names.join(", ")
            )
        }
        _ => {
            let protocol = &one.server.protocol;
            let them: Vec<&str> = others.iter().map(|other| other.server.protocol.as_str()).collect();
            format!("{protocol} on port {port} cannot share the pods with {} of {}", them.join(", "), names.join(", "))
        }
    };
    let pointer = format!("/spec/servers/{}", one.number);
    let report = Report::at(view.manifest, pointer, format!("{message}: only the older one is kept"));
    let report = others.iter().fold(report, |report, other| match world.gateways().get(other.gateway) {
        Some(other_view) => {
            report.related(other_view.manifest, &format!("/spec/servers/{}", other.number), "the other one")
        }
        None => report,
    });
    // istioctl compares hosts of other Gateways as texts.
    let known = others.iter().any(|other| {
        other.gateway != one.gateway && other.server.hosts.iter().any(|host| one.server.hosts.contains(host))
    });
    let report = report.hint("Use another port, or one Gateway for the host");
    sink.push(if known { report } else { report.beyond() });
}

/// The nearest wildcard of another server that has the host.
fn wider(
    host: &str,
    space: Option<&str>,
    own: usize,
    by_host: &HashMap<String, Vec<(usize, Option<&str>)>>,
) -> Option<(String, usize)> {
    let tail = host.strip_prefix('*').unwrap_or(host);
    let dots = tail.match_indices('.').map(|(at, _)| at).filter(|at| *at > 0);
    let wides = dots.map(|at| format!("*{}", tail.get(at..).unwrap_or_default())).chain(["*".to_owned()]);
    wides.filter(|wide| wide != host).find_map(|wide| {
        let mut others = by_host.get(&wide)?.iter();
        let (other, _) = others.find(|(other, theirs)| *other != own && meet(space, *theirs))?;
        Some((wide, *other))
    })
}

fn tell<'a>(
    world: &World<'a>,
    port: u16,
    (one, host): (&Opened<'_>, &str),
    (other, wide): (Option<&Opened<'_>>, &str),
    sink: &mut Sink<'a>,
) {
    let views = other.and_then(|other| Some((other, world.gateways().get(other.gateway)?)));
    let (Some(view), Some((other, their))) = (world.gateways().get(one.gateway), views) else { return };
    let message = format!(
        "requests for {host} on port {port} come here and not to the server for {wide} of {}",
        name(world, other)
    );
    let report = Report::at(view.manifest, format!("/spec/servers/{}/hosts", one.number), message);
    let report = report.related(their.manifest, &format!("/spec/servers/{}/hosts", other.number), "the wider one");
    sink.push(report.severity(Severity::Info).beyond());
}

/// Do both take VirtualServices of one namespace?
fn meet(a: Option<&str>, b: Option<&str>) -> bool {
    a.is_none() || b.is_none() || a == b
}

fn home<'w>(world: &'w World<'_>, one: &Opened<'_>) -> &'w str {
    world.gateways().get(one.gateway).map_or("", |view| view.key().0)
}

fn name(world: &World<'_>, one: &Opened<'_>) -> String {
    world
        .gateways()
        .get(one.gateway)
        .map(|view| view.key())
        .map_or_else(String::new, |(space, name)| format!("{space}/{name}"))
}
