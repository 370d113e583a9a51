//! Which rules hide which: a match covers another when every request that meets the other meets it too.
//!
//! Judged conservatively: what cannot be told from the texts (one regular expression against another, a regular expression
//! against a path) does not cover. An answer of "covered" is therefore always right; "not covered" may be too modest.

use super::{HttpAction, HttpMatch, HttpRule, StringMatch};
use std::collections::BTreeMap;

/// How much of a rule is covered by those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Some requests reach it, with all of its matches.
    Reached,
    /// These matches of it (indices) are never reached, others are.
    Partly(Vec<usize>),
    /// No request reaches it; these rules (indices) take them all.
    Hidden(Vec<usize>),
}

/// How much of the rule at an index is covered by the rules before it.
pub fn covered_by(rules: &[HttpRule], index: usize) -> Coverage {
    let Some(rule) = rules.get(index) else { return Coverage::Reached };
    let (mut hidden, mut by) = (Vec::new(), Vec::new());
    for (number, wanted) in rule.matches.iter().enumerate() {
        let first = rules[..index].iter().position(|earlier| {
            // What a delegate matches is not known here: it may leave requests to later rules.
            !matches!(earlier.action, HttpAction::Delegate(_)) && earlier.matches.iter().any(|m| covers(m, wanted))
        });
        if let Some(first) = first {
            hidden.push(number);
            by.push(first);
        }
    }
    by.sort_unstable();
    by.dedup();
    match hidden.len() {
        0 => Coverage::Reached,
        all if all == rule.matches.len() => Coverage::Hidden(by),
        _ => Coverage::Partly(hidden),
    }
}

/// Does every request that meets `narrow` meet `wide`?
pub fn covers(wide: &HttpMatch, narrow: &HttpMatch) -> bool {
    let uri = match (&wide.uri, &narrow.uri) {
        (None, _) => true,
        (Some(wide), _) if wide.is_any_path() => true,
        (Some(_), None) => false,
        (Some(a), Some(b)) => {
            // Comparing with regard to case takes less; a text without letters is the same either way.
            if wide.ignore_uri_case {
                string_covers(&lower(a), &lower(b))
            } else {
                (!narrow.ignore_uri_case || !has_letters(a)) && string_covers(a, b)
            }
        }
    };
    uri && conditions_cover(&wide.parts, &narrow.parts)
        && conditions_cover(&wide.headers, &narrow.headers)
        && conditions_cover(&wide.query, &narrow.query)
        // The narrow one must exclude at least what the wide one excludes.
        && wide.without_headers.iter().all(|(name, excluded)| {
            narrow.without_headers.get(name).is_some_and(|more| string_covers(more, excluded))
        })
        && wide.others.iter().all(|(name, value)| narrow.others.get(name) == Some(value))
}

/// Does the narrow side ask for all that the wide side asks for? What the wide side leaves out (a method, a header) is any.
fn conditions_cover(wide: &BTreeMap<String, StringMatch>, narrow: &BTreeMap<String, StringMatch>) -> bool {
    wide.iter().all(|(name, wide)| narrow.get(name).is_some_and(|narrow| string_covers(wide, narrow)))
}

fn string_covers(wide: &StringMatch, narrow: &StringMatch) -> bool {
    use StringMatch::{Exact, Prefix, Present, Regex};
    match (wide, narrow) {
        (Present, _) => true,
        (Regex(all), _) if all == ".*" => true,
        (Prefix(a), Exact(b) | Prefix(b)) => b.starts_with(a.as_str()),
        (Prefix(a), _) => a.is_empty(),
        (Exact(a), Exact(b)) | (Regex(a), Regex(b)) => a == b,
        (Exact(_) | Regex(_), _) => false,
    }
}

/// In lower case, regular expressions excepted: Istio ignores `ignoreUriCase` for them.
fn lower(how: &StringMatch) -> StringMatch {
    match how {
        StringMatch::Exact(text) => StringMatch::Exact(text.to_lowercase()),
        StringMatch::Prefix(text) => StringMatch::Prefix(text.to_lowercase()),
        other => other.clone(),
    }
}

fn has_letters(how: &StringMatch) -> bool {
    match how {
        StringMatch::Exact(text) | StringMatch::Prefix(text) => text.chars().any(char::is_alphabetic),
        StringMatch::Regex(_) => true,
        StringMatch::Present => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> HttpMatch {
        HttpMatch::read(&value)
    }

    #[test]
    fn what_covers_what() {
        let user = |how: serde_json::Value| json!({"headers": {"end-user": how}});
        for (wide, narrow, expected) in [
            (json!({}), json!({"uri": {"exact": "/a"}}), true),
            (json!({"uri": {"prefix": "/"}}), json!({"headers": {"x": {"exact": "1"}}}), true),
            (json!({"uri": {"regex": ".*"}}), json!({"uri": {"regex": "/a.*"}}), true),
            (json!({"uri": {"prefix": "/api"}}), json!({"uri": {"prefix": "/api/v1"}}), true),
            (json!({"uri": {"prefix": "/api"}}), json!({"uri": {"exact": "/apix"}}), true),
            (json!({"uri": {"prefix": "/api/v1"}}), json!({"uri": {"prefix": "/api"}}), false),
            (json!({"uri": {"exact": "/a"}}), json!({"uri": {"prefix": "/a"}}), false),
            (json!({"uri": {"prefix": "/a"}}), json!({"uri": {"regex": "/a.*"}}), false),
            (json!({"uri": {"regex": "/a.*"}}), json!({"uri": {"regex": "/a.*"}}), true),
            (json!({"uri": {"prefix": "/a"}}), json!({}), false),
            // A method that is not set is any method.
            (json!({"uri": {"prefix": "/a"}}), json!({"uri": {"prefix": "/a/b"}, "method": {"exact": "POST"}}), true),
            (json!({"uri": {"prefix": "/a"}, "method": {"exact": "GET"}}), json!({"uri": {"prefix": "/a/b"}}), false),
            (json!({"method": {"regex": ".*"}}), json!({"method": {"exact": "GET"}}), true),
            // Headers: presence, values, and no regard to the case of names.
            (user(json!({})), user(json!({"exact": "jason"})), true),
            (user(json!({"prefix": "ja"})), json!({"headers": {"End-User": {"exact": "jason"}}}), true),
            (user(json!({"exact": "jason"})), user(json!({})), false),
            (user(json!({"exact": "jason"})), json!({}), false),
            (json!({"queryParams": {"v": {"exact": "1"}}}), json!({"queryParams": {"V": {"exact": "1"}}}), false),
            (json!({"withoutHeaders": {"x": {"exact": "1"}}}), json!({"withoutHeaders": {"x": {}}}), true),
            (json!({"withoutHeaders": {"x": {"exact": "1"}}}), json!({}), false),
            // Case.
            (json!({"uri": {"prefix": "/A"}, "ignoreUriCase": true}), json!({"uri": {"exact": "/ab"}}), true),
            (json!({"uri": {"prefix": "/a"}}), json!({"uri": {"prefix": "/a"}, "ignoreUriCase": true}), false),
            // The rest: equal or not at all.
            (json!({"port": 80}), json!({"port": 80, "uri": {"exact": "/a"}}), true),
            (json!({"port": 80}), json!({"uri": {"exact": "/a"}}), false),
            (json!({"name": "x", "uri": {"prefix": "/"}}), json!({}), true),
        ] {
            assert_eq!(covers(&read(wide.clone()), &read(narrow.clone())), expected, "{wide} covers {narrow}");
        }
    }

    #[test]
    fn several_rules_may_hide_one_together_and_a_delegate_hides_none() {
        let rule = |value: serde_json::Value| HttpRule::read(&value);
        let both = json!({"match": [{"uri": {"exact": "/a"}}, {"uri": {"exact": "/b"}}], "route": []});
        let a = json!({"match": [{"uri": {"prefix": "/a"}}], "route": []});
        let b = json!({"match": [{"uri": {"prefix": "/b"}}], "route": []});
        let rules = [rule(a.clone()), rule(b), rule(both.clone())];
        assert_eq!(covered_by(&rules, 2), Coverage::Hidden(vec![0, 1]));
        assert_eq!(covered_by(&[rule(a), rule(both.clone())], 1), Coverage::Partly(vec![0]));
        assert_eq!(covered_by(&[rule(json!({"delegate": {"name": "x"}})), rule(both)], 1), Coverage::Reached);
    }
}
