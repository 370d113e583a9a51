//! # header-name
//! ## What it finds
//!
//! In VirtualServices: headers to set, add or remove whose names begin with a colon or are `host` (in requests, `host` and `:authority` may
//! be set), and empty names; a host that is set twice, by a rewrite and by a header; values with a single `%`, which Envoy reads as the
//! beginning of a variable; names to match that headers do not have.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the VirtualService. Where there is none, Envoy refuses the routes of the gateway, and no later change arrives.
//!
//! ## How to mend it
//!
//! `rewrite.authority` sets the host, `rewrite.uri` the path. A percent sign is written `%%`.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{RouteView, World, escape, items, rules_of, text};
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "header-name",
    severity: Severity::Error,
    summary: "a header that cannot be changed or matched",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("header_name.rs"),
    check,
};

const PSEUDO: [&str; 5] = [":method", ":scheme", ":authority", ":path", ":status"];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        for (at, rule) in rules_of(route.manifest, "http") {
            operations(route, rule, &at, sink);
            for (index, entry) in items(rule, "/route") {
                operations(route, entry, &format!("{at}/route/{index}"), sink);
            }
            authority(route, rule, &at, sink);
            for (index, entry) in items(rule, "/match") {
                for kind in ["headers", "withoutHeaders"] {
                    let names = entry.get(kind).and_then(Value::as_object).into_iter().flatten();
                    for name in names.map(|(name, _)| name).filter(|name| !is_matchable(name)) {
                        let place = format!("{at}/match/{index}/{kind}/{}", escape(name));
                        sink.push(Report::at(route.manifest, place, format!("no header can be named `{name}`")));
                    }
                }
            }
        }
    }
}

fn operations<'a>(route: &RouteView<'a>, value: &Value, at: &str, sink: &mut Sink<'a>) {
    if value.get("headers").is_none() {
        return;
    }
    for of in ["request", "response"] {
        for kind in ["set", "add"] {
            let base = format!("/headers/{of}/{kind}");
            for (name, content) in value.at(&base).and_then(Value::as_object).into_iter().flatten() {
                let place = format!("{at}{base}/{}", escape(name));
                let allowed = of == "request" && is_authority(name);
                let fault = if allowed { None } else { name_fault(name) };
                let fault = fault.or_else(|| content.as_str().and_then(value_fault));
                sink.extend(fault.map(|fault| Report::at(route.manifest, place, fault)));
            }
        }
        let base = format!("/headers/{of}/remove");
        for (index, name) in items(value, &base).filter_map(|(index, name)| Some((index, name.as_str()?))) {
            let fault = name_fault(name);
            sink.extend(fault.map(|fault| Report::at(route.manifest, format!("{at}{base}/{index}"), fault)));
        }
    }
}

/// The host may be set in one place.
fn authority<'a>(route: &RouteView<'a>, rule: &Value, at: &str, sink: &mut Sink<'a>) {
    let mut first = (!text(rule, "/rewrite/authority").is_empty()).then(|| format!("{at}/rewrite/authority"));
    for base in ["/headers/request/set", "/headers/request/add"] {
        let names = rule.at(base).and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name);
        for name in names.filter(|name| is_authority(name)) {
            let place = format!("{at}{base}/{}", escape(name));
            match &first {
                Some(first) => {
                    let report = Report::at(route.manifest, place, "the host of the request is set twice");
                    sink.push(report.related(route.manifest, first, "set here already").hint("Keep one of them"));
                }
                None => first = Some(place),
            }
        }
    }
}

fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

fn name_fault(name: &str) -> Option<String> {
    match name {
        "" => Some("a header must have a name".to_owned()),
        name if name.eq_ignore_ascii_case("host") => Some(
            "the host of an answer, or its removal, cannot be: rewrite.authority sets that of a request".to_owned(),
        ),
        name if name.starts_with(':') => Some(format!("{name} is no header: rewrite changes host and path")),
        _ => None,
    }
}

/// `%NAME%` and `%NAME(…)%` are variables, `%%` is a percent sign.
fn value_fault(value: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('%') {
        match after.strip_prefix('%').or_else(|| variable(after)) {
            Some(after) => rest = after,
            None => return Some(format!("`{value}` has a single %, where Envoy looks for a variable: write %%")),
        }
    }
    let control = |byte: u8| byte == 0x7f || (byte < 0x20 && byte != b'\t');
    value.bytes().any(control).then(|| "a header's value cannot have control characters".to_owned())
}

/// What comes behind a variable of which this is all but the first sign.
fn variable(text: &str) -> Option<&str> {
    let end = text.find(['%', '('])?;
    let (name, rest) = text.split_at_checked(end)?;
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let rest = match rest.strip_prefix('(') {
        Some(arguments) => arguments.split_once(')')?.1.trim_start(),
        None => rest,
    };
    rest.strip_prefix('%').filter(|_| is_name)
}

fn is_matchable(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.!#$%&'*+^`|~".contains(&byte);
    name.starts_with('@') || PSEUDO.contains(&name) || (!name.is_empty() && name.bytes().all(token))
}
