//! Findings that are left out: comments in the files, and `spec.lint` of `fleet.yaml`. Both say why, and both are findings
//! themselves when they are wrong or have nothing left to do.

mod comment;
mod config;

use super::finding::Finding;
use super::rule::Rule;
use super::upkeep::{IGNORE_SYNTAX, IGNORE_UNKNOWN, IGNORE_UNUSED};
use super::{registry, upkeep};
use crate::distance::distance;
use crate::fleet::{FleetState, Position, Tree};
use config::Settings;
use std::sync::Arc;

/// Findings that stay and findings that are ignored. `ran`: the rules whose silence means something.
pub(super) fn apply(
    tree: &dyn Tree,
    state: &FleetState,
    ran: &[&'static Rule],
    findings: Vec<Finding>,
) -> (Vec<Finding>, Vec<Finding>) {
    let mut judge = Judge { ran, notes: Vec::new() };
    let mut comments = comment::all(tree, state, &mut judge);
    let mut settings = Settings::of(tree, state, &mut judge);
    let (mut kept, mut ignored) = (Vec::new(), Vec::new());
    for mut finding in findings {
        settings.set_severity(&mut finding);
        // Both are asked, so that neither is taken for unused.
        let by_comment = comment::take(&mut comments, &finding);
        let by_settings = settings.take(&finding);
        if by_comment || by_settings { ignored.push(finding) } else { kept.push(finding) }
    }
    comment::unused(&comments, &mut judge);
    settings.unused(&mut judge);
    kept.extend(judge.notes);
    (kept, ignored)
}

/// Says what is wrong with what is ignored.
struct Judge<'r> {
    ran: &'r [&'static Rule],
    notes: Vec<Finding>,
}

impl Judge<'_> {
    fn ran(&self, id: &str) -> bool {
        self.ran.iter().any(|rule| rule.id == id)
    }

    fn note(&mut self, rule: &'static Rule, position: Position, message: String, hint: String) {
        if self.ran(rule.id) {
            self.notes.push(Finding { hint: Some(hint), ..upkeep::finding(rule, position, message) });
        }
    }

    fn syntax(&mut self, position: Position, message: String) {
        let hint = "Write it as in: # asm-lint: ignore[RULE] why it is right here".to_owned();
        self.note(&IGNORE_SYNTAX, position, message, hint);
    }

    /// Is it a rule that can be ignored? If not, that is noted.
    fn knows(&mut self, id: &str, position: &Position) -> bool {
        if registry::RULES.iter().any(|rule| rule.id == id) {
            return true;
        }
        let (message, hint) = if upkeep::UPKEEP.iter().any(|rule| rule.id == id) {
            (format!("`{id}` cannot be ignored here"), "Mend what it finds, or run lint with --ignore".to_owned())
        } else {
            let near = registry::RULES.iter().map(|rule| rule.id).min_by_key(|known| distance(known, id));
            let near = near.filter(|near| distance(near, id) <= 3).map(|near| format!("Did you mean `{near}`?"));
            let hint = near.unwrap_or_else(|| "List the rules with: kubectl asm explain".to_owned());
            (format!("there is no rule `{id}`"), hint)
        };
        self.note(&IGNORE_UNKNOWN, position.clone(), message, hint);
        false
    }

    fn unused(&mut self, id: &str, position: Position) {
        if self.ran(id) {
            let hint = "Remove it, or move it to where the finding is".to_owned();
            self.note(&IGNORE_UNUSED, position, format!("nothing that `{id}` finds is ignored by this"), hint);
        }
    }
}

/// The rules of one ignore that are rules, and whether each had something to do.
#[derive(Debug)]
struct Uses(Vec<(String, bool)>);

impl Uses {
    fn of(ids: impl IntoIterator<Item = String>) -> Self {
        Self(ids.into_iter().map(|id| (id, false)).collect())
    }

    fn take(&mut self, rule: &str) -> bool {
        let found = self.0.iter_mut().filter(|(id, _)| id == rule);
        found.map(|(_, used)| *used = true).count() > 0
    }

    fn unused(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, used)| !used).map(|(id, _)| id.as_str())
    }
}

fn position(file: &Arc<str>, line: u32, column: u32) -> Position {
    Position { file: file.clone(), line, column }
}
