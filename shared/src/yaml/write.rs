//! From values to text that kubectl reads back as the same values.

use super::order::Context;
use super::scalar::{Scalar, resolve_plain};
use serde_json::Value;

/// Longer names of fields are written with `? `: YAML takes a name on one line only up to 1024 characters.
const LONGEST_KEY: usize = 1000;

/// How a text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Columns that a map stands further right than the map around it.
    pub(super) step: usize,
    /// Columns that the dashes of a list stand further right than the field that holds it.
    pub(super) dash: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self { step: 2, dash: 2 }
    }
}

/// Writes one document: block style, two spaces, long text never folded, well-known fields in the order people expect.
pub fn write(value: &Value) -> String {
    let mut writer = Writer { out: String::new(), layout: Layout::default() };
    writer.block(value, 0, Context::Document);
    writer.out
}

/// Writes several documents, separated by `---`.
pub fn write_all(values: &[Value]) -> String {
    values.iter().map(write).collect::<Vec<_>>().join("---\n")
}

/// Writes a value in block style. The first line gets no indentation: the caller has placed it.
pub(super) fn block(value: &Value, indent: usize, layout: Layout, context: Context) -> String {
    let mut writer = Writer { out: String::new(), layout };
    writer.block(value, indent, context);
    writer.out
}

/// Writes a field of a block map, with its line break. The first line gets no indentation.
pub(super) fn field(name: &str, value: &Value, indent: usize, layout: Layout, context: Context) -> String {
    let mut writer = Writer { out: String::new(), layout };
    writer.field(name, value, indent, context);
    writer.out
}

/// Writes what stands after `name:` of a field, with its line break.
pub(super) fn after_colon(value: &Value, indent: usize, layout: Layout, context: Context) -> String {
    let mut writer = Writer { out: String::new(), layout };
    writer.after_colon(value, indent, context);
    writer.out
}

/// Writes a value on one line, as it may stand inside `{…}` or `[…]`.
pub(super) fn flow(value: &Value, context: Context) -> String {
    match value {
        Value::Object(map) => {
            let fields: Vec<_> = context
                .sorted(map)
                .into_iter()
                .map(|(name, value)| format!("{}: {}", text(name), flow(value, context.below(name))))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| flow(item, Context::Fields)).collect::<Vec<_>>().join(", "))
        }
        other => scalar(other),
    }
}

/// Is it written on the line of its field?
pub(super) fn is_inline(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => !is_literal(text),
        _ => true,
    }
}

struct Writer {
    out: String,
    layout: Layout,
}

impl Writer {
    fn indent(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn block(&mut self, value: &Value, indent: usize, context: Context) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (index, (name, value)) in context.sorted(map).into_iter().enumerate() {
                    if index > 0 {
                        self.indent(indent);
                    }
                    self.field(name, value, indent, context.below(name));
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.indent(indent);
                    }
                    self.out.push_str("- ");
                    self.block(item, indent + 2, Context::Fields);
                }
            }
            Value::String(text) if is_literal(text) => self.literal(text, indent),
            other => {
                self.out.push_str(&flow(other, context));
                self.out.push('\n');
            }
        }
    }

    fn field(&mut self, name: &str, value: &Value, indent: usize, context: Context) {
        let key = text(name);
        if key.chars().count() > LONGEST_KEY {
            self.out.push_str("? ");
            self.out.push_str(&key);
            self.out.push('\n');
            self.indent(indent);
        } else {
            self.out.push_str(&key);
        }
        self.out.push(':');
        self.after_colon(value, indent, context);
    }

    fn after_colon(&mut self, value: &Value, indent: usize, context: Context) {
        if is_inline(value) {
            self.out.push(' ');
            self.out.push_str(&flow(value, context));
            self.out.push('\n');
            return;
        }
        let inner = match value {
            Value::String(text) => {
                self.out.push(' ');
                return self.literal(text, indent + self.layout.step);
            }
            Value::Array(_) => indent + self.layout.dash,
            _ => indent + self.layout.step,
        };
        self.out.push('\n');
        self.indent(inner);
        self.block(value, inner, context);
    }

    fn literal(&mut self, text: &str, indent: usize) {
        let (lines, header) = match text.strip_suffix('\n') {
            Some(lines) => (lines, "|"),
            None => (text, "|-"),
        };
        self.out.push_str(header);
        self.out.push('\n');
        for line in lines.split('\n') {
            if !line.is_empty() {
                self.indent(indent.max(1));
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }
}

/// Text of several lines that a literal block (`|`) gives back exactly and legibly.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let blank = |line: &str| !line.is_empty() && line.trim().is_empty();
    body.contains('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && !body.ends_with('\n')
        && !body.split('\n').any(blank)
        && body.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
}

/// A scalar on one line.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        other => other.to_string(),
    }
}

/// Text on one line: plain where every YAML reader takes it for the same text, quoted otherwise.
pub(super) fn text(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.chars().all(is_printable) {
        single_quoted(text)
    } else {
        double_quoted(text)
    }
}

pub(super) fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Characters that may stand in a quoted scalar as they are, on one line.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// Does the text need no quotes, wherever it stands? Stricter than YAML, for readers of YAML 1.1 and for people.
fn is_plain(text: &str) -> bool {
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else { return false };
    let inner = |c: char| {
        c.is_alphanumeric()
            || matches!(
                c,
                ' ' | '.' | '_' | '-' | '/' | ':' | '%' | '+' | '=' | '@' | '(' | ')' | '~' | '^' | '$' | ';'
            )
    };
    let starts = first.is_alphanumeric()
        || matches!(first, '/' | '.' | '_' | '$' | '(' | '^')
        || (first == '-' && text.len() > 1);
    // `- x`, `---` and `...` are structure; `1:30` is a number and `2001-01-01` a date to some readers.
    let structure = text.starts_with("- ") || text.starts_with("---") || text.starts_with("...");
    let numeric = first.is_numeric()
        && text.chars().all(|c| c.is_numeric() || matches!(c, ':' | '.' | '-' | '_' | 'T' | 'Z' | ' ' | '+'));
    starts
        && !last.is_whitespace()
        && last != ':'
        && !structure
        && !numeric
        && text.chars().all(|c| inner(c) && is_printable(c))
        && !text.contains(": ")
        && resolve_plain(text) == Scalar::String(text.to_owned())
}

#[cfg(test)]
pub(super) mod tests;
