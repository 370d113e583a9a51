//! What a change brings in: both sides of a comparison judged, and only what is new kept.

use super::base::{self, Base};
use super::document::{self, Item};
use super::judgement::{Judge, Judgement, count};
use super::markdown;
use crate::commands::explain::unknown_rule;
use crate::error::CommandError;
use crate::parallel;
use asm_io::tree::DirTree;
use asm_shared::fleet::FleetState;
use asm_shared::lint::{Finding, Memory, Selection, Severity, rules_of};
use std::path::Path;

/// One side of a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged<'a> {
    /// What it is called.
    pub(crate) label: &'a str,
    /// The commit; `None` for the working tree.
    pub(crate) commit: Option<&'a str>,
    /// What its files say.
    pub(crate) state: &'a FleetState,
}

/// What is known from the last judgement of a change.
pub(crate) struct Known {
    /// What was said of the working tree.
    said: Memory,
    /// What was found in the commit before.
    before: Option<(String, Vec<Finding>)>,
}

impl Default for Known {
    fn default() -> Self {
        Self { said: Memory::once(), before: None }
    }
}

impl Known {
    /// For judgements again and again.
    pub(crate) fn of_many() -> Self {
        Self { said: Memory::default(), before: None }
    }
}

/// The errors and warnings that a change brings in, and how many it mends.
pub(crate) struct Introduced(Judgement);

impl std::fmt::Debug for Introduced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Introduced").field(&self.told()).finish()
    }
}

impl Introduced {
    /// Judges both sides. A side without a fleet has no findings. `targets`: only what holds for these.
    pub(crate) fn between(
        root: &Path,
        before: Judged<'_>,
        after: Judged<'_>,
        targets: &[String],
        known: &mut Known,
    ) -> Result<Self, CommandError> {
        let rules = rules_of(&[], &[]).map_err(|error| unknown_rule(&error.id))?;
        let targets = targets.to_vec();
        let selection = Selection { severity: Some(Severity::Warning), targets, ..Selection::default() };
        let judge = Judge::new(rules, selection);
        let Known { said, before: told } = known;
        let old = || match (before.commit, &before.state.fleet, &told) {
            (Some(commit), _, Some((known, findings))) if known == commit => Ok(findings.clone()),
            (Some(commit), Some(_), _) => {
                base::judge_state(root, (commit, before.state), None, &judge).map(|judged| judged.findings)
            }
            _ => Ok(Vec::new()),
        };
        let base = before.state.fleet.is_some().then_some(before.state);
        let new = || match (&after.state.fleet, after.commit) {
            (Some(_), Some(commit)) => base::judge_state(root, (commit, after.state), base, &judge),
            (Some(_), None) => Ok(judge.judge_again_since(&DirTree::new(root), after.state, base, said)),
            (None, _) => Ok(Judgement::default()),
        };
        let (new, old) = parallel::both(new, old);
        let (label, findings) = (before.label.to_owned(), old?);
        *told = before.commit.map(|commit| (commit.to_owned(), findings.clone()));
        Ok(Self(new?.compared(Some(Base { label, findings }), true)))
    }

    /// The findings that are new: errors first, then by place.
    pub(crate) fn findings(&self) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self.0.findings.iter().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        findings
    }

    /// How many findings are new, mended and as before.
    pub(crate) fn counts(&self) -> IntroducedCounts {
        let counts = self.0.counts();
        let (fixed, unchanged) = self.0.since.as_ref().map_or((0, 0), |since| (since.fixed, since.unchanged));
        IntroducedCounts { errors: counts.errors, warnings: counts.warnings, fixed, unchanged }
    }

    /// `1 new error, 2 fixed, 3 unchanged`.
    pub(crate) fn told(&self) -> String {
        let counts = self.counts();
        let mut parts = Vec::new();
        parts.extend((counts.errors > 0).then(|| count(counts.errors, "new error")));
        parts.extend((counts.warnings > 0).then(|| count(counts.warnings, "new warning")));
        if parts.is_empty() {
            parts.push("nothing new".to_owned());
        }
        parts.extend((counts.fixed > 0).then(|| format!("{} fixed", counts.fixed)));
        parts.extend((counts.unchanged > 0).then(|| format!("{} unchanged", counts.unchanged)));
        parts.join(", ")
    }

    /// As Markdown of at most `budget` characters.
    pub(crate) fn markdown(&self, budget: usize) -> String {
        markdown::page(&self.0, budget)
    }

    /// As lint's document has them.
    pub(crate) fn items(&self) -> Vec<Item<'_>> {
        self.findings().into_iter().map(|finding| document::item(finding, None)).collect()
    }
}

/// Numbers of findings of warning and above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IntroducedCounts {
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    pub(crate) fixed: usize,
    pub(crate) unchanged: usize,
}

impl IntroducedCounts {
    /// Findings that the change brings in.
    pub(crate) fn introduced(self) -> usize {
        self.errors + self.warnings
    }
}
