//! # ineffective-match
//!
//! ## What it finds
//!
//! A `match` entry that adds nothing: another entry of the same rule, or of a rule before it, takes all of its
//! requests.
//!
//! ## Why it is bad
//!
//! It looks as if it did something. Where the other entry belongs to another rule, requests go elsewhere than this one
//! says.
//!
//! ## How to mend it
//!
//! Remove the entry, or move its rule before the one that takes its requests.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, shadows};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "ineffective-match",
    severity: Severity::Info,
    summary: "a match entry takes no request",
    istio: &["IST0131"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("ineffective_match.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        for shadow in shadows(world, route.manifest) {
            let rule = format!("/spec/{}/{}", shadow.kind, shadow.rule);
            for hit in &shadow.hits {
                // After a rule without `match` the whole rule is dead, and another rule says so.
                let (Some(entry), Some(by)) = (hit.entry, hit.by_entry) else { continue };
                let own = hit.by == shadow.rule;
                let other = format!("/spec/{}/{}/match/{by}", shadow.kind, hit.by);
                let message = match (own, hit.identical) {
                    (true, true) => format!("the same as entry {} of this rule", by + 1),
                    (true, false) => format!("entry {} of this rule takes all of its requests already", by + 1),
                    (false, true) => format!("rule {} asks for the same before", hit.by + 1),
                    (false, false) => format!("rule {} takes all of its requests before", hit.by + 1),
                };
                let at = format!("{rule}/match/{entry}");
                let report = Report::at(route.manifest, at.clone(), message);
                let report = report.related(route.manifest, &other, "what takes its requests");
                let report = if hit.known { report } else { report.beyond() };
                // Without its last entry a rule would match everything.
                sink.push(if own {
                    let edit = (route.manifest, EditOp::Remove(at));
                    report.hint("Remove the entry").fix("remove the entry", true, vec![edit])
                } else {
                    report.hint("Remove the entry, or move its rule up")
                });
            }
        }
    }
}
