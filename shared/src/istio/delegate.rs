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
    let space = |it: &'_ Value| it.get("sourceNamespace").and_then(Value::as_str).unwrap_or_default().to_owned();
    let labels = |it: &Value| it.get("sourceLabels").and_then(Value::as_object).cloned().unwrap_or_default();
    let others = [
        ("ignoreUriCase", flag(above) != flag(below)),
        ("port", port(above) > 0 && port(below) > 0 && port(above) != port(below)),
        // Also when the delegate says nothing of it.
        ("sourceNamespace", !space(above).is_empty() && space(above) != space(below)),
        ("sourceLabels", {
            let upper = labels(above);
            labels(below).iter().any(|(key, value)| upper.get(key).is_some_and(|other| other != value))
        }),
        ("gateways", gateways_conflict(above, below)),
    ];
    others.into_iter().find(|(_, conflict)| *conflict).map(|(field, _)| field)
}

/// Which match entry of a delegate's rule no entry of the rule above goes with, and in which field: istiod drops the whole rule for
/// one such entry. A rule without conditions goes with every other.
pub(crate) fn left_out(above: &Value, below: &Value) -> Option<(usize, &'static str)> {
    let entries = |rule: &'_ Value| rule.get("match").and_then(Value::as_array).cloned().unwrap_or_default();
    let upper = entries(above);
    let first = |entry: &Value| {
        let fields: Vec<Option<&'static str>> = upper.iter().map(|wide| contradiction(wide, entry)).collect();
        fields.iter().all(Option::is_some).then(|| fields.into_iter().flatten().next()).flatten()
    };
    entries(below).iter().enumerate().find_map(|(index, entry)| Some((index, first(entry)?)))
}

fn gateways_conflict(above: &Value, below: &Value) -> bool {
    let names = |it: &'_ Value| it.get("gateways").and_then(Value::as_array).cloned().unwrap_or_default();
    let (upper, lower) = (names(above), names(below));
    let apart = upper.len() < lower.len() || lower.iter().any(|name| !upper.contains(name));
    !upper.is_empty() && !lower.is_empty() && apart
}

fn texts_conflict(above: Option<&Value>, below: Option<&Value>) -> bool {
    let (Some(above), Some(below)) = (above.filter(|it| !it.is_null()), below.filter(|it| !it.is_null())) else {
        return false;
    };
    fn part<'v>(value: &'v Value, how: &str) -> &'v str {
        value.get(how).and_then(Value::as_str).unwrap_or_default()
    }
    let any = |value: &Value| ["exact", "prefix", "regex"].iter().any(|how| !part(value, how).is_empty());
    if (!part(above, "regex").is_empty() && any(below)) || (!part(below, "regex").is_empty() && any(above)) {
        return true;
    }
    let (exact, prefix) = (part(above, "exact"), part(above, "prefix"));
    if !exact.is_empty() {
        return !part(below, "prefix").is_empty() || part(below, "exact") != exact;
    }
    if !prefix.is_empty() {
        let lower = if part(below, "prefix").is_empty() { part(below, "exact") } else { part(below, "prefix") };
        if !lower.is_empty() {
            return !lower.starts_with(prefix);
        }
    }
    true
}
