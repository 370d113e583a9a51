//! The line of a finding, as it may be shown: of a Secret only the names of fields.

use super::finding::Place;
use crate::object::redact_text;
use std::ops::Range;

/// Characters of a line that are shown.
const WIDTH: usize = 160;

/// The line of a finding and the part of it that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, without its end.
    pub text: String,
    /// The bytes that are meant.
    pub span: Range<usize>,
}

/// May a text hold values that are nobody's business, whatever stands at a certain place of it?
fn is_private(text: &str) -> bool {
    text.contains("PRIVATE KEY") || ["Secret", "ASMCredential"].iter().any(|kind| declares(text, kind))
}

/// Is there a `kind:` of this name? Not read as YAML: it is also asked of files that are none.
fn declares(text: &str, kind: &str) -> bool {
    text.match_indices("kind").any(|(at, _)| {
        let rest = text.get(at + "kind".len()..).unwrap_or_default();
        let rest = rest.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':').unwrap_or_default();
        let word = rest.trim_start().trim_start_matches(['"', '\'']);
        word.strip_prefix(kind).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    })
}

/// The text of a file that excerpts are taken from.
#[derive(Clone, Debug)]
pub struct SourceText {
    text: String,
    /// First byte of each line.
    lines: Vec<usize>,
    private: bool,
}

impl SourceText {
    /// Of a file's content.
    pub fn new(text: String) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { lines, private: is_private(&text), text }
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// May it hold values that are nobody's business?
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The line of a place. `None` when there is no such line, or when it must not be shown.
    pub fn excerpt(&self, place: &Place) -> Option<Excerpt> {
        let start = *self.lines.get((place.position.line as usize).checked_sub(1)?)?;
        let line = self.text.get(start..)?.lines().next()?;
        excerpt(line, self.private, place)
    }
}

fn excerpt(line: &str, in_private_file: bool, place: &Place) -> Option<Excerpt> {
    let at = line.char_indices().nth((place.position.column as usize).saturating_sub(1));
    let at = at.map_or(line.len(), |(at, _)| at);
    // What cannot be read may be anything, a piece of a value too. And another object may stand on the same line.
    if place.object.is_none() && in_private_file || is_private(line) {
        return None;
    }
    let secret = |kind: &str| matches!(kind, "Secret" | "ASMCredential");
    let hidden = place.object.as_ref().is_some_and(|object| secret(&object.group_kind.kind));
    if hidden || redact_text(line) != line || names_a_credential(&place.path) {
        return name_only(line, at);
    }
    let end = at + meant(line.get(at..).unwrap_or_default());
    cut(line, at..end.max(at))
}

/// Fields of any kind whose value is a credential, as [`crate::object`] knows them.
fn names_a_credential(path: &str) -> bool {
    crate::object::is_credential(path.rsplit('.').next().unwrap_or_default())
}

/// How much of the rest of a line is meant: without a comment and the spaces before it.
fn meant(rest: &str) -> usize {
    rest.find(" #").and_then(|at| rest.get(..at)).unwrap_or(rest).trim_end().len()
}

/// The name of the field without its value.
fn name_only(line: &str, at: usize) -> Option<Excerpt> {
    let rest = line.get(at..)?;
    let name = rest.split_once(':').map(|(name, _)| name)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '"' | '\'');
    // Anything else may be part of a value.
    if name.is_empty() || !name.chars().all(plain) || !line.get(..at)?.chars().all(|c| c == ' ') {
        return None;
    }
    Some(Excerpt { text: format!("{}{name}: …", " ".repeat(at)), span: at..at + name.len() })
}

/// A long line is shown from its beginning, or around what is meant.
fn cut(line: &str, span: Range<usize>) -> Option<Excerpt> {
    if line.chars().count() <= WIDTH {
        return Some(Excerpt { text: line.to_owned(), span });
    }
    let text: String = line.get(span.start..)?.chars().take(WIDTH).collect();
    let end = (span.end - span.start).min(text.len());
    Some(Excerpt { text, span: 0..end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Position;
    use crate::object::ObjectId;

    fn shown(text: &str, kind: Option<&str>, line: u32, column: u32, path: &str) -> Option<(String, String)> {
        let object = kind.map(|kind| ObjectId::new("", kind, Some("shop"), "x"));
        let place = Place { position: Position { file: "x".into(), line, column }, object, path: path.to_owned() };
        let excerpt = SourceText::new(text.to_owned()).excerpt(&place)?;
        Some((excerpt.text.clone(), excerpt.text[excerpt.span].to_owned()))
    }

    #[test]
    fn the_line_and_what_is_meant() {
        let some = |text: &str, span: &str| Some((text.to_owned(), span.to_owned()));
        let text = "spec:\n  host: über # why\n";
        assert_eq!(shown(text, Some("Service"), 2, 3, "spec.host"), some("  host: über # why", "host: über"));
        assert_eq!(shown(text, Some("Service"), 9, 1, ""), None);
        assert_eq!(shown("a: [1\n", None, 1, 4, ""), some("a: [1", "[1"));
        let long = format!("{}x: {}", " ".repeat(200), "é".repeat(300));
        let (text, span) = shown(&long, Some("Service"), 1, 201, "x").unwrap();
        assert_eq!((text.chars().count(), span), (160, text.clone()));
    }

    #[test]
    fn values_that_are_nobodys_business() {
        let some = |text: &str, span: &str| Some((text.to_owned(), span.to_owned()));
        let secret = "kind: Secret\ndata:\n  key: hunter2\n  - hunter2\n  t: |\n    hunter2: x\n";
        assert_eq!(shown(secret, Some("Secret"), 3, 3, "data.key"), some("  key: …", "key"));
        assert_eq!(shown(secret, Some("Secret"), 4, 3, "data[0]"), None);
        assert_eq!(shown(secret, Some("Secret"), 3, 8, "data.key"), None);
        // What cannot be read: nobody knows what stands there.
        assert_eq!(shown(secret, None, 3, 3, ""), None);
        assert_eq!(shown("{\"kind\": \"Secret\", \"data\": {\"a\": \"hunter2\"", None, 1, 1, ""), None);
        // In brackets on the same line as another object.
        let list = "items: [{kind: Service, spec: {}}, {kind: Secret, data: {a: hunter2}}]";
        assert_eq!(shown(list, Some("Service"), 1, 10, ""), None);
        assert_eq!(shown("  token: hunter2", Some("Service"), 1, 3, "spec.token"), some("  token: …", "token"));
        assert_eq!(shown("  url: https://me:pw@x", Some("Service"), 1, 3, "spec.url"), some("  url: …", "url"));
        assert!(shown("kind: SecretStore", Some("SecretStore"), 1, 1, "").is_some());
    }
}
