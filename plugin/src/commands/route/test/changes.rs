//! Requests that a change sends elsewhere, in lines: here, in `diff`, and in pull requests.

use asm_shared::fleet::FleetState;
use asm_shared::route_test::{Change, Changed, Seen, compare, of_both};
use asm_shared::text::printable;

/// What a change does to the requests of the route tests of both its sides.
#[derive(Debug)]
pub(crate) struct Traffic(Changed);

impl Traffic {
    /// `None` when neither side has a route test.
    pub(crate) fn between(before: &FleetState, after: &FleetState) -> Option<Self> {
        let cases = of_both(before, after);
        (!cases.is_empty()).then(|| Self(compare(before, after, &cases)))
    }

    /// What differs.
    pub(crate) fn changed(&self) -> &Changed {
        &self.0
    }

    /// `2 of 12 requests come out differently, 1 not as its test expects`.
    pub(crate) fn told(&self) -> String {
        summary(&self.0)
    }

    /// Does anybody have to look?
    pub(crate) fn is_quiet(&self) -> bool {
        self.0.changes.is_empty() && self.0.failing == 0
    }
}

pub(super) fn summary(changed: &Changed) -> String {
    let asked = if changed.asked == 1 { "1 request".to_owned() } else { format!("{} requests", changed.asked) };
    let mut text = match changed.requests {
        0 => format!("{asked}, none comes out differently"),
        1 => format!("1 of {asked} comes out differently"),
        more => format!("{more} of {asked} come out differently"),
    };
    if changed.failing > 0 {
        text.push_str(&format!(", {} not as expected", changed.failing));
    }
    text
}

/// One block per request and gateway, of the first so many.
pub(super) fn lines(changed: &Changed, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for change in changed.changes.iter().take(most) {
        lines.push(format!("  {}   at {}", printable(&change.case.told()), printable(&change.gateway)));
        lines.push(format!("    {}", printable(&difference(change))));
    }
    let more = changed.changes.len().saturating_sub(most);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines
}

/// `fallback:80 → login:9080`.
pub(crate) fn difference(change: &Change) -> String {
    let (before, after) = (told(change.before.as_ref()), told(change.after.as_ref()));
    if before == after {
        return format!("{after} ({})", what(change));
    }
    format!("{before} → {after}")
}

fn told(seen: Option<&Seen>) -> String {
    let Some(seen) = seen else { return "unknown to the gateway".to_owned() };
    let also: String = seen.alternatives.iter().map(|other| format!(" or {}", other.effect.told())).collect();
    format!("{}{also}", seen.effect.told())
}

/// What differs of two outcomes that are told alike.
fn what(change: &Change) -> String {
    let effect = |seen: &Option<Seen>| seen.as_ref().map(|seen| seen.effect.clone()).unwrap_or_default();
    let (before, after) = (effect(&change.before), effect(&change.after));
    let pair = |name: &str, before: &Option<String>, after: &Option<String>| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        (before != after).then(|| format!("{name} {} → {}", text(before), text(after)))
    };
    let mut parts: Vec<String> = [
        pair("path", &before.path, &after.path),
        pair("host", &before.host, &after.host),
        pair("timeout", &before.timeout, &after.timeout),
        pair("body", &before.body, &after.body),
    ]
    .into_iter()
    .flatten()
    .collect();
    if before.destinations != after.destinations {
        parts.push("other pods".to_owned());
    }
    if (&before.request_headers, &before.response_headers, &before.removed_headers)
        != (&after.request_headers, &after.response_headers, &after.removed_headers)
    {
        parts.push("other headers".to_owned());
    }
    if (&before.abort, &before.delay) != (&after.abort, &after.delay) {
        parts.push("other faults".to_owned());
    }
    if parts.is_empty() { "in detail".to_owned() } else { parts.join(", ") }
}

impl Traffic {
    /// Lines for people, of the first so many requests.
    pub(crate) fn lines(&self, most: usize) -> Vec<String> {
        lines(&self.0, most)
    }
}
