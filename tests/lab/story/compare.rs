//! Does a live object hold every field that is expected? Written apart from the product's own comparison, so that the
//! two can disagree.

use super::Expected;
use anyhow::Result;
use serde_json::Value;
use std::fmt;

/// A field that is not as expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Context and object.
    pub object: String,
    /// Path of the field.
    pub path: String,
    /// What is expected.
    pub expected: Value,
    /// What is there; null when nothing is.
    pub found: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: expected {}, found {}", self.object, self.path, self.expected, self.found)
    }
}

pub(super) fn differences(expected: &Expected, live: Option<&Value>) -> Result<Vec<Difference>> {
    let wanted = expected.object()?;
    let object = format!("{}/{} {}", expected.context, wanted["kind"].as_str().unwrap_or_default(), expected.name());
    let mut found = Vec::new();
    match live {
        None => found.push((String::new(), wanted.clone(), Value::Null)),
        Some(live) => compare(&wanted, live, &mut String::new(), &mut found),
    }
    let difference = |(path, expected, found)| Difference { object: object.clone(), path, expected, found };
    Ok(found.into_iter().map(difference).collect())
}

/// Does `live` hold everything that `wanted` says?
pub fn holds(wanted: &Value, live: &Value) -> bool {
    let mut found = Vec::new();
    compare(wanted, live, &mut String::new(), &mut found);
    found.is_empty()
}

fn compare(wanted: &Value, live: &Value, path: &mut String, found: &mut Vec<(String, Value, Value)>) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            for (key, value) in wanted {
                // One object is served under several versions of its group.
                if path.is_empty() && key == "apiVersion" {
                    continue;
                }
                let length = path.len();
                path.push('/');
                path.push_str(key);
                compare(value, live.get(key).unwrap_or(&Value::Null), path, found);
                path.truncate(length);
            }
        }
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            for (index, (wanted, live)) in wanted.iter().zip(live).enumerate() {
                let length = path.len();
                path.push_str(&format!("/{index}"));
                compare(wanted, live, path, found);
                path.truncate(length);
            }
        }
        (wanted, live) if wanted == live => {}
        (wanted, live) => found.push((path.clone(), wanted.clone(), live.clone())),
    }
}
