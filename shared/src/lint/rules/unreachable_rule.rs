//! # unreachable-rule
//!
//! ## What it finds
//!
//! A rule of a VirtualService that no request reaches, because rules before it take them all: by a rule without
//! `match`, by the same conditions, by a shorter path prefix, by a path or prefix that takes an exact path, by fewer
//! headers.
//!
//! Rules that leave requests to a delegate are taken to let some through, unless the delegate has a rule for all of them; and two regular
//! expressions are only compared as texts: what is reported is never reached.
//!
//! ## Why it is bad
//!
//! The first rule that matches decides. The rule looks as if it did something.
//!
//! ```yaml
//! http:
//!   - match: [{uri: {prefix: /api}}]
//!     route: [{destination: {host: a}}]
//!   - match: [{uri: {prefix: /api/v2}}] # never reached
//!     route: [{destination: {host: b}}]
//! ```
//!
//! A rule with a `fault` that otherwise does what the hidden one does is how faults are tried out: that is for information.
//!
//! ## How to mend it
//!
//! Move the rule before the one that takes its requests (`kubectl asm route move`), or remove it.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Shadow, World, shadows};
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "unreachable-rule",
    severity: Severity::Warning,
    summary: "a rule is never reached",
    istio: &["IST0130"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("unreachable_rule.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        for shadow in shadows(world, route.manifest).into_iter().filter(|shadow| shadow.whole) {
            let list = format!("/spec/{}", shadow.kind);
            let mut by: Vec<usize> = shadow.hits.iter().map(|hit| hit.by).collect();
            by.sort_unstable();
            by.dedup();
            let names: Vec<String> = by.iter().map(|by| format!("{list}[{by}]").replace('/', ".")).collect();
            let message = format!(
                "no request reaches this rule: {} takes them all",
                names.join(" and ").replace(".spec", "spec")
            );
            let report = Report::at(route.manifest, format!("{list}/{}", shadow.rule), message);
            let report = if seen_by_istioctl(&shadow) { report } else { report.beyond() };
            let report = by.iter().fold(report, |report, by| {
                report.related(route.manifest, &format!("{list}/{by}"), "what takes its requests")
            });
            let first = by.first().copied().unwrap_or_default();
            // Of two rules that ask for the same, moving one would hide the other.
            let (title, edit) = if shadow.hits.iter().any(|hit| hit.identical) {
                ("remove the rule".to_owned(), EditOp::Remove(format!("{list}/{}", shadow.rule)))
            } else {
                let title = format!("move the rule before the one that takes its requests ({})", first + 1);
                (title, EditOp::Move(list.clone(), shadow.rule, first))
            };
            let rules = route.manifest.object.at(&list).and_then(Value::as_array);
            let rule = |index: usize| rules.and_then(|rules| rules.get(index));
            let tries = by.iter().all(|by| rule(*by).is_some_and(|by| is_same_but_for_a_fault(by, rule(shadow.rule))));
            let report = if tries { report.severity(Severity::Info) } else { report };
            sink.push(report.hint("Move it up, or remove it").fix(title, false, vec![(route.manifest, edit)]));
        }
    }
}

fn is_same_but_for_a_fault(by: &Value, hidden: Option<&Value>) -> bool {
    let mut without = by.clone();
    let fault = without.as_object_mut().and_then(|rule| rule.remove("fault"));
    let rest = |rule: &Value| {
        rule.as_object().map(|rule| {
            let parts = rule.iter().filter(|(name, _)| !matches!(name.as_str(), "match" | "name"));
            parts.map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
        })
    };
    fault.is_some() && hidden.is_some_and(|hidden| rest(&without) == rest(hidden))
}

fn seen_by_istioctl(shadow: &Shadow) -> bool {
    let matchless = shadow.hits.iter().any(|hit| hit.by_entry.is_none());
    matchless || shadow.hits.iter().all(|hit| hit.identical)
}
