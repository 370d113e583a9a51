//! The findings as one document for machines.

use super::judgement::Judgement;
use super::mending::Mending;
use crate::error::CommandError;
use crate::output::{self, Document};
use asm_shared::fleet::{Position, Target};
use asm_shared::lint::{Finding, Place, Severity};
use asm_shared::object::ObjectId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What lint found in a fleet.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LintReport<'a> {
    /// Counts.
    summary: Summary,
    /// The comparison with a base; with --base only.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<BaseCounts<'a>>,
    /// What was mended, or would be; with --fix only.
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<Mended<'a>>,
    /// The findings, by place, then by rule.
    findings: Vec<Item<'a>>,
}

impl Document for LintReport<'_> {
    const KIND: &'static str = "LintReport";
}

/// Counts of findings.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// What does not work.
    errors: usize,
    /// What is probably not meant.
    warnings: usize,
    /// What is worth knowing.
    infos: usize,
    /// Findings that --fix mends.
    fixable: usize,
    /// Findings that --fix mends with --unsafe-fixes only.
    unsafely_fixable: usize,
    /// Findings that comments and fleet.yaml ignore.
    ignored: usize,
    /// Objects that were judged, one per target.
    objects: usize,
    /// Rules that ran.
    rules: Vec<&'static str>,
}

/// The comparison with a base.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct BaseCounts<'a> {
    /// What it was compared with.
    revision: &'a str,
    /// Findings that the base does not have.
    introduced: usize,
    /// Findings that only the base has.
    fixed: usize,
    /// Findings that both have.
    unchanged: usize,
}

/// What was mended.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Mended<'a> {
    /// Was nothing written?
    dry_run: bool,
    /// False when fixes kept undoing each other and were stopped.
    settled: bool,
    /// Fixes in the order in which they were made.
    fixes: Vec<Made<'a>>,
    /// Files that changed.
    files: Vec<File<'a>>,
}

/// A fix that was made.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    /// The rule whose finding was mended.
    rule: &'a str,
    /// What was done.
    title: &'a str,
    /// Did it change nothing but what was wrong?
    safe: bool,
    /// Where the finding was.
    #[serde(flatten)]
    position: &'a Position,
}

/// A file that was mended.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    /// Path inside the fleet repository.
    path: &'a str,
    /// A unified diff; with --dry-run only, and not of files that hold secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

/// A place in the fleet.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct At<'a> {
    /// File, line and column.
    #[serde(flatten)]
    position: &'a Position,
    /// The object; left out where a file or a comment is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a ObjectId>,
    /// The field; left out when the object as a whole is meant.
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
}

impl<'a> At<'a> {
    fn of(place: &'a Place) -> Self {
        Self { position: &place.position, object: place.object.as_ref(), path: &place.path }
    }
}

/// A finding.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item<'a> {
    /// ID of the rule.
    rule: &'a str,
    /// How bad it is.
    severity: Severity,
    /// Code of the same finding in `istioctl analyze`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    /// What is wrong and why.
    message: &'a str,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// Where.
    #[serde(flatten)]
    place: At<'a>,
    /// Other places that belong to it.
    related: Vec<Related<'a>>,
    /// The targets it holds for; none when it is about none in particular.
    targets: Vec<&'a str>,
    /// Ways to mend it, the first is the one that --fix takes.
    fixes: Vec<Fix<'a>>,
    /// The same for the same finding after other edits of the file.
    fingerprint: String,
    /// Does the base not have it? With --base only.
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<bool>,
}

/// Another place that belongs to a finding.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Related<'a> {
    /// Where.
    #[serde(flatten)]
    place: At<'a>,
    /// What is there.
    label: &'a str,
}

/// A way to mend a finding.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Fix<'a> {
    /// What it does.
    title: &'a str,
    /// Does it change nothing but what is wrong?
    safe: bool,
}

/// The document.
pub(super) fn of(judgement: &Judgement) -> Result<Value, CommandError> {
    let counts = judgement.counts();
    let findings = judgement.findings.iter().enumerate();
    output::of(&LintReport {
        summary: Summary {
            errors: counts.errors,
            warnings: counts.warnings,
            infos: counts.infos,
            fixable: counts.fixable,
            unsafely_fixable: counts.unsafely_fixable,
            ignored: judgement.ignored,
            objects: judgement.objects,
            rules: judgement.rules.iter().map(|rule| rule.id).collect(),
        },
        base: judgement.since.as_ref().map(|since| BaseCounts {
            revision: &since.label,
            introduced: since.introduced,
            fixed: since.fixed,
            unchanged: since.unchanged,
        }),
        mended: judgement.mending.as_ref().map(mended),
        findings: findings.map(|(index, finding)| item(finding, judgement.is_new(index))).collect(),
    })
}

fn mended(mending: &Mending) -> Mended<'_> {
    let fixes = mending.made.iter();
    let fixes =
        fixes.map(|made| Made { rule: made.rule, title: &made.title, safe: made.safe, position: &made.position });
    let files = mending.edits.iter();
    let files =
        files.map(|edit| File { path: &edit.path, diff: mending.dry_run.then(|| Mending::diff(edit)).flatten() });
    Mended { dry_run: mending.dry_run, settled: mending.settled, fixes: fixes.collect(), files: files.collect() }
}

pub(super) fn item(finding: &Finding, new: Option<bool>) -> Item<'_> {
    let related = finding.related.iter();
    Item {
        rule: finding.rule,
        severity: finding.severity,
        code: finding.code,
        message: &finding.message,
        hint: finding.hint.as_deref(),
        place: At::of(&finding.place),
        related: related.map(|r| Related { place: At::of(&r.place), label: &r.label }).collect(),
        targets: finding.targets.iter().map(Target::name).collect(),
        fixes: finding.fixes.iter().map(|fix| Fix { title: &fix.title, safe: fix.safe }).collect(),
        fingerprint: finding.fingerprint(),
        new,
    }
}
