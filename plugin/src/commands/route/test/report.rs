//! The answers to all requests, and which of them are as expected.

use super::sources::Scene;
use asm_shared::route_test::{Answered, Case, CaseError, Changed, Mismatch, Simulator, compare, mismatches};

/// The answers.
pub(super) struct Report {
    pub(super) items: Vec<Item>,
    /// One request was asked for, and not a test.
    pub(super) is_single: bool,
    /// What it was compared with, and what differs.
    pub(super) since: Option<(String, Changed)>,
}

/// The answers to one request.
pub(super) struct Item {
    pub(super) case: Case,
    /// Per gateway, and what of each is not as expected.
    pub(super) answers: Result<Vec<(Answered, Vec<Mismatch>)>, CaseError>,
}

impl Report {
    pub(super) fn of(scene: &Scene, cases: &[Case], is_single: bool) -> Self {
        let simulator = Simulator::of(&scene.state, cases);
        let item = |case: &Case| {
            let judged = |answered: Answered| {
                let found = case.expect.as_ref().map(|expect| mismatches(expect, &answered.seen)).unwrap_or_default();
                (answered, found)
            };
            let explain = is_single;
            let mut answers = simulator.ask(case, explain).map(|all| all.into_iter().map(judged).collect::<Vec<_>>());
            let is_wrong = |all: &[(Answered, Vec<Mismatch>)]| all.iter().any(|(_, found)| !found.is_empty());
            if !explain && answers.as_deref().is_ok_and(is_wrong) {
                // Only what is wrong is worth the words.
                answers = simulator.ask(case, true).map(|all| all.into_iter().map(judged).collect());
            }
            Item { case: case.clone(), answers }
        };
        let items = cases.iter().map(item).collect();
        let since = scene.before.as_ref().map(|(label, before)| (label.clone(), compare(before, &scene.state, cases)));
        Self { items, is_single, since }
    }

    /// Why the one request that was asked for cannot be asked.
    pub(super) fn refusal(&self) -> Option<CaseError> {
        let first = self.items.first().filter(|_| self.is_single)?;
        first.answers.as_ref().err().cloned()
    }

    /// Is everything as it must be?
    pub(super) fn is_clean(&self) -> bool {
        self.items.iter().all(Item::is_ok) && self.since.as_ref().is_none_or(|(_, changed)| changed.changes.is_empty())
    }

    /// Cases that are as expected, and those that are not.
    pub(super) fn counts(&self) -> (usize, usize) {
        let right = self.items.iter().filter(|item| item.is_ok()).count();
        (right, self.items.len() - right)
    }
}

impl Item {
    /// Is it as expected? Without an expectation: is the request answered, and always in the same way?
    pub(super) fn is_ok(&self) -> bool {
        let Ok(answers) = &self.answers else { return false };
        match &self.case.expect {
            Some(_) => answers.iter().all(|(_, found)| found.is_empty()),
            None => answers
                .iter()
                .all(|(answered, _)| answered.seen.effect.is_answered() && answered.seen.alternatives.is_empty()),
        }
    }

    /// `shop/cart`, or the request.
    pub(super) fn name(&self) -> String {
        match (self.case.test.as_str(), self.case.name.as_str()) {
            ("", "") => self.case.told(),
            ("", name) => name.to_owned(),
            (test, name) => format!("{test}/{name}"),
        }
    }
}
