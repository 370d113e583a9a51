//! Places inside a gateway as people write them: `spec.ports[https].nodePort`, `metadata.annotations[a.b/c]`.

use super::fields::{self, Type};
use crate::yaml;
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// One step into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// A field of a map; in a list the item whose `name` it is.
    Field(String),
    /// An item of a list, by its place.
    Item(usize),
}

/// A place inside a gateway, from the root of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPath(Vec<Step>);

/// `PATH=VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The place.
    pub path: GatewayPath,
    /// What it gets.
    pub value: Value,
}

impl FromStr for GatewayPath {
    type Err = String;

    /// Fields are divided by dots; `[…]` holds the place of a list's item, its name, or a field with dots in it. What does
    /// not begin with `spec` or `metadata` is below `spec`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "`{text}` is not a path: {why}; examples: replicaCount, ports[https].nodePort, metadata.annotations[a.b/c]"
            )
        };
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let end = inner.find(']').ok_or_else(|| wrong("a bracket is not closed"))?;
                let (key, after) = (&inner[..end], &inner[end + 1..]);
                let bare = key.trim_matches(['"', '\'']);
                if bare.is_empty() {
                    return Err(wrong("the brackets are empty"));
                }
                steps.push(match key.parse() {
                    Ok(place) => Step::Item(place),
                    Err(_) => Step::Field(bare.to_owned()),
                });
                rest = after.strip_prefix('.').unwrap_or(after);
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                if end == 0 {
                    return Err(wrong("a field has no name"));
                }
                steps.push(Step::Field(rest[..end].to_owned()));
                let after = &rest[end..];
                rest = after.strip_prefix('.').unwrap_or(after);
            }
        }
        if text.ends_with('.') || steps.is_empty() {
            return Err(wrong("a field has no name"));
        }
        let mut path = Self(steps);
        match path.field(0) {
            Some("spec") => {}
            Some("metadata") => {
                if !matches!(path.field(1), Some("annotations" | "labels")) {
                    return Err(wrong("of the metadata only annotations and labels can be changed"));
                }
            }
            Some("status" | "apiVersion" | "kind") => return Err(wrong("it is not for people to set")),
            _ => path.0.insert(0, Step::Field("spec".to_owned())),
        }
        if path.0.len() < 2 {
            return Err(wrong("it names the whole spec"));
        }
        Ok(path)
    }
}

impl FromStr for Assignment {
    type Err = String;

    /// `PATH=VALUE`; the value is YAML, and text where the field is text.
    fn from_str(text: &str) -> Result<Self, String> {
        // A `=` inside brackets belongs to the path.
        let mut depth = 0_i32;
        let at = text.find(|c: char| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            c == '=' && depth == 0
        });
        let at = at.ok_or_else(|| format!("`{text}` is not PATH=VALUE, for example replicaCount=2"))?;
        let path: GatewayPath = text[..at].parse()?;
        let value = path.read(&text[at + 1..])?;
        Ok(Self { path, value })
    }
}

impl fmt::Display for GatewayPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(item) => write!(f, "[{item}]")?,
                Step::Field(name) if name.contains(['.', '/']) => write!(f, "[{name}]")?,
                Step::Field(name) if place == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

impl GatewayPath {
    /// A path of plain fields.
    pub(super) fn of<'a>(fields: impl IntoIterator<Item = &'a str>) -> Self {
        Self(fields.into_iter().map(|field| Step::Field(field.to_owned())).collect())
    }

    /// The same place of `spec` in `spec.overrides.<cluster>`; `None` outside of `spec`.
    pub(super) fn in_override(&self, cluster_id: &str) -> Option<Self> {
        (self.field(0) == Some("spec") && self.field(1) != Some("overrides")).then(|| {
            let mut steps = self.0.clone();
            steps.splice(1..1, ["overrides", cluster_id].map(|field| Step::Field(field.to_owned())));
            Self(steps)
        })
    }

    /// The name of a step.
    pub(super) fn field(&self, place: usize) -> Option<&str> {
        match self.0.get(place)? {
            Step::Field(name) => Some(name),
            Step::Item(_) => None,
        }
    }

    /// Is it a field of `spec` itself, not something inside one?
    pub(super) fn is_top(&self) -> bool {
        self.0.len() == 2
    }

    /// A value for this place, as it stands on a command line.
    fn read(&self, text: &str) -> Result<Value, String> {
        let name = |step: &'_ Step| match step {
            Step::Field(name) => name.clone(),
            Step::Item(_) => String::new(),
        };
        let names: Vec<String> = self.0.iter().map(name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if fields::type_at(&names) == Some(Type::Text) {
            return Ok(text.into());
        }
        let read = yaml::read(text.as_bytes(), &yaml::Limits::default());
        match read.as_deref() {
            Ok([document]) if !document.value.is_null() => Ok(Value::clone(&document.value)),
            Ok(_) => Err(format!("{self} would get no value; take the field away with --unset {self}")),
            Err(_) => Ok(text.into()),
        }
    }

    /// Gives the place a value; maps that lead to it are made.
    pub(super) fn set(&self, object: &mut Value, value: Value) -> Result<(), String> {
        let mut at = object;
        for (depth, step) in self.0.iter().enumerate() {
            let here = || Self(self.0[..depth].to_vec());
            if at.is_null() {
                *at = if matches!(step, Step::Item(_)) { Value::Array(Vec::new()) } else { Map::new().into() };
            }
            let found = kind(at);
            at = match (step, at) {
                (Step::Field(name), Value::Object(map)) => map.entry(name.clone()).or_insert(Value::Null),
                (Step::Field(name), Value::Array(list)) => {
                    let place = named(list, name).ok_or_else(|| format!("{} has no item named {name}", here()))?;
                    &mut list[place]
                }
                (Step::Item(place), Value::Array(list)) => {
                    if *place > list.len() {
                        return Err(format!("{} has {} items, [{place}] is not the next one", here(), list.len()));
                    }
                    if *place == list.len() {
                        list.push(Value::Null);
                    }
                    &mut list[*place]
                }
                _ => return Err(format!("{} is {found}, nothing can stand in it", here())),
            };
        }
        *at = value;
        Ok(())
    }

    /// Takes the place away, and the maps that it leaves empty.
    pub(super) fn unset(&self, object: &mut Value) -> Result<(), String> {
        if remove(object, &self.0) { Ok(()) } else { Err(format!("{self} is not set")) }
    }
}

fn remove(value: &mut Value, steps: &[Step]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return false };
    match (step, value) {
        (Step::Field(name), Value::Object(map)) => {
            let Some(inner) = map.get_mut(name) else { return false };
            let done = rest.is_empty() || remove(inner, rest);
            if done && (rest.is_empty() || is_empty(inner)) {
                map.remove(name);
            }
            done
        }
        (step, Value::Array(list)) => {
            let place = match step {
                Step::Field(name) => named(list, name),
                Step::Item(place) => Some(*place),
            };
            let Some(place) = place.filter(|place| *place < list.len()) else { return false };
            let done = rest.is_empty() || remove(&mut list[place], rest);
            if done && (rest.is_empty() || is_empty(&list[place])) {
                list.remove(place);
            }
            done
        }
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn named(list: &[Value], name: &str) -> Option<usize> {
    list.iter().position(|item| item.get("name").and_then(Value::as_str) == Some(name))
}

/// What a value is, in YAML's words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_read_and_told() {
        for (text, told) in [
            ("replicaCount", "spec.replicaCount"),
            ("spec.ports[https].nodePort", "spec.ports.https.nodePort"),
            ("ports[0].port", "spec.ports[0].port"),
            ("metadata.annotations[a.b/c]", "metadata.annotations[a.b/c]"),
            ("spec.podLabels[\"a.b/c\"]", "spec.podLabels[a.b/c]"),
        ] {
            assert_eq!(text.parse::<GatewayPath>().map(|path| path.to_string()), Ok(told.to_owned()), "{text}");
        }
        for wrong in
            ["", ".", "spec", "a..b", "a.", "a[", "a[]", "status.x", "kind", "metadata.name", "metadata.labels."]
        {
            assert!(wrong.parse::<GatewayPath>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_are_what_the_field_takes() {
        let value = |text: &str| text.parse::<Assignment>().map(|assignment| assignment.value);
        assert_eq!(value("replicaCount=2"), Ok(json!(2)));
        assert_eq!(value("rollingMaxSurge=1"), Ok(json!("1")));
        assert_eq!(value("podLabels.on=yes"), Ok(json!("yes")));
        assert_eq!(value("overrides.c1.podLabels.a=1"), Ok(json!("1")));
        assert_eq!(value("metadata.annotations[a=b]=true"), Ok(json!("true")));
        assert_eq!(value("resources.limits.cpu=2"), Ok(json!("2")));
        assert_eq!(value("tolerations=[{operator: Exists}]"), Ok(json!([{"operator": "Exists"}])));
        assert_eq!(value("runAsRoot=false"), Ok(json!(false)));
        assert!(value("runAsRoot=").is_err() && value("runAsRoot").is_err());
    }

    #[test]
    fn setting_makes_what_leads_there_and_unsetting_clears_it() {
        let mut object = json!({"spec": {"ports": [{"name": "http", "port": 80}]}});
        let set = |object: &mut Value, text: &str| {
            let assignment: Assignment = text.parse().expect("an assignment");
            assignment.path.set(object, assignment.value)
        };
        assert_eq!(set(&mut object, "ports[http].nodePort=30080"), Ok(()));
        assert_eq!(set(&mut object, "env[0].name=A"), Ok(()));
        assert!(set(&mut object, "env[2].name=A").is_err_and(|error| error.contains("not the next one")));
        assert!(set(&mut object, "ports[http].port.x=A").is_err_and(|error| error.contains("a number")));
        assert_eq!(
            object,
            json!({"spec": {"ports": [{"name": "http", "port": 80, "nodePort": 30080}], "env": [{"name": "A"}]}})
        );
        let unset = |object: &mut Value, text: &str| text.parse::<GatewayPath>().expect("a path").unset(object);
        assert_eq!(unset(&mut object, "ports[http].nodePort"), Ok(()));
        assert_eq!(unset(&mut object, "env[0].name"), Ok(()));
        assert!(unset(&mut object, "podLabels.a").is_err());
        assert_eq!(object, json!({"spec": {"ports": [{"name": "http", "port": 80}]}}));
    }
}
