//! What istiod's admission refuses, so that it never reaches a gateway: the whole object is left out.

use super::model::items;
use super::outcome::Place;
use super::table::Refusal;
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::Regex;
use serde_json::Value;

/// Why a VirtualService is refused, if it is.
pub(super) fn virtual_service(manifest: &Manifest) -> Option<Refusal<'_>> {
    let refusal = |(pointer, reason)| Refusal { place: Place { manifest, pointer }, reason };
    for (index, rule) in items(&manifest.object, "/spec/http").iter().enumerate() {
        let at = format!("/spec/http/{index}");
        if let Some(found) = patterns(rule, &at).or_else(|| weights(rule, &at)).or_else(|| action(rule, &at)) {
            return Some(refusal(found));
        }
    }
    let tcp = ["tcp", "tls"].into_iter().flat_map(|kind| {
        let rules = items(&manifest.object, &format!("/spec/{kind}")).iter().enumerate();
        rules.map(move |(index, rule)| (format!("/spec/{kind}/{index}"), rule)).collect::<Vec<_>>()
    });
    for (at, rule) in tcp {
        if let Some(found) = weights(rule, &at) {
            return Some(refusal(found));
        }
    }
    None
}

type Found = (String, String);

fn patterns(rule: &Value, at: &str) -> Option<Found> {
    for (index, entry) in items(rule, "/match").iter().enumerate() {
        for part in ["uri", "scheme", "method", "authority"] {
            if let Some(reason) = entry.get(part).and_then(|how| judge(how, false)) {
                return Some((format!("{at}/match/{index}/{part}/regex"), reason));
            }
        }
        for part in ["headers", "withoutHeaders", "queryParams"] {
            for (name, how) in entry.get(part).and_then(Value::as_object).into_iter().flatten() {
                if let Some(reason) = judge(how, part == "withoutHeaders") {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    return Some((format!("{at}/match/{index}/{part}/{name}/regex"), reason));
                }
            }
        }
    }
    let rewrite = rule.at("/rewrite/uriRegexRewrite/match").and_then(Value::as_str)?;
    refused(rewrite).map(|reason| (format!("{at}/rewrite/uriRegexRewrite/match"), reason))
}

/// `*` alone means presence where istiod takes it.
fn judge(how: &Value, may_be_star: bool) -> Option<String> {
    let pattern = how.get("regex").and_then(Value::as_str)?;
    if may_be_star && pattern == "*" {
        return None;
    }
    if pattern.is_empty() { Some("it is empty".to_owned()) } else { refused(pattern) }
}

fn refused(pattern: &str) -> Option<String> {
    let fault = Regex::judge(pattern).err().filter(|fault| fault.refused)?;
    Some(format!("the regular expression `{pattern}` is none of RE2: {fault}"))
}

fn weights(rule: &Value, at: &str) -> Option<Found> {
    let route = items(rule, "/route");
    let sum: u64 = route.iter().filter_map(|entry| entry.get("weight").and_then(Value::as_u64)).sum();
    (route.len() > 1 && sum == 0)
        .then(|| (format!("{at}/route"), "the weights of its destinations are all 0".to_owned()))
}

fn action(rule: &Value, at: &str) -> Option<Found> {
    let has = |name: &str| rule.get(name).is_some_and(|value| !value.is_null());
    let routes = !items(rule, "/route").is_empty();
    let reason = if has("delegate") {
        (routes || has("redirect")).then_some("a rule that delegates must not route or redirect itself")
    } else if has("redirect") {
        (routes || has("directResponse") || has("rewrite") || has("fault"))
            .then_some("a rule that redirects must not route, answer, rewrite or inject faults")
    } else if has("directResponse") {
        (routes || has("rewrite") || has("fault"))
            .then_some("a rule that answers must not route, rewrite or inject faults")
    } else {
        (!routes).then_some("the rule has no route, redirect or directResponse")
    };
    let both = (has("mirror") && !items(rule, "/mirrors").is_empty()).then_some("the rule has both mirror and mirrors");
    reason.or(both).map(|reason| (at.to_owned(), reason.to_owned()))
}
