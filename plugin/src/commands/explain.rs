//! `kubectl asm explain`: what a rule of lint is about.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Document, OutputFormat};
use crate::ui::Table;
use asm_shared::authoring::did_you_mean;
use asm_shared::lint::{self, Rule, Severity, Status};
use schemars::JsonSchema;
use serde::Serialize;

/// Says what a rule of lint finds, why it is bad and how to mend it; without a rule, lists them all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # all rules
  kubectl asm explain

  # what is behind a finding
  kubectl asm explain virtual-service-gateway

Output formats: wide, json, yaml, name")]
pub struct ExplainArgs {
    /// ID of a rule
    #[arg(value_name = "RULE")]
    rule: Option<String>,
}

/// The rules of lint.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleList {
    /// In the order of the documentation.
    items: Vec<RuleSummary>,
}

impl Document for RuleList {
    const KIND: &'static str = "RuleList";
}

/// A rule of lint with its documentation.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RuleDetail {
    #[serde(flatten)]
    rule: RuleSummary,
    /// Its page, Markdown.
    page: String,
}

impl Document for RuleDetail {
    const KIND: &'static str = "RuleDetail";
}

/// What is said of a rule in a list.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RuleSummary {
    /// ID.
    id: &'static str,
    /// The most severe finding that it gives.
    severity: Severity,
    /// What it finds, in a few words.
    summary: &'static str,
    /// Must it be asked for with --rule?
    preview: bool,
    /// Version of kubectl asm that had it first.
    since: &'static str,
    /// Can `lint --fix` mend some of its findings?
    fixable: bool,
    /// Codes of `istioctl analyze` that mean the same.
    istio: &'static [&'static str],
    /// Codes of Kiali that mean the same.
    kiali: &'static [&'static str],
}

impl RuleSummary {
    fn of(rule: &'static Rule) -> Self {
        let (Status::Stable(since) | Status::Preview(since)) = rule.status;
        Self {
            id: rule.id,
            severity: rule.severity,
            summary: rule.summary,
            preview: matches!(rule.status, Status::Preview(_)),
            since,
            fixable: rule.fixes,
            istio: rule.istio,
            kiali: rule.kiali,
        }
    }
}

/// Runs it.
pub fn run(context: &Context, args: ExplainArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Wide, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name])?;
    match args.rule {
        Some(id) => one(context, format, &id)?,
        None => list(context, format)?,
    }
    Ok(Exit::Clean)
}

fn one(context: &Context, format: OutputFormat, id: &str) -> Result<(), CommandError> {
    // Whoever knows istioctl or Kiali has one of their codes.
    let by_code = || lint::all().find(|rule| rule.istio.iter().chain(rule.kiali).any(|code| *code == id));
    let rule = lint::find(id).or_else(by_code).ok_or_else(|| unknown_rule(id))?;
    match format {
        OutputFormat::Json | OutputFormat::Yaml => {
            let detail = RuleDetail { rule: RuleSummary::of(rule), page: rule.page() };
            output::print(context.ui(), format, &output::of(&detail)?)?;
        }
        OutputFormat::Name => context.ui().line(&format!("rule/{}", rule.id)),
        OutputFormat::Human | OutputFormat::Wide => {
            context.ui().data(&rule.markdown());
            context.ui().hint(&format!("look for it with: kubectl asm lint --rule {}", rule.id));
        }
    }
    Ok(())
}

fn list(context: &Context, format: OutputFormat) -> Result<(), CommandError> {
    let items: Vec<_> = lint::all().map(RuleSummary::of).collect();
    match format {
        OutputFormat::Json | OutputFormat::Yaml => {
            output::print(context.ui(), format, &output::of(&RuleList { items })?)?;
        }
        OutputFormat::Name => items.iter().for_each(|rule| context.ui().line(&format!("rule/{}", rule.id))),
        OutputFormat::Human | OutputFormat::Wide => {
            let wide = format == OutputFormat::Wide;
            let more: &[_] = if wide { &["since", "istioctl", "kiali"] } else { &[] };
            let headers = ["rule", "severity", "fix"].iter().chain(more).chain(&["finds"]).copied();
            let mut table = Table::new(headers);
            for rule in &items {
                let fix = if rule.fixable { "yes" } else { "no" };
                let mut row = vec![rule.id.to_owned(), rule.severity.word().to_owned(), fix.to_owned()];
                if wide {
                    let since = if rule.preview { format!("{} (preview)", rule.since) } else { rule.since.to_owned() };
                    row.extend([since, rule.istio.join(","), rule.kiali.join(",")]);
                }
                row.push(rule.summary.to_owned());
                table.row(row);
            }
            context.ui().table(&table);
            context.ui().hint("read about one with: kubectl asm explain RULE");
        }
    }
    Ok(())
}

/// The error for an ID that is no rule's.
pub(super) fn unknown_rule(id: &str) -> CommandError {
    CommandError::usage(format!("there is no rule {id}"))
        .hinted_with(did_you_mean(id, lint::all().map(|rule| rule.id)))
        .hinted("list the rules with: kubectl asm explain")
}
