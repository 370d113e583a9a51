//! # nlb-port-range
//!
//! ## What it finds
//!
//! `loadbalancer-listener-port-range` that is not `START-END:PORT,…` (for example `80-100:80`), a start after its end, a port that
//! the Service does not have, ranges of one protocol that overlap each other or another listener, and ranges without back ends
//! of type `eni` where `service.beta.kubernetes.io/backend-type` says something else.
//!
//! ## Why it is bad
//!
//! The controller refuses to sync the Service: its listeners stay as they were.
//!
//! ## How to mend it
//!
//! Separate the ranges, and name the port of the Service whose `targetPort` is checked for health.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World};
use crate::asm::annotations::{BACKEND_TYPE, Product};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "nlb-port-range",
    severity: Severity::Error,
    summary: "the port ranges of an NLB are written wrongly",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("nlb_port_range.rs"),
    check,
};

const RANGE: &str = "loadbalancer-listener-port-range";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let nlbs = world.fronts().iter().filter(|front| front.is_load_balancer() && front.product() == Product::Nlb);
    for front in nlbs {
        let Some(setting) = front.setting(RANGE) else { continue };
        let report =
            |message: String| Report::at(front.manifest, &*setting.pointer, message).targets([front.target.clone()]);
        let mut ranges: Vec<(u64, u64, u64, &str)> = Vec::new();
        for item in setting.value.as_str().unwrap_or_default().split(',').map(str::trim) {
            match parse(item) {
                None => sink.push(report(format!("`{item}` is not START-END:PORT, for example 80-100:80"))),
                Some((start, end, _)) if start > end => sink.push(report(format!("`{item}` begins after its end"))),
                Some((start, end, port)) => match front.ports.iter().find(|known| known.port == port) {
                    None => sink.push(report(format!("`{item}`: the Service has no port {port}"))),
                    Some(known) => ranges.push((start, end, port, known.protocol)),
                },
            }
        }
        sink.extend(overlaps(front, ranges).map(report));
        if let Some(backend) = front.text(BACKEND_TYPE).filter(|backend| *backend != "eni") {
            sink.push(report(format!("port ranges need back ends of type eni, not {backend}")));
        }
    }
}

fn parse(item: &str) -> Option<(u64, u64, u64)> {
    let (range, port) = item.split_once(':')?;
    let (start, end) = range.split_once('-')?;
    let number = |text: &str| text.trim().parse().ok().filter(|number| (1..=65535).contains(number));
    Some((number(start)?, number(end)?, number(port)?))
}

/// The first two of one protocol that overlap. A port with a range of its own has no listener besides.
fn overlaps(front: &Front<'_>, mut ranges: Vec<(u64, u64, u64, &str)>) -> Option<String> {
    let ranged: Vec<u64> = ranges.iter().map(|(_, _, port, _)| *port).collect();
    let single = front.ports.iter().filter(|port| !ranged.contains(&port.port));
    ranges.extend(single.map(|port| (port.port, port.port, port.port, port.protocol)));
    ranges.sort_by_key(|(start, end, _, protocol)| (*protocol, *start, *end));
    let shown = |(start, end): (u64, u64)| if start == end { start.to_string() } else { format!("{start}-{end}") };
    ranges.windows(2).find_map(|pair| match pair {
        [a, b] if a.3 == b.3 && b.0 <= a.1 => Some(format!("{} and {} overlap", shown((a.0, a.1)), shown((b.0, b.1)))),
        _ => None,
    })
}
