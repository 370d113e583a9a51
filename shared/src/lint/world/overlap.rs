//! Is there a request that meets two matches? What cannot be told from the texts (two regular expressions) does not count:
//! an answer of yes is always right.

use crate::istio::{HttpMatch, StringMatch};
use std::collections::BTreeMap;

/// Is there a request that meets both?
pub(in crate::lint) fn overlaps(a: &HttpMatch, b: &HttpMatch) -> bool {
    let fold = a.ignore_uri_case || b.ignore_uri_case;
    let uri = match (&a.uri, &b.uri) {
        (Some(a), Some(b)) => meets(a, b, fold),
        _ => true,
    };
    uri && both(&a.parts, &b.parts)
        && both(&a.headers, &b.headers)
        && both(&a.query, &b.query)
        && !excludes(a, b)
        && !excludes(b, a)
        && a.others.iter().all(|(name, value)| {
            // Lists of gateways are judged where they mean something.
            name == "gateways" || b.others.get(name).is_none_or(|other| other == value)
        })
}

/// The same match with regular expressions that are but a text or a prefix written as such, so that more can be told.
pub(in crate::lint) fn simple(it: &HttpMatch) -> HttpMatch {
    let all = |asked: &BTreeMap<String, StringMatch>| {
        asked.iter().map(|(name, how)| (name.clone(), plain(how, false))).collect()
    };
    let mut simple = it.clone();
    // Whether case counts is nothing to regular expressions.
    if !it.ignore_uri_case {
        simple.uri = it.uri.as_ref().map(|uri| plain(uri, false));
    }
    simple.parts = all(&it.parts);
    simple.headers = all(&it.headers);
    simple.query = all(&it.query);
    simple
}

/// What both ask for together; they must overlap.
pub(in crate::lint) fn together(a: &HttpMatch, b: &HttpMatch) -> HttpMatch {
    let fold = a.ignore_uri_case && b.ignore_uri_case;
    let mut all = a.clone();
    all.uri = match (&a.uri, &b.uri) {
        (Some(one), Some(other)) => Some(narrower(one, other)),
        (one, other) => one.clone().or_else(|| other.clone()),
    };
    all.ignore_uri_case = match (&a.uri, &b.uri) {
        (Some(_), Some(_)) => fold,
        (Some(_), None) => a.ignore_uri_case,
        _ => b.ignore_uri_case,
    };
    for (own, more) in [(&mut all.parts, &b.parts), (&mut all.headers, &b.headers), (&mut all.query, &b.query)] {
        for (name, how) in more {
            let both = own.get(name).map_or_else(|| how.clone(), |own| narrower(own, how));
            own.insert(name.clone(), both);
        }
    }
    all.without_headers.extend(b.without_headers.clone());
    all.others.extend(b.others.clone());
    all
}

/// Of two that overlap, the one that takes less.
fn narrower(a: &StringMatch, b: &StringMatch) -> StringMatch {
    use StringMatch::{Exact, Prefix, Present};
    match (plain(a, false), plain(b, false)) {
        (Present, other) | (other, Present) => other,
        (Exact(text), _) | (_, Exact(text)) => Exact(text),
        (Prefix(a), Prefix(b)) => Prefix(if a.len() > b.len() { a } else { b }),
        (other, _) => other,
    }
}

fn both(a: &BTreeMap<String, StringMatch>, b: &BTreeMap<String, StringMatch>) -> bool {
    a.iter().all(|(name, a)| b.get(name).is_none_or(|b| meets(a, b, false)))
}

/// Does one ask for a header that the other excludes?
fn excludes(a: &HttpMatch, b: &HttpMatch) -> bool {
    a.without_headers.iter().any(|(name, excluded)| match b.headers.get(name) {
        Some(asked) => *excluded == StringMatch::Present || excluded == asked,
        None => false,
    })
}

fn meets(a: &StringMatch, b: &StringMatch, fold: bool) -> bool {
    use StringMatch::{Exact, Prefix, Present, Regex};
    match (&plain(a, fold), &plain(b, fold)) {
        (Present, _) | (_, Present) => true,
        (Exact(a), Exact(b)) | (Regex(a), Regex(b)) => a == b,
        (Exact(text), Prefix(prefix)) | (Prefix(prefix), Exact(text)) => text.starts_with(prefix.as_str()),
        (Prefix(a), Prefix(b)) => a.starts_with(b.as_str()) || b.starts_with(a.as_str()),
        (Regex(_), Exact(_) | Prefix(_)) | (Exact(_) | Prefix(_), Regex(_)) => false,
    }
}

/// Regular expressions that are but a text or a prefix, as such; in lower case if case does not count.
fn plain(how: &StringMatch, fold: bool) -> StringMatch {
    let case = |text: &str| if fold { text.to_lowercase() } else { text.to_owned() };
    match how {
        StringMatch::Exact(text) => StringMatch::Exact(case(text)),
        StringMatch::Prefix(text) => StringMatch::Prefix(case(text)),
        StringMatch::Regex(text) => {
            let literal =
                |text: &str| !text.contains(['.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '^', '$', '\\']);
            match text.strip_suffix(".*") {
                Some("") => StringMatch::Present,
                Some(head) if literal(head) => StringMatch::Prefix(case(head)),
                _ if literal(text) => StringMatch::Exact(case(text)),
                _ => StringMatch::Regex(text.clone()),
            }
        }
        StringMatch::Present => StringMatch::Present,
    }
}

/// Does istiod put a rule with this match after all others of the host? It does so with what takes every path and asks for
/// nothing else; what only says where it applies (`port`, `gateways`) asks for nothing.
pub(in crate::lint) fn is_put_last(it: &HttpMatch) -> bool {
    let any_path = match &it.uri {
        None | Some(StringMatch::Present) => true,
        Some(StringMatch::Prefix(prefix)) => matches!(prefix.as_str(), "" | "/"),
        Some(StringMatch::Regex(regex)) => regex == ".*",
        Some(StringMatch::Exact(_)) => false,
    };
    let asks = [&it.parts, &it.headers, &it.without_headers, &it.query].iter().any(|asked| !asked.is_empty());
    any_path && !asks && it.others.keys().all(|name| matches!(name.as_str(), "port" | "gateways"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_meets_what() {
        for (a, b, expected) in [
            (json!({}), json!({"uri": {"exact": "/a"}}), true),
            (json!({"uri": {"prefix": "/a"}}), json!({"uri": {"prefix": "/a/b"}}), true),
            (json!({"uri": {"prefix": "/a"}}), json!({"uri": {"prefix": "/b"}}), false),
            (json!({"uri": {"exact": "/a"}}), json!({"uri": {"exact": "/A"}}), false),
            (json!({"uri": {"exact": "/a"}, "ignoreUriCase": true}), json!({"uri": {"exact": "/A"}}), true),
            (json!({"uri": {"regex": "/a.*"}}), json!({"uri": {"exact": "/ab"}}), true),
            (json!({"uri": {"regex": "/[a].*"}}), json!({"uri": {"exact": "/ab"}}), false),
            (json!({"method": {"exact": "GET"}}), json!({"method": {"exact": "POST"}}), false),
            (json!({"headers": {"x": {"exact": "1"}}}), json!({"headers": {"y": {"exact": "1"}}}), true),
            (json!({"headers": {"x": {"exact": "1"}}}), json!({"withoutHeaders": {"x": {}}}), false),
            (json!({"port": 80}), json!({"port": 443}), false),
        ] {
            let (x, y) = (HttpMatch::read(&a), HttpMatch::read(&b));
            assert_eq!((overlaps(&x, &y), overlaps(&y, &x)), (expected, expected), "{a} {b}");
        }
    }
}
