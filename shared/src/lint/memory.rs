//! What was judged the last time, for whoever lints a fleet again and again.

use super::finding::{Finding, sort};
use super::judging::{Look, Said};
use super::rule::Rule;
#[cfg(feature = "schema")]
use super::world::Known;
use super::world::{Asked, Seen};
use crate::fleet::FleetState;
use std::collections::HashMap;

/// What the schemas said of objects, by object, and what the rules said. It helps where the objects are the very same as the last time
/// (`FleetState::read_again`); what is gone is forgotten.
#[derive(Debug, Default)]
pub struct Memory {
    #[cfg(feature = "schema")]
    pub(super) verdicts: Known,
    pub(super) said: Sayings,
}

impl Memory {
    /// For one look only: nothing is kept for another one.
    pub fn once() -> Self {
        let mut memory = Self::default();
        memory.said.once = true;
        memory
    }
}

/// What the rules said the last time, and of which fleet.
#[derive(Debug, Default)]
pub(super) struct Sayings {
    /// There is no next time.
    once: bool,
    seen: Seen,
    complete: bool,
    by_rule: HashMap<&'static str, (Asked, Vec<Finding>)>,
}

impl Sayings {
    /// What the rules of a look say. `run` asks those that could say something else than the last time.
    pub(super) fn again(
        &mut self,
        state: &FleetState,
        look: &Look<'_>,
        run: impl FnOnce(&[&'static Rule]) -> Vec<Said>,
    ) -> Vec<Finding> {
        if self.once {
            return in_order(run(look.rules).into_iter().map(|said| said.findings));
        }
        let changes = self.seen.look(state);
        if self.complete != look.assumptions.complete {
            self.by_rule.clear();
        }
        self.complete = look.assumptions.complete;
        let mut known = std::mem::take(&mut self.by_rule);
        known.retain(|_, (asked, _)| !changes.touch(asked));
        let open: Vec<&'static Rule> = look.rules.iter().filter(|rule| !known.contains_key(rule.id)).copied().collect();
        for said in run(&open) {
            known.insert(said.rule, (said.asked, said.findings));
        }
        // What a rule said that is not asked now would be of another fleet the next time.
        known.retain(|id, _| look.rules.iter().any(|rule| rule.id == *id));
        self.by_rule = known;
        in_order(self.by_rule.values().map(|(_, findings)| findings.clone()))
    }
}

/// By place, then by rule.
fn in_order(all: impl Iterator<Item = Vec<Finding>>) -> Vec<Finding> {
    let mut found: Vec<Finding> = all.flatten().collect();
    sort(&mut found);
    found
}
