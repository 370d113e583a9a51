//! Values of fields as text for a terminal.

use asm_shared::text::printable;
use asm_shared::yaml;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// Longest value that stands on the line of its path.
const ONE_LINE: usize = 72;
/// Lines of one value that are shown; the rest is counted.
const LINES: usize = 40;
/// Unchanged lines around a changed one.
const AROUND: usize = 2;

/// A line of a value: its mark (`+`, `-`, ` `) and its text.
pub(super) type Line = (char, String);

/// How a change of a value is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Beside the path.
    Inline(String),
    /// Below the path.
    Below(Vec<Line>),
}

/// A value that comes (`+`) or goes (`-`).
pub(super) fn single(mark: char, value: &Value) -> Shown {
    match inline(value) {
        Some(text) => Shown::Inline(text),
        None => Shown::Below(limited(block(value).into_iter().map(|line| (mark, line)).collect())),
    }
}

/// A value that turns into another.
pub(super) fn changed(before: &Value, after: &Value) -> Shown {
    if let (Some(before), Some(after)) = (inline(before), inline(after)) {
        return Shown::Inline(format!("{before} → {after}"));
    }
    let (before, after) = (block(before).join("\n"), block(after).join("\n"));
    let diff = TextDiff::from_lines(&before, &after);
    let mut lines = Vec::new();
    for (place, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if place > 0 {
            lines.push((' ', "…".to_owned()));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let mark = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push((mark, change.value().trim_end_matches('\n').to_owned()));
        }
    }
    Shown::Below(limited(lines))
}

pub(super) fn limited(mut lines: Vec<Line>) -> Vec<Line> {
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push((' ', format!("… {more} more lines (-o json shows all)")));
    }
    lines
}

/// The text of a short value; `None` when it needs lines of its own.
fn inline(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) if text.contains('\n') => return None,
        Value::String(text) => printable(text),
        Value::Array(list) if list.iter().all(|element| !element.is_object() && !element.is_array()) => {
            let elements: Vec<String> = list.iter().filter_map(inline).collect();
            format!("[{}]", elements.join(", "))
        }
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(_) | Value::Array(_) => return None,
        other => other.to_string(),
    };
    (text.chars().count() <= ONE_LINE).then_some(text)
}

/// The lines of a long value: text as it is, everything else as YAML.
pub(super) fn block(value: &Value) -> Vec<String> {
    let text = value.as_str().map_or_else(|| yaml::write(value), str::to_owned);
    text.trim_end_matches('\n').split('\n').map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_values_stand_on_one_line() {
        let inline = |shown| if let Shown::Inline(text) = shown { text } else { panic!("{shown:?}") };
        assert_eq!(inline(changed(&json!(90), &json!(80))), "90 → 80");
        assert_eq!(inline(changed(&json!("Local"), &json!("Cluster"))), "Local → Cluster");
        assert_eq!(inline(single('+', &json!(["a", "b"]))), "[a, b]");
        assert_eq!(inline(single('+', &json!(""))), "\"\"");
        assert_eq!(inline(single('+', &json!("\u{1b}[31mred"))), "\\u{1b}[31mred");
    }

    #[test]
    fn long_texts_are_compared_line_by_line() {
        let Shown::Below(lines) = changed(&json!("a\nb\nc\nd\ne\n"), &json!("a\nb\nc\nD\ne\n")) else { panic!() };
        let text: Vec<String> = lines.iter().map(|(mark, line)| format!("{mark}{line}")).collect();
        assert_eq!(text, [" b", " c", "-d", "+D", " e"]);
        let Shown::Below(lines) = single('+', &json!({"match": [{"uri": {"exact": "/login"}}]})) else { panic!() };
        assert_eq!(
            lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>(),
            ["match:", "  - uri:", "      exact: /login"]
        );
    }
}
