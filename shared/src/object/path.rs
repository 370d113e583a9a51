//! A place inside an object: `spec.http[0].route[1].weight`, `spec.template.spec.containers[details].image`.

mod named;
mod parse;

use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// One step into an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// A field of a map.
    Field(Arc<str>),
    /// An element of a list, by its place.
    Index(usize),
    /// An element of a keyed list, by the fields that identify it (`port` and `protocol`, `name`).
    Key(Vec<(Arc<str>, Value)>),
}

impl Segment {
    /// The element of a list that this segment names, with its place in the list.
    pub fn find_in<'a>(&self, list: &'a [Value]) -> Option<(usize, &'a Value)> {
        match self {
            Self::Field(_) => None,
            Self::Index(index) => list.get(*index).map(|element| (*index, element)),
            Self::Key(keys) => list.iter().enumerate().find(|(_, element)| {
                keys.iter().all(|(key, wanted)| match element.get(&**key) {
                    Some(found) => found == wanted,
                    // The only key that API servers fill in.
                    None => &**key == "protocol" && wanted.as_str() == Some("TCP"),
                })
            }),
        }
    }

    /// A key segment without its brackets: the name when there is one, else `port=80,protocol=TCP`.
    pub fn label(&self) -> String {
        match self {
            Self::Field(name) => name.to_string(),
            Self::Index(index) => index.to_string(),
            Self::Key(keys) => {
                if let Some((_, Value::String(name))) = keys.iter().find(|(key, _)| &**key == "name") {
                    return name.clone();
                }
                let parts: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
                parts.join(",")
            }
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A place inside an object, from its root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldPath(pub Vec<Segment>);

impl FieldPath {
    /// A path of these segments.
    pub fn new(segments: Vec<Segment>) -> Self {
        Self(segments)
    }

    /// The object itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The steps, from the root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// A path of plain fields.
    pub fn of_fields<'a>(fields: impl IntoIterator<Item = &'a str>) -> Self {
        Self(fields.into_iter().map(|field| Segment::Field(field.into())).collect())
    }

    /// This path and one more segment.
    #[must_use]
    pub fn child(&self, segment: Segment) -> Self {
        let mut segments = Vec::with_capacity(self.0.len() + 1);
        segments.extend_from_slice(&self.0);
        segments.push(segment);
        Self(segments)
    }

    /// This path and one more field.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.child(Segment::Field(name.into()))
    }

    /// This path and one more list index.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.child(Segment::Index(index))
    }

    /// The path without its last segment; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// Is it `ancestor` or something inside it?
    pub fn starts_with(&self, ancestor: &Self) -> bool {
        self.0.starts_with(&ancestor.0)
    }

    /// The name of the last field on the path (`weight` in `route[1].weight`, `hosts` in `hosts[2]`).
    pub fn last_field(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|segment| match segment {
            Segment::Field(name) => Some(&**name),
            _ => None,
        })
    }

    /// The first segments, as long as they are plain fields: (`metadata`, `labels`, …).
    pub fn is_under(&self, fields: &[&str]) -> bool {
        self.0.len() >= fields.len()
            && self
                .0
                .iter()
                .zip(fields)
                .all(|(segment, field)| matches!(segment, Segment::Field(name) if **name == **field))
    }

    /// The value at this path of an object.
    pub fn resolve<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, |value, segment| match (segment, value) {
            (Segment::Field(name), Value::Object(map)) => map.get(&**name),
            (_, Value::Array(list)) => segment.find_in(list).map(|(_, element)| element),
            _ => None,
        })
    }

    /// The JSON pointer of this path in a given object; `None` when the object has nothing there.
    pub fn to_pointer(&self, object: &Value) -> Option<String> {
        let (pointer, complete) = self.pointer_as_far_as_possible(object);
        complete.then_some(pointer)
    }

    /// The JSON pointer of the deepest part of this path that the object has: good enough to find the line in a file.
    pub fn to_nearest_pointer(&self, object: &Value) -> String {
        self.pointer_as_far_as_possible(object).0
    }

    fn pointer_as_far_as_possible(&self, object: &Value) -> (String, bool) {
        let mut pointer = String::new();
        let mut value = object;
        for segment in &self.0 {
            let next = match (segment, value) {
                (Segment::Field(name), Value::Object(map)) => {
                    map.get(&**name).map(|inner| (name.replace('~', "~0").replace('/', "~1"), inner))
                }
                (_, Value::Array(list)) => segment.find_in(list).map(|(index, inner)| (index.to_string(), inner)),
                _ => None,
            };
            let Some((step, inner)) = next else { return (pointer, false) };
            pointer.push('/');
            pointer.push_str(&step);
            value = inner;
        }
        (pointer, true)
    }
}

impl FromIterator<Segment> for FieldPath {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if is_plain(name) => {
                    if place > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(name)?;
                }
                Segment::Field(name) => write!(f, "[{}]", Value::from(&**name))?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(keys) => write!(f, "[{}]", written(keys))?,
            }
        }
        Ok(())
    }
}

/// The keys of an element so that [`FieldPath::parse`] reads them back: the bare name where nothing else could be meant.
fn written(keys: &[(Arc<str>, Value)]) -> String {
    if let [(key, Value::String(name))] = keys
        && &**key == "name"
        && is_word(name)
    {
        return name.clone();
    }
    let parts = keys.iter().map(|(key, value)| match value {
        Value::String(text) if is_word(text) => format!("{key}={text}"),
        other => format!("{key}={other}"),
    });
    parts.collect::<Vec<_>>().join(",")
}

/// Text that is neither a number nor anything else but text, and ends where it seems to end.
fn is_word(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':'))
        && text.chars().any(|c| c.is_alphabetic() || c == '/')
        && serde_json::from_str::<Value>(text).is_err()
}

/// Names that need no quotes in a path.
fn is_plain(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(keys: &[(&str, Value)]) -> Segment {
        Segment::Key(keys.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    #[test]
    fn display_is_what_people_write() {
        let weight = FieldPath::of_fields(["spec", "http"]).index(0).field("route").index(1).field("weight");
        assert_eq!(weight.to_string(), "spec.http[0].route[1].weight");
        assert_eq!(FieldPath::of_fields(["metadata", "labels", "a/b"]).to_string(), "metadata.labels[\"a/b\"]");
        let image =
            FieldPath::of_fields(["spec", "containers"]).child(key(&[("name", json!("details"))])).field("image");
        assert_eq!(image.to_string(), "spec.containers[details].image");
        let port =
            FieldPath::of_fields(["spec", "ports"]).child(key(&[("port", json!(80)), ("protocol", json!("TCP"))]));
        assert_eq!(port.to_string(), "spec.ports[port=80,protocol=TCP]");
    }

    #[test]
    fn pointer_resolves_keys_in_the_given_object() {
        let object = json!({"spec": {"ports": [{"port": 443}, {"port": 80, "name": "x/y~z"}]}});
        let name = FieldPath::of_fields(["spec", "ports"])
            .child(key(&[("port", json!(80)), ("protocol", json!("TCP"))]))
            .field("name");
        assert_eq!(name.to_pointer(&object).as_deref(), Some("/spec/ports/1/name"));
        assert_eq!(name.field("deeper").to_pointer(&object), None);
        assert_eq!(name.field("deeper").to_nearest_pointer(&object), "/spec/ports/1/name");
        assert_eq!(FieldPath::of_fields(["a/b~c"]).to_pointer(&json!({"a/b~c": 1})).as_deref(), Some("/a~1b~0c"));
        assert_eq!(name.resolve(&object), Some(&json!("x/y~z")));
    }
}
