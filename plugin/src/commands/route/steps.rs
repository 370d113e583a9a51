//! `--steps`: a shift of weights as a series of commits.

use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::git::Git;
use crate::output::{self, Document, OutputFormat};
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{Step, objects_of};
use schemars::JsonSchema;
use serde::Serialize;

/// What `--steps` wrote and committed, or would.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StepList<'a> {
    /// Was nothing written?
    dry_run: bool,
    /// One per commit, in their order; none when the files say so already.
    items: &'a [Item<'a>],
}

impl Document for StepList<'_> {
    const KIND: &'static str = "StepList";
}

/// A step as the machine formats tell it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    /// Subject of the commit.
    message: &'a str,
    /// ID of the commit; not with --dry-run.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// Files inside the fleet repository.
    paths: Vec<&'a str>,
    /// A unified diff; with --dry-run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

/// Writes and commits each step, or shows them with `--dry-run`.
pub(super) fn run(context: &Context, repo: &FleetRepo, steps: &[Step], args: WriteArgs) -> Result<Exit, CommandError> {
    let format = context.output(&write::FORMATS)?;
    let steps: Vec<_> = steps.iter().filter(|step| !step.plan.edits.is_empty()).collect();
    let ui = context.ui();
    let git = Git::new(&repo.root);
    if !args.is_dry_run() {
        git.ensure_clean().map_err(|error| error.hinted("or leave --steps out to change the file only"))?;
    }
    let mut items = Vec::new();
    for step in &steps {
        let edits = &step.plan.edits;
        // Each step is checked against the fleet as the steps before it left it; a dry run leaves nothing.
        let now = if args.is_dry_run() { None } else { Some(FleetRepo::open(repo.root.clone())?) };
        if let Some(now) = &now {
            write::check(now, &edits.iter().collect::<Vec<_>>()).map_err(|error| left(error, items.len()))?;
        }
        let diffs = || edits.iter().map(write::unified_diff).collect::<String>();
        let commit = match now {
            None => None,
            Some(_) => {
                Some(git.write_and_commit(repo, edits, &step.message).map_err(|error| left(error, items.len()))?)
            }
        };
        match format {
            OutputFormat::Human | OutputFormat::Wide => match &commit {
                Some(commit) => ui.line(&format!("{commit} {}", step.message)),
                None => {
                    ui.status(&format!("{} (dry run)", step.message));
                    ui.data(&diffs());
                }
            },
            OutputFormat::Name => edits.iter().flat_map(objects_of).for_each(|name| ui.line(&name)),
            OutputFormat::Json | OutputFormat::Yaml => {}
        }
        items.push(Item {
            message: &step.message,
            commit,
            paths: edits.iter().map(|edit| edit.path.as_str()).collect(),
            diff: args.is_dry_run().then(diffs),
        });
    }
    if format.is_document() {
        let steps = StepList { dry_run: args.is_dry_run(), items: &items };
        output::print(ui, format, &output::of(&steps)?)?;
    }
    if items.is_empty() {
        ui.status("unchanged: the files say so already");
    }
    let mut warnings: Vec<_> = steps.iter().flat_map(|step| &step.plan.warnings).collect();
    warnings.dedup();
    warnings.into_iter().for_each(|warning| ui.warning(warning));
    if !args.is_dry_run() && !items.is_empty() {
        let commits: Vec<_> = items.iter().filter_map(|item| item.commit.as_deref()).collect();
        ui.hint(&format!(
            "push one after the other, when the one before has proved itself: git push REMOTE {}:BRANCH",
            commits.first().copied().unwrap_or("COMMIT")
        ));
    }
    Ok(Exit::Clean)
}

/// Says how far it came.
fn left(error: CommandError, done: usize) -> CommandError {
    match done {
        0 => error,
        done => error.hinted(format!("{done} of the steps are committed; the same command goes on from there")),
    }
}
