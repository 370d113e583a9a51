//! # match-value
//! ## What it finds
//!
//! In the matches of a VirtualService: an empty `prefix` or `regex` (the prefix of a path may be empty); a port
//! that is none; a `sourceNamespace` that is no name; a path without a slash before it, which no request has; a method in lower case.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the first three. The last two it takes: requests have `/cart` and `GET`, so the match never applies, and they
//! go to the next rule or answer 404.
//!
//! ## How to mend it
//!
//! For a header that must only be there, write `regex: '.+'`.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, is_label, items, rules_of, text};
use crate::fleet::Manifest;
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "match-value",
    severity: Severity::Error,
    summary: "a match that matches nothing, or cannot be written so",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("match_value.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        for (at, rule) in ["http", "tls", "tcp"].into_iter().flat_map(|kind| rules_of(route.manifest, kind)) {
            for (index, entry) in items(rule, "/match") {
                judge(route.manifest, entry, &format!("{at}/match/{index}"), sink);
            }
        }
    }
}

fn judge<'a>(manifest: &'a Manifest, entry: &Value, at: &str, sink: &mut Sink<'a>) {
    let report = |field: &str, message: String| Report::at(manifest, format!("{at}/{field}"), message);
    for field in ["scheme", "method", "authority"] {
        sink.extend(entry.get(field).and_then(empty).map(|fault| report(field, fault)));
    }
    for kind in ["headers", "withoutHeaders", "queryParams"] {
        for (name, asked) in entry.get(kind).and_then(Value::as_object).into_iter().flatten() {
            let field = format!("{kind}/{}", escape(name));
            // What must not be there at all is written so.
            let absent = kind == "withoutHeaders" && asked.as_object().is_none_or(serde_json::Map::is_empty);
            let null = (kind == "headers" && asked.is_null()).then(|| "nothing is asked of this header".to_owned());
            let fault = null.or_else(|| if absent { None } else { empty(asked) });
            sink.extend(fault.map(|fault| report(&field, fault).hint("If it must only be there: regex: '.+'")));
        }
    }
    if entry.at("/uri/regex").and_then(Value::as_str) == Some("") {
        sink.push(report("uri/regex", "regex is empty".to_owned()));
    }
    if let Some(port) = entry.get("port").and_then(Value::as_u64).filter(|port| *port > 65535) {
        sink.push(report("port", format!("{port} is no port: it must be 1 to 65535")));
    }
    let space = text(entry, "/sourceNamespace");
    if !space.is_empty() && !is_label(space) {
        sink.push(report("sourceNamespace", format!("`{space}` is no namespace")));
    }
    for kind in ["exact", "prefix"] {
        unmet(manifest, entry, at, kind, sink);
    }
}

/// A condition that is there and asks for nothing.
fn empty(asked: &Value) -> Option<String> {
    let empty = ["prefix", "regex"].into_iter().find(|kind| asked.get(*kind).and_then(Value::as_str) == Some(""))?;
    Some(format!("{empty} is empty"))
}

/// What no request has.
fn unmet<'a>(manifest: &'a Manifest, entry: &Value, at: &str, kind: &str, sink: &mut Sink<'a>) {
    let path = text(entry, &format!("/uri/{kind}"));
    // `*` is the path of OPTIONS for a whole server.
    if !path.is_empty() && !path.starts_with('/') && path != "*" {
        let place = format!("{at}/uri/{kind}");
        let edit = (manifest, EditOp::Set(place.clone(), format!("/{path}").into()));
        let report = Report::at(manifest, place, format!("no path begins with `{path}`: each begins with a slash"));
        let report = report.severity(Severity::Warning).beyond();
        sink.push(report.fix(format!("write /{path}"), false, vec![edit]));
    }
    let method = text(entry, &format!("/method/{kind}"));
    let upper = method.to_ascii_uppercase();
    if method != upper && ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&upper.as_str()) {
        let place = format!("{at}/method/{kind}");
        let edit = (manifest, EditOp::Set(place.clone(), upper.clone().into()));
        let report = Report::at(manifest, place, format!("no request has the method `{method}`: it is {upper}"));
        let report = report.severity(Severity::Warning).beyond();
        sink.push(report.fix(format!("write {upper}"), false, vec![edit]));
    }
}
