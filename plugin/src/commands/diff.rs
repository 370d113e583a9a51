//! `kubectl asm diff`.

mod compare;
mod comparison;
pub(crate) mod document;
mod external;
mod live;
mod loose;
mod markdown;
mod next;
mod patch;
mod render;
mod sides;
mod targets;
mod value;

pub(crate) use comparison::Comparison;
pub(crate) use sides::{base, wrong as value_error};

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, OutputFormat};
use crate::{pager, watch};
use compare::Known;
use comparison::Compared;
use std::path::PathBuf;

/// Problems told one by one; the rest is counted.
const PROBLEMS_SHOWN: usize = 10;
/// What the forge with the smallest limit that most people use takes (GitHub, Gitea, Forgejo).
const BUDGET: usize = 65_536;

/// A format of `-o`: those that other verbs have too, and two of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Common(OutputFormat),
    Markdown,
    Patch,
}

impl Format {
    fn choose(context: &Context) -> Result<Self, CommandError> {
        match context.globals.output.as_deref() {
            Some("markdown") => Ok(Self::Markdown),
            Some("patch") => Ok(Self::Patch),
            _ => context
                .output(&[OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name])
                .map(Self::Common)
                .map_err(|error| error.hinted("diff also has: markdown, patch")),
        }
    }
}

/// Compares two states of the fleet, or Git with what runs.
///
/// Without a revision the working tree is compared with HEAD. What means the same is no difference (quantities,
/// durations, defaults, order of hosts). Values of Secrets are never shown.
///
/// Between two states of Git, the line `Lint:` says what the change brings in of what `kubectl asm lint` finds.
///
/// With --live the API servers of the fleet are read through the kubeconfig contexts that fleet.yaml names (default:
/// `mesh`, and each cluster's name), and the output is what bringing Git to them would change.
///
/// With --manifests, what is compared needs no fleet.yaml: only objects that these files name, with what runs (or with
/// --against). Nothing that they do not name is told as destroyed, but between two folders.
///
/// Output formats: json, yaml, name, markdown (a comment for a pull request, see --budget), patch (a unified patch per
/// object). KUBECTL_EXTERNAL_DIFF names a program that is started, as by kubectl, with two folders of files, one per
/// object; without -o it takes the place of the page. On a terminal the page goes through KUBECTL_ASM_PAGER, PAGER, or
/// `less`.
///
/// Exit codes: 0 no difference, 1 differences, 2 usage or input error, 3 an API server could not be reached (the rest is
/// still shown). They are the same in every format, and whatever a diff program of your own ends with.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # what the working tree changes
  kubectl asm diff

  # what a branch changes, seen from where it left main
  kubectl asm diff main...my-branch

  # the same as a comment for a pull request
  kubectl asm diff main...my-branch -o markdown

  # what the agent would change now on one cluster
  kubectl asm diff --live --target m1c1

  # what is being edited, until Ctrl-C
  kubectl asm diff --watch

  # manifests from elsewhere: against what runs, and against another folder
  kubectl asm diff --manifests routes/ --cluster m1c1=apps/
  kubectl asm diff --manifests new/ --against old/")]
pub struct DiffArgs {
    /// REV (against the working tree), A..B, or A...B (from their common ancestor to B)
    #[arg(value_name = "REV | A..B | A...B")]
    pub revision: Option<String>,

    /// Compare with the API servers instead of with Git
    #[arg(long)]
    pub live: bool,

    /// Manifests without a fleet.yaml instead of the fleet's: routes and gateways go to the mesh, workloads to --cluster;
    /// may be repeated
    #[arg(long, value_name = "DIR", conflicts_with = "revision")]
    pub manifests: Vec<PathBuf>,

    /// With --manifests: a cluster, and the manifests that are its own; may be repeated
    #[arg(long, value_name = "NAME[=DIR]", conflicts_with = "revision")]
    pub cluster: Vec<String>,

    /// With --manifests: compare with a revision of the fleet or with another folder, and not with what runs
    #[arg(long, value_name = "REV | DIR", conflicts_with_all = ["revision", "live"])]
    pub against: Option<String>,

    /// Only this target: `mesh` or a cluster's name; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    pub targets: Vec<String>,

    /// Only the counts and one line per object
    #[arg(long)]
    pub summary: bool,

    /// Also what means nothing: defaults, fields that API servers own, texts that mean the same. It is marked with `=` and
    /// counts as no difference
    #[arg(long)]
    pub raw: bool,

    /// Only ASCII characters
    #[arg(long)]
    pub ascii: bool,

    /// Stay, and show the difference anew whenever files of the right side change, until Ctrl-C
    #[arg(long, conflicts_with = "live")]
    pub watch: bool,

    /// With -o markdown: the most bytes it may have; what does not fit is left out and named
    #[arg(long, value_name = "BYTES", default_value_t = BUDGET, hide_default_value = true)]
    pub budget: usize,
}

/// Runs it.
pub fn run(context: &Context, args: DiffArgs) -> Result<Exit, CommandError> {
    let format = Format::choose(context)?;
    if args.against.is_some() && args.manifests.is_empty() && args.cluster.is_empty() {
        return Err(CommandError::usage("--against says what --manifests are compared with, and there are none")
            .hinted("to compare the fleet itself with a revision: kubectl asm diff REV"));
    }
    if args.watch {
        return watching(context, format, &args);
    }
    // Where only objects are told, what lint says has no place.
    let judge = !matches!(format, Format::Patch | Format::Common(OutputFormat::Name));
    let compared = compare::compare(context, &args, judge, &mut Known::default())?;
    let comparison = &compared.comparison;
    let ui = context.ui();
    let text = |text: String| if args.ascii { render::ascii(&text) } else { text };
    match format {
        Format::Markdown => ui.data(&markdown::page(comparison, args.budget, true)),
        Format::Patch => ui.data(&patch::page(comparison, ui.stdout_has_color())),
        Format::Common(format) if format.is_document() => output::print(ui, format, &document::of(comparison)?)?,
        Format::Common(OutputFormat::Name) => ui.data(&render::names(comparison)),
        Format::Common(_) => match external::program().filter(|_| !args.summary) {
            Some(program) => external::run(context, &program, comparison)?,
            None => {
                pager::show(context, &text(render::page(comparison, args.summary, ui.stdout_has_color())))?;
            }
        },
    }
    for gap in &compared.gaps {
        ui.warning(&format!("could not be compared: {gap}"));
    }
    let exit = outcome(&compared)?;
    if format == Format::Common(OutputFormat::Human) {
        next::steps(comparison).iter().for_each(|step| ui.status(&text(format!("Next: {step}"))));
    }
    Ok(exit)
}

/// Shows the page anew while files change.
fn watching(context: &Context, format: Format, args: &DiffArgs) -> Result<Exit, CommandError> {
    let is_loose = !args.manifests.is_empty() || !args.cluster.is_empty();
    if format != Format::Common(OutputFormat::Human) {
        return Err(CommandError::usage("--watch shows pages for people: leave -o out"));
    }
    if is_loose && args.against.is_none() {
        return Err(
            CommandError::usage("--watch looks at files, and not at API servers").hinted("add --against REV|DIR")
        );
    }
    if args.revision.as_deref().is_some_and(|revision| revision.contains("..")) {
        return Err(CommandError::usage("nothing to watch: both sides are commits")
            .hinted("give one revision: it is compared with the working tree"));
    }
    let roots = if is_loose { loose::folders(args)? } else { vec![context.repo_root()?] };
    let mut known = Known::of_many();
    watch::run(context, &roots, || {
        let page = match compare::compare(context, args, true, &mut known) {
            Ok(compared) => {
                let page = render::page(&compared.comparison, args.summary, context.ui().stdout_has_color());
                let wrong = outcome(&compared).err().map(|error| format!("\n{}", watch::told(&error)));
                page + &wrong.unwrap_or_default()
            }
            Err(error) => watch::told(&error),
        };
        if args.ascii { render::ascii(&page) } else { page }
    })
}

/// The exit: what keeps the answer from being whole comes before what the answer is.
fn outcome(compared: &Compared) -> Result<Exit, CommandError> {
    let Compared { comparison, problems: found, gaps } = compared;
    if !comparison.unreached.is_empty() {
        let names: Vec<&str> = comparison.unreached.iter().map(|unreached| unreached.name.target.name()).collect();
        let failed = CommandError::unreachable(format!("not compared: {}", names.join(", ")));
        return Err(comparison.unreached.iter().fold(failed, |failed, unreached| {
            let failed = failed.because(unreached.error.to_string());
            unreached.error.hints.iter().fold(failed, |failed, hint| failed.hinted(hint.clone()))
        }));
    }
    if !found.is_empty() {
        let failed =
            CommandError::input(format!("{} in the files: what they say is missing above", problems(found.len())));
        let failed = found.iter().take(PROBLEMS_SHOWN).fold(failed, |failed, p| failed.because(p.to_string()));
        return Err(failed.hinted_with(found.iter().find_map(|problem| problem.hint.clone())));
    }
    if !gaps.is_empty() {
        return Err(CommandError::input("some objects could not be compared").hinted("the warnings above say why"));
    }
    Ok(if comparison.diff.is_empty() { Exit::Clean } else { Exit::Findings })
}

fn problems(count: usize) -> String {
    if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") }
}
