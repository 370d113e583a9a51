//! The body of a pull request: what differs, what becomes of requests, what lint finds.

use super::run::Run;
use super::survey::Survey;
use crate::commands::diff::Comparison;
use crate::error::CommandError;
use asm_shared::pull_request::{MINIMAL_BUDGET, Page};

/// The part of the body that what lint finds may take: one in so many.
const LINT_SHARE: usize = 4;

impl Run<'_> {
    /// The body, as long as the forge lets it be.
    pub(super) fn body(
        &self,
        survey: &Survey,
        commit: &str,
        page: &Page,
        limit: usize,
    ) -> Result<Option<String>, CommandError> {
        let id = survey.set.id();
        let Some(mut budget) = page.budget(limit, &id) else { return Ok(None) };
        let comparison = Comparison::of_git(self.root, &survey.merge_base, Some(commit))?;
        let lint = comparison.lint_markdown(budget / LINT_SHARE);
        loop {
            let diff = comparison.markdown(budget.saturating_sub(lint.len() + 1));
            let body = page.with(&self.redactor.clean(&format!("{diff}\n{lint}")), &id);
            // Characters may be counted, where the forge counts bytes.
            let over = body.len().saturating_sub(limit);
            if over == 0 {
                return Ok(Some(body));
            }
            budget = match budget.checked_sub(over) {
                Some(less) if less >= MINIMAL_BUDGET => less,
                _ => return Ok(Some(page.with("", &id))),
            };
        }
    }
}
