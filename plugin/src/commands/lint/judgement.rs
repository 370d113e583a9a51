//! What lint found, chosen and compared: what every format shows.

use super::base::{self, Base};
use super::mending::Mending;
use crate::error::CommandError;
use asm_shared::fleet::{FleetState, Tree};
use asm_shared::lint::{
    Assumptions, Finding, Findings, Look, Memory, Rule, Selection, Severity, SourceText, compare, lint, lint_again,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// How a fleet is judged.
pub(crate) struct Judge {
    /// Rules to run.
    pub(super) rules: Vec<&'static Rule>,
    /// What of the findings is wanted.
    pub(super) selection: Selection,
    /// The fleet before the change that is judged, for rules about changes.
    pub(super) before: Option<Arc<FleetState>>,
    /// What time it is, for what ends some day.
    pub(super) now: Timestamp,
}

/// Texts of files, for excerpts.
pub(super) type Files = BTreeMap<Arc<str>, SourceText>;

/// What was found.
#[derive(Default)]
pub(crate) struct Judgement {
    /// By place, then by rule.
    pub(super) findings: Vec<Finding>,
    /// Findings that comments and fleet.yaml ignore.
    pub(super) ignored: usize,
    /// Rules that ran.
    pub(super) rules: Vec<&'static Rule>,
    /// Objects that were judged.
    pub(super) objects: usize,
    /// The comparison with a base, if there is one.
    pub(super) since: Option<Since>,
    /// What was mended, with --fix.
    pub(super) mending: Option<Mending>,
    /// Fixes are not offered: --fix works on fleets.
    pub(super) unmendable: bool,
}

/// How it compares with a base.
pub(super) struct Since {
    /// `main (4f1c2aa)`.
    pub(super) label: String,
    /// Per finding of the judgement: does the base not have it?
    pub(super) new: Vec<bool>,
    pub(super) introduced: usize,
    pub(super) fixed: usize,
    pub(super) unchanged: usize,
}

/// Findings per severity, and how many of them can be mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) errors: usize,
    pub(super) warnings: usize,
    pub(super) infos: usize,
    pub(super) fixable: usize,
    pub(super) unsafely_fixable: usize,
}

impl Judge {
    /// Runs these rules and keeps these findings.
    pub(super) fn new(rules: Vec<&'static Rule>, selection: Selection) -> Self {
        Self { rules, selection, before: None, now: Timestamp::now() }
    }

    /// Judges a revision to compare with; from now on, changes since then are judged too.
    pub(super) fn since(
        &mut self,
        root: &Path,
        revision: Option<&str>,
        known: &mut base::Known,
    ) -> Result<Option<Base>, CommandError> {
        let Some(revision) = revision else { return Ok(None) };
        let (base, state) = base::read(root, revision, self, known)?;
        self.before = state;
        Ok(Some(base))
    }

    /// Judges a tree. `state`: what it says, if that is known already.
    pub(super) fn judge(&self, tree: &dyn Tree, state: Option<&FleetState>) -> Judgement {
        let read = state.is_none().then(|| FleetState::read(tree));
        let Some(state) = state.or(read.as_ref()) else { return Judgement::default() };
        self.judge_since(tree, state, self.before.as_deref())
    }

    /// Judges a tree and what it says. `before`: the fleet before the change, for rules about changes.
    pub(super) fn judge_since(&self, tree: &dyn Tree, state: &FleetState, before: Option<&FleetState>) -> Judgement {
        self.wanted(state, lint(tree, state, before, &self.rules, self.assumptions()))
    }

    /// Judges a tree that was judged before; of what has not changed, the schemas judge nothing again.
    pub(super) fn judge_again(&self, tree: &dyn Tree, state: &FleetState, memory: &mut Memory) -> Judgement {
        self.judge_again_since(tree, state, self.before.as_deref(), memory)
    }

    /// The same since another fleet.
    pub(super) fn judge_again_since(
        &self,
        tree: &dyn Tree,
        state: &FleetState,
        base: Option<&FleetState>,
        memory: &mut Memory,
    ) -> Judgement {
        let look = Look { base, rules: &self.rules, assumptions: self.assumptions(), paths: &self.selection.paths };
        self.wanted(state, lint_again(tree, state, &look, memory))
    }

    fn assumptions(&self) -> Assumptions {
        Assumptions { now: Some(self.now), ..Assumptions::default() }
    }

    /// What of the findings is wanted.
    fn wanted(&self, state: &FleetState, judged: Findings) -> Judgement {
        let mut findings = judged.found;
        findings.retain(|finding| self.selection.wants(finding));
        let ignored = judged.ignored.iter().filter(|finding| self.selection.wants(finding)).count();
        let (rules, objects) = (self.rules.clone(), state.manifests.len());
        Judgement { findings, ignored, rules, objects, since: None, mending: None, unmendable: false }
    }
}

impl Judgement {
    /// Compares with a base.
    pub(super) fn compared(mut self, base: Option<Base>, new_only: bool) -> Self {
        let Some(base) = base else { return self };
        let compared = compare(&base.findings, &self.findings);
        let introduced = compared.new.iter().filter(|new| **new).count();
        let unchanged = self.findings.len() - introduced;
        let mut new = compared.new;
        if new_only {
            let mut wanted = new.iter();
            self.findings.retain(|_| wanted.next().is_some_and(|new| *new));
            new.retain(|new| *new);
        }
        self.since = Some(Since { label: base.label, new, introduced, fixed: compared.fixed, unchanged });
        self
    }

    /// The same, with nothing that --fix could do.
    pub(super) fn unmendable(self) -> Self {
        Self { unmendable: true, ..self }
    }

    /// Is a finding known not to be in the base?
    pub(super) fn is_new(&self, index: usize) -> Option<bool> {
        self.since.as_ref().and_then(|since| since.new.get(index).copied())
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for finding in &self.findings {
            match finding.severity {
                Severity::Error => counts.errors += 1,
                Severity::Warning => counts.warnings += 1,
                Severity::Info => counts.infos += 1,
            }
            if self.unmendable {
                continue;
            }
            if finding.fixes.iter().any(|fix| fix.safe) {
                counts.fixable += 1;
            } else if !finding.fixes.is_empty() {
                counts.unsafely_fixable += 1;
            }
        }
        counts
    }

    /// The files that findings are in, as they are now or will be once what was mended is written.
    pub(super) fn files(&self, tree: &dyn Tree) -> Files {
        let places = |finding: &Finding| {
            let related = finding.related.iter().map(|related| related.place.position.file.clone());
            related.chain([finding.place.position.file.clone()]).collect::<Vec<_>>()
        };
        let mut files = Files::new();
        for file in self.findings.iter().flat_map(places) {
            if files.contains_key(&file) {
                continue;
            }
            let mended = self.mending.as_ref().and_then(|mending| mending.text_of(&file).map(str::to_owned));
            let read = || tree.read(&file).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            if let Some(text) = mended.or_else(read) {
                files.insert(file, SourceText::new(text));
            }
        }
        files
    }
}

/// `1 error`, `2 errors`.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

impl Counts {
    /// By severity, the worst first.
    pub(super) fn parts(self) -> [(usize, &'static str); 3] {
        [(self.errors, "error"), (self.warnings, "warning"), (self.infos, "info")]
    }

    /// `2 errors, 1 warning`; `nothing` when there is none.
    pub(super) fn told(self) -> String {
        let parts = self.parts();
        let parts: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(*n, what)).collect();
        if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") }
    }
}
