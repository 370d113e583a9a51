//! The findings for people: each with the line that it is about.

use super::judgement::{Files, Judgement, count};
use super::mending::Mending;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use anstyle::{AnsiColor, Style};
use asm_shared::lint::{Finding, Place, Severity};
use asm_shared::text::printable;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Targets that are named; more are counted.
const TARGETS_SHOWN: usize = 6;

/// `resource/name` of every object with a finding, `file/PATH` where there is no object.
pub(super) fn names(judgement: &Judgement) -> String {
    let name = |finding: &Finding| match &finding.place.object {
        Some(object) => format!("{}/{}", object.group_kind.to_string().to_lowercase(), object.name),
        None => format!("file/{}", finding.place.position.file),
    };
    let names: BTreeSet<String> = judgement.findings.iter().map(name).collect();
    names.into_iter().map(|name| name + "\n").collect()
}

/// The whole page.
pub(super) fn page(judgement: &Judgement, files: &Files, color: bool) -> String {
    let renderer = if color { Renderer::styled().hyperlink(false) } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    if let Some(mending) = &judgement.mending {
        text.push_str(&mended(mending, color));
    }
    for (index, finding) in judgement.findings.iter().enumerate() {
        let group = report(finding, files, refused(judgement, index), judgement.unmendable);
        // Writing to a string does not fail, here and below.
        let _ = writeln!(text, "{}\n", renderer.render(&[group]));
    }
    text + &if color { bright(summary(judgement), judgement) } else { summary(judgement) }
}

/// The counts in the colours of their findings; all in green when there is none.
fn bright(summary: String, judgement: &Judgement) -> String {
    let paint = |text: String, (plain, color): (String, AnsiColor)| {
        let style = color.on_default().bold();
        text.replacen(&plain, &format!("{style}{plain}{style:#}"), 1)
    };
    let counts = judgement.counts();
    let colors = [AnsiColor::BrightRed, AnsiColor::Yellow, AnsiColor::BrightBlue];
    let told = counts.parts().into_iter().zip(colors).filter(|((number, _), _)| *number > 0);
    let told: Vec<_> = told.map(|((number, what), color)| (count(number, what), color)).collect();
    if told.is_empty() {
        paint(summary, (counts.told(), AnsiColor::Green))
    } else {
        told.into_iter().fold(summary, paint)
    }
}

fn refused(judgement: &Judgement, index: usize) -> Option<&str> {
    let refused = judgement.mending.as_ref().map(|mending| &mending.refused[..]).unwrap_or_default();
    refused.iter().find(|(at, _)| *at == index).map(|(_, why)| why.as_str())
}

fn report<'a>(finding: &'a Finding, files: &'a Files, refused: Option<&'a str>, unmendable: bool) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let mut group = Group::with_title(level.primary_title(printable(&finding.message)).id(finding.rule));
    group = place(group, &finding.place, files, AnnotationKind::Primary, None);
    for related in &finding.related {
        group = place(group, &related.place, files, AnnotationKind::Context, Some(&related.label));
    }
    if let Some(about) = about(finding) {
        group = group.element(Level::NOTE.message(about));
    }
    if let Some(hint) = &finding.hint {
        group = group.element(Level::HELP.message(printable(hint)));
    }
    for fix in finding.fixes.iter().take(1) {
        let how = if fix.safe { "--fix" } else { "--fix --unsafe-fixes" };
        let told = match refused {
            Some(why) => format!("cannot {}: {why}", fix.title),
            None if unmendable => format!("in a fleet, {how} would {}", fix.title),
            None => format!("{how} would {}", fix.title),
        };
        group = group.element(Level::HELP.message(printable(&told)));
    }
    group
}

fn place<'a>(
    group: Group<'a>,
    place: &'a Place,
    files: &'a Files,
    kind: AnnotationKind,
    label: Option<&'a str>,
) -> Group<'a> {
    let (file, line) = (&*place.position.file, place.position.line as usize);
    let label = label.map(printable);
    match files.get(file).and_then(|text| text.excerpt(place)) {
        Some(excerpt) => {
            // A tab would be drawn wider than it counts, and a terminal obeys what else is a control character.
            let safe: String = excerpt.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let span = if safe.len() == excerpt.text.len() { excerpt.span } else { 0..safe.len() };
            let annotation: Annotation<'_> = kind.span(span).label(label);
            group.element(Snippet::source(safe).line_start(line).path(file).annotation(annotation))
        }
        None => {
            let group = group.element(Origin::path(file).line(line).char_column(place.position.column as usize));
            match label {
                Some(label) => group.element(Level::NOTE.message(label)),
                None => group,
            }
        }
    }
}

/// Object, field and clusters: `VirtualService shop/reviews, spec.gateways[0]; for m1c1, m1c2`.
fn about(finding: &Finding) -> Option<String> {
    let mut text = finding.place.object.as_ref().map(ToString::to_string).unwrap_or_default();
    if !text.is_empty() && !finding.place.path.is_empty() {
        let _ = write!(text, ", {}", finding.place.path);
    }
    let targets: Vec<&str> = finding.targets.iter().map(|target| target.name()).collect();
    if !targets.is_empty() {
        let shown = targets[..targets.len().min(TARGETS_SHOWN)].join(", ");
        let more = targets.len().saturating_sub(TARGETS_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = write!(text, "{}for {shown}{more}", if text.is_empty() { "" } else { "; " });
    }
    (!text.is_empty()).then(|| printable(&text))
}

/// What was mended, with the diff when nothing was written.
fn mended(mending: &Mending, color: bool) -> String {
    let mut text = String::new();
    let suffix = if mending.dry_run { " (dry run)" } else { "" };
    for made in &mending.made {
        let how = if made.safe { "" } else { "unsafe, " };
        let (at, title) = (printable(&made.position.to_string()), printable(&made.title));
        let _ = writeln!(text, "{at}: {title} ({how}{}){suffix}", made.rule);
    }
    if mending.dry_run {
        for edit in &mending.edits {
            match Mending::diff(edit) {
                Some(diff) => text.push_str(&painted(&diff, color)),
                None => {
                    let _ = writeln!(text, "{}: the file holds secrets, so its diff is not shown", edit.path);
                }
            }
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn painted(diff: &str, color: bool) -> String {
    if !color {
        return diff.to_owned();
    }
    let paint = |line: &str| {
        let style: Style = match line.chars().next() {
            Some('+') => AnsiColor::Green.on_default(),
            Some('-') => AnsiColor::Red.on_default(),
            Some('@') => AnsiColor::Cyan.on_default(),
            _ => Style::new(),
        };
        format!("{style}{line}{style:#}\n")
    };
    diff.lines().map(paint).collect()
}

/// `2 errors, 1 warning in 3 files; …`.
pub(super) fn summary(judgement: &Judgement) -> String {
    let counts = judgement.counts();
    let files: BTreeSet<&str> = judgement.findings.iter().map(|finding| &*finding.place.position.file).collect();
    let mut text = counts.told();
    let _ = if files.is_empty() {
        write!(text, " in {} by {}", count(judgement.objects, "object"), count(judgement.rules.len(), "rule"))
    } else {
        write!(text, " in {}", count(files.len(), "file"))
    };
    if let Some(mending) = &judgement.mending {
        let what = if mending.dry_run { "would be mended" } else { "mended" };
        let _ = write!(text, "; {} {what} in {}", mending.made.len(), count(mending.edits.len(), "file"));
        if !mending.settled {
            text.push_str("; fixes undo each other: the rest is left");
        }
    } else if counts.fixable > 0 {
        let _ = write!(text, "; {} can be mended with --fix", counts.fixable);
    }
    if counts.unsafely_fixable > 0 {
        let _ = write!(text, "; {} can be mended with --fix --unsafe-fixes", counts.unsafely_fixable);
    }
    if judgement.ignored > 0 {
        let _ = write!(text, "; {} ignored", judgement.ignored);
    }
    text.push('\n');
    if let Some(since) = &judgement.since {
        let (new, fixed, unchanged) = (since.introduced, since.fixed, since.unchanged);
        let _ = writeln!(text, "since {}: {new} introduced, {fixed} fixed, {unchanged} unchanged", since.label);
    }
    text
}

/// What to do next.
pub(super) fn next_steps(judgement: &Judgement) -> Vec<String> {
    let written = judgement.mending.as_ref().filter(|mending| !mending.made.is_empty() && !mending.dry_run);
    if written.is_some() {
        return vec!["see what was mended with: git diff".to_owned()];
    }
    let planned = judgement.mending.as_ref().is_some_and(|mending| !mending.made.is_empty());
    if planned {
        return vec!["mend it with the same command without --dry-run".to_owned()];
    }
    let counts = judgement.counts();
    let mut hints = Vec::new();
    if let Some(worst) = judgement.findings.iter().rev().max_by_key(|finding| finding.severity) {
        hints.push(format!("why it is bad: kubectl asm explain {}", worst.rule));
    }
    if judgement.mending.is_none() && counts.fixable > 0 {
        hints.push("see what would be mended with: kubectl asm lint --fix --dry-run".to_owned());
    }
    if judgement.findings.is_empty() && !judgement.unmendable {
        hints.push("see what the working tree changes with: kubectl asm diff".to_owned());
    }
    hints
}
