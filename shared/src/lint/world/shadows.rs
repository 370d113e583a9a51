//! Which match entries of a VirtualService are never reached, and what takes their requests.

use super::{World, has, items, namespace, referred_namespace, scope, text};
use crate::fleet::Manifest;
use crate::istio::{HttpAction, HttpMatch, HttpRule, StringMatch, covers};
use crate::object::At as _;
use serde_json::Value;

/// A rule of which something is never reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lint) struct Shadow {
    /// `http`, `tls` or `tcp`.
    pub(in crate::lint) kind: &'static str,
    /// The rule.
    pub(in crate::lint) rule: usize,
    /// Nothing of it is reached.
    pub(in crate::lint) whole: bool,
    /// What is not reached.
    pub(in crate::lint) hits: Vec<Hit>,
}

/// One match entry that is never reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lint) struct Hit {
    /// The entry; `None` for a rule without `match`.
    pub(in crate::lint) entry: Option<usize>,
    /// The rule that takes the requests.
    pub(in crate::lint) by: usize,
    /// Its entry; `None` when it has no `match`.
    pub(in crate::lint) by_entry: Option<usize>,
    /// Both ask for the same.
    pub(in crate::lint) identical: bool,
    /// `istioctl analyze` sees it: the same conditions, or one path prefix in another.
    pub(in crate::lint) known: bool,
}

struct Entry {
    rule: usize,
    entry: Option<usize>,
    asks: Value,
    http: Option<HttpMatch>,
    delegates: bool,
}

/// All of them.
pub(in crate::lint) fn shadows(world: &World<'_>, route: &Manifest) -> Vec<Shadow> {
    ["http", "tls", "tcp"].into_iter().flat_map(|kind| of_kind(world, route, kind)).collect()
}

/// Takes the VirtualService that a rule leaves requests to all of them? It does with a rule without conditions.
fn takes_all(world: &World<'_>, route: &Manifest, delegate: &Value) -> bool {
    let own = namespace(route);
    let space = referred_namespace(delegate, own);
    let mut all = world.routes().iter().filter(|it| it.route.hosts.is_empty() && namespace(it.manifest) == space);
    let found = all.find(|it| *it.manifest.id.name == *text(delegate, "/name"));
    found.is_some_and(|it| {
        let mut rules = items(&it.manifest.object, "/spec/http");
        let acts = |rule: &Value| ["route", "redirect", "directResponse"].iter().any(|action| has(rule, action));
        scope(it.manifest).has(own) && rules.any(|(_, rule)| items(rule, "/match").count() == 0 && acts(rule))
    })
}

fn of_kind(world: &World<'_>, route: &Manifest, kind: &'static str) -> Vec<Shadow> {
    let object = &route.object;
    let rules = object.at(&format!("/spec/{kind}")).and_then(Value::as_array);
    let mut earlier: Vec<Entry> = Vec::new();
    let mut found = Vec::new();
    for (number, rule) in rules.into_iter().flatten().enumerate() {
        let own = entries(rule, number, kind == "http", &|delegate| takes_all(world, route, delegate));
        let all = own.len();
        let mut hits = Vec::new();
        for entry in own {
            hits.extend(earlier.iter().find_map(|before| hit(before, &entry)));
            earlier.push(entry);
        }
        // What another entry of the same rule takes is not lost.
        let whole = hits.len() == all && hits.iter().all(|hit| hit.by < number);
        if !hits.is_empty() {
            found.push(Shadow { kind, rule: number, whole, hits });
        }
    }
    found
}

fn entries(rule: &Value, number: usize, http: bool, takes_all: &dyn Fn(&Value) -> bool) -> Vec<Entry> {
    // What a delegate leaves goes on to later rules.
    let delegates =
        http && matches!(HttpRule::read(rule).action, HttpAction::Delegate(delegate) if !takes_all(&delegate));
    let matches = rule.get("match").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if matches.is_empty() {
        let http = http.then(HttpMatch::default);
        return vec![Entry { rule: number, entry: None, asks: Value::Null, http, delegates }];
    }
    let entry = |(index, asks): (usize, &Value)| {
        let mut asks = asks.clone();
        if let Some(fields) = asks.as_object_mut() {
            fields.remove("name");
            fields.remove("statPrefix");
        }
        let http = http.then(|| super::simple(&HttpMatch::read(&asks)));
        Entry { rule: number, entry: Some(index), asks, http, delegates }
    };
    matches.iter().enumerate().map(entry).collect()
}

fn hit(before: &Entry, entry: &Entry) -> Option<Hit> {
    if before.delegates && before.rule != entry.rule {
        return None;
    }
    let identical = before.asks == entry.asks;
    let covered = match (&before.http, &entry.http) {
        (Some(wide), Some(narrow)) => covers(wide, narrow),
        _ => before.entry.is_none(),
    };
    (identical || covered).then(|| {
        let known = before.entry.is_none()
            || identical
            || is_prefix(before) && is_prefix(entry) && is_known(before.http.as_ref(), entry.http.as_ref());
        Hit { entry: entry.entry, by: before.rule, by_entry: before.entry, identical, known }
    })
}

fn is_prefix(entry: &Entry) -> bool {
    entry.asks.at("/uri/prefix").is_some()
}

/// What `istioctl analyze` compares: path prefixes, with the same number of conditions; no method means GET to it.
fn is_known(wide: Option<&HttpMatch>, narrow: Option<&HttpMatch>) -> bool {
    let (Some(wide), Some(narrow)) = (wide, narrow) else { return false };
    let method = |it: &HttpMatch| it.parts.get("method").cloned().unwrap_or(StringMatch::Exact("GET".to_owned()));
    method(wide) == method(narrow)
        && wide.headers.len() == narrow.headers.len()
        && wide.query.len() == narrow.query.len()
        && wide.without_headers.len() == narrow.without_headers.len()
}
