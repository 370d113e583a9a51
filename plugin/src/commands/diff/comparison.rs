//! What a comparison comes to: values that every format shows.

use super::sides::{Right, Standing};
use super::{DiffArgs, problems};
use crate::commands::lint::Introduced;
use crate::commands::route::test::Traffic;
use crate::context::Context;
use crate::error::CommandError;
use crate::live::LiveTargetName;
use asm_shared::diff::FleetDiff;
use asm_shared::fleet::Problem;

/// Why a target is missing from the result.
#[derive(Debug)]
pub(super) struct Unreached {
    pub(super) name: LiveTargetName,
    pub(super) error: CommandError,
}

/// A comparison and what it is between.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// What the left side is called.
    pub(super) before: String,
    /// What the right side is called.
    pub(super) after: String,
    /// What the right side is.
    pub(super) right: Right,
    /// The left side is what runs.
    pub(super) is_live: bool,
    /// To the letter.
    pub(super) is_literal: bool,
    pub(super) diff: FleetDiff,
    pub(super) unreached: Vec<Unreached>,
    /// What lint finds in the change; of two states of Git only, and where it is shown.
    pub(super) lint: Option<Introduced>,
    /// What comes of the requests of route tests; where there are some.
    pub(super) traffic: Option<Traffic>,
    /// What can be done with it.
    pub(super) standing: Standing,
}

/// A comparison, and what keeps it from being whole.
pub(super) struct Compared {
    pub(super) comparison: Comparison,
    /// Of the right side.
    pub(super) problems: Vec<Problem>,
    /// What API servers did not tell.
    pub(super) gaps: Vec<String>,
}

/// A comparison of files with files.
pub(super) fn in_files(
    args: &DiffArgs,
    before: String,
    after: String,
    right: Right,
    diff: FleetDiff,
    problems: Vec<Problem>,
) -> Compared {
    let comparison = Comparison {
        before,
        after,
        right,
        is_live: false,
        is_literal: args.raw,
        diff,
        unreached: Vec::new(),
        lint: None,
        traffic: None,
        standing: Standing::default(),
    };
    Compared { comparison, problems, gaps: Vec::new() }
}

/// Leaves out the targets that were not asked for.
pub(super) fn retain(args: &DiffArgs, compared: &mut Compared) {
    if !args.targets.is_empty() {
        let keep = |name: &str| args.targets.iter().any(|target| target == name);
        compared.comparison.diff.retain_targets(|target| keep(target.name()));
    }
}

/// The old side's problems do not fail the command: it is often the new side that mends them.
pub(super) fn warn_before(context: &Context, found: &[Problem]) {
    if let Some(first) = found.first() {
        context.ui().warning(&format!("{} in the files of the old side, the first: {first}", problems(found.len())));
    }
}
