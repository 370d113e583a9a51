//! Looking a request up: the fast way, without words.

use super::compiled::{
    Action, Chain, ChainTo, Core, ForwardAction, Listener, Redirect, Rewrite, Route, Security, Segment, TcpRoute,
    Verdict, VirtualHost, Way,
};
use super::front::Listener as Balancer;
use super::hosts::precedes;
use super::matching::View;
use super::order::Ages;
use super::outcome::{Alternative, Answer, Closed, Forward, Outcome, Rule};
use super::request::{Request, Sni, split_port};
use super::table::{Table, Variant};
use std::borrow::Cow;

/// What comes of a request at one place.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a> {
    pub(super) answer: Answer<'a>,
    pub(super) rule: Option<&'a Rule<'a>>,
    pub(super) virtual_host: Option<&'a str>,
    pub(super) alternatives: Vec<Alternative<'a>>,
}

impl<'a> From<Answer<'a>> for Seen<'a> {
    fn from(answer: Answer<'a>) -> Self {
        Self { answer, rule: None, virtual_host: None, alternatives: Vec::new() }
    }
}

impl<'s> Table<'s> {
    /// What comes of a request.
    pub fn lookup<'a>(&'a self, request: &'a Request) -> Outcome<'a> {
        let Some((first, more)) = self.ways.get(&request.port).and_then(|ways| ways.split_first()) else {
            let direct = self.options.pod_ports || self.front.doors.is_empty();
            let variant = self.variants.first().filter(|_| direct);
            let seen = variant
                .map_or(Seen::from(self.nobody()), |variant| self.at(variant, request.port, Balancer::Tcp, request));
            return outcome(seen, Cow::Borrowed(&[]));
        };
        let mut outcome = outcome(self.through(first, request), Cow::Borrowed(&first.entries));
        for way in more {
            let seen = self.through(way, request);
            if seen.answer.same(&outcome.answer) {
                outcome.through.to_mut().extend(way.entries.iter().cloned());
            } else {
                outcome.elsewhere.push((&way.entries, seen.answer));
            }
        }
        outcome
    }

    fn through<'a>(&'a self, way: &'a Way<'s>, request: &'a Request) -> Seen<'a> {
        match self.variants.get(way.variant) {
            Some(variant) => self.at(variant, way.target, way.balancer, request),
            None => Answer::NoListener.into(),
        }
    }

    /// At a port of the pods, behind a load balancer.
    pub(super) fn at<'a>(
        &'a self,
        variant: &'a Variant<'s>,
        port: u16,
        balancer: Balancer,
        request: &'a Request,
    ) -> Seen<'a> {
        let tls = match (balancer, request.tls) {
            (Balancer::Tcp, tls) => tls,
            (Balancer::Http, false) | (Balancer::Https, true) => false,
            (Balancer::Redirect(to), false) => return redirected(request, to).into(),
            (Balancer::Http | Balancer::Redirect(_), true) => return Answer::Closed(Closed::TlsOnPlaintext).into(),
            (Balancer::Https, false) => return Answer::Closed(Closed::PlaintextOnTls).into(),
        };
        let mut seen = self.answer(&variant.core, port, tls, request);
        for other in variant.others.iter().filter(|other| other.ports.contains(&port)) {
            let then = self.answer(&other.core, port, tls, request);
            let known = |it: &Alternative<'_>| it.answer.same(&then.answer);
            if !then.answer.same(&seen.answer) && !seen.alternatives.iter().any(known) {
                seen.alternatives.push(Alternative {
                    answer: then.answer,
                    rule: then.rule,
                    oldest: other.oldest,
                    others: other.rivals.clone(),
                });
            }
        }
        seen
    }

    fn answer<'a>(&'a self, core: &'a Core<'s>, port: u16, tls: bool, request: &'a Request) -> Seen<'a> {
        let chain = match chain(core, port, tls, request) {
            Ok(chain) => chain,
            Err(Answer::NoListener) => return self.nobody().into(),
            Err(answer) => return answer.into(),
        };
        match &chain.to {
            ChainTo::Tcp(routes) => self.tcp(routes),
            // It was looked into.
            ChainTo::ByName(_) => self.nobody().into(),
            ChainTo::Http(table) => {
                let Some(table) = core.tables.get(*table) else { return Answer::NoVirtualHost.into() };
                let Some(view) = View::of(request, tls) else { return Answer::BadRequest.into() };
                match table.find(&view.host) {
                    None if self.front.sidecar => Answer::Passthrough.into(),
                    None => Answer::NoVirtualHost.into(),
                    Some(host) => self.in_host(core, host, view),
                }
            }
        }
    }

    /// What comes of a connection that nothing listens for.
    fn nobody<'a>(&self) -> Answer<'a> {
        if self.front.sidecar { Answer::Passthrough } else { Answer::NoListener }
    }

    /// The first of several rules for TCP; the others would be, were their VirtualService older.
    fn tcp<'a>(&'a self, routes: &'a [TcpRoute<'s>]) -> Seen<'a> {
        let Some((first, more)) = routes.split_first() else { return Answer::NoListener.into() };
        let mut seen = Seen { rule: written(&first.rule), ..Seen::from(tcp_answer(&first.action)) };
        let ages = Ages::of(&self.options);
        let object = |route: &TcpRoute<'s>| route.rule.virtual_service.manifest;
        let before = |a: &TcpRoute<'s>, b: &TcpRoute<'s>| {
            if a.rank == b.rank {
                ages.known(object(a), object(b)).is_some_and(std::cmp::Ordering::is_lt)
            } else {
                a.rank < b.rank
            }
        };
        for route in more.iter().filter(|route| !routes.iter().any(|other| before(other, route))) {
            let answer = tcp_answer(&route.action);
            if !answer.same(&seen.answer) {
                let others = routes.iter().map(object).filter(|it| it.id != object(route).id).collect();
                seen.alternatives.push(Alternative { answer, rule: Some(&route.rule), oldest: object(route), others });
            }
        }
        seen
    }

    fn in_host<'a>(&'a self, core: &'a Core<'s>, host: &'a VirtualHost<'s>, view: View<'a>) -> Seen<'a> {
        let named = |answer| Seen { virtual_host: Some(&host.name), ..Seen::from(answer) };
        if host.https_only.is_some() && view.scheme == "http" {
            let location = format!("https://{}{}", view.request.host, view.path);
            return named(Answer::Redirect { status: 301, location });
        }
        let Some((first, segment)) = first_route(core, host, &view) else {
            return named(Answer::NoRoute { virtual_host: &host.name });
        };
        let mut seen = Seen { rule: written(&first.rule), ..named(Answer::NoListener) };
        if host.contested {
            seen.alternatives = self.others(core, host, &view, first, segment);
        }
        let (answer, rivals) = act(first, view);
        seen.answer = answer;
        seen.alternatives.retain(|it| !it.answer.same(&seen.answer));
        seen.alternatives.extend(rivals);
        seen
    }

    /// What other VirtualServices would do with it, were they older.
    fn others<'a>(
        &'a self,
        core: &'a Core<'s>,
        host: &'a VirtualHost<'s>,
        view: &View<'a>,
        first: &'a Route<'s>,
        of: &Segment<'s>,
    ) -> Vec<Alternative<'a>> {
        let late = first.matcher.is_catch_all();
        let each = host.segments.iter().filter_map(|segment| Some((segment, own_route(core, segment, view, late)?)));
        let candidates: Vec<_> = each.collect();
        let ages = Ages::of(&self.options);
        let mut found: Vec<Alternative<'a>> = Vec::new();
        for (segment, route) in candidates.iter().filter(|(segment, _)| segment.manifest.id != of.manifest.id) {
            if candidates.iter().any(|(other, _)| precedes(ages, other, segment) == Some(true)) {
                continue;
            }
            let Some(view) = View::of(view.request, view.scheme == "https") else { continue };
            let (answer, _) = act(route, view);
            if !found.iter().any(|known| known.answer.same(&answer)) {
                let others = candidates.iter().map(|(other, _)| other.manifest);
                let mut rivals: Vec<&crate::fleet::Manifest> = Vec::new();
                for other in others.filter(|it| it.id != segment.manifest.id) {
                    if !rivals.iter().any(|known| known.id == other.id) {
                        rivals.push(other);
                    }
                }
                found.push(Alternative { answer, rule: Some(&route.rule), oldest: segment.manifest, others: rivals });
            }
        }
        found
    }
}

fn written<'a, 's>(rule: &'a Rule<'s>) -> Option<&'a Rule<'s>> {
    Some(rule).filter(|rule| rule.is_written())
}

fn outcome<'a>(seen: Seen<'a>, through: Cow<'a, [super::outcome::Entry<'a>]>) -> Outcome<'a> {
    Outcome {
        answer: seen.answer,
        rule: seen.rule,
        virtual_host: seen.virtual_host,
        through,
        alternatives: seen.alternatives,
        elsewhere: Vec::new(),
    }
}

/// What a load balancer answers that sends plain HTTP to HTTPS.
fn redirected(request: &Request, to: u16) -> Answer<'static> {
    let (host, _) = split_port(&request.host);
    let port = if to == 443 { String::new() } else { format!(":{to}") };
    Answer::Redirect { status: 301, location: format!("https://{host}{port}{}", request.path) }
}

/// The filter chain that takes the connection, or what happens to it.
pub(super) fn chain<'a, 's>(
    core: &'a Core<'s>,
    port: u16,
    tls: bool,
    request: &Request,
) -> Result<&'a Chain<'s>, Answer<'a>> {
    let Some(listener) = core.listeners.get(&port) else { return Err(Answer::NoListener) };
    if let Some(reason) = &listener.refused {
        return Err(Answer::Refused { reason });
    }
    let name = if core.by_host { Some(called(request)) } else { tls.then(|| server_name(request)).flatten() };
    let Some(chain) = listener.choose(name.as_deref()) else {
        if core.by_host {
            return Err(Answer::NoListener);
        }
        return Err(Answer::Closed(match (tls, name) {
            (false, _) => Closed::PlaintextOnTls,
            (true, None) => Closed::NoName,
            (true, Some(_)) => Closed::NoServerForName,
        }));
    };
    if let ChainTo::ByName(inner) = &chain.to {
        return by_name(inner, tls, request);
    }
    match (chain.security, &chain.to, tls) {
        (Security::Ends { .. }, _, false) => Err(Answer::Closed(Closed::PlaintextOnTls)),
        (Security::Ends { client_certificate: true }, _, true) if !request.client_certificate => {
            Err(Answer::Closed(Closed::NoClientCertificate))
        }
        (Security::None, ChainTo::Http(_), true) => Err(Answer::Closed(Closed::TlsOnPlaintext)),
        _ => Ok(chain),
    }
}

/// What a sidecar does with TLS to a Service for which there are rules by server name: what none of them takes is closed.
fn by_name<'a, 's>(inner: &'a Listener<'s>, tls: bool, request: &Request) -> Result<&'a Chain<'s>, Answer<'a>> {
    if let Some(reason) = &inner.refused {
        return Err(Answer::Refused { reason });
    }
    let name = tls.then(|| server_name(request)).flatten();
    inner.choose(name.as_deref()).ok_or(Answer::Closed(match (tls, name) {
        (false, _) => Closed::PlaintextOnTls,
        (true, None) => Closed::NoName,
        (true, Some(_)) => Closed::NoServerForName,
    }))
}

/// The host that is called, in lower case and without its port.
pub(super) fn called(request: &Request) -> Cow<'_, str> {
    Cow::Owned(split_port(&request.host).0.to_ascii_lowercase())
}

/// The server name that the client asks for, in lower case.
pub(super) fn server_name(request: &Request) -> Option<Cow<'_, str>> {
    let name = match &request.sni {
        Sni::Absent => return None,
        Sni::Name(name) => name.as_str(),
        // Addresses are no server names.
        Sni::Host => Some(split_port(&request.host).0)
            .filter(|it| it.parse::<std::net::IpAddr>().is_err() && !it.starts_with('['))?,
    };
    // Clients leave out a trailing dot (RFC 6066, section 3).
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    let upper = name.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(if upper { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) })
}

/// The route that takes the request, with the part of the virtual host that it stands in.
pub(super) fn first_route<'a, 's>(
    core: &'a Core<'s>,
    host: &'a VirtualHost<'s>,
    view: &View<'_>,
) -> Option<(&'a Route<'s>, &'a Segment<'s>)> {
    // Envoy takes a tunnel only by routes that istiod does not make.
    if view.request.method == "CONNECT" {
        return None;
    }
    let find = |late| host.segments.iter().find_map(|segment| Some((own_route(core, segment, view, late)?, segment)));
    find(false).or_else(|| find(true))
}

/// The route of one VirtualService that takes the request: of those that take everything, or of the others.
fn own_route<'a, 's>(core: &'a Core<'s>, segment: &Segment<'s>, view: &View<'_>, late: bool) -> Option<&'a Route<'s>> {
    if late {
        return segment.catch_all.and_then(|at| core.routes.get(at)).filter(|route| route.matcher.matches(view));
    }
    let (from, to) = segment.routes;
    core.routes.get(from..to)?.iter().find(|route| route.matcher.matches(view))
}

fn tcp_answer<'a>(action: &'a ForwardAction<'_>) -> Answer<'a> {
    let forward = Forward {
        destinations: &action.destinations,
        path: Cow::Borrowed(""),
        authority: Cow::Borrowed(""),
        mirrors: &[],
        fault: None,
        timeout: None,
        retries: None,
        headers: &action.headers,
    };
    match action.verdict {
        Verdict::Some => Answer::Tcp(forward),
        Verdict::NoCluster | Verdict::NoEndpoint => Answer::Closed(Closed::NoUpstream),
    }
}

/// What a route does with a request, and what it would do, were another DestinationRule older.
pub(super) fn act<'a>(route: &'a Route<'_>, view: View<'a>) -> (Answer<'a>, Vec<Alternative<'a>>) {
    match &route.action {
        Action::Redirect(redirect) => {
            let location = redirect.location(route, &view);
            (Answer::Redirect { status: redirect.status, location }, Vec::new())
        }
        Action::Direct { status, body } => (Answer::Direct { status: *status, body: Cow::Borrowed(body) }, Vec::new()),
        Action::Forward(action) => {
            if let Some((_, status)) = action.fault.as_ref().and_then(|it| it.abort).filter(|(part, _)| *part >= 1.0) {
                return (Answer::Abort { status }, Vec::new());
            }
            // The filter of faults stands before that of CORS.
            if answers_preflight(route, &view) {
                return (Answer::Direct { status: 200, body: Cow::Borrowed("") }, Vec::new());
            }
            let forward = forward(route, action, view);
            let rivals = action.rivals.iter().map(|rival| Alternative {
                answer: verdict(Forward { destinations: &rival.destinations, ..forward.clone() }, rival.verdict),
                rule: Some(&route.rule),
                oldest: rival.oldest,
                others: vec![rival.instead_of],
            });
            let rivals = rivals.collect();
            (verdict(forward, action.verdict), rivals)
        }
    }
}

fn verdict<'a>(forward: Forward<'a>, verdict: Verdict) -> Answer<'a> {
    match verdict {
        Verdict::Some => Answer::Forward(forward),
        Verdict::NoCluster => Answer::NoCluster(forward),
        Verdict::NoEndpoint => Answer::NoEndpoint(forward),
    }
}

/// Does Envoy answer a request by itself, by which a browser asks what it may?
pub(super) fn answers_preflight(route: &Route<'_>, view: &View<'_>) -> bool {
    let Some(cors) = route.cors.as_ref().filter(|_| view.request.method == "OPTIONS") else { return false };
    let is_said = |name: &str| view.header(name).is_some_and(|value| !value.is_empty());
    // What takes a star takes every origin.
    let is_known = |origin: &str| cors.origins.iter().any(|known| known.matches("*") || known.matches(origin));
    is_said("access-control-request-method")
        && is_said("origin")
        && (cors.takes_all || view.header("origin").is_some_and(|origin| is_known(&origin)))
}

fn forward<'a>(route: &'a Route<'_>, action: &'a ForwardAction<'_>, view: View<'a>) -> Forward<'a> {
    let authority = action.authority.as_deref().unwrap_or(&view.request.host);
    Forward {
        destinations: &action.destinations,
        authority: Cow::Borrowed(authority),
        path: match &action.rewrite {
            Rewrite::None => view.path,
            Rewrite::Prefix(by) => Cow::Owned(format!("{by}{}{}", route.matcher.rest(view.bare()), view.query())),
            Rewrite::Regex { pattern, by } => {
                Cow::Owned(format!("{}{}", pattern.replace(view.bare(), by), view.query()))
            }
        },
        mirrors: &action.mirrors,
        fault: action.fault.as_ref(),
        timeout: action.timeout,
        retries: action.retries.as_ref(),
        headers: &action.headers,
    }
}

impl super::compiled::Matcher {
    /// What follows the part of a path that the condition names.
    fn rest<'p>(&self, path: &'p str) -> &'p str {
        match &self.path {
            super::compiled::PathMatch::Prefix(prefix) => path.get(prefix.len()..).unwrap_or_default(),
            _ => "",
        }
    }
}

impl Redirect {
    fn location(&self, route: &Route<'_>, view: &View<'_>) -> String {
        let scheme = self.scheme.as_deref().unwrap_or(view.scheme);
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let host = match &self.host {
            Some(host) => host.as_str(),
            None => kept_host(&view.request.host, scheme, view.scheme, !port.is_empty()),
        };
        let path = match (&self.prefix, &self.path) {
            (Some(prefix), _) => format!("{prefix}{}{}", route.matcher.rest(view.bare()), view.query()),
            // A query of its own replaces that of the request.
            (None, Some(path)) if path.contains('?') => path.clone(),
            (None, Some(path)) => format!("{path}{}", view.query()),
            (None, None) => view.path.to_string(),
        };
        format!("{scheme}://{host}{port}{path}")
    }
}

/// The host of the request; without its port when a new one comes, or when it was the usual one of another scheme.
fn kept_host<'h>(host: &'h str, scheme: &str, old_scheme: &str, new_port: bool) -> &'h str {
    let (bare, port) = split_port(host);
    let usual = if old_scheme == "https" { "443" } else { "80" };
    match port {
        Some(port) if new_port || (scheme != old_scheme && port == usual) => bare,
        _ => host,
    }
}

impl Answer<'_> {
    /// Does the same come of a request?
    pub fn same(&self, other: &Answer<'_>) -> bool {
        match (self, other) {
            (Answer::Redirect { status: a, location: x }, Answer::Redirect { status: b, location: y }) => {
                a == b && x == y
            }
            (Answer::Direct { status: a, body: x }, Answer::Direct { status: b, body: y }) => a == b && x == y,
            (Answer::Abort { status: a }, Answer::Abort { status: b }) => a == b,
            (Answer::Closed(a), Answer::Closed(b)) => a == b,
            (a, b) => match (a.forward(), b.forward()) {
                (Some(x), Some(y)) => a.word() == b.word() && x.same(y),
                (None, None) => a.word() == b.word(),
                _ => false,
            },
        }
    }
}

impl Forward<'_> {
    fn same(&self, other: &Forward<'_>) -> bool {
        let of = |it: &super::outcome::Destination<'_>| {
            (it.cluster.clone(), it.share.to_bits(), it.state.clone(), it.authority.clone(), it.headers.clone())
        };
        let mut pods = self.destinations.iter().zip(other.destinations);
        self.destinations.iter().map(of).eq(other.destinations.iter().map(of))
            && pods.all(|(a, b)| super::destination::same_pods(a, b))
            && self.path == other.path
            && self.authority == other.authority
            && self.timeout == other.timeout
            && self.headers == other.headers
            && self.fault == other.fault
            && self
                .mirrors
                .iter()
                .map(|it| &it.destination.cluster)
                .eq(other.mirrors.iter().map(|it| &it.destination.cluster))
    }
}
