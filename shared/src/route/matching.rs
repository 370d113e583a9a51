//! Does a request meet the conditions of a route, as Envoy compares?

use super::compiled::{Compare, HeaderMatch, Matcher, PathMatch};
use super::request::{Request, split_port};
use std::borrow::Cow;

/// A request as Envoy looks at it.
pub(super) struct View<'r> {
    pub(super) request: &'r Request,
    /// Host in lower case, without its port.
    pub(super) host: Cow<'r, str>,
    /// Path with query, normalised.
    pub(super) path: Cow<'r, str>,
    /// Length of the path without its query.
    bare: usize,
    /// `http`, `https`: how it reaches the gateway.
    pub(super) scheme: &'static str,
}

/// Methods that Envoy knows; a request with another is malformed to it.
const METHODS: [&str; 34] = [
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "ACL",
    "BIND",
    "CHECKOUT",
    "COPY",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "MSEARCH",
    "NOTIFY",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "UNBIND",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
];

/// Bytes that a host must not have.
const ODD: [bool; 256] = {
    let mut odd = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        odd[byte] = byte <= 0x20 || byte >= 0x7f;
        byte += 1;
    }
    let more = *br#""<>\^`{|}#/?"#;
    let mut at = 0;
    while at < more.len() {
        odd[more[at] as usize] = true;
        at += 1;
    }
    odd
};

impl<'r> View<'r> {
    /// `None` when Envoy takes it for malformed.
    pub(super) fn of(request: &'r Request, tls: bool) -> Option<Self> {
        let (host, _) = split_port(&request.host);
        let odd = |byte: u8| ODD.get(usize::from(byte)).copied().unwrap_or(true);
        if request.host.is_empty() || request.host.bytes().any(odd) || !METHODS.contains(&request.method.as_str()) {
            return None;
        }
        let upper = host.bytes().any(|byte| byte.is_ascii_uppercase());
        let path = super::path::normalize(&request.path)?;
        Some(Self {
            request,
            host: if upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) },
            bare: path.find('?').unwrap_or(path.len()),
            path,
            scheme: if tls { "https" } else { "http" },
        })
    }

    /// Path without query.
    pub(super) fn bare(&self) -> &str {
        self.path.get(..self.bare).unwrap_or(&self.path)
    }

    /// Query with its question mark.
    pub(super) fn query(&self) -> &str {
        self.path.get(self.bare..).unwrap_or_default()
    }

    /// The value of a header, by its name in lower case; several are joined by commas.
    pub(super) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            ":method" => return Some(Cow::Borrowed(&self.request.method)),
            ":authority" | "host" => return Some(Cow::Borrowed(&self.request.host)),
            ":path" => return Some(Cow::Borrowed(&self.path)),
            // The gateway writes it itself.
            ":scheme" | "x-forwarded-proto" => return Some(Cow::Borrowed(self.scheme)),
            _ => {}
        }
        let mut all = self.request.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let (_, first) = all.next()?;
        let mut joined = Cow::Borrowed(first.as_str());
        for (_, more) in all {
            joined.to_mut().push(',');
            joined.to_mut().push_str(more);
        }
        Some(joined)
    }

    /// Is any value of a header as wanted? `None` when there is no such header. Envoy looks at each value by itself
    /// (older ones looked at all of them, joined by commas).
    fn any(&self, name: &str, wanted: impl Fn(&str) -> bool) -> Option<bool> {
        if name == "x-forwarded-proto" || name == "host" || name.starts_with(':') {
            return self.header(name).map(|value| wanted(&value));
        }
        let mut all = self.request.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name)).peekable();
        all.peek()?;
        Some(all.any(|(_, value)| wanted(value)))
    }

    /// The first value of a query parameter, as sent.
    fn parameter(&self, name: &str) -> Option<&str> {
        let all = self.query().strip_prefix('?')?.split('&');
        let mut own = all.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).filter(|(key, _)| *key == name);
        own.next().map(|(_, value)| value)
    }
}

impl Matcher {
    /// Does the request meet all conditions?
    pub(super) fn matches(&self, view: &View<'_>) -> bool {
        self.path_matches(view.bare())
            && self.headers.iter().all(|it| it.matches(view))
            && self.query.iter().all(|(name, how)| view.parameter(name).is_some_and(|value| how.matches(value)))
            && self.claims.iter().all(|(_, not)| *not)
    }

    pub(super) fn path_matches(&self, path: &str) -> bool {
        match (&self.path, self.ignore_case) {
            (PathMatch::Prefix(prefix), false) => path.starts_with(prefix.as_str()),
            (PathMatch::Prefix(prefix), true) => {
                path.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            }
            (PathMatch::Exact(exact), false) => path == exact,
            (PathMatch::Exact(exact), true) => path.eq_ignore_ascii_case(exact),
            (PathMatch::Regex(pattern), _) => pattern.matches(path),
        }
    }

    /// The first condition that the request does not meet, in words.
    pub(super) fn unmet(&self, view: &View<'_>) -> Option<String> {
        if !self.path_matches(view.bare()) {
            return Some(match &self.path {
                PathMatch::Prefix(prefix) => format!("the path does not begin with {prefix}"),
                PathMatch::Exact(exact) => format!("the path is not {exact}"),
                PathMatch::Regex(pattern) => format!("the path is not as {}", pattern.text),
            });
        }
        if let Some(header) = self.headers.iter().find(|it| !it.matches(view)) {
            let found = view.header(&header.name);
            let name = header.name.trim_start_matches(':');
            return Some(match (found, header.not) {
                (None, _) => format!("there is no header {name}"),
                (Some(value), true) => format!("{name} is {value:?}, which must not be {}", header.how),
                (Some(value), false) => format!("{name} is {value:?}, not {}", header.how),
            });
        }
        if let Some((name, how)) =
            self.query.iter().find(|(name, how)| !view.parameter(name).is_some_and(|value| how.matches(value)))
        {
            return Some(format!("the query parameter {name} is not {how}"));
        }
        let claim = self.claims.iter().find(|(_, not)| !*not);
        claim.map(|(name, _)| format!("it asks for {name}, and there is no token"))
    }
}

impl HeaderMatch {
    fn matches(&self, view: &View<'_>) -> bool {
        match (&self.how, view.any(&self.name, |value| self.how.matches(value))) {
            (Compare::Present, met) => met.is_some() != self.not,
            (_, Some(met)) => met != self.not,
            // A header that must not have a value is compared as empty when it is missing.
            (how, None) => self.not && !how.matches(""),
        }
    }
}

impl Compare {
    pub(super) fn matches(&self, value: &str) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(text) => value == text,
            Self::Prefix(text) => value.starts_with(text.as_str()),
            Self::Regex(pattern) => pattern.matches(value),
        }
    }
}

impl std::fmt::Display for Compare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Present => f.write_str("there"),
            Self::Exact(text) => write!(f, "{text:?}"),
            Self::Prefix(text) => write!(f, "{text}…"),
            Self::Regex(pattern) => write!(f, "as {}", pattern.text),
        }
    }
}
