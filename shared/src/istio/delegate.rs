//! Conditions of a rule that leaves requests to a delegate, and those of the delegate's rules: where istiod sees a contradiction
//! (`hasConflict` in `pilot/pkg/model/virtualservice.go`).

use serde_json::Value;

/// In which field a match entry of a delegate contradicts one of the rule above, so that istiod does not join the two.
pub(crate) fn contradiction(above: &Value, below: &Value) -> Option<&'static str> {
    let parts = ["uri", "scheme", "method", "authority"];
    if let Some(part) = parts.into_iter().find(|part| texts_conflict(above.get(part), below.get(part))) {
        return Some(part);
    }
    let map_conflict = |field: &&str| {
        let lower = below.get(field).and_then(Value::as_object).into_iter().flatten();
        lower.into_iter().any(|(key, how)| texts_conflict(above.get(field).and_then(|it| it.get(key)), Some(how)))
    };
    if let Some(map) = ["headers", "withoutHeaders", "queryParams"].into_iter().find(map_conflict) {
        return Some(map);
    }
    let flag = |it: &Value| it.get("ignoreUriCase").and_then(Value::as_bool).unwrap_or_default();
    let port = |it: &Value| it.get("port").and_then(Value::as_u64).unwrap_or_default();
    let space = text(above, "sourceNamespace");
    if flag(above) != flag(below) {
        return Some("ignoreUriCase");
    }
    if port(above) > 0 && port(below) > 0 && port(above) != port(below) {
        return Some("port");
    }
    // Also when the delegate says nothing of it.
    if !space.is_empty() && space != text(below, "sourceNamespace") {
        return Some("sourceNamespace");
    }
    let upper = above.get("sourceLabels");
    let mut labels = below.get("sourceLabels").and_then(Value::as_object).into_iter().flatten();
    if labels.any(|(key, value)| upper.and_then(|upper| upper.get(key)).is_some_and(|other| other != value)) {
        return Some("sourceLabels");
    }
    let (upper, lower) = (list(above, "gateways"), list(below, "gateways"));
    let apart = upper.len() < lower.len() || lower.iter().any(|name| !upper.contains(name));
    (!upper.is_empty() && !lower.is_empty() && apart).then_some("gateways")
}

/// Which match entry of a delegate's rule no entry of the rule above goes with, and in which field: istiod drops the whole rule for
/// one such entry. A rule without conditions goes with every other.
pub(crate) fn left_out(above: &Value, below: &Value) -> Option<(usize, &'static str)> {
    let upper = list(above, "match");
    let first = |entry: &Value| {
        let fields: Option<Vec<&'static str>> = upper.iter().map(|wide| contradiction(wide, entry)).collect();
        fields?.first().copied()
    };
    list(below, "match").iter().enumerate().find_map(|(index, entry)| Some((index, first(entry)?)))
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn texts_conflict(above: Option<&Value>, below: Option<&Value>) -> bool {
    let (Some(above), Some(below)) = (above.filter(|it| !it.is_null()), below.filter(|it| !it.is_null())) else {
        return false;
    };
    let any = |value: &Value| ["exact", "prefix", "regex"].iter().any(|how| !text(value, how).is_empty());
    if (!text(above, "regex").is_empty() && any(below)) || (!text(below, "regex").is_empty() && any(above)) {
        return true;
    }
    let (exact, prefix) = (text(above, "exact"), text(above, "prefix"));
    if !exact.is_empty() {
        return !text(below, "prefix").is_empty() || text(below, "exact") != exact;
    }
    if !prefix.is_empty() {
        let lower = if text(below, "prefix").is_empty() { text(below, "exact") } else { text(below, "prefix") };
        if !lower.is_empty() {
            return !lower.starts_with(prefix);
        }
    }
    true
}
