//! The way of a request: host, VirtualServices, rule, action.

use super::super::compiled::{Action, Compare, PathMatch, Redirect, Rewrite, Route, RouteTable, Verdict, VirtualHost};
use super::super::lookup;
use super::super::matching::View;
use super::super::model::{items, texts};
use super::super::outcome::{Answer, Place};
use super::super::trace::Stage;
use super::connection::number;
use super::{Walk, listed, name};
use crate::istio::is_subset;

/// Rules that are told why they do not take a request, at most.
const MOST: usize = 20;

impl<'a, 's> Walk<'a, 's> {
    /// HTTP behind a port of the pods.
    pub(super) fn http(&mut self, port: u16, table: &'a RouteTable<'s>, tls: bool) {
        let Some(view) = View::of(self.request, tls) else {
            let text = "Envoy takes the request for malformed: host, path or method are empty or have characters that they must \
                        not have, or the path does not begin with a slash";
            self.fail(
                Stage::VirtualHost,
                text,
                Vec::new(),
                "Send a host, a path from `/` and a usual method".to_owned(),
            );
            return;
        };
        let Some(host) = table.find(&view.host) else {
            if self.table.front.sidecar {
                return self.nobody(port, &view.host, table.exact.keys().cloned());
            }
            self.no_host(port, table, &view);
            return;
        };
        let how = match host.domain.as_str() {
            "*" => "which is for every host without one of its own".to_owned(),
            domain if domain.starts_with('*') => format!("by the wildcard {domain}"),
            _ => "by its name".to_owned(),
        };
        let text = format!("the host {} meets the virtual host {}, {how}", view.host, host.name);
        self.pass(Stage::VirtualHost, text, table.servers.clone());
        if let Some(server) = host.https_only.as_ref().filter(|_| view.scheme == "http") {
            let text = "the server redirects plain HTTP to HTTPS (httpsRedirect)".to_owned();
            self.pass(Stage::Action, text, vec![server.clone()]);
            return;
        }
        let first = lookup::first_route(self.core, host, &view);
        if let Some((route, _)) = first.filter(|(route, _)| !route.rule.is_written()) {
            self.straight(host, route);
            if let Action::Forward(action) = &route.action {
                self.destinations(action, action.verdict == Verdict::Some);
            }
            return;
        }
        self.binding(host);
        match first {
            None => self.no_route(table, host, &view),
            Some((route, _)) => self.taken(host, route, view),
        }
    }

    fn no_host(&mut self, port: u16, table: &RouteTable<'s>, view: &View<'_>) {
        let known: Vec<String> = table.hosts.iter().map(|host| host.domain.clone()).collect();
        let shown: Vec<String> = known.iter().take(MOST).cloned().collect();
        let text =
            format!("no VirtualService answers to {} on port {port}; known there: {}", view.host, listed(&shown));
        let refused = self.table.refused().iter().find(|it| {
            texts(&it.place.manifest.object, "/spec/hosts").any(|host| is_subset(&view.host, &host.to_lowercase()))
        });
        let near = known.iter().map(|host| (crate::distance::distance(&view.host, host), host)).min();
        let near = near.filter(|(distance, _)| *distance <= 3);
        let fix = match (refused, near) {
            (Some(it), _) => format!("VirtualService {} is refused as a whole: {}", name(it.place.manifest), it.reason),
            (None, Some((_, near))) => format!("Did you mean {near}?"),
            (None, None) => {
                format!(
                    "Add {} to the hosts of a VirtualService that is bound to the Gateway, and to its server",
                    view.host
                )
            }
        };
        let places = table.servers.iter().cloned().chain(refused.map(|it| it.place.clone())).collect();
        self.fail(Stage::VirtualHost, text, places, fix);
    }

    /// Whose rules stand in the virtual host.
    fn binding(&mut self, host: &'a VirtualHost<'s>) {
        let mut order: Vec<String> = Vec::new();
        let mut places = Vec::new();
        for segment in &host.segments {
            let name = name(segment.manifest);
            if !order.contains(&name) {
                order.push(name);
                places.push(Place { manifest: segment.manifest, pointer: "/spec/hosts".to_owned() });
            }
        }
        let text = match order.as_slice() {
            [] => "no VirtualService is bound to it".to_owned(),
            [one] => format!("its rules are those of VirtualService {one}"),
            all if host.contested => {
                format!("its rules are those of VirtualServices {}; whichever is older comes first", listed(all))
            }
            all => format!("its rules are those of VirtualServices {}, in this order", listed(all)),
        };
        self.pass(Stage::Binding, text, places);
    }

    fn no_route(&mut self, table: &'a RouteTable<'s>, host: &'a VirtualHost<'s>, view: &View<'_>) {
        let places = host.segments.iter().map(|it| Place { manifest: it.manifest, pointer: "/spec/http".to_owned() });
        let places: Vec<_> = places.collect();
        let considered = self.passed_over(host, view, None);
        // The wider hosts do not help: Envoy never falls back to them.
        let wider = table.hosts.iter().find(|other| {
            other.domain != host.domain
                && is_subset(&view.host, &other.domain)
                && lookup::first_route(self.core, other, view).is_some()
        });
        let left = self
            .table
            .left_out
            .iter()
            .find(|(place, _)| host.segments.iter().any(|segment| segment.manifest.id == place.manifest.id));
        let text = format!("no rule takes {} {}", view.request.method, view.path);
        let fix = match (wider, left) {
            (_, Some((place, why))) => {
                format!("Rule {} leaves requests to another VirtualService, but {why}", number(&place.pointer))
            }
            (Some(wider), None) => format!(
                "The virtual host {} has a rule for it, but {} hides it, and Envoy does not fall back. Add the rule{}",
                wider.name,
                host.domain,
                host.segments.first().map(|it| format!(" to VirtualService {}", name(it.manifest))).unwrap_or_default()
            ),
            (None, None) if host.segments.is_empty() => {
                "Bind a VirtualService with this host to the Gateway".to_owned()
            }
            (None, None) => "Add a rule that takes it".to_owned(),
        };
        self.fail(Stage::Route, text, places, fix);
        self.considered(considered);
    }

    /// The rules before the one that is taken, and why they are not.
    fn passed_over(
        &self,
        host: &'a VirtualHost<'s>,
        view: &View<'_>,
        taken: Option<&Route<'s>>,
    ) -> Vec<(Place<'a>, String)> {
        let early = host.segments.iter().flat_map(|it| it.routes.0..it.routes.1);
        let order = early.chain(host.segments.iter().filter_map(|it| it.catch_all));
        let routes = order.filter_map(|at| self.core.routes.get(at));
        let before = routes.take_while(|route| taken.is_none_or(|taken| !std::ptr::eq(*route, taken)));
        let unmet = before.filter_map(|route| Some((route.rule.matched.clone(), route.matcher.unmet(view)?)));
        unmet.take(MOST).collect()
    }

    fn taken(&mut self, host: &'a VirtualHost<'s>, route: &'a Route<'s>, view: View<'a>) {
        let considered = self.passed_over(host, &view, Some(route));
        let rule = &route.rule;
        let named = if rule.name.is_empty() { String::new() } else { format!(" ({})", rule.name) };
        let object = name(rule.virtual_service.manifest);
        let text = format!(
            "rule {}{named} of VirtualService {object} takes it: {}",
            number(&rule.virtual_service.pointer),
            conditions(route)
        );
        self.pass(Stage::Route, text, vec![rule.matched.clone()]);
        self.considered(considered);
        if let Some(delegate) = &rule.delegate {
            let text = format!("the rule leaves it to VirtualService {}", name(delegate.manifest));
            self.pass(Stage::Delegate, text, vec![rule.virtual_service.clone(), delegate.clone()]);
        }
        let inner = rule.delegate.as_ref().unwrap_or(&rule.virtual_service).clone();
        let is_preflight = lookup::answers_preflight(route, &view);
        let (answer, _) = lookup::act(route, view);
        let text = match (&route.action, &answer) {
            (Action::Redirect(redirect), Answer::Redirect { location, .. }) => redirected(redirect, location),
            _ if is_preflight => "the gateway answers a preflight request itself (corsPolicy)".to_owned(),
            (_, Answer::Direct { status, .. }) => format!("the gateway answers {status} itself"),
            (_, Answer::Abort { status }) => format!("the rule answers every request with {status} (fault)"),
            (Action::Forward(action), answer) => forwarded(&action.rewrite, answer),
            _ => "it is taken".to_owned(),
        };
        self.pass(Stage::Action, text, vec![inner]);
        if let (Action::Forward(action), Some(_)) = (&route.action, answer.forward()) {
            self.destinations(action, action.verdict == Verdict::Some);
        }
    }
}

fn redirected(redirect: &Redirect, location: &str) -> String {
    format!("the gateway redirects ({}) to {location}", redirect.status)
}

fn forwarded(rewrite: &Rewrite, answer: &Answer<'_>) -> String {
    let Some(forward) = answer.forward() else { return "it is forwarded".to_owned() };
    match rewrite {
        Rewrite::None => format!("it is forwarded as {}{}", forward.authority, forward.path),
        _ => format!("it is forwarded, rewritten to {}{}", forward.authority, forward.path),
    }
}

/// The conditions of a route in words.
fn conditions(route: &Route<'_>) -> String {
    let mut words = Vec::new();
    let case = if route.matcher.ignore_case { " in any case" } else { "" };
    match &route.matcher.path {
        PathMatch::Prefix(prefix) if prefix == "/" => {}
        PathMatch::Prefix(prefix) => words.push(format!("the path begins with {prefix}{case}")),
        PathMatch::Exact(exact) => words.push(format!("the path is {exact}{case}")),
        PathMatch::Regex(pattern) => words.push(format!("the path is as {}", pattern.text)),
    }
    for header in &route.matcher.headers {
        let not = if header.not { "not " } else { "" };
        words.push(format!("{} is {not}{}", header.name.trim_start_matches(':'), header.how));
    }
    words.extend(route.matcher.query.iter().map(|(name, how)| match how {
        Compare::Present => format!("it has the query parameter {name}"),
        how => format!("the query parameter {name} is {how}"),
    }));
    if words.is_empty() { "it takes everything".to_owned() } else { listed(&words) }
}

/// The subsets of a DestinationRule.
pub(super) fn subsets(rule: &crate::fleet::Manifest) -> Vec<String> {
    let all = items(&rule.object, "/spec/subsets").iter();
    all.filter_map(|it| it.get("name")?.as_str()).map(str::to_owned).collect()
}
