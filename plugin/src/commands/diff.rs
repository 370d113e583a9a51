//! `kubectl asm diff`.

pub(crate) mod document;
mod markdown;
mod render;
mod sides;
mod value;

pub(crate) use value::printable;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::{self, LiveTargetName, objects};
use crate::output::{self, OutputFormat};
use asm_shared::diff::{FleetDiff, diff, diff_live};
use asm_shared::fleet::{FleetState, Problem};
use futures::stream::{self, StreamExt as _};
use sides::Range;
use std::path::Path;

/// API servers read at the same time.
const TARGETS_AT_ONCE: usize = 4;
/// Problems told one by one; the rest is counted.
const PROBLEMS_SHOWN: usize = 10;

/// Compares two states of the fleet, or Git with what runs.
///
/// Without a revision the working tree is compared with HEAD. What means the same is no difference (quantities,
/// durations, defaults, order of hosts). Values of Secrets are never shown.
///
/// With --live the API servers of the fleet are read through the kubeconfig contexts that fleet.yaml names (default:
/// `mesh`, and each cluster's name), and the output is what bringing Git to them would change.
///
/// Exit codes: 0 no difference, 1 differences, 2 usage or input error, 3 an API server could not be reached (the rest is
/// still shown).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # what the working tree changes
  kubectl asm diff

  # what a branch changes, seen from where it left main
  kubectl asm diff main...my-branch

  # what the agent would change now on one cluster
  kubectl asm diff --live --target m1c1")]
pub struct DiffArgs {
    /// REV (against the working tree), A..B, or A...B (from their common ancestor to B)
    #[arg(value_name = "REV | A..B | A...B")]
    pub revision: Option<String>,

    /// Compare with the API servers instead of with Git
    #[arg(long)]
    pub live: bool,

    /// Only this target: `mesh` or a cluster's name; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    pub targets: Vec<String>,

    /// Only the counts and one line per object
    #[arg(long)]
    pub summary: bool,
}

/// Why a target is missing from the result.
#[derive(Debug)]
pub(crate) struct Unreached {
    name: LiveTargetName,
    error: CommandError,
}

/// A comparison and what it is between.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// What the left side is called.
    before: String,
    /// What the right side is called.
    after: String,
    diff: FleetDiff,
    unreached: Vec<Unreached>,
}

impl Comparison {
    /// Two states of Git, one of them perhaps the working tree.
    pub(crate) fn of_git(root: &Path, from: &str, to: Option<&str>) -> Result<Self, CommandError> {
        let range = match to {
            Some(to) => Range::Between(from.to_owned(), to.to_owned()),
            None => Range::WorkingTree(from.to_owned()),
        };
        let (before, after) = sides::read(root, &range)?;
        let (before, before_label) = before.map(|side| (side.state, side.label)).unwrap_or_default();
        let diff = diff(&before, &after.state);
        Ok(Self { before: before_label, after: after.label, diff, unreached: Vec::new() })
    }

    /// As Markdown for a pull request, of at most `budget` characters.
    pub(crate) fn markdown(&self, budget: usize) -> String {
        markdown::page(self, budget)
    }
}

/// Runs it.
pub fn run(context: &Context, args: DiffArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name])?;
    let root = context.repo_root()?;
    let range = Range::parse(args.revision.as_deref(), args.live)?;
    let (before, after) = sides::read(&root, &range)?;
    let fleet = after.fleet()?;
    // Checks the names also when nothing live is read.
    let chosen = live::chosen(context, fleet, &args.targets)?;
    let mut gaps = Vec::new();
    let comparison = match before {
        Some(before) => {
            let mut diff = diff(&before.state, &after.state);
            if !args.targets.is_empty() {
                let keep = |name: &str| args.targets.iter().any(|target| target == name);
                diff.retain_targets(|target| keep(target.name()));
            }
            warn_before(context, &before.state.problems);
            Comparison { before: before.label, after: after.label.clone(), diff, unreached: Vec::new() }
        }
        None => {
            let (seen, unreached) = context.block_on(read_live(context, &chosen, &after.state))?;
            for seen in &seen {
                gaps.extend(seen.gaps.iter().map(|gap| format!("{}: {}: {}", seen.live.target, gap.what, gap.why)));
            }
            let live: Vec<_> = seen.into_iter().map(|seen| seen.live).collect();
            let diff = diff_live(&live, &after.state);
            Comparison { before: "live".to_owned(), after: after.label.clone(), diff, unreached }
        }
    };
    match format {
        OutputFormat::Json | OutputFormat::Yaml => output::print(context.ui(), format, &document::of(&comparison)?)?,
        OutputFormat::Name => context.ui().data(&render::names(&comparison)),
        OutputFormat::Human | OutputFormat::Wide => {
            context.ui().data(&render::page(&comparison, args.summary, context.ui().stdout_has_color()));
        }
    }
    for gap in &gaps {
        context.ui().warning(&format!("could not be compared: {gap}"));
    }
    outcome(&comparison, &after.state, &gaps)
}

/// The exit: what keeps the answer from being whole comes before what the answer is.
fn outcome(comparison: &Comparison, after: &FleetState, gaps: &[String]) -> Result<Exit, CommandError> {
    if !comparison.unreached.is_empty() {
        let names: Vec<&str> = comparison.unreached.iter().map(|unreached| unreached.name.target.name()).collect();
        let failed = CommandError::unreachable(format!("not compared: {}", names.join(", ")));
        return Err(comparison.unreached.iter().fold(failed, |failed, unreached| {
            let failed = failed.because(unreached.error.to_string());
            unreached.error.hints.iter().fold(failed, |failed, hint| failed.hinted(hint.clone()))
        }));
    }
    if !after.problems.is_empty() {
        let failed = CommandError::input(format!(
            "{} in the files: what they say is missing above",
            problems(after.problems.len())
        ));
        let failed = after.problems.iter().take(PROBLEMS_SHOWN).fold(failed, |failed, p| failed.because(p.to_string()));
        return Err(failed.hinted("list them with: kubectl asm lint"));
    }
    if !gaps.is_empty() {
        return Err(CommandError::input("some objects could not be compared").hinted("the warnings above say why"));
    }
    Ok(if comparison.diff.changes.is_empty() { Exit::Clean } else { Exit::Findings })
}

fn problems(count: usize) -> String {
    if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") }
}

/// The old side's problems do not fail the command: it is often the new side that mends them.
fn warn_before(context: &Context, found: &[Problem]) {
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
