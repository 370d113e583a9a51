//! What a rule becomes at a gateway: one route per match entry (`BuildHTTPRoutesForVirtualService`, `TranslateRoute`).
//! Entries for other ports, Gateways or callers are left out; after one that takes everything nothing more is made.

use super::action;
use super::compiled::{Action, Compare, Core, HeaderMatch, Matcher, PathMatch, Pattern, Route};
use super::delegate::{self, Source};
use super::front::Front;
use super::model::{Model, VirtualService, port, text, texts};
use super::names;
use super::outcome::{Place, Rule};
use crate::fleet::Target;
use serde_json::Value;

/// Where rules are compiled for.
pub(super) struct At<'a, 's, 'o> {
    pub(super) model: &'a Model<'s, 'o>,
    pub(super) front: &'a Front<'s>,
    /// Where its pods run, when it is known.
    pub(super) cluster: Option<&'a Target>,
    /// `NAMESPACE/NAME` of the Gateway.
    pub(super) gateway: &'a str,
    /// The port that is written in its server.
    pub(super) port: u16,
    /// The server has `tls`.
    pub(super) tls: bool,
    /// Not a gateway, but whatever workloads call: of ports and callers nothing is known.
    pub(super) of_sidecars: bool,
}

/// The routes of a VirtualService: from, to in the core, and the one that takes everything.
pub(super) type Routes = ((usize, usize), Option<usize>);

/// Compiles all rules of a VirtualService. `None` when none of them applies here.
pub(super) fn compile<'s>(core: &mut Core<'s>, at: &At<'_, 's, '_>, route: &VirtualService<'s>) -> Option<Routes> {
    let from = core.routes.len();
    for source in delegate::rules(at.model, route) {
        let entries = source.rule.get("match").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if entries.is_empty() {
            core.routes.push(make(at, route, &source, None));
            return Some(done(core, from));
        }
        for (index, entry) in entries.iter().enumerate() {
            if !applies(at, route, entry) {
                continue;
            }
            core.routes.push(make(at, route, &source, Some((index, entry))));
            // What only some callers meet takes everything from them alone.
            if !at.of_sidecars && core.routes.last().is_some_and(|it| it.matcher.is_catch_all()) {
                return Some(done(core, from));
            }
        }
    }
    (core.routes.len() > from).then(|| done(core, from))
}

fn done(core: &Core<'_>, from: usize) -> Routes {
    let to = core.routes.len();
    match core.routes.last() {
        Some(last) if last.matcher.is_catch_all() => ((from, to - 1), Some(to - 1)),
        _ => ((from, to), None),
    }
}

/// Is a match entry for this port, this Gateway, these pods?
fn applies(at: &At<'_, '_, '_>, route: &VirtualService<'_>, entry: &Value) -> bool {
    if !at.of_sidecars && port(entry, "/port").is_some_and(|port| port != at.port) {
        return false;
    }
    let mut gateways = texts(entry, "/gateways").peekable();
    if gateways.peek().is_some() {
        return gateways.any(|name| names::gateway(name, route.namespace) == at.gateway);
    }
    if at.of_sidecars {
        return true;
    }
    let labels = entry.get("sourceLabels").and_then(Value::as_object);
    let space = text(entry, "/sourceNamespace");
    labels.is_none_or(|labels| at.front.has(labels)) && (space.is_empty() || space == at.front.namespace)
}

fn make<'s>(
    at: &At<'_, 's, '_>,
    route: &VirtualService<'s>,
    source: &Source<'s>,
    entry: Option<(usize, &Value)>,
) -> Route<'s> {
    let mut name = text(&source.rule, "/name").to_owned();
    let own = entry.map(|(_, entry)| text(entry, "/name")).unwrap_or_default();
    if !own.is_empty() {
        name = format!("{name}.{own}");
    }
    let inner = source.delegate.as_ref().unwrap_or(&source.root);
    let matched = entry.and_then(|(index, _)| source.matches.get(index)).unwrap_or(inner);
    let matcher = entry.map(|(_, entry)| matcher(entry)).unwrap_or_default();
    let action = action::compile(at, route, source);
    Route {
        cors: action::cors(&source.rule).filter(|_| matches!(action, Action::Forward(_))),
        action,
        matcher,
        rule: Rule {
            name,
            virtual_service: source.root.clone(),
            matched: Place { manifest: matched.manifest, pointer: matched.pointer.clone() },
            delegate: source.delegate.clone(),
        },
    }
}

/// Reads a match entry (`TranslateRouteMatch`).
fn matcher(entry: &Value) -> Matcher {
    let mut read = Matcher {
        ignore_case: entry.get("ignoreUriCase").and_then(Value::as_bool).unwrap_or_default(),
        ..Matcher::default()
    };
    if let Some(uri) = entry.get("uri") {
        read.path = match compare(uri) {
            Compare::Present => PathMatch::default(),
            Compare::Exact(text) => PathMatch::Exact(text),
            Compare::Prefix(text) => PathMatch::Prefix(text),
            Compare::Regex(pattern) => PathMatch::Regex(pattern),
        };
    }
    for (field, not) in [("headers", false), ("withoutHeaders", true)] {
        for (name, how) in entry.get(field).and_then(Value::as_object).into_iter().flatten() {
            if is_claim(name) {
                read.claims.push((name.clone(), not));
                continue;
            }
            let name = name.to_lowercase();
            read.headers.push(HeaderMatch { name, how: compare_with_star(how), not });
        }
    }
    for (field, header) in [("method", ":method"), ("authority", ":authority"), ("scheme", ":scheme")] {
        if let Some(how) = entry.get(field).filter(|how| !how.is_null()) {
            read.headers.push(HeaderMatch { name: header.to_owned(), how: compare_with_star(how), not: false });
        }
    }
    for (name, how) in entry.get("queryParams").and_then(Value::as_object).into_iter().flatten() {
        read.query.push((name.clone(), compare_with_star(how)));
    }
    read
}

/// A header that stands for a claim of a token.
fn is_claim(name: &str) -> bool {
    name.to_lowercase().starts_with("@request.auth.claims")
}

/// `{exact|prefix|regex: …}`; what is empty asks for presence.
pub(super) fn compare(how: &Value) -> Compare {
    let part = |name: &str| how.get(name).and_then(Value::as_str);
    if let Some(text) = part("exact") {
        Compare::Exact(text.to_owned())
    } else if let Some(text) = part("prefix") {
        Compare::Prefix(text.to_owned())
    } else if let Some(text) = part("regex") {
        Compare::Regex(Pattern::new(text))
    } else {
        Compare::Present
    }
}

/// The same, where `*` means presence.
fn compare_with_star(how: &Value) -> Compare {
    match compare(how) {
        Compare::Regex(pattern) if pattern.text == "*" => Compare::Present,
        other => other,
    }
}

impl Matcher {
    /// Does it take everything, as istiod judges (`IsCatchAllRoute`)?
    pub(super) fn is_catch_all(&self) -> bool {
        let path = match &self.path {
            PathMatch::Prefix(prefix) => prefix == "/",
            PathMatch::Regex(pattern) => pattern.text == ".*",
            PathMatch::Exact(_) => false,
        };
        path && self.headers.is_empty() && self.query.is_empty() && self.claims.is_empty()
    }
}
