//! Requests whose outcome differs between two states of a fleet.

use super::case::Case;
use super::check::mismatches;
use super::seen::Seen;
use super::simulator::{Answered, Simulator};
use crate::fleet::FleetState;
use std::collections::{BTreeSet, HashSet};

/// What a change of the fleet does to requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// Requests that were asked.
    pub asked: usize,
    /// Those whose outcome differs, at one gateway or several.
    pub requests: usize,
    /// What differs, in the order of the requests, then by gateway.
    pub changes: Vec<Change>,
    /// Cases of the new side that its expectations do not hold for.
    pub failing: usize,
}

/// A request whose outcome differs at a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The request.
    pub case: Case,
    /// The gateway.
    pub gateway: String,
    /// What came of it; `None` when the gateway was not there, or did not know the host.
    pub before: Option<Seen>,
    /// What comes of it.
    pub after: Option<Seen>,
}

/// Asks both states. A case that cannot be asked of one of them has no outcome there.
pub fn compare(before: &FleetState, after: &FleetState, cases: &[Case]) -> Changed {
    let (old, new) = (Simulator::of(before, cases), Simulator::of(after, cases));
    let mut changed = Changed { asked: cases.len(), ..Changed::default() };
    for case in cases {
        let was = old.ask(case, false).unwrap_or_default();
        let is = new.ask(case, false).unwrap_or_default();
        let fails = |answered: &Answered| {
            case.expect.as_ref().is_some_and(|expect| !mismatches(expect, &answered.seen).is_empty())
        };
        changed.failing += usize::from(is.iter().any(fails) || is.is_empty() && case.expect.is_some());
        let changes = differences(case, &was, &is);
        changed.requests += usize::from(!changes.is_empty());
        changed.changes.extend(changes);
    }
    changed
}

fn differences(case: &Case, was: &[Answered], is: &[Answered]) -> Vec<Change> {
    let names: BTreeSet<&str> = was.iter().chain(is).map(|answered| answered.gateway.as_str()).collect();
    let of = |all: &[Answered], name: &str| -> Option<Seen> {
        all.iter().find(|answered| answered.gateway == name).map(|answered| answered.seen.clone())
    };
    let pairs = names.into_iter().map(|name| (name, of(was, name), of(is, name)));
    let differ = pairs.filter(|(_, before, after)| match (before, after) {
        (Some(before), Some(after)) => {
            let others = |seen: &Seen| seen.elsewhere.iter().map(|other| other.effect.clone()).collect::<Vec<_>>();
            let may = |seen: &Seen| seen.alternatives.iter().map(|other| other.effect.clone()).collect::<Vec<_>>();
            before.effect != after.effect || may(before) != may(after) || others(before) != others(after)
        }
        _ => true,
    });
    differ.map(|(name, before, after)| Change { case: case.clone(), gateway: name.to_owned(), before, after }).collect()
}

/// The cases of both sides, each request once: what the new side expects counts.
pub fn of_both(before: &FleetState, after: &FleetState) -> Vec<Case> {
    let mut cases = super::cases(after);
    let mut known: HashSet<_> = cases.iter().map(|case| case.request.clone()).collect();
    let more = super::cases(before).into_iter().filter(|case| known.insert(case.request.clone()));
    // What was expected before is no promise of the new side.
    cases.extend(more.map(|case| Case { expect: None, ..case }));
    cases
}
