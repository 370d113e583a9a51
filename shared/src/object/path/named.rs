//! Paths as people say them: an element of a list by its name where it has one.

use super::{FieldPath, Segment, is_plain};
use serde_json::Value;
use std::fmt::Write as _;

impl FieldPath {
    /// The path in the words of an object that holds it: `spec.http["exact pages"].route[reviews v2].weight` instead of
    /// `spec.http[0].route[1].weight`. Elements that share their name keep their number.
    pub fn named(&self, object: &Value) -> String {
        let mut text = String::new();
        let mut value = Some(object);
        for segment in self.segments() {
            let name = match (segment, value) {
                (Segment::Index(_) | Segment::Key(_), Some(Value::Array(list))) => {
                    segment.find_in(list).and_then(|(index, _)| unique_name(list, index))
                }
                _ => None,
            };
            match (segment, name) {
                (_, Some(name)) => text.push_str(&name),
                (Segment::Field(field), None) if is_plain(field) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(field);
                }
                // Writing to a string does not fail.
                (other, None) => drop(write!(text, "{}", Self(vec![other.clone()]))),
            }
            value = value.and_then(|value| Self(vec![segment.clone()]).resolve(value));
        }
        text
    }
}

/// `["exact pages"]`, `[reviews v2]`: what an element is called, when no other of its list is called the same.
fn unique_name(list: &[Value], index: usize) -> Option<String> {
    let name = name_of(list.get(index)?)?;
    (list.iter().filter(|other| name_of(other).as_ref() == Some(&name)).count() == 1).then_some(name)
}

fn name_of(element: &Value) -> Option<String> {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    if let Some(name) = text(element, "name") {
        // As a keyed element is written: `containers[app]`, `ports[http]`.
        let plain = super::is_word(&name);
        return Some(if plain { format!("[{name}]") } else { format!("[{}]", Value::from(name)) });
    }
    let destination = element.get("destination")?;
    let host = text(destination, "host")?;
    Some(match text(destination, "subset") {
        Some(subset) => format!("[{host} {subset}]"),
        None => format!("[{host}]"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn elements_are_called_by_their_names() {
        let object = json!({"spec": {
            "hosts": ["a"],
            "ports": [{"name": "http", "port": 80}, {"port": 443}],
            "http": [
                {"name": "exact pages", "route": [
                    {"destination": {"host": "reviews", "subset": "v1"}}, {"destination": {"host": "reviews", "subset": "v2"}}
                ]},
                {"route": [{"destination": {"host": "a"}}, {"destination": {"host": "a"}}]}
            ]
        }});
        let named = |path: &str| FieldPath::parse(path).unwrap().named(&object);
        assert_eq!(named("spec.http[0].route[1].weight"), "spec.http[\"exact pages\"].route[reviews v2].weight");
        assert_eq!(named("spec.http[1].route[1].weight"), "spec.http[1].route[1].weight");
        assert_eq!(named("spec.http[7].timeout"), "spec.http[7].timeout");
        assert_eq!(named("spec.hosts[0]"), "spec.hosts[0]");
        assert_eq!(named("spec.ports[port=80,protocol=TCP].targetPort"), "spec.ports[http].targetPort");
        assert_eq!(named("spec.ports[port=443,protocol=TCP]"), "spec.ports[port=443,protocol=TCP]");
        assert_eq!(named("metadata.labels[\"a/b\"]"), "metadata.labels[\"a/b\"]");
    }
}
