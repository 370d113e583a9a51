//! How the requests that a rule is for are written on a command line.

use super::super::text::{Field, Node, field};
use crate::istio::{HttpMatch, StringMatch};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

const GRAMMAR: &str = "exact:/PATH, prefix:/PATH, regex:PATTERN, header:NAME[=KIND:VALUE], query:NAME=KIND:VALUE, \
                       method:NAME, authority:KIND:HOST or port:NUMBER, several joined by +";

/// Words with which a condition begins.
const WORDS: [&str; 8] = ["exact:", "prefix:", "regex:", "header:", "query:", "method:", "authority:", "port:"];

/// Which requests a rule is for, all conditions together: `exact:/login`, `prefix:/api+header:end-user=exact:jason`,
/// `regex:/v[0-9]+/.*+method:POST`. A `+` separates conditions only where another one begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatchSpec {
    uri: Option<StringMatch>,
    method: Option<StringMatch>,
    authority: Option<StringMatch>,
    headers: BTreeMap<String, StringMatch>,
    query: BTreeMap<String, StringMatch>,
    port: Option<u16>,
}

impl FromStr for MatchSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut spec = Self::default();
        for condition in conditions(text) {
            spec.add(condition).map_err(|why| format!("`{condition}`: {why}; a match is {GRAMMAR}"))?;
        }
        Ok(spec)
    }
}

/// The conditions of a match.
fn conditions(text: &str) -> Vec<&str> {
    let begins = |rest: &str| WORDS.iter().any(|word| rest.starts_with(word));
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices('+') {
        if begins(&text[at + 1..]) {
            parts.push(&text[start..at]);
            start = at + 1;
        }
    }
    parts.push(&text[start..]);
    parts
}

/// `KIND:VALUE`.
fn value(text: &str) -> Result<StringMatch, String> {
    match text.split_once(':') {
        Some((_, "")) => Err("the value is empty".to_owned()),
        Some(("exact", value)) => Ok(StringMatch::Exact(value.to_owned())),
        Some(("prefix", value)) => Ok(StringMatch::Prefix(value.to_owned())),
        Some(("regex", value)) => Ok(StringMatch::Regex(value.to_owned())),
        _ => Err(format!("`{text}` is not exact:VALUE, prefix:VALUE or regex:PATTERN")),
    }
}

impl MatchSpec {
    fn add(&mut self, condition: &str) -> Result<(), String> {
        let (word, rest) = condition.split_once(':').ok_or("it says no kind")?;
        let twice = |there: bool| if there { Err(format!("{word} stands twice in one match")) } else { Ok(()) };
        match word {
            "exact" | "prefix" | "regex" => {
                if self.uri.is_some() {
                    return Err(
                        "there are two paths in one match: a path is one or the other, with two --match".to_owned()
                    );
                }
                if word != "regex" && !rest.starts_with('/') {
                    return Err("a path begins with /".to_owned());
                }
                self.uri = Some(value(condition)?);
            }
            "method" => {
                twice(self.method.is_some())?;
                let method = !rest.is_empty() && rest.chars().all(|c| c.is_ascii_uppercase());
                if !method {
                    return Err("a method is written in capitals, GET".to_owned());
                }
                self.method = Some(StringMatch::Exact(rest.to_owned()));
            }
            "authority" => {
                twice(self.authority.is_some())?;
                self.authority = Some(value(rest)?);
            }
            "port" => {
                twice(self.port.is_some())?;
                let port = rest.parse().ok().filter(|port| *port > 0);
                self.port = Some(port.ok_or("a port is a number from 1 to 65535")?);
            }
            "header" | "query" => {
                let (name, how) = match rest.split_once('=') {
                    Some((name, how)) => (name, value(how)?),
                    None if word == "header" => (rest, StringMatch::Present),
                    None => return Err("a query parameter needs a value".to_owned()),
                };
                if name.is_empty() || name.contains(char::is_whitespace) {
                    return Err("it has no name".to_owned());
                }
                // Envoy compares names of headers in lower case.
                let (map, name) = match word {
                    "header" => (&mut self.headers, name.to_lowercase()),
                    _ => (&mut self.query, name.to_owned()),
                };
                if map.insert(name.clone(), how).is_some() {
                    return Err(format!("{word} {name} stands twice in one match"));
                }
            }
            _ => return Err(format!("`{word}` is no kind of condition")),
        }
        Ok(())
    }

    /// As YAML.
    pub(super) fn node(&self) -> Node {
        let how = |how: &StringMatch| -> Node {
            match how {
                StringMatch::Exact(text) => [field("exact", &**text)].into(),
                StringMatch::Prefix(text) => [field("prefix", &**text)].into(),
                StringMatch::Regex(text) => [field("regex", &**text)].into(),
                StringMatch::Present => Node::Map(Vec::new()),
            }
        };
        let many = |name: &str, conditions: &BTreeMap<String, StringMatch>| {
            let fields: Vec<Field> = conditions.iter().map(|(name, value)| field(name.clone(), how(value))).collect();
            (!fields.is_empty()).then(|| field(name, fields))
        };
        let one = |name: &str, value: &Option<StringMatch>| value.as_ref().map(|value| field(name, how(value)));
        let fields = [
            one("uri", &self.uri),
            one("method", &self.method),
            one("authority", &self.authority),
            many("headers", &self.headers),
            many("queryParams", &self.query),
            self.port.map(|port| field("port", port)),
        ];
        fields.into_iter().flatten().collect::<Vec<_>>().into()
    }

    /// As routing reads it.
    pub(super) fn view(&self) -> HttpMatch {
        HttpMatch::read(&self.node().value())
    }
}

impl fmt::Display for MatchSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back() {
        for text in [
            "exact:/a:b",
            "prefix:/api+header:end-user=exact:jason",
            "regex:/v[0-9]+/.*+method:POST",
            "authority:exact:shop.example.com+header:x-canary",
            "query:v=regex:[12]+port:80",
            "exact:/a+b",
        ] {
            let spec: MatchSpec = text.parse().unwrap();
            let shown = spec.to_string();
            assert_eq!(shown.parse(), Ok(spec), "{text} → {shown}");
        }
        assert_eq!("exact:/a+b".parse::<MatchSpec>().unwrap().uri, Some(StringMatch::Exact("/a+b".to_owned())));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "/a",
            "prefix:a",
            "exact:/a+exact:/b",
            "method:get",
            "header:=exact:x",
            "header:a=b",
            "query:v",
            "port:0",
            "regex:",
            "colour:red",
            "",
        ] {
            assert!(text.parse::<MatchSpec>().is_err(), "{text}");
        }
    }
}
