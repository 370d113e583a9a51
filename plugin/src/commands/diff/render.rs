//! The comparison as a page for people.

use super::comparison::Comparison;
use super::targets;
use super::value::{self, Shown};
use crate::commands::lint::Introduced;
use anstyle::{AnsiColor, Style};
use asm_shared::diff::{FieldChange, ObjectChange, Op, TargetCounts};
use asm_shared::fleet::Target;
use asm_shared::lint::Severity;
use asm_shared::text::{printable, wrapped};
use std::fmt::Write as _;

const WIDTH: usize = 100;
/// Longest name of a row.
const LABEL: usize = 40;
/// Column of the file and line.
const SOURCE_COLUMN: usize = 60;
/// Findings of lint, and requests, that are told one by one.
const FINDINGS: usize = 5;

/// Styles of the page; none where colour is off.
struct Styles {
    create: Style,
    change: Style,
    destroy: Style,
    replace: Style,
    quiet: Style,
    warn: Style,
}

impl Styles {
    fn new(color: bool) -> Self {
        if !color {
            let none = Style::new();
            return Self { create: none, change: none, destroy: none, replace: none, quiet: none, warn: none };
        }
        Self {
            create: AnsiColor::Green.on_default(),
            change: AnsiColor::Yellow.on_default(),
            destroy: AnsiColor::Red.on_default(),
            replace: AnsiColor::Magenta.on_default(),
            quiet: Style::new().dimmed(),
            warn: AnsiColor::Yellow.on_default().bold(),
        }
    }

    fn of(&self, op: Op) -> (&'static str, Style) {
        match op {
            Op::Create => ("+", self.create),
            Op::Change => ("~", self.change),
            Op::Replace => ("-/+", self.replace),
            Op::Destroy => ("-", self.destroy),
            Op::Same => ("=", self.quiet),
        }
    }

    fn mark(&self, mark: char) -> Style {
        match mark {
            '+' => self.create,
            '-' => self.destroy,
            '=' => self.quiet,
            '~' => self.change,
            _ => Style::new(),
        }
    }
}

/// `target/namespace/kind.group/name`, one line per changed object and target.
pub(super) fn names(comparison: &Comparison) -> String {
    let mut text = String::new();
    for change in comparison.diff.changes.iter().filter(|change| change.op != Op::Same) {
        let resource = change.id.group_kind.to_string().to_lowercase();
        for target in &change.targets {
            let namespace = change.id.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            // Writing to a string does not fail, here and below.
            let line = format!("{target}/{namespace}{resource}/{}", change.id.name);
            let _ = writeln!(text, "{}", printable(&line));
        }
    }
    text
}

/// The whole page. `summary`: counts and one line per object.
pub(super) fn page(comparison: &Comparison, summary: bool, color: bool) -> String {
    let styles = Styles::new(color);
    let mut text = String::new();
    header(&mut text, comparison, &styles);
    let mut targets: Option<&[Target]> = None;
    for change in &comparison.diff.changes {
        if targets != Some(&change.targets) {
            block_header(&mut text, comparison, &change.targets, &styles);
            targets = Some(&change.targets);
        }
        object(&mut text, change, summary, &styles);
    }
    footer(&mut text, comparison, &styles);
    text
}

fn header(text: &mut String, comparison: &Comparison, styles: &Styles) {
    let counts = &comparison.diff.targets;
    let all = counts.iter().map(|counts| &counts.target);
    let all = all.chain(comparison.unreached.iter().map(|unreached| &unreached.name.target));
    let (before, after) = (printable(&comparison.before), printable(&comparison.after));
    let _ = writeln!(text, "Comparing {before} → {after} · {}", targets::described(all));
    if counts.len() + comparison.unreached.len() < 2 {
        return;
    }
    let unreached: Vec<Target> = comparison.unreached.iter().map(|unreached| unreached.name.target.clone()).collect();
    let rows: Vec<(String, Option<&TargetCounts>)> = targets::rows(counts)
        .into_iter()
        .map(|(targets, counts)| (targets::few(&targets, LABEL), Some(counts)))
        .chain((!unreached.is_empty()).then(|| (targets::few(&unreached, LABEL), None)))
        .map(|(label, counts)| (printable(&label), counts))
        .collect();
    let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default().max(4);
    let _ = writeln!(text, "{:width$}   add  change  replace  destroy", "");
    for (label, counts) in &rows {
        let _ = writeln!(text, "{label:width$}{}", cells(*counts, styles));
    }
}

/// The numbers of one row; `None` when the target was not reached.
fn cells(counts: Option<&TargetCounts>, styles: &Styles) -> String {
    let (quiet, warn) = (styles.quiet, styles.warn);
    let Some(counts) = counts else {
        return format!("     ?       ?        ?        ?   {warn}not reached{warn:#}");
    };
    if counts.total() == 0 {
        return format!("{quiet}     –       –        –        –   no change{quiet:#}");
    }
    let cell = |number: usize, width: usize, style: Style| {
        let style = if number == 0 { Style::new() } else { style };
        format!("{style}{number:>width$}{style:#}")
    };
    [
        cell(counts.create, 6, styles.create),
        cell(counts.change, 8, styles.change),
        cell(counts.replace, 9, styles.replace),
        cell(counts.destroy, 9, styles.destroy),
    ]
    .concat()
}

fn block_header(text: &mut String, comparison: &Comparison, targets: &[Target], styles: &Styles) {
    let names = printable(&targets::among(targets, &comparison.diff.targets, WIDTH - 24));
    let note = if targets.len() > 1 { " (same change)" } else { "" };
    let title = format!("── {names}{note} ");
    let line = "─".repeat(WIDTH.saturating_sub(title.chars().count()).max(3));
    let quiet = styles.quiet;
    let _ = writeln!(text, "\n{title}{quiet}{line}{quiet:#}");
}

fn object(text: &mut String, change: &ObjectChange, summary: bool, styles: &Styles) {
    let (symbol, style) = styles.of(change.op);
    let title = format!("{symbol} {}", printable(&change.id.to_string()));
    let padding = " ".repeat(SOURCE_COLUMN.saturating_sub(title.chars().count()).max(3));
    let sources = sources(change);
    let gap = if sources.is_empty() { "" } else { padding.as_str() };
    let rest = title.strip_prefix(symbol).unwrap_or_default();
    let quiet = styles.quiet;
    let _ = writeln!(text, "{style}{symbol}{style:#}{rest}{gap}{quiet}{sources}{quiet:#}");
    if !summary {
        fields(text, change, styles);
    }
    for consequence in &change.consequences {
        let warn = styles.warn;
        for (place, line) in wrapped(&printable(consequence), WIDTH - 6).iter().enumerate() {
            let mark = if place == 0 { format!("{warn}!{warn:#}") } else { " ".to_owned() };
            let _ = writeln!(text, "    {mark} {line}");
        }
    }
}

/// `mesh/routes.yaml:12`; of several places the first and how many more.
fn sources(change: &ObjectChange) -> String {
    let Some(first) = change.sources.first() else { return String::new() };
    let more = match change.sources.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!("{}:{}{more}", printable(&first.file), first.line)
}

/// A field with its mark, its path in words, and its values.
type Field = (char, String, Shown);

fn field(change: &ObjectChange, field: &FieldChange, keeps: bool) -> Option<Field> {
    let (mark, shown) = match (&field.before, &field.after) {
        (Some(before), Some(after)) => ('~', value::changed(before, after)),
        (None, Some(after)) => ('+', value::single(if keeps { ' ' } else { '+' }, after)),
        (Some(before), None) => ('-', value::single(if keeps { ' ' } else { '-' }, before)),
        (None, None) => return None,
    };
    Some((if keeps { '=' } else { mark }, printable(&change.path_in_words(field)), shown))
}

fn fields(text: &mut String, change: &ObjectChange, styles: &Styles) {
    let changed = change.fields.iter().filter_map(|inner| field(change, inner, false));
    let shown: Vec<Field> = changed.chain(change.kept.iter().filter_map(|inner| field(change, inner, true))).collect();
    // Values of one object stand below each other, but one long path does not push all of them away.
    let inline = shown.iter().filter(|(_, _, shown)| matches!(shown, Shown::Inline(_)));
    let column =
        inline.map(|(_, path, _)| path.chars().count()).filter(|length| *length <= 56).max().unwrap_or_default();
    for (mark, path, shown) in &shown {
        let style = styles.mark(*mark);
        match shown {
            Shown::Inline(value) if path.chars().count().max(column) + value.chars().count() + 9 <= WIDTH => {
                let _ = writeln!(text, "    {style}{mark}{style:#} {path:column$}   {value}");
            }
            Shown::Inline(value) => {
                let _ = writeln!(text, "    {style}{mark}{style:#} {path}\n          {value}");
            }
            Shown::Below(lines) => {
                let _ = writeln!(text, "    {style}{mark}{style:#} {path}");
                for (mark, line) in lines {
                    let style = styles.mark(*mark);
                    let line = format!("{mark} {line}");
                    let _ = writeln!(text, "        {style}{}{style:#}", line.trim_end());
                }
            }
        }
    }
}

fn footer(text: &mut String, comparison: &Comparison, styles: &Styles) {
    let diff = &comparison.diff;
    let warn = styles.warn;
    if !diff.unknown.is_empty() {
        let _ = writeln!(text, "\n{warn}Not compared{warn:#} (one side cannot be read)");
        for unknown in &diff.unknown {
            let _ = writeln!(
                text,
                "  {} on {}   {}:{}",
                printable(&unknown.id.to_string()),
                printable(unknown.target.name()),
                printable(&unknown.position.file),
                unknown.position.line
            );
        }
    }
    if !diff.left.is_empty() {
        let (left, it) =
            (printable(&targets::few(&diff.left, WIDTH)), if diff.left.len() == 1 { "it" } else { "them" });
        let _ =
            writeln!(text, "\n{left} left fleet.yaml: the agent stops looking after {it} and leaves all objects alone");
    }
    if diff.is_empty() {
        if comparison.unreached.is_empty() && diff.unknown.is_empty() {
            let _ = writeln!(text, "\nNo differences.");
        }
    } else {
        let _ = writeln!(text, "\n{}", sums(comparison));
    }
    if let Some(traffic) = comparison.traffic.as_ref().filter(|traffic| !diff.is_empty() || !traffic.is_quiet()) {
        let warn = if traffic.is_quiet() { Style::new() } else { styles.warn };
        let _ = writeln!(text, "{warn}Routes:{warn:#} {}", traffic.told());
        traffic.lines(FINDINGS).iter().for_each(|line| {
            let _ = writeln!(text, "{line}");
        });
    }
    if let Some(found) = &comparison.lint {
        // What was wrong before is no news where nothing differs.
        let counts = found.counts();
        if !diff.is_empty() || counts.introduced() + counts.fixed > 0 {
            lint(text, found, styles);
        }
    }
}

/// What lint finds in the change: the counts, and the first of what is new.
fn lint(text: &mut String, found: &Introduced, styles: &Styles) {
    let warn = if found.counts().introduced() > 0 { styles.warn } else { Style::new() };
    let _ = writeln!(text, "{warn}Lint:{warn:#} {}", found.told());
    let findings = found.findings();
    for finding in findings.iter().take(FINDINGS) {
        let (severity, style) = match finding.severity {
            Severity::Error => ("error", styles.destroy),
            _ => ("warning", styles.warn),
        };
        let (rule, place) = (finding.rule, printable(&finding.place.position.to_string()));
        let _ = writeln!(text, "  {style}{severity:7}{style:#}  {rule}   {place}");
    }
    let more = findings.len().saturating_sub(FINDINGS);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
}

/// `2 to change, 1 to replace on 3 targets`.
pub(super) fn sums(comparison: &Comparison) -> String {
    let diff = &comparison.diff;
    let sum =
        |op: Op| diff.changes.iter().filter(|change| change.op == op).map(|change| change.targets.len()).sum::<usize>();
    let parts: Vec<String> =
        [(Op::Create, "to add"), (Op::Change, "to change"), (Op::Replace, "to replace"), (Op::Destroy, "to destroy")]
            .iter()
            .map(|(op, word)| (sum(*op), word))
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
    let targets = diff.targets.iter().filter(|counts| counts.total() > 0).count();
    let targets = if targets == 1 { "1 target".to_owned() } else { format!("{targets} targets") };
    format!("{} on {targets}", parts.join(", "))
}

/// The page in ASCII: our own signs by the nearest, everything else escaped.
pub(super) fn ascii(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for c in page.chars() {
        match c {
            '→' => text.push_str("->"),
            '·' => text.push('|'),
            '─' | '–' => text.push('-'),
            '…' => text.push_str("..."),
            c if c.is_ascii() => text.push(c),
            c => text.extend(c.escape_unicode()),
        }
    }
    text
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
