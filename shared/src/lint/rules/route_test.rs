//! # route-test
//!
//! ## What it finds
//!
//! A case of a `RouteTest` (`tests/**.yaml`) whose request does not come out as it must: it goes to another destination, gets
//! another answer, or none. Also one that cannot be asked (a gateway or cluster that there is not), and one whose outcome
//! depends on which of two objects is older, which Git does not say.
//!
//! ## Why it is bad
//!
//! Somebody wrote down where this request must go. What the files say now sends it elsewhere as soon as it is synced.
//!
//! ## How to mend it
//!
//! `kubectl asm route test URL` follows the request step by step and says what to change. When the change is meant, change
//! the case with it.

use super::super::Severity;
use super::super::finding::{Place, Related};
use super::super::rule::{Rule, Status};
use super::super::sink::Sink;
use super::super::world::World;
use crate::fleet::{Position, Target};
use crate::route_test::{Answered, Case, Mismatch, Simulator, cases, mismatches};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "route-test",
    severity: Severity::Error,
    summary: "a request does not come out as its RouteTest expects",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("route_test.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    if world.state().route_tests.is_empty() {
        return;
    }
    let cases = cases(world.state());
    let simulator = Simulator::of(world.state(), &cases);
    for case in &cases {
        let Some(position) = case.position.clone() else { continue };
        match simulator.ask(case, false) {
            Err(error) => {
                let message = format!("`{}` cannot be asked: {}", case.name, error.message);
                sink.push_at(position, message, error.hint, Vec::new(), Target::Mesh);
            }
            Ok(answers) => answers.iter().for_each(|answered| judge(case, answered, &position, sink)),
        }
    }
}

fn judge(case: &Case, answered: &Answered, position: &Position, sink: &mut Sink<'_>) {
    let found = case.expect.as_ref().map(|expect| mismatches(expect, &answered.seen)).unwrap_or_default();
    let Some(first) = found.first() else { return };
    let told = |it: &Mismatch| format!("{}: expected {}, found {}", it.field, it.expected, it.found);
    let more = match found.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let message = format!("`{}` at gateway {}: {}{more}", case.name, answered.gateway, told(first));
    let rule = answered.seen.rule.iter().map(|rule| Related {
        place: Place { position: rule.position.clone(), object: None, path: String::new() },
        label: "this rule decides".to_owned(),
    });
    let hint = format!("Follow it: kubectl asm route test '{}'", case.request.url.replace('\'', "%27"));
    sink.push_at(position.clone(), message, hint, rule.collect(), Target::Mesh);
}
