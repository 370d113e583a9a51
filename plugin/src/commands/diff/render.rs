//! The comparison as a page for people.

use super::Comparison;
use super::value::{self, Shown, printable};
use anstyle::{AnsiColor, Style};
use asm_shared::diff::{FieldChange, ObjectChange, Op};
use asm_shared::fleet::Target;
use std::fmt::Write as _;

const WIDTH: usize = 100;
/// Column of the file and line.
const SOURCE_COLUMN: usize = 60;

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
        }
    }

    fn mark(&self, mark: char) -> Style {
        match mark {
            '+' => self.create,
            '-' => self.destroy,
            _ => Style::new(),
        }
    }
}

/// `target/namespace/kind.group/name`, one line per changed object and target.
pub(super) fn names(comparison: &Comparison) -> String {
    let mut text = String::new();
    for change in &comparison.diff.changes {
        let resource = change.id.group_kind.to_string().to_lowercase();
        for target in &change.targets {
            let namespace = change.id.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            // Writing to a string does not fail, here and below.
            let _ = writeln!(text, "{target}/{namespace}{resource}/{}", change.id.name);
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
    let clusters = counts.iter().filter(|counts| counts.target != Target::Mesh).count()
        + comparison.unreached.iter().filter(|unreached| unreached.name.target != Target::Mesh).count();
    let clusters = if clusters == 1 { "1 cluster".to_owned() } else { format!("{clusters} clusters") };
    let _ = writeln!(text, "Comparing {} → {} · mesh and {clusters}", comparison.before, comparison.after);
    let names = counts.iter().map(|counts| counts.target.name());
    let names = names.chain(comparison.unreached.iter().map(|unreached| unreached.name.target.name()));
    let width = names.map(str::len).max().unwrap_or_default().max(4);
    let _ = writeln!(text, "{:width$}   add  change  replace  destroy", "");
    for counts in counts {
        if counts.total() == 0 {
            let quiet = styles.quiet;
            let _ = writeln!(
                text,
                "{:width$}{quiet}     –       –        –        –   no change{quiet:#}",
                counts.target.name()
            );
            continue;
        }
        let cell = |number: usize, width: usize, style: Style| {
            let style = if number == 0 { Style::new() } else { style };
            format!("{style}{number:>width$}{style:#}")
        };
        let _ = writeln!(
            text,
            "{:width$}{}{}{}{}",
            counts.target.name(),
            cell(counts.create, 6, styles.create),
            cell(counts.change, 8, styles.change),
            cell(counts.replace, 9, styles.replace),
            cell(counts.destroy, 9, styles.destroy),
        );
    }
    for unreached in &comparison.unreached {
        let (name, warn) = (unreached.name.target.name(), styles.warn);
        let _ = writeln!(text, "{name:width$}     ?       ?        ?        ?   {warn}not reached{warn:#}");
    }
}

fn block_header(text: &mut String, comparison: &Comparison, targets: &[Target], styles: &Styles) {
    let names: Vec<&str> = targets.iter().map(Target::name).collect();
    let note = match targets.len() {
        0 | 1 => String::new(),
        _ if targets.len() == comparison.diff.targets.len() => " (all targets, same change)".to_owned(),
        _ => " (same change)".to_owned(),
    };
    let title = format!("── {}{note} ", names.join(", "));
    let line = "─".repeat(WIDTH.saturating_sub(title.chars().count()).max(3));
    let quiet = styles.quiet;
    let _ = writeln!(text, "\n{title}{quiet}{line}{quiet:#}");
}

fn object(text: &mut String, change: &ObjectChange, summary: bool, styles: &Styles) {
    let (symbol, style) = styles.of(change.op);
    let title = format!("{symbol} {}", change.id);
    let padding = " ".repeat(SOURCE_COLUMN.saturating_sub(title.chars().count()).max(3));
    let sources = sources(change);
    let gap = if sources.is_empty() { "" } else { padding.as_str() };
    let rest = title.strip_prefix(symbol).unwrap_or_default();
    let quiet = styles.quiet;
    let _ = writeln!(text, "{style}{symbol}{style:#}{rest}{gap}{quiet}{sources}{quiet:#}");
    if !summary {
        fields(text, &change.fields, styles);
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
    format!("{}:{}{more}", first.file, first.line)
}

fn fields(text: &mut String, changes: &[FieldChange], styles: &Styles) {
    let shown: Vec<(char, String, Shown)> = changes
        .iter()
        .filter_map(|change| {
            let (mark, shown) = match (&change.before, &change.after) {
                (Some(before), Some(after)) => ('~', value::changed(before, after)),
                (None, Some(after)) => ('+', value::single('+', after)),
                (Some(before), None) => ('-', value::single('-', before)),
                (None, None) => return None,
            };
            Some((mark, printable(&change.path.to_string()), shown))
        })
        .collect();
    // Values of one object stand below each other, but one long path does not push all of them away.
    let inline = shown.iter().filter(|(_, _, shown)| matches!(shown, Shown::Inline(_)));
    let column =
        inline.map(|(_, path, _)| path.chars().count()).filter(|length| *length <= 56).max().unwrap_or_default();
    for (mark, path, shown) in &shown {
        let style = if *mark == '~' { styles.change } else { styles.mark(*mark) };
        match shown {
            Shown::Inline(value) => {
                let _ = writeln!(text, "    {style}{mark}{style:#} {path:column$}   {value}");
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

/// Words filled into lines.
fn wrapped(sentence: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
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
                unknown.id, unknown.target, unknown.position.file, unknown.position.line
            );
        }
    }
    for target in &diff.left {
        let _ =
            writeln!(text, "\n{target} left fleet.yaml: the agent stops looking after it and leaves its objects alone");
    }
    if diff.changes.is_empty() {
        if comparison.unreached.is_empty() && diff.unknown.is_empty() {
            let _ = writeln!(text, "\nNo differences.");
        }
        return;
    }
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
    let _ = writeln!(text, "\n{} on {targets}", parts.join(", "));
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
