//! `--fix`: rounds of fixes in memory, then all files at once.

use super::base::Base;
use super::judgement::{Judge, Judgement};
use crate::context::FleetRepo;
use crate::error::CommandError;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::FileEdit;
use asm_shared::lint::{Finding, Made, SourceText, compare, fix};
use similar::TextDiff;

/// What was mended, or would be.
pub(super) struct Mending {
    pub(super) dry_run: bool,
    pub(super) edits: Vec<FileEdit>,
    /// In the order in which they were made.
    pub(super) made: Vec<Made>,
    /// Findings of the judgement (indices) whose fix could not be made, and why.
    pub(super) refused: Vec<(usize, String)>,
    /// False when fixes kept undoing each other.
    pub(super) settled: bool,
}

impl Mending {
    /// The text of a file that was mended.
    pub(super) fn text_of(&self, path: &str) -> Option<&str> {
        self.edits.iter().find(|edit| edit.path == path)?.after.as_deref()
    }

    /// The diff of an edit, unless the file holds what must not be shown.
    pub(super) fn diff(edit: &FileEdit) -> Option<String> {
        let (before, after) = (edit.before.as_deref().unwrap_or_default(), edit.after.as_deref().unwrap_or_default());
        let private = [before, after].iter().any(|text| SourceText::new((*text).to_owned()).is_private());
        let diff = || {
            let (a, b) = (format!("a/{}", edit.path), format!("b/{}", edit.path));
            TextDiff::from_lines(before, after).unified_diff().header(&a, &b).to_string()
        };
        (!private).then(diff)
    }
}

/// Mends what is wanted and judges what is left. Files are written at the end, all or none; one that has changed meanwhile
/// is not overwritten.
pub(super) fn run(
    repo: &FleetRepo,
    judge: &Judge,
    base: Option<Base>,
    new_only: bool,
    also_unsafe: bool,
    write: WriteArgs,
) -> Result<Judgement, CommandError> {
    let mut last = Judgement::default();
    let fixed = fix(&repo.tree, also_unsafe, |tree| {
        last = judge.judge(tree, None);
        match base.as_ref().filter(|_| new_only) {
            Some(base) => only_new(&base.findings, &last.findings),
            None => last.findings.clone(),
        }
    });
    let edits: Vec<&FileEdit> = fixed.edits.iter().collect();
    write::check(repo, &edits)?;
    if !write.is_dry_run() {
        write::write_files(&repo.root, &edits)?;
    }
    let mut judgement = last.compared(base, new_only);
    judgement.mending = Some(Mending {
        dry_run: write.is_dry_run(),
        edits: fixed.edits,
        made: fixed.made,
        refused: fixed.refused,
        settled: fixed.settled,
    });
    Ok(judgement)
}

fn only_new(base: &[Finding], now: &[Finding]) -> Vec<Finding> {
    let new = compare(base, now).new;
    now.iter().zip(new).filter(|(_, new)| *new).map(|(finding, _)| finding.clone()).collect()
}
