//! Both sides are read and compared.

use super::sides::{self, Range, Standing};
use super::{DiffArgs, loose, markdown, problems};
use crate::commands::lint::Introduced;
use crate::commands::route::test::Traffic;
use crate::context::Context;
use crate::error::CommandError;
use crate::live::{self, LiveTargetName, objects};
use asm_shared::diff::{FleetDiff, diff, diff_literally, diff_live, diff_live_literally};
use asm_shared::fleet::{FleetState, Problem};
use futures::stream::{self, StreamExt as _};
use std::path::Path;

/// API servers read at the same time.
const TARGETS_AT_ONCE: usize = 4;

/// Why a target is missing from the result.
#[derive(Debug)]
pub(super) struct Unreached {
    pub(super) name: LiveTargetName,
    pub(super) error: CommandError,
}

/// What the right side is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Files that are not committed.
    Files,
    /// A commit, by its full ID.
    Commit(String),
    /// Files of no fleet.
    Loose,
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

impl Comparison {
    /// Two states of Git, one of them perhaps the working tree.
    pub(crate) fn of_git(root: &Path, from: &str, to: Option<&str>) -> Result<Self, CommandError> {
        let range = match to {
            Some(to) => Range::Between(from.to_owned(), to.to_owned()),
            None => Range::WorkingTree(from.to_owned()),
        };
        let (before, after) = sides::read(root, &range)?;
        let before = before.unwrap_or_default();
        let lint = Introduced::between(root, before.judged(), after.judged(), &[])?;
        Ok(Self {
            standing: sides::standing(root, &range, &before, &after),
            before: before.label,
            right: after.right(),
            after: after.label,
            is_live: false,
            is_literal: false,
            diff: diff(&before.state, &after.state),
            unreached: Vec::new(),
            lint: Some(lint),
            traffic: Traffic::between(&before.state, &after.state),
        })
    }
}

impl Comparison {
    /// As Markdown for a pull request, of at most `budget` bytes (and so of at most as many characters), without the
    /// findings of lint: they have a page of their own.
    pub(crate) fn markdown(&self, budget: usize) -> String {
        markdown::page(self, budget, false)
    }

    /// What lint finds in the change, as Markdown of at most `budget` characters.
    pub(crate) fn lint_markdown(&self, budget: usize) -> String {
        self.lint.as_ref().map(|lint| lint.markdown(budget)).unwrap_or_default()
    }
}

/// A comparison, and what keeps it from being whole.
pub(super) struct Compared {
    pub(super) comparison: Comparison,
    /// Of the right side.
    pub(super) problems: Vec<Problem>,
    /// What API servers did not tell.
    pub(super) gaps: Vec<String>,
}

/// Reads both sides and compares them. `judge`: say too what lint finds in the change.
pub(super) fn compare(context: &Context, args: &DiffArgs, judge: bool) -> Result<Compared, CommandError> {
    if !args.manifests.is_empty() || !args.cluster.is_empty() {
        return loose::compare(context, args);
    }
    let root = context.repo_root()?;
    let range = Range::parse(args.revision.as_deref(), args.live)?;
    let (before, after) = sides::read(&root, &range)?;
    // Checks the names also when nothing live is read.
    let chosen = live::chosen(context, after.fleet()?, &args.targets)?;
    let mut compared = match before {
        Some(before) => {
            warn_before(context, &before.state.problems);
            let diff = if args.raw { diff_literally } else { diff }(&before.state, &after.state);
            let judged = || Introduced::between(&root, before.judged(), after.judged(), &args.targets);
            let lint = judge.then(judged).transpose()?;
            let traffic = judge.then(|| Traffic::between(&before.state, &after.state)).flatten();
            let standing = sides::standing(&root, &range, &before, &after);
            let right = after.right();
            let mut compared = in_files(args, before.label, after.label, right, diff, after.state.problems);
            (compared.comparison.lint, compared.comparison.traffic) = (lint, traffic);
            compared.comparison.standing = standing;
            compared
        }
        None => against_live(context, args, &chosen, after.label.clone(), after.right(), after.state, |_| {})?,
    };
    retain(args, &mut compared);
    Ok(compared)
}

/// Leaves out the targets that were not asked for.
pub(super) fn retain(args: &DiffArgs, compared: &mut Compared) {
    if !args.targets.is_empty() {
        let keep = |name: &str| args.targets.iter().any(|target| target == name);
        compared.comparison.diff.retain_targets(|target| keep(target.name()));
    }
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

/// Compares with what runs. `prepare` sees what was read before it is compared.
pub(super) fn against_live(
    context: &Context,
    args: &DiffArgs,
    chosen: &[LiveTargetName],
    label: String,
    right: Right,
    wanted: FleetState,
    prepare: impl Fn(&mut objects::Seen),
) -> Result<Compared, CommandError> {
    let (mut seen, unreached) = context.block_on(read_live(context, chosen, &wanted))?;
    seen.iter_mut().for_each(prepare);
    let mut gaps = Vec::new();
    for seen in &seen {
        gaps.extend(seen.gaps.iter().map(|gap| format!("{}: {}: {}", seen.live.target, gap.what, gap.why)));
    }
    let mut live: Vec<_> = seen.into_iter().map(|seen| seen.live).collect();
    live::frozen::leave_out(&mut live, &wanted, jiff::Timestamp::now());
    let diff = if args.raw { diff_live_literally } else { diff_live }(&live, &wanted);
    let comparison = Comparison {
        before: "live".to_owned(),
        after: label,
        right,
        is_live: true,
        is_literal: args.raw,
        diff,
        unreached,
        lint: None,
        traffic: None,
        standing: Standing::default(),
    };
    Ok(Compared { comparison, problems: wanted.problems, gaps })
}

/// The old side's problems do not fail the command: it is often the new side that mends them.
pub(super) fn warn_before(context: &Context, found: &[Problem]) {
    if let Some(first) = found.first() {
        context.ui().warning(&format!("{} in the files of the old side, the first: {first}", problems(found.len())));
    }
}

/// Reads the targets, several at a time, in their own order.
async fn read_live(
    context: &Context,
    chosen: &[LiveTargetName],
    wanted: &FleetState,
) -> Result<(Vec<objects::Seen>, Vec<Unreached>), CommandError> {
    let progress = context.ui().progress(&format!("reading {} API servers", chosen.len()));
    let answers: Vec<_> = stream::iter(chosen)
        .map(|name| async move { (name, objects::read(context, name, wanted).await) })
        .buffered(TARGETS_AT_ONCE)
        .collect()
        .await;
    drop(progress);
    let (mut seen, mut unreached) = (Vec::new(), Vec::new());
    for (name, answer) in answers {
        match answer {
            Ok(answer) => seen.push(answer),
            Err(error) => unreached.push(Unreached { name: name.clone(), error }),
        }
    }
    Ok((seen, unreached))
}
