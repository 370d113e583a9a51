//! # gateway-host
//! ## What it finds
//!
//! A host of a Gateway's server that is not `HOST` or `NAMESPACE/HOST`, where the host is a full name, `*`, or a name that begins with
//! a wildcard, and the namespace is a name, `.` (the Gateway's own) or `*` (all). Also `*/*` before a host that begins with `./` or
//! `*/`.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the Gateway. `*/*` it takes: it then means `*`, and istiod, which shortens its list of hosts there, ends with
//! a panic at the next host that it rewrites. It does so each time it starts, and with it ends all configuration of the mesh.
//!
//! ## How to mend it
//!
//! Write the name in full (`shop.example.com`, not `shop`). `*` alone is what `*/*` means.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, host_fault, is_address, is_label};
use crate::fleet::Manifest;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "gateway-host",
    severity: Severity::Error,
    summary: "a host of a Gateway is written wrongly",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("gateway_host.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for gateway in world.gateways() {
        for (number, server) in gateway.gateway.servers.iter().enumerate() {
            for (index, host) in server.hosts.iter().enumerate() {
                let at = format!("/spec/servers/{number}/hosts/{index}");
                if let Some(fault) = fault(host) {
                    let report = Report::at(gateway.manifest, at, fault);
                    sink.push(
                        report
                            .hint("Write HOST or NAMESPACE/HOST: shop.example.com, *.example.com, ./shop.example.com"),
                    );
                } else if host == "*/*" {
                    let after = server.hosts.iter().skip(index + 1).find(|host| is_rewritten(host));
                    sink.extend(after.map(|after| deadly(gateway.manifest, at, after)));
                }
            }
        }
    }
}

fn deadly<'a>(manifest: &'a Manifest, at: String, after: &str) -> Report<'a> {
    let message = format!("istiod ends with a panic at `*/*` before `{after}`");
    let edit = (manifest, EditOp::Set(at.clone(), "*".into()));
    let report = Report::at(manifest, at, message).hint("Write `*`, which means the same").beyond();
    report.fix("write `*`", true, vec![edit])
}

/// Does istiod write this host anew in the list that `*/*` has shortened?
fn is_rewritten(host: &str) -> bool {
    host.starts_with("./") || (host.starts_with("*/") && host != "*/*")
}

fn fault(host: &str) -> Option<String> {
    let name = match host.split_once('/') {
        None => host,
        Some(("", _)) => return Some(format!("`{host}` has no namespace before the slash")),
        Some((space, name)) if matches!(space, "*" | ".") || is_label(space) => name,
        Some((space, _)) => return Some(format!("`{space}` is no namespace")),
    };
    if is_address(name) {
        return None;
    }
    if !name.is_empty() && name != "*" && !name.contains('.') {
        return Some(format!("`{name}` is a short name: a Gateway knows no namespace to look for it in"));
    }
    if name.starts_with('*') && name != "*" && !name.starts_with("*.") {
        return Some(format!("`{name}`: a wildcard of a Gateway stands for whole labels, as in *.example.com"));
    }
    host_fault(name)
}
