//! New YAML as a person would write it: fields in a chosen order, comments beside what they explain, no needless quotes.

use serde_json::{Map, Value};
use std::fmt::Write as _;

/// A value to be written.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A map, in this order.
    Map(Vec<Field>),
    /// A list.
    List(Vec<Self>),
    /// Text. Quoted when it would be read as something else.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A truth value.
    Bool(bool),
    /// A list item with a remark at the end of its line.
    Remarked(Box<Self>, String),
}

/// A field of a map.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Lines above it.
    comment: Vec<String>,
    key: String,
    value: Node,
}

/// A field.
pub(super) fn field(key: impl Into<String>, value: impl Into<Node>) -> Field {
    Field { comment: Vec::new(), key: key.into(), value: value.into() }
}

/// A list of anything that can be written.
pub(super) fn list<T: Into<Node>>(items: impl IntoIterator<Item = T>) -> Node {
    Node::List(items.into_iter().map(Into::into).collect())
}

impl Field {
    /// Puts a line of comment above it.
    pub(super) fn comment(mut self, line: impl Into<String>) -> Self {
        self.comment.push(line.into());
        self
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Node {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Node {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Node {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Vec<Field>> for Node {
    fn from(fields: Vec<Field>) -> Self {
        Self::Map(fields)
    }
}

impl<const N: usize> From<[Field; N]> for Node {
    fn from(fields: [Field; N]) -> Self {
        Self::Map(fields.into())
    }
}

impl Node {
    /// The value that the written text stands for.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Map(fields) => {
                fields.iter().map(|field| (field.key.clone(), field.value.value())).collect::<Map<_, _>>().into()
            }
            Self::List(items) => items.iter().map(Self::value).collect(),
            Self::Text(text) => text.as_str().into(),
            Self::Number(number) => (*number).into(),
            Self::Bool(value) => (*value).into(),
            Self::Remarked(node, _) => node.value(),
        }
    }

    /// A list item with a remark at the end of its line.
    pub(super) fn remarked(self, remark: impl Into<String>) -> Self {
        Self::Remarked(Box::new(self), remark.into())
    }

    /// The text, with a line break at its end.
    pub(super) fn write(&self) -> String {
        let mut out = String::new();
        self.block(&mut out, 0, false);
        out
    }

    /// Writes a block at an indentation. The first line has its indentation already when `inline`.
    fn block(&self, out: &mut String, indent: usize, mut inline: bool) {
        match self {
            Self::Map(fields) if !fields.is_empty() => {
                for field in fields {
                    for line in &field.comment {
                        pad(out, indent, &mut inline);
                        let _ = writeln!(out, "# {line}");
                    }
                    pad(out, indent, &mut inline);
                    let _ = write!(out, "{}:", plain_or_quoted(&field.key));
                    field.value.after_key(out, indent);
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    pad(out, indent, &mut inline);
                    out.push_str("- ");
                    item.block(out, indent + 2, true);
                }
            }
            scalar => {
                pad(out, indent, &mut inline);
                let _ = writeln!(out, "{}", scalar.scalar());
            }
        }
    }

    fn after_key(&self, out: &mut String, indent: usize) {
        match self {
            Self::Map(fields) if !fields.is_empty() => {
                out.push('\n');
                self.block(out, indent + 2, false);
            }
            Self::List(items) if !items.is_empty() => {
                out.push('\n');
                self.block(out, indent + 2, false);
            }
            scalar => {
                let _ = writeln!(out, " {}", scalar.scalar());
            }
        }
    }

    fn scalar(&self) -> String {
        match self {
            Self::Map(_) => "{}".to_owned(),
            Self::List(_) => "[]".to_owned(),
            Self::Text(text) => plain_or_quoted(text),
            Self::Number(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Remarked(node, remark) => format!("{} # {remark}", node.scalar()),
        }
    }
}

fn pad(out: &mut String, indent: usize, inline: &mut bool) {
    if !std::mem::take(inline) {
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Text as it is where every YAML reader takes it for text, in single quotes otherwise.
pub(super) fn plain_or_quoted(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.chars().all(|c| !c.is_control()) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        // A JSON string is a double-quoted YAML scalar.
        Value::from(text).to_string()
    }
}

fn is_plain(text: &str) -> bool {
    const RESERVED: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '%');
    let Some(first) = text.chars().next() else { return false };
    // Anything that begins with a digit may be a number, a date or a sexagesimal to somebody, except quantities.
    let quantity =
        text.strip_suffix(['i', 'm', '%', 'G', 'M', 'K', 'k']).map(|rest| rest.trim_end_matches(['G', 'M', 'K']));
    let starts = first.is_ascii_alphabetic()
        || first == '/'
        || quantity.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()));
    starts && text.chars().all(safe) && !text.ends_with(':') && !RESERVED.contains(&text.to_lowercase().as_str())
}

/// A file of several documents, each with the comment that introduces it.
#[derive(Debug, Default)]
pub(super) struct File {
    text: String,
    documents: usize,
}

impl File {
    /// Adds a comment at the top of the file.
    pub(super) fn new(comment: &[String]) -> Self {
        let mut text = comment.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "# {line}");
            text
        });
        text.push('\n');
        Self { text, documents: 0 }
    }

    /// Adds a document.
    pub(super) fn push(&mut self, comment: &[&str], document: &Node) {
        if self.documents > 0 {
            self.text.push_str("---\n");
        }
        self.documents += 1;
        for line in comment {
            let _ = writeln!(self.text, "# {line}");
        }
        self.text.push_str(&document.write());
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_gets_them() {
        for (text, expected) in [
            ("docker.io/istio/x-v1:1.15.0", "docker.io/istio/x-v1:1.15.0"),
            ("/productpage", "/productpage"),
            ("256Mi", "256Mi"),
            ("200m", "200m"),
            ("100%", "100%"),
            ("2", "'2'"),
            ("1.15", "'1.15'"),
            ("1e3", "'1e3'"),
            ("0x1F", "'0x1F'"),
            ("on", "'on'"),
            ("Yes", "'Yes'"),
            ("", "''"),
            ("*", "'*'"),
            ("*.example.com", "'*.example.com'"),
            ("it's", "'it''s'"),
            ("a: b", "'a: b'"),
            ("key:", "'key:'"),
            ("a\nb", "\"a\\nb\""),
        ] {
            assert_eq!(plain_or_quoted(text), expected, "{text}");
        }
    }

    #[test]
    fn text_stands_for_the_value() {
        let node: Node = [
            field("name", "x"),
            field("list", list([Node::from([field("a", 1_i64).comment("one"), field("b", list(["p", "q"]))])]))
                .comment("items"),
            field("ids", list([Node::from("2").remarked("why")])),
            field("empty", Node::Map(vec![])),
            field("none", Node::List(vec![])),
        ]
        .into();
        let text = node.write();
        let read = crate::yaml::read(text.as_bytes(), &crate::yaml::Limits::default()).unwrap();
        assert_eq!(*read[0].value, node.value(), "{text}");
    }
}
