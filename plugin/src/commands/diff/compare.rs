//! Both sides are read and compared.

use super::comparison::{Compared, Comparison, in_files, retain, warn_before};
use super::live::against_live;
use super::sides::{self, Range, Side};
use super::{DiffArgs, loose};
use crate::commands::lint::{Introduced, introduced};
use crate::commands::route::test::Traffic;
use crate::context::Context;
use crate::error::CommandError;
use crate::live;
use crate::parallel;
use asm_shared::diff::{diff, diff_literally};
use std::path::Path;
use std::sync::Arc;

impl Comparison {
    /// Two states of Git, one of them perhaps the working tree.
    pub(crate) fn of_git(root: &Path, from: &str, to: Option<&str>) -> Result<Self, CommandError> {
        let range = match to {
            Some(to) => Range::Between(from.to_owned(), to.to_owned()),
            None => Range::WorkingTree(from.to_owned()),
        };
        let mut known = Known::default();
        let (before, after) = sides::read(root, &range, &mut known.sides)?;
        let before = before.unwrap_or_default();
        let found = found(root, &before, &after, &[], &mut known.introduced)?;
        Ok(Self {
            standing: sides::standing(root, &range, &before, &after),
            before: before.label,
            right: after.right(),
            after: after.label,
            is_live: false,
            is_literal: false,
            diff: diff(&before.state, &after.state),
            unreached: Vec::new(),
            lint: Some(found.0),
            traffic: found.1,
        })
    }
}

/// What lint finds in the change, and what becomes of requests. Both need both sides and take longer than all the rest.
fn found(
    root: &Path,
    before: &Side,
    after: &Side,
    targets: &[String],
    known: &mut introduced::Known,
) -> Result<(Introduced, Option<Traffic>), CommandError> {
    let lint = || Introduced::between(root, before.judged(), after.judged(), targets, known);
    let (lint, traffic) = parallel::both(lint, || Traffic::between(&before.state, &after.state));
    Ok((lint?, traffic))
}

/// What is known from the last comparison.
#[derive(Default)]
pub(super) struct Known {
    sides: sides::Known,
    introduced: introduced::Known,
}

impl Known {
    /// For comparisons again and again.
    pub(super) fn of_many() -> Self {
        Self { sides: sides::Known::of_many(), introduced: introduced::Known::of_many() }
    }
}

/// Reads both sides and compares them. `judge`: say too what lint finds in the change.
pub(super) fn compare(
    context: &Context,
    args: &DiffArgs,
    judge: bool,
    known: &mut Known,
) -> Result<Compared, CommandError> {
    if !args.manifests.is_empty() || !args.cluster.is_empty() {
        return loose::compare(context, args);
    }
    let root = context.repo_root()?;
    let range = Range::parse(args.revision.as_deref(), args.live)?;
    let (before, after) = sides::read(&root, &range, &mut known.sides)?;
    // Checks the names also when nothing live is read.
    let chosen = live::chosen(context, after.fleet()?, &args.targets)?;
    let mut compared = match before {
        Some(before) => {
            warn_before(context, &before.state.problems);
            let diff = if args.raw { diff_literally } else { diff }(&before.state, &after.state);
            let found =
                judge.then(|| found(&root, &before, &after, &args.targets, &mut known.introduced)).transpose()?;
            let (lint, traffic) = found.map_or((None, None), |(lint, traffic)| (Some(lint), traffic));
            let standing = sides::standing(&root, &range, &before, &after);
            let right = after.right();
            let mut compared = in_files(args, before.label, after.label, right, diff, after.state.problems.clone());
            (compared.comparison.lint, compared.comparison.traffic) = (lint, traffic);
            compared.comparison.standing = standing;
            compared
        }
        None => {
            let (label, right) = (after.label.clone(), after.right());
            let state = Arc::into_inner(after.state).unwrap_or_default();
            against_live(context, args, &chosen, label, right, state, |_| {})?
        }
    };
    retain(args, &mut compared);
    Ok(compared)
}
