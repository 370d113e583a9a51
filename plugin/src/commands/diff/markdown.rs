//! The comparison as Markdown, for a comment on a pull request that is updated in place.
//!
//! Names and values come from a repository that anybody may propose changes to, and the page is posted with somebody's
//! token. So what is not ours stands in one of two places only, in which nothing has a meaning: inside `<code>` with
//! every sign escaped, or inside a fence longer than any run of backticks in it.

use super::comparison::Comparison;
use super::sides::Right;
use super::value::{self, Shown};
use super::{render, targets};
use crate::commands::lint::Introduced;
use crate::commands::route::test::difference;
use asm_shared::diff::{FieldChange, ObjectChange, Op};
use asm_shared::fleet::Target;
use asm_shared::lint::{Finding, Severity};
use asm_shared::text::printable;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How a tool finds its own comment again.
const MARKER: &str = "asm-diff:v1";
/// Room for the names of targets in a table or a summary.
const NAMES: usize = 60;
/// Takes apart what a forge would look up; nobody sees it.
const ZERO_WIDTH: char = '\u{200b}';
/// Targets that are named where something is left out.
const LEFT_OUT: usize = 10;
/// Requests, and findings of lint, that come before the objects.
const FIRST: usize = 20;

impl Comparison {
    /// As Markdown for a pull request, of at most `budget` bytes (and so of at most as many characters), without the
    /// findings of lint: they have a page of their own.
    pub(crate) fn markdown(&self, budget: usize) -> String {
        page(self, budget, false)
    }

    /// What lint finds in the change, as Markdown of at most `budget` characters.
    pub(crate) fn lint_markdown(&self, budget: usize) -> String {
        self.lint.as_ref().map(|lint| lint.markdown(budget)).unwrap_or_default()
    }
}

/// At most `budget` bytes. What does not fit is left out whole, the least important first, and is named. `findings`: list
/// what lint finds in the change too, and not only how many they are.
pub(super) fn page(comparison: &Comparison, budget: usize, findings: bool) -> String {
    let marker = marker(comparison);
    let mut parts = Parts::of(comparison, findings);
    for (with_table, with_names) in [(true, true), (false, true), (false, false)] {
        let head = head(comparison, with_table, with_names);
        parts.fill(budget.saturating_sub(head.len() + marker.len()));
        let page = format!("{head}{}{marker}", parts.text());
        if page.len() <= budget {
            return page;
        }
    }
    // No forge is so narrow; whoever asks for it gets what fits.
    if marker.len() <= budget { marker } else { String::new() }
}

fn marker(comparison: &Comparison) -> String {
    match &comparison.right {
        Right::Commit(id) => format!("<!-- {MARKER} head={id} -->\n"),
        Right::Files | Right::Loose => format!("<!-- {MARKER} -->\n"),
    }
}

/// Title, what is compared, and the table of counts.
fn head(comparison: &Comparison, with_table: bool, with_names: bool) -> String {
    let diff = &comparison.diff;
    let all = diff.targets.iter().map(|counts| &counts.target);
    let all = all.chain(comparison.unreached.iter().map(|unreached| &unreached.name.target));
    let mut text = format!("### asm diff · {}", targets::described(all));
    let count = |op: Op| diff.changes.iter().filter(|change| change.op == op).map(|c| c.targets.len()).sum::<usize>();
    let dangers = [(count(Op::Replace), "to replace"), (count(Op::Destroy), "to destroy")];
    let mut dangers: Vec<String> =
        dangers.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    match comparison.lint.as_ref().map_or(0, |lint| lint.counts().errors) {
        0 => {}
        1 => dangers.push("1 new lint error".to_owned()),
        errors => dangers.push(format!("{errors} new lint errors")),
    }
    if !dangers.is_empty() {
        let _ = write!(text, " · ⚠ {}", dangers.join(", "));
    }
    text.push_str("\n\n");
    if with_names {
        let _ = writeln!(text, "{} → {}\n", code(&comparison.before), code(&comparison.after));
    }
    if with_table && diff.targets.len() > 1 && !diff.is_empty() {
        text.push_str("| target | add | change | replace | destroy |\n|---|---:|---:|---:|---:|\n");
        for (targets, counts) in targets::rows(&diff.targets) {
            let bold = |count: usize| if count > 0 { format!("**{count}**") } else { "0".to_owned() };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                code(&targets::few(&targets, NAMES)),
                counts.create,
                counts.change,
                bold(counts.replace),
                bold(counts.destroy)
            );
        }
        text.push('\n');
    }
    if diff.is_empty() && comparison.unreached.is_empty() && diff.unknown.is_empty() {
        text.push_str("No differences.\n\n");
    } else if !diff.is_empty() {
        let _ = writeln!(text, "{}.\n", render::sums(comparison));
    }
    if let Some(traffic) = comparison.traffic.as_ref().filter(|traffic| !diff.is_empty() || !traffic.is_quiet()) {
        let _ = writeln!(text, "Routes: {}.\n", traffic.told());
    }
    if let Some(lint) = comparison.lint.as_ref().filter(|lint| !diff.is_empty() || lint.counts().introduced() > 0) {
        let _ = writeln!(text, "Lint: {}.\n", lint.told());
    }
    text
}

/// A piece of the page that is there whole or not at all.
struct Part<'a> {
    section: Section,
    /// How much it matters; 0 is what a person has to decide.
    rank: usize,
    text: String,
    /// The object that it is about.
    change: Option<&'a ObjectChange>,
    is_in: bool,
}

/// Where a piece stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Human,
    Gap,
    Traffic,
    Lint,
    Details,
}

struct Parts<'a>(Vec<Part<'a>>);

impl<'a> Parts<'a> {
    fn of(comparison: &'a Comparison, findings: bool) -> Self {
        let mut parts = Vec::new();
        let of = |op: Op| comparison.diff.changes.iter().filter(move |change| change.op == op);
        for change in of(Op::Replace).chain(of(Op::Destroy)) {
            parts.push(Part {
                section: Section::Human,
                rank: 0,
                text: human(change),
                change: Some(change),
                is_in: false,
            });
        }
        for text in gaps(comparison) {
            parts.push(Part { section: Section::Gap, rank: 1, text, change: None, is_in: false });
        }
        // The first of many lines matter as much as what a person has to know; the rest less than any object.
        let rank = |place: usize| if place < FIRST { 1 } else { 8 };
        let requests = comparison.traffic.iter().flat_map(|traffic| &traffic.changed().changes);
        for (place, change) in requests.enumerate() {
            let request = code(&change.case.told());
            let text = format!("- {request} at {}: {}\n", code(&change.gateway), code(&difference(change)));
            parts.push(Part { section: Section::Traffic, rank: rank(place), text, change: None, is_in: false });
        }
        let found = comparison.lint.iter().filter(|_| findings).flat_map(Introduced::findings);
        for (place, finding) in found.enumerate() {
            let (rank, text) = (rank(place), told(finding));
            parts.push(Part { section: Section::Lint, rank, text, change: None, is_in: false });
        }
        for change in &comparison.diff.changes {
            let rank = match change.op {
                Op::Replace => 2,
                Op::Destroy => 3,
                Op::Change if !change.consequences.is_empty() => 4,
                Op::Change => 5,
                Op::Create => 6,
                Op::Same => 7,
            };
            parts.push(Part {
                section: Section::Details,
                rank,
                text: details(change),
                change: Some(change),
                is_in: false,
            });
        }
        Self(parts)
    }

    /// Chooses what fits into so many bytes, note and titles included.
    fn fill(&mut self, room: usize) {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|place| self.0[*place].rank);
        let whole: usize = self.0.iter().map(|part| part.text.len()).sum();
        // The note is longest when much is left out; what is too much after all is taken back below.
        let note = self.note(|_| true).len();
        let titles = HUMAN.len() + GAPS.len() + TRAFFIC.len() + LINT.len() + 4;
        let mut left = if whole + titles <= room { usize::MAX } else { room.saturating_sub(note + titles) };
        for place in &order {
            let part = &mut self.0[*place];
            part.is_in = part.text.len() <= left;
            if part.is_in && left != usize::MAX {
                left -= part.text.len();
            }
        }
        order.retain(|place| self.0[*place].is_in);
        while self.text().len() > room
            && let Some(last) = order.pop()
        {
            self.0[last].is_in = false;
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (section, title) in [
            (Section::Human, HUMAN),
            (Section::Gap, GAPS),
            (Section::Traffic, TRAFFIC),
            (Section::Lint, LINT),
            (Section::Details, ""),
        ] {
            let mut parts = self.0.iter().filter(|part| part.section == section && part.is_in).peekable();
            if parts.peek().is_some() {
                text.push_str(title);
                parts.for_each(|part| text.push_str(&part.text));
                if section != Section::Details {
                    text.push('\n');
                }
            }
        }
        text + &self.note(|part| !part.is_in)
    }

    /// What is left out: objects of which targets, requests, findings, and lines of another kind.
    fn note(&self, is_out: impl Fn(&Part<'_>) -> bool) -> String {
        let out =
            |section: Section| self.0.iter().filter(move |part| part.section == section).filter(|part| is_out(part));
        let count = |section: Section, one: &str, many: &str| match out(section).count() {
            0 => None,
            1 => Some(format!("1 {one}")),
            more => Some(format!("{more} {many}")),
        };
        let parts = [
            objects(out(Section::Details).filter_map(|part| part.change)),
            count(Section::Human, "line of what needs a human", "lines of what needs a human"),
            count(Section::Gap, "line of what was not compared", "lines of what was not compared"),
            count(Section::Traffic, "request that comes out differently", "requests that come out differently"),
            count(Section::Lint, "finding of lint", "findings of lint"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            return String::new();
        }
        let what = parts.join("; ");
        format!("**Left out here, for lack of room:** {what}. All of it: <code>kubectl asm diff</code>\n\n")
    }
}

/// `3 objects on m1c1 (2), mesh (1)`.
fn objects<'a>(changes: impl Iterator<Item = &'a ObjectChange>) -> Option<String> {
    let mut counts: BTreeMap<&Target, usize> = BTreeMap::new();
    for target in changes.flat_map(|change| &change.targets) {
        *counts.entry(target).or_default() += 1;
    }
    let all: usize = counts.values().sum();
    let named: Vec<String> =
        counts.iter().take(LEFT_OUT).map(|(target, count)| format!("{} ({count})", code(target.name()))).collect();
    let more = counts.len().saturating_sub(LEFT_OUT);
    let more = if more > 0 { format!(" and {more} more targets") } else { String::new() };
    let noun = if all == 1 { "object" } else { "objects" };
    (all > 0).then(|| format!("{all} {noun} on {}{more}", named.join(", ")))
}

const HUMAN: &str = "**Needs a human:**\n\n";
const GAPS: &str = "**Not compared:**\n\n";
const TRAFFIC: &str = "**Requests that come out differently:**\n\n";
const LINT: &str = "**New in lint:**\n\n";

/// One line for what cannot be undone.
fn human(change: &ObjectChange) -> String {
    let what = if change.op == Op::Replace { "replaces" } else { "destroys" };
    let why = prose(&change.consequences.join("; "));
    format!("- {what} {} on {}: {why}\n", code(&change.id.to_string()), code(&targets::few(&change.targets, NAMES)))
}

/// One line for a finding of lint.
fn told(finding: &Finding) -> String {
    let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
    let (place, rule) = (code(&finding.place.position.to_string()), code(finding.rule));
    format!("- {severity} {rule} at {place}: {}\n", prose(&finding.message))
}

/// What the comparison does not cover.
fn gaps(comparison: &Comparison) -> Vec<String> {
    let diff = &comparison.diff;
    let unreached = comparison.unreached.iter().map(|unreached| {
        format!("- {}: {}\n", code(unreached.name.target.name()), prose(&unreached.error.to_string()))
    });
    let unknown = diff.unknown.iter().map(|unknown| {
        let place = format!("{}:{}", unknown.position.file, unknown.position.line);
        format!(
            "- {} on {}: one side cannot be read ({})\n",
            code(&unknown.id.to_string()),
            code(unknown.target.name()),
            code(&place)
        )
    });
    let left = (!diff.left.is_empty()).then(|| {
        let names = code(&targets::few(&diff.left, NAMES));
        format!("- {names} left fleet.yaml: the agent stops looking after it and leaves all objects alone\n")
    });
    unreached.chain(unknown).chain(left).collect()
}

/// One change, folded.
fn details(change: &ObjectChange) -> String {
    let symbol = match change.op {
        Op::Create => "+",
        Op::Change => "~",
        Op::Replace => "-/+",
        Op::Destroy => "-",
        Op::Same => "=",
    };
    let what = match (change.op, change.fields.len()) {
        (Op::Change | Op::Replace, 1) => " – 1 field".to_owned(),
        (Op::Change | Op::Replace, fields) => format!(" – {fields} fields"),
        _ => String::new(),
    };
    let source = change.sources.first().map(|place| format!(" · {}", code(&format!("{}:{}", place.file, place.line))));
    let body = lines(change);
    let fence = "`".repeat(longest_run(&body).max(2) + 1);
    format!(
        "<details><summary>{symbol} {} on {}{what}{}</summary>\n\n{fence}diff\n{body}{fence}\n\n</details>\n\n",
        code(&change.id.to_string()),
        code(&targets::few(&change.targets, NAMES)),
        source.unwrap_or_default()
    )
}

/// The change as a diff that forges colour. Every line begins with a mark of ours.
fn lines(change: &ObjectChange) -> String {
    let mut text = String::new();
    let mut put = |mark: char, line: &str| {
        let line = if mark == '@' { format!("@@ {line} @@") } else { format!("{mark} {line}") };
        text.push_str(line.trim_end());
        text.push('\n');
    };
    for field in &change.fields {
        put_field(change, field, &mut put);
    }
    if let Some(object) = &change.object {
        let object = value::block(object).into_iter().map(|line| ('+', line)).collect();
        value::limited(object).iter().for_each(|(mark, line)| put(*mark, line));
    }
    for consequence in &change.consequences {
        put('!', &printable(consequence));
    }
    for field in &change.kept {
        put(' ', &format!("= {}", printable(&change.path_in_words(field))));
    }
    text
}

fn put_field(change: &ObjectChange, field: &FieldChange, put: &mut impl FnMut(char, &str)) {
    put('@', &printable(&change.path_in_words(field)));
    let shown = match (&field.before, &field.after) {
        (Some(before), Some(after)) => value::changed(before, after),
        (None, Some(after)) => value::single('+', after),
        (Some(before), None) => value::single('-', before),
        (None, None) => return,
    };
    match shown {
        Shown::Below(lines) => lines.iter().for_each(|(mark, line)| put(*mark, line)),
        Shown::Inline(_) => {
            let one = |mark, value| match value::single(mark, value) {
                Shown::Inline(text) => vec![(mark, text)],
                Shown::Below(lines) => lines,
            };
            let before = field.before.iter().flat_map(|value| one('-', value));
            let after = field.after.iter().flat_map(|value| one('+', value));
            before.chain(after).for_each(|(mark, line)| put(mark, &line));
        }
    }
}

/// A name: as code, in which forges look for nothing.
fn code(text: &str) -> String {
    let escaped = escaped(text, false);
    if escaped.trim().is_empty() { "<code>&#34;&#34;</code>".to_owned() } else { format!("<code>{escaped}</code>") }
}

/// A sentence of ours in which names and values stand: what forges look for in texts is taken apart.
fn prose(text: &str) -> String {
    escaped(text, true)
}

/// Text in which nothing has a meaning, neither for Markdown nor for HTML. `apart`: nor for a forge that looks for people
/// (`@name`), issues (`#1`, `!1`, `~label`) and addresses in texts.
fn escaped(text: &str, apart: bool) -> String {
    let text = printable(text);
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut word = String::new();
    for c in text.chars() {
        // `www.` alone makes a link.
        let links = c == '.' && word.eq_ignore_ascii_case("www");
        if c.is_alphanumeric() {
            word.push(c);
        } else {
            word.clear();
        }
        let is_plain =
            c.is_alphanumeric() || !c.is_ascii() || matches!(c, ' ' | '/' | '-' | ',' | ';' | '(' | ')' | '.');
        if is_plain && !links {
            escaped.push(c);
        } else {
            let _ = write!(escaped, "&#{};", u32::from(c));
            if apart && (links || matches!(c, '@' | '#' | '!' | '~' | '%' | '$' | '&' | '^')) {
                escaped.push(ZERO_WIDTH);
            }
        }
    }
    escaped
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
#[path = "markdown/tests.rs"]
mod tests;
