//! # annotation-layer
//!
//! ## What it finds
//!
//! A setting for HTTP, HTTPS, TCP or UDP listeners of a CLB that has no such listener. `loadbalancer-protocol-port` says which
//! ports are HTTP and HTTPS; every other port of the Service is a TCP or UDP listener.
//!
//! ## Why it is bad
//!
//! It has no effect: sticky sessions on a TCP listener, for example, do nothing, and nobody says so.
//!
//! ## How to mend it
//!
//! Name the port in `loadbalancer-protocol-port`, or take the setting away.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World, removal};
use crate::asm::annotations::{Layer, Product};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "annotation-layer",
    severity: Severity::Warning,
    summary: "an annotation is about listeners that the CLB does not have",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("annotation_layer.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let clbs = world.fronts().iter().filter(|front| front.is_load_balancer() && front.product() == Product::Clb);
    for front in clbs.filter(|front| !front.serverless && !front.ports.is_empty()) {
        let layers = listeners(front);
        for setting in &front.settings {
            let Some(row) = setting.row.filter(|row| !has(&layers, row.layer)) else { continue };
            let words = match row.layer {
                Layer::Http => "HTTP or HTTPS",
                Layer::Tls => "HTTPS",
                Layer::Tcp => "TCP",
                Layer::Transport => "TCP or UDP",
                Layer::Any => continue,
            };
            let message = format!("{} is about {words} listeners, and the CLB has none: it has no effect", row.name);
            let report = Report::at(front.manifest, &*setting.pointer, message).targets([front.target.clone()]);
            let report = match front.setting("loadbalancer-protocol-port") {
                Some(given) => report.related(front.manifest, &given.pointer, "what the listeners are"),
                None => report.hint("Without loadbalancer-protocol-port every listener is TCP or UDP, like the port"),
            };
            let edit = (front.manifest, removal(front.manifest, &setting.pointer));
            sink.push(report.fix(format!("take {} away", row.name), false, vec![edit]));
        }
    }
}

/// The protocol of each listener, in lower case.
fn listeners(front: &Front<'_>) -> Vec<String> {
    let given = front.text("loadbalancer-protocol-port").unwrap_or_default();
    let given: Vec<(String, u64)> = given
        .split(',')
        .filter_map(|item| item.trim().split_once(':'))
        .filter_map(|(word, port)| Some((word.to_lowercase(), port.trim().parse().ok()?)))
        .collect();
    let of = |port: &super::super::world::FrontPort<'_>| {
        let said = given.iter().find(|(_, number)| *number == port.port).map(|(word, _)| word.clone());
        said.unwrap_or_else(|| port.protocol.to_lowercase())
    };
    front.ports.iter().map(of).collect()
}

fn has(listeners: &[String], layer: Layer) -> bool {
    let any = |words: &[&str]| listeners.iter().any(|listener| words.contains(&listener.as_str()));
    match layer {
        Layer::Any => true,
        Layer::Transport => any(&["tcp", "udp"]),
        Layer::Tcp => any(&["tcp"]),
        Layer::Http => any(&["http", "https"]),
        Layer::Tls => any(&["https"]),
    }
}
