//! `# asm-lint: ignore[RULE, RULE] reason`: which lines of a file it holds for.

use super::{Judge, Uses, position};
use crate::fleet::{FleetState, LINT_MARK as MARK, Position, Tree};
use crate::lint::Finding;
use crate::yaml::{self, Document, Limits};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A comment that ignores something.
#[derive(Debug)]
pub(super) struct Comment {
    position: Position,
    /// Lines that it holds for; `None` when it stands above nothing.
    lines: Option<RangeInclusive<u32>>,
    uses: Uses,
}

/// Comments by file.
pub(super) type Comments = BTreeMap<Arc<str>, Vec<Comment>>;

/// The comments of a fleet. Only files that hold some are read again.
pub(super) fn all(tree: &dyn Tree, state: &FleetState, judge: &mut Judge<'_>) -> Comments {
    let mut all = Comments::new();
    for file in &state.marked {
        let Ok(bytes) = tree.read(file) else { continue };
        let (Ok(text), Ok(documents)) = (str::from_utf8(&bytes), yaml::read(&bytes, &Limits::default())) else {
            // That it cannot be read is said elsewhere; what it holds is not judged.
            continue;
        };
        all.insert(file.clone(), of_file(file, text, &documents, judge));
    }
    all
}

/// Is it ignored? Every comment that matches is taken for used.
pub(super) fn take(comments: &mut Comments, finding: &Finding) -> bool {
    let at = &finding.place.position;
    let Some(comments) = comments.get_mut(&at.file) else { return false };
    let holds = |comment: &&mut Comment| comment.lines.as_ref().is_some_and(|lines| lines.contains(&at.line));
    let taken = comments.iter_mut().filter(holds).map(|comment| comment.uses.take(finding.rule));
    // All of them are asked.
    taken.filter(|taken| *taken).count() > 0
}

/// Notes what had nothing to do.
pub(super) fn unused(comments: &Comments, judge: &mut Judge<'_>) {
    for comment in comments.values().flatten() {
        comment.uses.unused().for_each(|id| judge.unused(id, comment.position.clone()));
    }
}

fn of_file(file: &Arc<str>, text: &str, documents: &[Document], judge: &mut Judge<'_>) -> Vec<Comment> {
    let lines: Vec<&str> = text.lines().collect();
    let mut comments = Vec::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if let Some(at) = mark(line)
            && !documents.iter().any(|document| document.is_text(number(start + at)))
        {
            let column = line.get(..at).unwrap_or_default().chars().count() + 1;
            let position = position(file, number(index + 1), number(column));
            let own_line = line.get(..at).is_some_and(|before| before.trim_start_matches('\u{feff}').trim().is_empty());
            let scope = if own_line { below(&lines, index, text, documents) } else { Some(index + 1..=index + 1) };
            let scope = scope.map(|lines| number(*lines.start())..=number(*lines.end()));
            let said = line.get(at + 1..).unwrap_or_default();
            comments.extend(comment(said, position, scope, judge));
        }
        start += line.len();
    }
    comments
}

/// Where on the line the `#` of a comment for lint is.
fn mark(line: &str) -> Option<usize> {
    line.match_indices('#').map(|(at, _)| at).find(|at| {
        let (before, after) = (line.get(..*at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default());
        let begins = before.chars().next_back().is_none_or(|before| before.is_whitespace() || before == '\u{feff}');
        begins && after.trim_start().starts_with(MARK)
    })
}

/// Lines (from 1) of what stands directly below the comment on line `index` (from 0) and the comments that follow it.
fn below(lines: &[&str], index: usize, text: &str, documents: &[Document]) -> Option<RangeInclusive<usize>> {
    let next = (index + 1..lines.len()).find(|next| !lines[*next].trim_start().starts_with('#'))?;
    let line = lines.get(next).filter(|line| !line.trim().is_empty())?;
    let last = |end: u32| text.get(..end as usize).map_or(0, |text| text.matches('\n').count()) + 1;
    if line.starts_with("---") {
        let document = documents.iter().find(|document| document.start().0 as usize > next)?;
        let end = document.extents().first()?.end;
        return Some(next + 1..=last(end));
    }
    // The outermost thing that begins on that line: the document itself when it is its first field.
    let mut all = documents.iter().flat_map(Document::extents);
    let extent = all.find(|extent| extent.line as usize == next + 1)?;
    Some(next + 1..=last(extent.end))
}

/// Reads what stands behind the `#`.
fn comment(
    said: &str,
    position: Position,
    lines: Option<RangeInclusive<u32>>,
    judge: &mut Judge<'_>,
) -> Option<Comment> {
    let order = said.trim().strip_prefix(MARK)?.trim_start();
    let Some((ids, reason)) = order.strip_prefix("ignore[").and_then(|rest| rest.split_once(']')) else {
        judge.syntax(position, "this comment has no effect: lint knows only `ignore[RULE, …] reason`".to_owned());
        return None;
    };
    let ids: Vec<&str> = ids.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    if ids.is_empty() {
        judge.syntax(position, "this comment has no effect: it names no rule".to_owned());
        return None;
    }
    if !reason.chars().any(char::is_alphanumeric) {
        judge.syntax(position, "this comment has no effect: it gives no reason".to_owned());
        return None;
    }
    let known = ids.into_iter().filter(|id| judge.knows(id, &position)).map(str::to_owned).collect::<Vec<_>>();
    Some(Comment { position, lines, uses: Uses::of(known) })
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
