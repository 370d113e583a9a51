//! # listener-protocol
//!
//! ## What it finds
//!
//! `loadbalancer-protocol-port` that is not `PROTOCOL:PORT,…`; a word that the product does not have (a CLB has `tcp`, `udp`,
//! `http`, `https`, an NLB `tcp`, `udp`, `tcpssl`); a port that the Service does not have; the same port twice; `https` or
//! `tcpssl` without `loadbalancer-cert-id`.
//!
//! ## Why it is bad
//!
//! The controller refuses to sync the Service; its listeners stay as they were, or are never made.
//!
//! ## How to mend it
//!
//! Name ports of the Service with words that the product has, and the certificate.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, Setting, World, removal};
use crate::asm::annotations::Product;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "listener-protocol",
    severity: Severity::Error,
    summary: "the protocols of the listeners are written wrongly",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("listener_protocol.rs"),
    check,
};

const PROTOCOL_PORT: &str = "loadbalancer-protocol-port";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for front in world.fronts().iter().filter(|front| front.is_load_balancer()) {
        let Some(setting) = front.setting(PROTOCOL_PORT) else { continue };
        let Some(text) = setting.value.as_str() else { continue };
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        let (mut seen, mut ends_tls) = (Vec::new(), false);
        for (index, item) in items.iter().enumerate() {
            let found = parse(item);
            if let Some((word, port)) = &found {
                ends_tls |= matches!(word.as_str(), "https" | "tcpssl");
                let again = seen.contains(port);
                seen.push(*port);
                sink.extend(judge(front, setting, &items, index, word, *port, again));
            } else {
                sink.push(report(front, setting, format!("`{item}` is not PROTOCOL:PORT, for example http:80")));
            }
        }
        if ends_tls && front.text("loadbalancer-cert-id").is_none() {
            let message = "a listener that ends TLS needs loadbalancer-cert-id".to_owned();
            sink.push(
                report(front, setting, message).hint("Name the certificate; or use tcp and let the gateway end TLS"),
            );
        }
    }
}

fn parse(item: &str) -> Option<(String, u64)> {
    let (word, port) = item.split_once(':')?;
    Some((word.trim().to_lowercase(), port.trim().parse().ok().filter(|port| (1..=65535).contains(port))?))
}

fn report<'a>(front: &Front<'a>, setting: &Setting<'a>, message: String) -> Report<'a> {
    Report::at(front.manifest, &*setting.pointer, message).targets([front.target.clone()])
}

fn judge<'a>(
    front: &Front<'a>,
    setting: &Setting<'a>,
    items: &[&str],
    index: usize,
    word: &str,
    port: u64,
    again: bool,
) -> Option<Report<'a>> {
    let (words, product): (&[&str], _) = match front.product() {
        Product::Clb => (&["tcp", "udp", "http", "https"], "a CLB"),
        Product::Nlb => (&["tcp", "udp", "tcpssl"], "an NLB"),
    };
    let replaced = |with: Option<String>| {
        let items = items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| if at == index { with.clone() } else { Some((*item).to_owned()) });
        let items: Vec<String> = items.collect();
        match items.is_empty() {
            true => removal(front.manifest, &setting.pointer),
            false => EditOp::Set(setting.pointer.clone(), Value::from(items.join(","))),
        }
    };
    let without =
        |report: Report<'a>| report.fix(format!("take port {port} out"), false, vec![(front.manifest, replaced(None))]);
    if again {
        return Some(without(report(front, setting, format!("port {port} is named twice"))));
    }
    if !words.contains(&word) {
        let report = report(front, setting, format!("{product} has no protocol {word}: it has {}", words.join(", ")));
        let meant = match word {
            "https" | "tls" | "ssl" if front.product() == Product::Nlb => Some("tcpssl"),
            "http" | "http2" | "grpc" if front.product() == Product::Nlb => Some("tcp"),
            "http2" | "grpc" => Some("http"),
            "tls" | "ssl" | "tcpssl" => Some("https"),
            _ => None,
        };
        return Some(match meant {
            Some(meant) => report.fix(
                format!("write {meant}"),
                false,
                vec![(front.manifest, replaced(Some(format!("{meant}:{port}"))))],
            ),
            None => report,
        });
    }
    if front.ports.iter().all(|known| known.port != port) {
        let numbers: Vec<String> = front.ports.iter().map(|port| port.port.to_string()).collect();
        let report = report(front, setting, format!("the Service has no port {port}"));
        return Some(without(report.hint(format!("It has {}", numbers.join(", ")))));
    }
    None
}
