//! # rule-action
//! ## What it finds
//!
//! A rule of `spec.http` that does not do exactly one thing: it has several of `route`, `redirect` and `directResponse`, none of them and
//! no `delegate`, or a `fault` or `rewrite` beside a `redirect` or `directResponse`. A rule that delegates and does something itself, a
//! delegate that delegates again, and `mirror` beside `mirrors`.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the VirtualService where there is one. Where there is none, a redirect or a direct response wins and the
//! route, the fault and the rewrite are ignored; a rule without any of them is left out.
//!
//! ## How to mend it
//!
//! Keep one of them; two things are two rules.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{RouteView, World, has, items, rules_of};
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "rule-action",
    severity: Severity::Error,
    summary: "a rule does several things, or nothing",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("rule_action.rs"),
    check,
};

/// What a rule does with a request.
const ACTIONS: [&str; 3] = ["redirect", "directResponse", "route"];
/// What happens on the way to a destination, and so has no effect without one.
const ON_THE_WAY: [&str; 2] = ["fault", "rewrite"];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        for (at, rule) in rules_of(route.manifest, "http") {
            if has(rule, "delegate") {
                delegates(route, &at, rule, sink);
            } else {
                acts(route, &at, rule, sink);
            }
            if has(rule, "mirror") && items(rule, "/mirrors").count() > 0 {
                let report = Report::at(route.manifest, format!("{at}/mirror"), "a rule has either mirror or mirrors");
                sink.push(report.hint("Write all of them to mirrors"));
            }
        }
    }
}

fn acts<'a>(route: &RouteView<'a>, at: &str, rule: &Value, sink: &mut Sink<'a>) {
    let actions: Vec<&str> = ACTIONS.into_iter().filter(|name| acts_by(rule, name)).collect();
    let ignored: Vec<&str> = ON_THE_WAY.into_iter().filter(|name| has(rule, name)).collect();
    let report = |message: String| Report::at(route.manifest, at, message);
    match actions.as_slice() {
        [] => {
            let report = report("this rule does nothing: it has neither route, redirect nor directResponse".to_owned());
            sink.push(report.hint("Write where the requests go"));
        }
        [first, _, ..] => {
            let message =
                format!("a rule does one thing, and this one has {}: only {first} counts", actions.join(" and "));
            sink.push(report(message).hint("Keep one of them; two things are two rules"));
        }
        [only] if *only != "route" && !ignored.is_empty() => {
            let report = report(format!("{} has no effect beside {only}", ignored.join(" and ")));
            let edits = ignored.iter().map(|name| (route.manifest, EditOp::Remove(format!("{at}/{name}"))));
            sink.push(report.fix(format!("take {} away", ignored.join(" and ")), true, edits.collect()));
        }
        _ => {}
    }
}

fn delegates<'a>(route: &RouteView<'a>, at: &str, rule: &Value, sink: &mut Sink<'a>) {
    let report = |message: String| Report::at(route.manifest, format!("{at}/delegate"), message);
    if route.route.hosts.is_empty() {
        let message = "this VirtualService is delegated to, and cannot delegate itself";
        sink.push(report(message.to_owned()).hint("Name the last one where the first one delegates"));
    }
    for name in ACTIONS.into_iter().filter(|name| *name != "directResponse" && acts_by(rule, name)) {
        let message = format!("a rule that delegates does nothing itself, and this one has {name}");
        sink.push(report(message).hint("Keep one of them; two things are two rules"));
    }
}

/// Does a rule do this? An empty list of destinations is none.
fn acts_by(rule: &Value, name: &str) -> bool {
    has(rule, name) && (name != "route" || items(rule, "/route").count() > 0)
}
