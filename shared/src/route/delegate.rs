//! VirtualServices that leave requests to others: the rules of the other one take the place of the rule that names it, each
//! with the conditions of both (`MergeHTTPRoutes`). A rule whose conditions contradict is dropped.

use super::model::{Export, Model, VirtualService, items, namespace, text, texts};
use super::outcome::Place;
use crate::fleet::Manifest;
use crate::istio::contradiction;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A rule as istiod sees it after joining, and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Source<'s> {
    pub(super) rule: Cow<'s, Value>,
    /// In the VirtualService itself.
    pub(super) root: Place<'s>,
    /// In the one that it leaves requests to.
    pub(super) delegate: Option<Place<'s>>,
    /// Where each match entry is written.
    pub(super) matches: Vec<Place<'s>>,
}

/// All HTTP rules of a VirtualService.
pub(super) fn rules<'s>(model: &Model<'s, '_>, route: &VirtualService<'s>) -> Vec<Source<'s>> {
    let manifest = route.manifest;
    let mut all = Vec::new();
    for (index, rule) in items(&manifest.object, "/spec/http").iter().enumerate() {
        let root = Place { manifest, pointer: format!("/spec/http/{index}") };
        if rule.get("delegate").is_none_or(Value::is_null) {
            all.push(Source { rule: Cow::Borrowed(rule), matches: entries(&root, rule), root, delegate: None });
        } else if let Ok(child) = find(model, manifest, rule) {
            for (at, own) in items(&child.object, "/spec/http").iter().enumerate() {
                let place = Place { manifest: child, pointer: format!("/spec/http/{at}") };
                all.extend(join(rule, own, &root, place));
            }
        }
    }
    all
}

fn entries<'s>(rule: &Place<'s>, value: &Value) -> Vec<Place<'s>> {
    let all = items(value, "/match").iter().enumerate();
    all.map(|(index, _)| Place { manifest: rule.manifest, pointer: format!("{}/match/{index}", rule.pointer) })
        .collect()
}

/// The VirtualService that a rule leaves requests to, or why there is none.
pub(super) fn find<'s>(model: &Model<'s, '_>, root: &'s Manifest, rule: &Value) -> Result<&'s Manifest, String> {
    let own = namespace(root);
    let space = match text(rule, "/delegate/namespace") {
        "" => own,
        named => named,
    };
    let name = text(rule, "/delegate/name");
    let Some(child) = model.delegates.get(&(space, name)) else {
        let with_hosts = model.routes.iter().any(|it| it.namespace == space && &*it.manifest.id.name == name);
        return Err(if with_hosts {
            format!("VirtualService {space}/{name} has hosts of its own, so nothing can be left to it")
        } else {
            format!("there is no VirtualService {space}/{name} without hosts")
        });
    };
    let seen = Export::of(texts(&child.object, "/spec/exportTo"), namespace(child)).has(own);
    if seen { Ok(child) } else { Err(format!("VirtualService {space}/{name} is not exported to namespace {own}")) }
}

/// Fields of the rule above that the rule below lacks.
const INHERITED: [&str; 12] = [
    "rewrite",
    "directResponse",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrorPercent",
    "mirrorPercentage",
    "corsPolicy",
    "mirrors",
    "headers",
    "name",
];

fn join<'s>(above: &Value, below: &Value, root: &Place<'s>, place: Place<'s>) -> Option<Source<'s>> {
    // istiod refuses a chain of these.
    if below.get("delegate").is_some_and(|it| !it.is_null()) {
        return None;
    }
    let (conditions, matches) = join_matches(above, below, root, &place)?;
    let mut rule = below.as_object()?.clone();
    for field in INHERITED {
        if let Some(value) = above.get(field).filter(|_| rule.get(field).is_none_or(Value::is_null)) {
            rule.insert(field.to_owned(), value.clone());
        }
    }
    if let Some(name) = joined_name(above, below) {
        rule.insert("name".to_owned(), name.into());
    }
    rule.insert("match".to_owned(), conditions.into());
    Some(Source { rule: Cow::Owned(Value::Object(rule)), root: root.clone(), delegate: Some(place), matches })
}

/// `above-below`, when both have a name.
fn joined_name(above: &Value, below: &Value) -> Option<String> {
    let (above, below) = (text(above, "/name"), text(below, "/name"));
    (!above.is_empty() && !below.is_empty()).then(|| format!("{above}-{below}"))
}

fn join_matches<'s>(
    above: &Value,
    below: &Value,
    root: &Place<'s>,
    place: &Place<'s>,
) -> Option<(Vec<Value>, Vec<Place<'s>>)> {
    let (upper, lower) = (items(above, "/match"), items(below, "/match"));
    let (upper_at, lower_at) = (entries(root, above), entries(place, below));
    if upper.is_empty() {
        return Some((lower.to_vec(), lower_at));
    }
    if lower.is_empty() {
        return Some((upper.to_vec(), upper_at));
    }
    let (mut found, mut places) = (Vec::new(), Vec::new());
    for (entry, at) in lower.iter().zip(lower_at) {
        let before = found.len();
        for wide in upper {
            if contradiction(wide, entry).is_none() {
                found.push(join_entry(wide, entry));
                places.push(at.clone());
            }
        }
        // Each entry must fit into one of the rule above; otherwise the whole rule is out.
        if found.len() == before {
            return None;
        }
    }
    Some((found, places))
}

fn join_entry(above: &Value, below: &Value) -> Value {
    let mut entry = below.as_object().cloned().unwrap_or_default();
    for field in ["uri", "scheme", "method", "authority", "port", "sourceNamespace", "gateways", "statPrefix", "name"] {
        let absent =
            entry.get(field).is_none_or(|it| it.is_null() || it == 0 || it == "" || *it == Value::Array(vec![]));
        if let Some(value) = above.get(field).filter(|_| absent) {
            entry.insert(field.to_owned(), value.clone());
        }
    }
    if let Some(name) = joined_name(above, below) {
        entry.insert("name".to_owned(), name.into());
    }
    for field in ["headers", "withoutHeaders", "queryParams", "sourceLabels"] {
        let mut all: Map<String, Value> = above.get(field).and_then(Value::as_object).cloned().unwrap_or_default();
        all.extend(below.get(field).and_then(Value::as_object).cloned().unwrap_or_default());
        if !all.is_empty() {
            entry.insert(field.to_owned(), all.into());
        }
    }
    Value::Object(entry)
}
