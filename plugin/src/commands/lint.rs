//! `kubectl asm lint`.

mod base;
pub(crate) mod document;
mod format;
mod github;
mod gitlab;
mod human;
pub(crate) mod introduced;
mod judgement;
mod junit;
mod markdown;
mod mending;
mod paths;
mod sarif;
mod subject;

use super::explain::unknown_rule;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live;
use crate::output::{self, OutputFormat};
use crate::watch;
use crate::write::WriteArgs;
use asm_shared::lint::{Rule, Selection, Severity, rules_of};
use asm_shared::{fleet, lint};
use clap::ValueEnum;
pub(crate) use document::Item;
use format::Format;
pub(crate) use format::WORDS as FORMATS;
pub(crate) use introduced::{Introduced, Judged};
use judgement::{Judge, Judgement};
pub(crate) use junit::escaped;
use std::path::PathBuf;
use subject::Subject;

/// Finds what is wrong with the fleet before anything is applied, without a cluster.
///
/// The mesh and all member clusters are judged together, whatever files are named: PATH, --target and --severity only choose
/// what is shown. `kubectl asm explain RULE` says what a rule finds and why.
///
/// What is right in spite of a rule is ignored with its reason: by a comment `# asm-lint: ignore[RULE] reason` on the line,
/// or above the field or the document, and by `spec.lint.ignore` of fleet.yaml.
///
/// With --manifests, files that are in no fleet are judged: routes and gateways as the mesh's, workloads as those of the
/// clusters that --cluster names, each with files of its own or all with the same.
///
/// With --fix, what can be mended without changing what the files mean is mended; every other byte is kept.
///
/// Exit codes: 0 nothing of warning or above, 1 findings, 2 usage or input error. The same in every format.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # everything
  kubectl asm lint

  # what a pull request brings in, as GitHub shows it beside the lines
  kubectl asm lint --base origin/main... --new-only -o github

  # see what could be mended, then mend it
  kubectl asm lint --fix --dry-run
  kubectl asm lint --fix

  # one rule, one folder
  kubectl asm lint --rule destination-host mesh/routes

  # while editing, until Ctrl-C
  kubectl asm lint --watch

  # manifests from elsewhere; two clusters, each with files of its own
  kubectl asm lint --manifests k8s/
  kubectl asm lint --manifests routes/ --cluster m1c1=apps/one --cluster m1c2=apps/two

Output formats: json, yaml, name, sarif, junit, github, gitlab, markdown")]
pub struct LintArgs {
    /// Show only what is found in these files or folders
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Run only this rule; may be repeated. Files that cannot be read are told all the same
    #[arg(long = "rule", value_name = "RULE", value_delimiter = ',')]
    rules: Vec<String>,

    /// Leave this rule out; may be repeated
    #[arg(long = "ignore", value_name = "RULE", value_delimiter = ',')]
    ignored: Vec<String>,

    /// Show nothing below this severity
    #[arg(long, value_name = "SEVERITY", default_value = "info")]
    severity: Least,

    /// Show only what holds for this target: `mesh` or a cluster's name; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,

    /// Manifests without a fleet.yaml instead of the fleet's: routes and gateways go to the mesh, workloads to every --cluster
    /// without files of its own; may be repeated
    #[arg(long, value_name = "DIR", conflicts_with_all = ["paths", "fix", "base"])]
    manifests: Vec<PathBuf>,

    /// With --manifests: a cluster, and the manifests that are its own; may be repeated
    #[arg(long, value_name = "NAME[=DIR]", conflicts_with_all = ["paths", "fix", "base"])]
    cluster: Vec<String>,

    /// Stay, and show the findings anew whenever files change, until Ctrl-C
    #[arg(long, conflicts_with = "fix")]
    watch: bool,

    /// Mend what can be mended safely
    #[arg(long)]
    fix: bool,

    /// Also make fixes that change what the files mean
    #[arg(long, requires = "fix")]
    unsafe_fixes: bool,

    /// Compare with the findings of this revision; `REV...` means the commit where HEAD left it
    #[arg(long, value_name = "REV")]
    base: Option<String>,

    /// Show only findings that the base does not have
    #[arg(long, requires = "base")]
    new_only: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// `--severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Least {
    /// Everything
    Info,
    /// What is probably not meant, and what does not work
    Warning,
    /// What does not work
    Error,
}

impl From<Least> for Severity {
    fn from(least: Least) -> Self {
        match least {
            Least::Info => Self::Info,
            Least::Warning => Self::Warning,
            Least::Error => Self::Error,
        }
    }
}

/// Runs it.
pub fn run(context: &Context, args: LintArgs) -> Result<Exit, CommandError> {
    let format = Format::choose(context.globals.output.as_deref())?;
    if args.watch {
        return watching(context, format, &args);
    }
    let (subject, judgement) = judge(context, &args, &mut Known::of_one_look())?;
    show(context, format, &subject, &judgement)?;
    outcome(&subject, &judgement)
}

/// What is known from the last look.
struct Known {
    /// Kept only while somebody watches: one look needs each file once.
    files: Option<fleet::Memory>,
    said: lint::Memory,
    base: base::Known,
}

impl Known {
    fn of_one_look() -> Self {
        Self { files: None, said: lint::Memory::once(), base: base::Known::default() }
    }

    fn of_many() -> Self {
        Self { files: Some(fleet::Memory::default()), said: lint::Memory::default(), base: base::Known::default() }
    }
}

/// Judges what is asked for.
fn judge(context: &Context, args: &LintArgs, known: &mut Known) -> Result<(Subject, Judgement), CommandError> {
    let rules = rules(args)?;
    let subject = Subject::open(context, args, known.files.as_mut())?;
    if let Some(fleet) = &subject.state().fleet {
        // Checks the names.
        live::chosen(context, fleet, &args.targets)?;
    }
    let mut selection =
        Selection { severity: Some(args.severity.into()), targets: args.targets.clone(), ..Selection::default() };
    let judgement = match &subject {
        Subject::Loose { .. } => Judge::new(rules, selection).judge(subject.tree(), Some(subject.state())).unmendable(),
        Subject::Fleet(repo) => {
            selection.paths = paths::inside(&repo.root, &args.paths)?;
            let mut judge = Judge::new(rules, selection);
            let base = judge.since(&repo.root, args.base.as_deref(), &mut known.base)?;
            if args.fix {
                mending::run(repo, &judge, base, args.new_only, args.unsafe_fixes, args.write)?
            } else {
                judge.judge_again(&repo.tree, &repo.state, &mut known.said).compared(base, args.new_only)
            }
        }
    };
    Ok((subject, judgement))
}

/// Shows the findings anew while files change.
fn watching(context: &Context, format: Format, args: &LintArgs) -> Result<Exit, CommandError> {
    if format != Format::Human {
        return Err(CommandError::usage("--watch shows pages for people: leave -o out"));
    }
    // What is wrong with the command line is told once, and not on every page.
    let mut known = Known::of_many();
    let (subject, _) = judge(context, args, &mut known)?;
    watch::run(context, &subject.watched(), || {
        let page = judge(context, args, &mut known).map(|(subject, judgement)| {
            let page = human::page(&judgement, &judgement.files(subject.tree()), context.ui().stdout_has_color());
            let wrong = outcome(&subject, &judgement).err();
            page + &wrong.map(|error| format!("\n{}", watch::told(&error))).unwrap_or_default()
        });
        page.unwrap_or_else(|error| watch::told(&error))
    })
}

fn rules(args: &LintArgs) -> Result<Vec<&'static Rule>, CommandError> {
    rules_of(&args.rules, &args.ignored).map_err(|error| unknown_rule(&error.id))
}

fn show(context: &Context, format: Format, subject: &Subject, judgement: &Judgement) -> Result<(), CommandError> {
    let ui = context.ui();
    let files = judgement.files(subject.tree());
    match format {
        Format::Human => {
            ui.data(&human::page(judgement, &files, ui.stdout_has_color()));
            human::next_steps(judgement).iter().for_each(|hint| ui.hint(hint));
        }
        Format::Json => output::print(ui, OutputFormat::Json, &document::of(judgement)?)?,
        Format::Yaml => output::print(ui, OutputFormat::Yaml, &document::of(judgement)?)?,
        Format::Name => ui.data(&human::names(judgement)),
        Format::Sarif => output::print(ui, OutputFormat::Json, &sarif::log(judgement, &files, &subject.in_git()))?,
        Format::Junit => ui.data(&junit::page(judgement)),
        Format::Github => ui.data(&github::commands(judgement, &subject.in_git())),
        Format::Gitlab => output::print(ui, OutputFormat::Json, &gitlab::report(judgement, &subject.in_git()))?,
        Format::Markdown => ui.data(&markdown::page(judgement, markdown::BUDGET)),
    }
    Ok(())
}

/// The exit: a fleet file that cannot be used means that nothing else was judged.
fn outcome(subject: &Subject, judgement: &Judgement) -> Result<Exit, CommandError> {
    if let Subject::Fleet(repo) = subject
        && let Err(error) = repo.fleet()
    {
        return Err(error.hinted("no other file was judged"));
    }
    let bad = judgement.findings.iter().any(|finding| finding.severity >= Severity::Warning);
    Ok(if bad { Exit::Findings } else { Exit::Clean })
}
