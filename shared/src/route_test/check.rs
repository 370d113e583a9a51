//! What differs from what must come of a request.

use super::seen::{Effect, Seen, To, duration};
use crate::fleet::RouteTestExpectation;
use crate::object::parse_duration;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mismatch {
    /// The field of `expect`.
    pub field: String,
    /// What it says.
    pub expected: String,
    /// What came.
    pub found: String,
}

/// What of an expectation is not met. What comes of the request by other Services, and what may come of it when other objects
/// are older, must meet it too.
pub fn mismatches(expect: &RouteTestExpectation, seen: &Seen) -> Vec<Mismatch> {
    let mut all = of_effect(expect, &seen.effect);
    if let Some(expected) = &expect.virtual_service {
        let found = seen.rule.as_ref().map(|rule| rule.virtual_service.as_str()).unwrap_or("none");
        if found != expected && found.split_once('/').is_none_or(|(_, name)| name != expected) {
            all.push(mismatch("virtualService", expected, found));
        }
    }
    if all.is_empty() {
        for other in &seen.elsewhere {
            let through: Vec<String> = other.through.iter().map(ToString::to_string).collect();
            for found in of_effect(expect, &other.effect) {
                all.push(Mismatch { found: format!("{}, through {}", found.found, through.join(", ")), ..found });
            }
        }
        for other in &seen.alternatives {
            for found in of_effect(expect, &other.effect) {
                all.push(Mismatch { found: format!("{}, if {} is the oldest", found.found, other.oldest), ..found });
            }
        }
    }
    all
}

fn mismatch(field: &str, expected: &str, found: &str) -> Mismatch {
    Mismatch { field: field.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}

fn of_effect(expect: &RouteTestExpectation, effect: &Effect) -> Vec<Mismatch> {
    let mut all = Vec::new();
    let mut text = |field: &str, expected: Option<String>, found: Option<String>| {
        if let Some(expected) = expected.filter(|expected| found.as_ref() != Some(expected)) {
            all.push(mismatch(field, &expected, &found.unwrap_or_else(|| effect.told())));
        }
    };
    text("outcome", expect.outcome.clone(), Some(effect.outcome.clone()));
    text("status", expect.status.map(|status| status.to_string()), effect.status.map(|status| status.to_string()));
    text("location", expect.location.clone(), effect.location.clone());
    text("path", expect.path.clone(), effect.path.clone());
    text("host", expect.host.clone(), effect.host.clone());
    text("body", expect.body.clone(), effect.body.clone());
    let abort = effect.abort.as_ref().and_then(|abort| abort.status);
    text("abort", expect.abort.map(|status| status.to_string()), abort.map(|status| status.to_string()));
    let delay = effect.delay.as_ref().and_then(|delay| delay.duration.clone());
    text("delay", expect.delay.as_deref().map(normal), delay);
    text("timeout", expect.timeout.as_deref().map(normal), effect.timeout.clone());
    for (field, expected, found) in [
        ("requestHeaders", &expect.request_headers, &effect.request_headers),
        ("responseHeaders", &expect.response_headers, &effect.response_headers),
    ] {
        for (name, value) in expected {
            let found = found.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
            if found != Some(value) {
                let found = found.map_or_else(|| format!("{name} is not set"), |found| format!("{name}: {found}"));
                all.push(mismatch(field, &format!("{name}: {value}"), &found));
            }
        }
    }
    all.extend(shares("destinations", &expect.destinations, &effect.destinations, effect));
    all.extend(shares("mirrors", &expect.mirrors, &effect.mirrors, effect));
    if !expect.clusters.is_empty() {
        let wanted: BTreeSet<&str> = expect.clusters.iter().map(String::as_str).collect();
        let found: BTreeSet<&str> = effect.destinations.iter().flat_map(To::clusters).collect();
        if wanted != found {
            let told = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
            let found = if found.is_empty() { "none".to_owned() } else { told(found) };
            all.push(mismatch("clusters", &told(wanted), &found));
        }
    }
    all
}

/// Shares must be right to the percent, and nothing may go elsewhere.
fn shares(field: &str, expected: &BTreeMap<String, u32>, found: &[To], effect: &Effect) -> Option<Mismatch> {
    if expected.is_empty() {
        return None;
    }
    let mut left: Vec<&To> = found.iter().collect();
    let mut is_right = true;
    // The most exact first: `reviews/v1` takes what `reviews` would take as well.
    let mut names: Vec<(&String, &u32)> = expected.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse((name.contains('/'), name.contains(':'))));
    for (name, percent) in names {
        let (ours, rest): (Vec<&To>, Vec<&To>) = left.into_iter().partition(|to| is_named(to, name));
        let sum: f64 = ours.iter().map(|to| to.percent).sum();
        is_right &= (sum - f64::from(*percent)).abs() < 1.0 && (!ours.is_empty() || *percent == 0);
        left = rest;
    }
    // A destination that does not exist, or has no pod, is none.
    let is_there = field == "mirrors" || effect.is_answered();
    let is_whole = is_right && left.is_empty() && is_there;
    (!is_whole).then(|| {
        let wanted: Vec<String> = expected.iter().map(|(name, percent)| format!("{name} {percent} %")).collect();
        let told: Vec<String> = found.iter().map(|to| format!("{} {} %", to.name(), to.percent)).collect();
        let told = if told.is_empty() || !is_there { effect.told() } else { told.join(", ") };
        mismatch(field, &wanted.join(", "), &told)
    })
}

/// Is a destination meant by `host[:port][/subset]`?
fn is_named(to: &To, name: &str) -> bool {
    let (name, subset) = name.split_once('/').map_or((name, None), |(name, subset)| (name, Some(subset)));
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()),
        _ => (name, None),
    };
    let rest = to.host.strip_prefix(host);
    let is_host = match rest {
        Some("" | ".svc.cluster.local" | ".svc") => true,
        // The name alone, in whichever namespace.
        Some(rest) => !host.contains('.') && rest.starts_with('.') && rest.ends_with(".svc.cluster.local"),
        None => false,
    };
    is_host
        && port.is_none_or(|port: u16| port == to.port)
        && subset.is_none_or(|subset| to.subset.as_deref() == Some(subset))
}

/// A duration as [`Seen`] writes it.
fn normal(text: &str) -> String {
    let nanos = parse_duration(text).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map_or_else(|| text.to_owned(), |nanos| duration(std::time::Duration::from_nanos(nanos)))
}
