//! What a rule does: redirect, answer, or forward with everything that belongs to it (`TranslateRoute`).

use super::compiled::{Action, Compare, Cors, ForwardAction, Pattern, Redirect, Rewrite, Rival};
use super::delegate::Source;
use super::destination::{self, Other, Resolver};
use super::model::{VirtualService, items, namespace, port, text};
use super::outcome::{Destination, Fault, HeaderChanges, Mirror, Place, Retries};
use super::rules::{At, compare};
use crate::object::At as _;
use crate::object::parse_duration;
use serde_json::Value;
use std::time::Duration;

/// Compiles the action of a rule.
pub(super) fn compile<'s>(at: &At<'_, 's, '_>, route: &VirtualService<'s>, source: &Source<'s>) -> Action<'s> {
    let rule = &*source.rule;
    if let Some(redirect) = rule.get("redirect").filter(|it| it.is_object()) {
        return Action::Redirect(read_redirect(at, redirect));
    }
    if let Some(direct) = rule.get("directResponse").filter(|it| it.is_object()) {
        let status = direct.get("status").and_then(Value::as_u64).and_then(|it| u16::try_from(it).ok());
        let body = match direct.at("/body/bytes").and_then(Value::as_str) {
            Some(bytes) => decode(bytes),
            None => text(direct, "/body/string").to_owned(),
        };
        return Action::Direct { status: status.unwrap_or(200), body };
    }
    Action::Forward(Box::new(forward(at, route, source)))
}

fn decode(bytes: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read_redirect(at: &At<'_, '_, '_>, redirect: &Value) -> Redirect {
    let some = |field: &str| Some(text(redirect, field)).filter(|it| !it.is_empty()).map(str::to_owned);
    let scheme = some("/scheme");
    let fixed = port(redirect, "/port");
    let derived = (text(redirect, "/derivePort") == "FROM_REQUEST_PORT").then_some(at.port);
    let effective = scheme.as_deref().unwrap_or(if at.tls { "https" } else { "http" });
    let usual = match effective {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    Redirect {
        status: match redirect.get("redirectCode").and_then(Value::as_u64) {
            Some(302) => 302,
            Some(303) => 303,
            Some(307) => 307,
            Some(308) => 308,
            _ => 301,
        },
        host: some("/authority"),
        port: fixed.or(derived).filter(|port| Some(*port) != usual),
        prefix: some("/prefixRewrite"),
        path: some("/uri"),
        scheme,
    }
}

/// What a rule for connections does: they are passed on, and nothing of them is changed.
pub(super) fn connection<'s>(
    resolver: &Resolver<'_, 's, '_>,
    route: &VirtualService<'s>,
    rule: &Value,
    pointer: &str,
) -> ForwardAction<'s> {
    let routes = items(rule, "/route");
    let destinations = shares(routes).into_iter().filter_map(|(index, share)| {
        let place = Place { manifest: route.manifest, pointer: format!("{pointer}/route/{index}/destination") };
        let written = routes.get(index)?.get("destination")?;
        Some(resolver.resolve(written, route.namespace, place, share).destination)
    });
    let destinations: Vec<_> = destinations.collect();
    unchanged(destinations)
}

/// Requests go to these destinations as they are.
fn unchanged(destinations: Vec<Destination<'_>>) -> ForwardAction<'_> {
    ForwardAction {
        verdict: destination::verdict(&destinations),
        destinations,
        rewrite: Rewrite::None,
        authority: None,
        mirrors: Vec::new(),
        fault: None,
        timeout: None,
        retries: None,
        headers: HeaderChanges::default(),
        rivals: Vec::new(),
    }
}

/// The way to a host, with nothing changed.
pub(super) fn straight<'s>(resolver: &Resolver<'_, 's, '_>, host: &str, place: Place<'s>) -> ForwardAction<'s> {
    let written = serde_json::json!({"host": host, "port": {"number": resolver.port}});
    let resolved = resolver.resolve(&written, resolver.namespace, place, 1.0);
    let destinations = vec![resolved.destination];
    ForwardAction { rivals: rivals_of(&destinations, vec![(0, resolved.rivals)]), ..unchanged(destinations) }
}

fn forward<'s>(at: &At<'_, 's, '_>, route: &VirtualService<'s>, source: &Source<'s>) -> ForwardAction<'s> {
    let rule = &*source.rule;
    let inner = source.delegate.as_ref().unwrap_or(&source.root);
    let resolver =
        Resolver { model: at.model, front: at.front, cluster: at.cluster, namespace: route.namespace, port: at.port };
    let routes = items(rule, "/route");
    let (mut headers, mut authority) = changes(rule.get("headers"));
    if let Some(own) = Some(text(rule, "/rewrite/authority")).filter(|it| !it.is_empty()) {
        authority = Some(own.to_owned());
    }
    let (mut destinations, mut rivals) = (Vec::new(), Vec::new());
    for (index, share) in shares(routes) {
        let Some(entry) = routes.get(index) else { continue };
        let Some(written) = entry.get("destination") else { continue };
        let place = below(inner, &format!("route/{index}/destination"));
        let mut resolved = resolver.resolve(written, namespace(inner.manifest), place, share);
        let (own, own_authority) = changes(entry.get("headers"));
        if routes.len() == 1 {
            // Envoy knows one destination only by the route: its changes come after those of the route.
            headers.extend(own);
            authority = authority.or(own_authority);
        } else {
            resolved.destination.headers = own;
            resolved.destination.authority = own_authority;
        }
        rivals.push((destinations.len(), resolved.rivals));
        destinations.push(resolved.destination);
    }
    ForwardAction {
        rivals: rivals_of(&destinations, rivals),
        verdict: destination::verdict(&destinations),
        destinations,
        rewrite: rewrite(rule),
        authority,
        mirrors: mirrors(&resolver, source),
        fault: rule.get("fault").and_then(fault),
        timeout: duration(rule, "/timeout"),
        retries: rule.get("retries").filter(|it| it.is_object()).map(retries),
        headers,
    }
}

/// The whole list of destinations for each DestinationRule that would change one of them.
fn rivals_of<'s>(destinations: &[Destination<'s>], rivals: Vec<(usize, Vec<Other<'s>>)>) -> Vec<Rival<'s>> {
    let mut found = Vec::new();
    for (index, others) in rivals {
        for (oldest, instead_of, other) in others {
            let mut all = destinations.to_vec();
            if let Some(own) = all.get_mut(index) {
                if destination::same_pods(own, &other) && own.state == other.state {
                    continue;
                }
                *own = other;
            }
            found.push(Rival { oldest, instead_of, verdict: destination::verdict(&all), destinations: all });
        }
    }
    found
}

fn below<'s>(place: &Place<'s>, more: &str) -> Place<'s> {
    Place { manifest: place.manifest, pointer: format!("{}/{more}", place.pointer) }
}

/// Which entries get how much: one alone gets all whatever its weight; of several, those without a weight nothing.
pub(super) fn shares(routes: &[Value]) -> Vec<(usize, f64)> {
    if routes.len() == 1 {
        return vec![(0, 1.0)];
    }
    let weight = |entry: &Value| entry.get("weight").and_then(Value::as_u64).unwrap_or_default();
    let total: u64 = routes.iter().map(weight).sum();
    let some = routes.iter().enumerate().filter(|(_, entry)| weight(entry) > 0);
    #[expect(clippy::cast_precision_loss, reason = "weights are small; a share is told in percent")]
    some.map(|(index, entry)| (index, weight(entry) as f64 / total as f64)).collect()
}

fn rewrite(rule: &Value) -> Rewrite {
    if let Some(regex) = rule.at("/rewrite/uriRegexRewrite").filter(|it| it.is_object()) {
        return Rewrite::Regex { pattern: Pattern::new(text(regex, "/match")), by: text(regex, "/rewrite").to_owned() };
    }
    match text(rule, "/rewrite/uri") {
        "" => Rewrite::None,
        uri => Rewrite::Prefix(uri.to_owned()),
    }
}

fn mirrors<'s>(resolver: &Resolver<'_, 's, '_>, source: &Source<'s>) -> Vec<Mirror<'s>> {
    let rule = &*source.rule;
    // A mirror that comes from the rule above means what it means there.
    let of = |field: &str| {
        let inner = source.delegate.as_ref().filter(|it| {
            it.manifest.object.at(&it.pointer).is_some_and(|own| own.get(field).is_some_and(|value| !value.is_null()))
        });
        inner.unwrap_or(&source.root)
    };
    let mut found = Vec::new();
    let mut push = |written: &Value, home: &Place<'s>, pointer: String, percent: f64| {
        if percent > 0.0 {
            let place = below(home, &pointer);
            let resolved = resolver.resolve(written, namespace(home.manifest), place, percent / 100.0);
            found.push(Mirror { destination: resolved.destination });
        }
    };
    if let Some(mirror) = rule.get("mirror").filter(|it| it.is_object()) {
        let percent =
            rule.get("mirrorPercentage").map(|it| it.get("value").and_then(Value::as_f64).unwrap_or_default());
        let old = || rule.get("mirrorPercent").or_else(|| rule.get("mirror_percent")).and_then(Value::as_f64);
        push(mirror, of("mirror"), "mirror".to_owned(), percent.or_else(old).unwrap_or(100.0));
    }
    for (index, mirror) in items(rule, "/mirrors").iter().enumerate() {
        let percent = mirror.get("percentage").map(|it| it.get("value").and_then(Value::as_f64).unwrap_or_default());
        if let Some(written) = mirror.get("destination") {
            push(written, of("mirrors"), format!("mirrors/{index}/destination"), percent.unwrap_or(100.0));
        }
    }
    found
}

fn fault(written: &Value) -> Option<Fault> {
    let part = |kind: &str| written.at(&format!("/{kind}/percentage/value")).and_then(Value::as_f64);
    let abort = written.at("/abort/httpStatus").and_then(Value::as_u64).and_then(|it| u16::try_from(it).ok());
    // A gRPC status is sent with 200.
    let abort = abort.or_else(|| written.at("/abort/grpcStatus").map(|_| 200));
    let old = || written.at("/delay/percent").and_then(Value::as_f64);
    let fault = Fault {
        abort: abort.map(|status| (part("abort").unwrap_or_default() / 100.0, status)).filter(|(part, _)| *part > 0.0),
        delay: duration(written, "/delay/fixedDelay")
            .map(|delay| (part("delay").or_else(old).unwrap_or_default() / 100.0, delay))
            .filter(|(part, _)| *part > 0.0),
    };
    (fault != Fault::default()).then_some(fault)
}

/// A duration that is more than nothing.
fn duration(value: &Value, pointer: &str) -> Option<Duration> {
    let nanoseconds = parse_duration(value.at(pointer)?.as_str()?)?;
    u64::try_from(nanoseconds).ok().filter(|it| *it > 0).map(Duration::from_nanos)
}

fn retries(written: &Value) -> Retries {
    let attempts = written.get("attempts").and_then(Value::as_u64).unwrap_or_default();
    Retries {
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        per_try_timeout: duration(written, "/perTryTimeout"),
        on: Some(text(written, "/retryOn")).filter(|it| !it.is_empty()).map(str::to_owned),
    }
}

/// What a rule that forwards does with requests that browsers ask first; Envoy asks no other.
pub(super) fn cors(rule: &Value) -> Option<Cors> {
    let written = rule.get("corsPolicy").filter(|it| it.is_object())?;
    let new = items(written, "/allowOrigins");
    let old = items(written, "/allowOrigin").iter().filter_map(Value::as_str);
    let old = old.map(|origin| Compare::Exact(origin.to_owned()));
    Some(Cors {
        origins: if new.is_empty() { old.collect() } else { new.iter().map(compare).collect() },
        takes_all: text(written, "/unmatchedPreflights") == "IGNORE",
    })
}

impl HeaderChanges {
    fn extend(&mut self, more: Self) {
        self.set.extend(more.set);
        self.add.extend(more.add);
        self.remove.extend(more.remove);
        self.response_set.extend(more.response_set);
        self.response_add.extend(more.response_add);
        self.response_remove.extend(more.response_remove);
    }
}

/// Changes of headers, and the host that they set.
fn changes(written: Option<&Value>) -> (HeaderChanges, Option<String>) {
    let Some(written) = written else { return (HeaderChanges::default(), None) };
    let is_host = |name: &str| name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority");
    let inner = |name: &str| name.starts_with(':') || name.eq_ignore_ascii_case("host");
    let pairs = |pointer: &str| -> Vec<(String, String)> {
        let all = written.at(pointer).and_then(Value::as_object).into_iter().flatten();
        all.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    };
    let plain = |pointer: &str| {
        let mut all: Vec<_> = pairs(pointer).into_iter().filter(|(name, _)| !inner(name)).collect();
        all.sort();
        all
    };
    let names = |pointer: &str| {
        let all = items(written, pointer).iter().filter_map(Value::as_str);
        all.filter(|name| !inner(name)).map(str::to_owned).collect()
    };
    let host =
        ["/request/set", "/request/add"].iter().find_map(|at| pairs(at).into_iter().find(|(name, _)| is_host(name)));
    let changes = HeaderChanges {
        set: plain("/request/set"),
        add: plain("/request/add"),
        remove: names("/request/remove"),
        response_set: plain("/response/set"),
        response_add: plain("/response/add"),
        response_remove: names("/response/remove"),
    };
    (changes, host.map(|(_, value)| value))
}
