//! Which version of the application answered, by what the answer says.

use crate::object::At as _;
use regex::Regex;
use serde_json::Value;
use std::str::FromStr;

/// Where the version stands in an answer.
#[derive(Clone, Debug)]
pub enum VersionFrom {
    /// The first of the places that applications commonly have: see [`VersionFrom::read`].
    Auto,
    /// A response header.
    Header(String),
    /// A field of a JSON body, as a JSON pointer.
    Json(String),
    /// The first group of a regular expression in the body (or the whole match).
    Body(Regex),
}

impl FromStr for VersionFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let forms = "write auto, header:NAME, json:/POINTER or body-regex:EXPRESSION";
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            Some(("header", name)) if !name.is_empty() => Ok(Self::Header(name.to_ascii_lowercase())),
            Some(("json", pointer)) if pointer.starts_with('/') => Ok(Self::Json(pointer.to_owned())),
            Some(("json", _)) => Err("a JSON pointer begins with `/`, as in json:/version".to_owned()),
            Some(("body-regex", expression)) => Regex::new(expression)
                .map(Self::Body)
                .map_err(|error| format!("the regular expression is wrong: {error}")),
            _ => Err(forms.to_owned()),
        }
    }
}

/// Headers that `auto` looks at.
const HEADERS: [&str; 3] = ["x-version", "x-app-version", "x-pod-name"];
/// Fields of JSON bodies that `auto` looks at; `podname` is that of Bookinfo's reviews.
const FIELDS: [&str; 4] = ["/version", "/podname", "/pod", "/hostname"];

impl VersionFrom {
    /// What the answer says, if it says it. `auto` looks at the headers `x-version`, `x-app-version`, `x-pod-name`, then at the
    /// JSON fields `version`, `podname`, `pod`, `hostname`, then at Bookinfo's product page: who served the reviews, or, in
    /// older releases that do not say it, the stars (none: v1, black: v2, red: v3).
    pub fn read(&self, headers: &[(String, String)], body: &[u8]) -> Option<String> {
        let found = match self {
            Self::Auto => auto(headers, body),
            Self::Header(name) => header(headers, name),
            Self::Json(pointer) => json(body, pointer),
            Self::Body(expression) => matched(expression, &String::from_utf8_lossy(body)),
        };
        found.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

fn header(headers: &[(String, String)], name: &str) -> Option<String> {
    headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
}

fn json(body: &[u8], pointer: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    match value.at(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

fn matched(expression: &Regex, text: &str) -> Option<String> {
    let groups = expression.captures(text)?;
    groups.get(1).or_else(|| groups.get(0)).map(|found| found.as_str().to_owned())
}

fn auto(headers: &[(String, String)], body: &[u8]) -> Option<String> {
    HEADERS
        .iter()
        .find_map(|name| header(headers, name))
        .or_else(|| FIELDS.iter().find_map(|pointer| json(body, pointer)))
        .or_else(|| bookinfo(&String::from_utf8_lossy(body)))
}

fn bookinfo(page: &str) -> Option<String> {
    let lower = page.to_lowercase();
    if let Some(at) = lower.find("reviews served by:") {
        // The name is the first thing underlined behind it.
        let rest = page.get(at..)?;
        let name = rest.split_once("<u>")?.1.split_once("</u>")?.0;
        return Some(name.to_owned());
    }
    if !lower.contains("book reviews") {
        return None;
    }
    let stars = lower.contains("glyphicon-star") || lower.contains("bi-star");
    let is_red = lower.contains("<font color=\"red\">") || lower.contains("text-red-500");
    Some(
        if !stars {
            "v1"
        } else if is_red {
            "v3"
        } else {
            "v2"
        }
        .to_owned(),
    )
}

/// Does an answer's version belong to an expected one? Applications say `v1`, `reviews-v1` or the name of a pod,
/// `reviews-v1-6d7fb6c5d4-x2x4q`; of several that fit, the longest name counts.
pub fn belongs_to<'e>(found: &str, expected: impl IntoIterator<Item = &'e str>) -> Option<&'e str> {
    let fits = |name: &&str| {
        found == *name
            || found
                .match_indices(*name)
                .any(|(at, part)| is_edge(found, at.checked_sub(1)) && is_edge(found, Some(at + part.len())))
    };
    expected.into_iter().filter(|name| !name.is_empty()).filter(fits).max_by_key(|name| name.len())
}

/// Is there no letter or digit at this byte?
fn is_edge(text: &str, at: Option<usize>) -> bool {
    at.and_then(|at| text.as_bytes().get(at)).is_none_or(|byte| !byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(from: &str, headers: &[(&str, &str)], body: &str) -> Option<String> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        VersionFrom::from_str(from).unwrap().read(&headers, body.as_bytes())
    }

    #[test]
    fn where_versions_stand() {
        let says = |from, headers: &[(&str, &str)], body| read(from, headers, body).unwrap_or_else(|| "-".to_owned());
        assert_eq!(says("header:X-Version", &[("x-version", " v2 ")], ""), "v2");
        assert_eq!(says("header:x-other", &[("x-version", "v2")], ""), "-");
        assert_eq!(says("json:/a/b", &[], r#"{"a": {"b": 3}}"#), "3");
        assert_eq!(says("json:/a", &[], r#"{"a": {"b": 3}}"#), "-");
        assert_eq!(says("json:/a", &[], "no json"), "-");
        assert_eq!(says("body-regex:version (v[0-9]+)", &[], "this is version v3."), "v3");
        assert_eq!(says("body-regex:v[0-9]+", &[], "this is version v3."), "v3");
        assert_eq!(says("auto", &[("x-app-version", "v9")], r#"{"version": "v1"}"#), "v9");
        assert_eq!(says("auto", &[], r#"{"id": "0", "podname": "reviews-v2-abc", "reviews": []}"#), "reviews-v2-abc");
        assert_eq!(says("auto", &[], "<html>hello</html>"), "-");
    }

    #[test]
    fn bookinfo_pages() {
        let page = |inner: &str| read("auto", &[], &format!("<h4>Book Reviews</h4>{inner}")).unwrap();
        assert_eq!(page("<dt>Reviews served by:</dt>\n<u>reviews-v3-64d5c5d5-xyz</u>"), "reviews-v3-64d5c5d5-xyz");
        assert_eq!(page("<blockquote>good</blockquote>"), "v1");
        assert_eq!(page("<font color=\"black\"><span class=\"glyphicon glyphicon-star\"></span>"), "v2");
        assert_eq!(page("<font color=\"red\"><span class=\"glyphicon glyphicon-star\"></span>"), "v3");
        assert_eq!(read("auto", &[], "<h4>Sorry</h4>"), None);
    }

    #[test]
    fn names_of_versions() {
        let of = |found| belongs_to(found, ["v1", "v10", "v1-canary"]);
        assert_eq!(of("v1"), Some("v1"));
        assert_eq!(of("v10"), Some("v10"));
        assert_eq!(of("reviews-v1-6d7f-x2"), Some("v1"));
        assert_eq!(of("reviews-v1-canary-6d7f-x2"), Some("v1-canary"));
        assert_eq!(of("v100"), None);
        assert_eq!(of("xv1"), None);
        assert_eq!(belongs_to("é-v1", ["v1"]), Some("v1"));
    }

    #[test]
    fn wrong_places_are_refused() {
        for text in ["", "header:", "json:a", "cookie:a", "body-regex:(", "version"] {
            assert!(VersionFrom::from_str(text).is_err(), "{text}");
        }
    }
}
