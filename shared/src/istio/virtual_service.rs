//! `VirtualService`: which requests go where.

use super::{items, port, text, texts};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A VirtualService.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VirtualService {
    /// Hosts, as written.
    pub hosts: Vec<String>,
    /// Gateways, as written; `mesh` when the object names none.
    pub gateways: Vec<String>,
    /// HTTP rules; the first one that matches a request decides.
    pub http: Vec<HttpRule>,
    /// Has it `tls` or `tcp` rules too?
    pub has_other_rules: bool,
}

/// One HTTP rule.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRule {
    /// Name.
    pub name: Option<String>,
    /// Any of these matches; exactly one that everything matches when the rule has none.
    pub matches: Vec<HttpMatch>,
    /// What is done.
    pub action: HttpAction,
}

/// What a rule does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpAction {
    /// Sends it to one of these.
    Route(Vec<RouteDestination>),
    /// Answers with a redirect.
    Redirect(Value),
    /// Answers by itself.
    DirectResponse(Value),
    /// Leaves it to another VirtualService, whose rules may match less.
    Delegate(Value),
}

/// Where a request may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteDestination {
    /// Host, as written.
    pub host: String,
    /// Port number.
    pub port: Option<u16>,
    /// Subset.
    pub subset: Option<String>,
    /// Weight, as written.
    pub weight: Option<u32>,
}

/// Conditions of one match entry; a request must meet them all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpMatch {
    /// Path.
    pub uri: Option<StringMatch>,
    /// The path is compared without regard to case.
    pub ignore_uri_case: bool,
    /// `method`, `scheme` and `authority`, by name.
    pub parts: BTreeMap<String, StringMatch>,
    /// Headers, by lower-case name; they must be there.
    pub headers: BTreeMap<String, StringMatch>,
    /// Headers, by lower-case name, that must not match.
    pub without_headers: BTreeMap<String, StringMatch>,
    /// Query parameters, by name.
    pub query: BTreeMap<String, StringMatch>,
    /// Everything else that narrows a match (`port`, `sourceLabels`, `gateways`, …), as written.
    pub others: BTreeMap<String, Value>,
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StringMatch {
    /// It is this.
    Exact(String),
    /// It begins with this.
    Prefix(String),
    /// It is described by this regular expression (RE2), from its beginning to its end.
    Regex(String),
    /// It is there.
    Present,
}

impl VirtualService {
    /// Reads an object.
    pub fn read(object: &Value) -> Self {
        let mut gateways = texts(object, "/spec/gateways");
        if gateways.is_empty() {
            gateways.push("mesh".to_owned());
        }
        let has_other_rules = ["/spec/tls", "/spec/tcp"].iter().any(|pointer| !items(object, pointer).is_empty());
        let http = items(object, "/spec/http").iter().map(HttpRule::read).collect();
        Self { hosts: texts(object, "/spec/hosts"), gateways, http, has_other_rules }
    }

    /// Every destination of its rules, mirrors included, with its JSON pointer (`/spec/http/0/route/1/destination`).
    pub fn destinations(object: &Value) -> Vec<(RouteDestination, String)> {
        let mut found = Vec::new();
        for (index, rule) in items(object, "/spec/http").iter().enumerate() {
            let pointer = format!("/spec/http/{index}");
            if !matches!(HttpRule::read(rule).action, HttpAction::Route(_)) {
                continue;
            }
            found.extend(routes(rule).map(|(at, to)| (to, format!("{pointer}/route/{at}/destination"))));
            let mirror = rule.get("mirror").and_then(RouteDestination::read);
            found.extend(mirror.map(|to| (to, format!("{pointer}/mirror"))));
            let mirrors = items(rule, "/mirrors").iter().enumerate();
            found.extend(mirrors.filter_map(|(at, mirror)| {
                let to = RouteDestination::read(mirror.get("destination")?)?;
                Some((to, format!("{pointer}/mirrors/{at}/destination")))
            }));
        }
        for kind in ["tls", "tcp"] {
            for (index, rule) in items(object, &format!("/spec/{kind}")).iter().enumerate() {
                found.extend(routes(rule).map(|(at, to)| (to, format!("/spec/{kind}/{index}/route/{at}/destination"))));
            }
        }
        found
    }
}

/// The entries of `route` that have a destination, with their indices.
fn routes(rule: &Value) -> impl Iterator<Item = (usize, RouteDestination)> {
    items(rule, "/route").iter().enumerate().filter_map(|(index, entry)| {
        let weight = entry.get("weight").and_then(Value::as_u64).and_then(|weight| u32::try_from(weight).ok());
        Some((index, RouteDestination { weight, ..RouteDestination::read(entry.get("destination")?)? }))
    })
}

impl RouteDestination {
    /// Reads a `destination`.
    pub fn read(value: &Value) -> Option<Self> {
        Some(Self {
            host: text(value, "/host")?,
            port: port(value, "/port/number"),
            subset: text(value, "/subset"),
            weight: None,
        })
    }
}

impl fmt::Display for RouteDestination {
    /// `HOST[:PORT][@SUBSET]`, without the weight.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.iter().try_for_each(|port| write!(f, ":{port}"))?;
        self.subset.iter().try_for_each(|subset| write!(f, "@{subset}"))
    }
}

impl HttpRule {
    /// Reads one item of `spec.http`.
    pub fn read(rule: &Value) -> Self {
        let mut matches: Vec<_> = items(rule, "/match").iter().map(HttpMatch::read).collect();
        if matches.is_empty() {
            matches.push(HttpMatch::default());
        }
        let field = |name: &str| rule.get(name).filter(|value| !value.is_null()).cloned();
        let action = if let Some(delegate) = field("delegate") {
            HttpAction::Delegate(delegate)
        } else if let Some(redirect) = field("redirect") {
            HttpAction::Redirect(redirect)
        } else if let Some(response) = field("directResponse") {
            HttpAction::DirectResponse(response)
        } else {
            HttpAction::Route(routes(rule).map(|(_, to)| to).collect())
        };
        Self { name: text(rule, "/name"), matches, action }
    }

    /// Its name, or its number from 1.
    pub fn label(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| (index + 1).to_string())
    }
}

impl HttpMatch {
    /// Reads one entry of `match`.
    pub fn read(entry: &Value) -> Self {
        let mut read = Self::default();
        let many = |value: &Value, lower: bool| {
            let fields = value.as_object().into_iter().flatten();
            let name = |name: &String| if lower { name.to_lowercase() } else { name.clone() };
            fields.map(|(key, value)| (name(key), StringMatch::read(value))).collect()
        };
        for (name, value) in entry.as_object().into_iter().flatten() {
            match name.as_str() {
                // They name the entry; they are no conditions.
                "name" | "statPrefix" => {}
                "uri" => read.uri = Some(StringMatch::read(value)),
                "ignoreUriCase" => read.ignore_uri_case = value.as_bool().unwrap_or_default(),
                "method" | "scheme" | "authority" => {
                    read.parts.insert(name.clone(), StringMatch::read(value));
                }
                "headers" => read.headers = many(value, true),
                "withoutHeaders" => read.without_headers = many(value, true),
                "queryParams" => read.query = many(value, false),
                _ => {
                    read.others.insert(name.clone(), value.clone());
                }
            }
        }
        read
    }

    /// Does every request meet it?
    pub fn is_catch_all(&self) -> bool {
        self.uri.as_ref().is_none_or(StringMatch::is_any_path)
            && self.parts.is_empty()
            && self.headers.is_empty()
            && self.without_headers.is_empty()
            && self.query.is_empty()
            && self.others.is_empty()
    }
}

impl fmt::Display for HttpMatch {
    /// As on a command line: `prefix:/api+header:end-user=exact:jason`; `all requests` without conditions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = if self.ignore_uri_case { " (any case)" } else { "" };
        let mut parts: Vec<String> = self.uri.iter().map(|uri| format!("{uri}{case}")).collect();
        parts.extend(self.parts.iter().map(|(name, how)| match how {
            StringMatch::Exact(value) if name == "method" => format!("method:{value}"),
            how => format!("{name}:{how}"),
        }));
        for (what, conditions) in
            [("header", &self.headers), ("without-header", &self.without_headers), ("query", &self.query)]
        {
            parts.extend(conditions.iter().map(|(name, how)| match how {
                StringMatch::Present => format!("{what}:{name}"),
                how => format!("{what}:{name}={how}"),
            }));
        }
        parts.extend(self.others.iter().map(|(name, value)| format!("{name}:{value}")));
        f.write_str(&if parts.is_empty() { "all requests".to_owned() } else { parts.join("+") })
    }
}

impl StringMatch {
    /// Reads `{exact|prefix|regex: …}`; what is empty asks only for presence.
    pub fn read(value: &Value) -> Self {
        let how = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(text) = how("exact") {
            Self::Exact(text)
        } else if let Some(text) = how("prefix") {
            Self::Prefix(text)
        } else {
            match how("regex") {
                Some(text) if text != "*" => Self::Regex(text),
                _ => Self::Present,
            }
        }
    }

    /// Does every path match? Paths begin with a slash.
    pub fn is_any_path(&self) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Prefix(prefix) => matches!(prefix.as_str(), "" | "/"),
            Self::Regex(regex) => matches!(regex.as_str(), ".*" | "/.*"),
            Self::Present => true,
        }
    }
}

impl fmt::Display for StringMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "exact:{text}"),
            Self::Prefix(text) => write!(f, "prefix:{text}"),
            Self::Regex(text) => write!(f, "regex:{text}"),
            Self::Present => f.write_str("present"),
        }
    }
}
