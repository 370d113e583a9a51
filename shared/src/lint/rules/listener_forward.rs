//! # listener-forward
//!
//! ## What it finds
//!
//! `loadbalancer-forward-port` that is not `FROM:TO,…`, a port in it that the Service does not have, and one whose listener is
//! not HTTP (from) or HTTPS (to) by `loadbalancer-protocol-port`.
//!
//! ## Why it is bad
//!
//! The controller refuses to sync the Service, or the cloud refuses the redirect.
//!
//! ## How to mend it
//!
//! Write `80:443`, and `loadbalancer-protocol-port: http:80,https:443` with it.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World};
use crate::asm::annotations::Product;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "listener-forward",
    severity: Severity::Error,
    summary: "a redirect between listeners is written wrongly",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("listener_forward.rs"),
    check,
};

const FORWARD: &str = "loadbalancer-forward-port";
const PROTOCOL_PORT: &str = "loadbalancer-protocol-port";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let clbs = world.fronts().iter().filter(|front| front.is_load_balancer() && front.product() == Product::Clb);
    for front in clbs {
        let Some(setting) = front.setting(FORWARD) else { continue };
        let items = setting.value.as_str().unwrap_or_default().split(',').map(str::trim);
        for message in items.filter_map(|item| judge(front, item)) {
            let report = Report::at(front.manifest, &*setting.pointer, message).targets([front.target.clone()]);
            sink.push(match front.setting(PROTOCOL_PORT) {
                Some(given) => report.related(front.manifest, &given.pointer, "what the listeners are"),
                None => report.hint("Say what the listeners are: loadbalancer-protocol-port: http:80,https:443"),
            });
        }
    }
}

fn judge(front: &Front<'_>, item: &str) -> Option<String> {
    let ports = item.split_once(':').map(|(from, to)| (from.trim().parse::<u64>(), to.trim().parse::<u64>()));
    let Some((Ok(from), Ok(to))) = ports else { return Some(format!("`{item}` is not FROM:TO, for example 80:443")) };
    [(from, "http"), (to, "https")].into_iter().find_map(|(port, wanted)| {
        if front.ports.iter().all(|known| known.port != port) {
            return Some(format!("the Service has no port {port}"));
        }
        let word = protocol(front, port);
        (!word.eq_ignore_ascii_case(wanted))
            .then(|| format!("the redirect needs {wanted} on port {port}, and its listener is {word}"))
    })
}

fn protocol<'f>(front: &'f Front<'_>, port: u64) -> &'f str {
    let given = front.text(PROTOCOL_PORT).unwrap_or_default().split(',').filter_map(|item| item.trim().split_once(':'));
    let mut of_port = given.filter(|(_, number)| number.trim().parse() == Ok(port));
    of_port.next().map_or("tcp", |(word, _)| word)
}
