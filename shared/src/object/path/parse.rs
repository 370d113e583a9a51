//! Paths from their text: what people and machines give back of what was printed.

use super::{FieldPath, Segment};
use serde_json::Value;
use std::sync::Arc;

impl FieldPath {
    /// Reads a path as it is printed: `spec.ports[port=80,protocol=TCP]`, `metadata.labels["a/b"]`, `containers[app].image`.
    /// `None` when the text is no path.
    pub fn parse(text: &str) -> Option<Self> {
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (segment, tail) = match rest.strip_prefix('[') {
                Some(inner) => bracket(inner)?,
                None => {
                    let rest = if segments.is_empty() { rest } else { rest.strip_prefix('.')? };
                    let end = rest.find(['.', '[']).unwrap_or(rest.len());
                    let (name, tail) = rest.split_at(end);
                    (Segment::Field(Arc::from(Some(name).filter(|name| super::is_plain(name))?)), tail)
                }
            };
            segments.push(segment);
            rest = tail;
        }
        Some(Self(segments))
    }
}

/// What stands in brackets, and what stands behind them.
fn bracket(inner: &str) -> Option<(Segment, &str)> {
    if inner.starts_with('"') {
        let (name, tail) = value(inner)?;
        return Some((Segment::Field(name.as_str()?.into()), tail.strip_prefix(']')?));
    }
    let end = inner.find([']', '=']).unwrap_or(inner.len());
    let (word, tail) = inner.split_at(end);
    if let Some(tail) = tail.strip_prefix(']') {
        let segment = match word.parse() {
            Ok(index) => Segment::Index(index),
            Err(_) => Segment::Key(vec![("name".into(), Some(word).filter(|word| super::is_word(word))?.into())]),
        };
        return Some((segment, tail));
    }
    let (mut keys, mut rest) = (Vec::new(), inner);
    loop {
        let (key, tail) = rest.split_once('=')?;
        let (value, tail) = value(tail)?;
        keys.push((Arc::from(key), value));
        match tail.strip_prefix(',') {
            Some(tail) => rest = tail,
            None => return Some((Segment::Key(keys), tail.strip_prefix(']')?)),
        }
    }
}

/// One value: JSON, or a bare word.
fn value(text: &str) -> Option<(Value, &str)> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    if text.starts_with(['"', '{', '[']) {
        let value = stream.next()?.ok()?;
        return Some((value, &text[stream.byte_offset()..]));
    }
    let (word, tail) = text.split_at(text.find([',', ']']).unwrap_or(text.len()));
    Some((serde_json::from_str(word).unwrap_or_else(|_| word.into()), tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn segment() -> impl Strategy<Value = Segment> {
        let value = prop_oneof![
            any::<String>().prop_map(Value::from),
            "[a-z0-9=,.\\]\\[\"/:-]{0,6}".prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            Just(json!(null)),
            Just(json!(true)),
            Just(json!({"a": ["]"]})),
        ];
        let key = prop::sample::select(vec!["name", "port", "protocol"]).prop_map(Arc::from);
        prop_oneof![
            any::<String>().prop_map(|name| Segment::Field(name.into())),
            "[a-z0-9.\\[\\]\"/-]{0,6}".prop_map(|name| Segment::Field(name.into())),
            (0..100_usize).prop_map(Segment::Index),
            prop::collection::vec((key, value), 1..3).prop_map(Segment::Key),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(segments in prop::collection::vec(segment(), 0..5)) {
            let path = FieldPath(segments);
            prop_assert_eq!(FieldPath::parse(&path.to_string()), Some(path));
        }

        #[test]
        fn no_text_is_too_odd(text in any::<String>()) {
            let _ = FieldPath::parse(&text);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["a..b", ".a", "a.", "a[", "a[]", "a[\"b]", "a[0]b", "a b", "a[x=]y"] {
            assert_eq!(FieldPath::parse(text), None, "{text}");
        }
    }
}
