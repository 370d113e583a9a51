//! # regex
//!
//! ## What it finds
//!
//! A regular expression in a VirtualService or an HTTPRoute that Envoy does not take. Envoy's dialect is RE2: no look-around, no
//! backreferences, no `**`, nothing repeated more than 1,000 times; istiod takes 1,024 characters at most. A pattern that is
//! taken but is plain text where other dialects see an operator (`[a&&b]`, `[[a]]`) is a warning.
//!
//! ## Why it is bad
//!
//! The API server takes the object, istiod's webhook refuses it where there is one. Where there is none, Envoy refuses the
//! whole route configuration of its gateway: no later change of any route arrives there.
//!
//! ## How to mend it
//!
//! Write it without what the finding names. A negative look-ahead is mostly a rule of its own before this one.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape};
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::{Regex, kinds};
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "regex",
    severity: Severity::Error,
    summary: "a regular expression that Envoy does not take",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("regex.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let routes = world.of_kind(kinds::ISTIO_NETWORKING, "VirtualService");
    for manifest in routes.chain(world.of_kind("gateway.networking.k8s.io", "HTTPRoute")) {
        let mut found = Vec::new();
        for list in ["/spec/http", "/spec/rules"] {
            let rules = manifest.object.at(list).and_then(Value::as_array).into_iter().flatten();
            for (index, rule) in rules.enumerate() {
                collect(rule, &mut format!("{list}/{index}"), &mut found);
            }
        }
        sink.extend(found.into_iter().filter_map(|(at, pattern)| judge(manifest, at, pattern)));
    }
}

/// Every regular expression below a value: `regex: PATTERN`, the `match` of a rewrite, and `value` beside `type:
/// RegularExpression`.
fn collect<'v>(value: &'v Value, at: &mut String, found: &mut Vec<(String, &'v str)>) {
    let length = at.len();
    match value {
        Value::Object(map) => {
            let is_regex = map.get("type").and_then(Value::as_str) == Some("RegularExpression");
            for (key, inner) in map {
                at.push('/');
                at.push_str(&escape(key));
                let rewrites = key == "match" && at.ends_with("/uriRegexRewrite/match");
                match inner.as_str() {
                    Some(pattern) if key == "regex" || rewrites || (is_regex && key == "value") => {
                        found.push((at.clone(), pattern));
                    }
                    _ => collect(inner, at, found),
                }
                at.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                collect(inner, at, found);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

fn judge<'a>(manifest: &'a Manifest, at: String, pattern: &str) -> Option<Report<'a>> {
    // Istio reads a lone star as "is there".
    if pattern == "*" {
        return None;
    }
    let fault = Regex::new(pattern).err()?;
    let report = if fault.refused {
        Report::at(
            manifest,
            at.clone(),
            format!("`{}` is no regular expression for Envoy: {}", short(pattern), fault.reason),
        )
    } else {
        let message = format!("`{}` may not mean what it looks like: {}", short(pattern), fault.reason);
        Report::at(manifest, at.clone(), message).severity(Severity::Warning).beyond()
    };
    let report = report.hint("Envoy's dialect is RE2: https://github.com/google/re2/wiki/Syntax");
    // What is possessive elsewhere may take less there: not safe.
    let simple = pattern.replace("**", "*").replace("*+", "*").replace("++", "+");
    Some(if simple != pattern && Regex::new(&simple).is_ok() {
        report.fix(format!("write `{}`", short(&simple)), false, vec![(manifest, EditOp::Set(at, simple.into()))])
    } else {
        report
    })
}

/// Enough of a pattern to know it again.
fn short(pattern: &str) -> String {
    const SHOWN: usize = 60;
    match pattern.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", pattern.get(..end).unwrap_or_default()),
        None => pattern.to_owned(),
    }
}
