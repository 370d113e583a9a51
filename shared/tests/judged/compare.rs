//! Does the simulator say what the judge says?

use super::{Answer as Judged, Question};
use asm_shared::fleet::Target;
use asm_shared::route::{Answer, Closed, Destination, Forward, HeaderChanges, Outcome, State};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Headers that Envoy sets itself when it changes host or path.
const ORIGINALS: [&str; 2] = ["x-envoy-original-path", "x-envoy-original-host"];

/// What differs, a line each; empty when both say the same.
pub(crate) fn differences(question: &Question, judged: &Judged, outcome: &Outcome<'_>) -> Vec<String> {
    let mut found = Found(Vec::new());
    if outcome.depends_on_order() {
        found.add(format!("order: every age is known, but it depends on {:?}", outcome.alternatives));
    }
    let answer = &outcome.answer;
    if matches!(answer, Answer::Passthrough) {
        // Nothing listens, or what does knows nobody of the name; the judge has no DNS.
        let through = judged.outcome == "no-listener" || judged.cluster == "PassthroughCluster";
        if !through {
            found.add(format!("outcome: the judge {}, ours {}", brief(judged), shown(answer)));
        }
        return found.0;
    }
    // Envoy's CORS filter answers it, and names no route.
    let is_preflight =
        judged.outcome == "local" && question.method == "OPTIONS" && matches!(answer, Answer::Direct { .. });
    // Without a rule it was TCP, or nothing was found at all.
    if let Some(rule) = outcome.rule
        && !is_preflight
        && !matches!(answer, Answer::Tcp(_) | Answer::Closed(_))
    {
        found.same("route", &judged.route, &rule.name);
    }
    // Envoy says it of what a route answers.
    if !judged.virtual_host.is_empty() {
        found.same("virtual host", &Some(judged.virtual_host.as_str()), &outcome.virtual_host);
    }
    match (judged.outcome.as_str(), answer) {
        // Where weights decide, each destination has a state of its own.
        (
            "forward" | "no-cluster" | "no-endpoint" | "mixed",
            Answer::Forward(forward) | Answer::NoCluster(forward) | Answer::NoEndpoint(forward),
        )
        | ("forward", Answer::Tcp(forward)) => destination(&mut found, question, judged, forward),
        ("redirect", Answer::Redirect { status, location }) => {
            found.same("status", &judged.status, status);
            found.same("location", &judged.location, location);
        }
        ("direct", Answer::Direct { status, body }) => {
            found.same("status", &judged.status, status);
            if question.method != "HEAD" {
                found.same("body", judged.body.as_str(), body);
            }
        }
        ("local", Answer::Direct { status, .. }) if is_preflight => {
            found.same("status", &judged.status, status);
        }
        ("local", Answer::Abort { status }) => {
            found.same("status", &judged.status, status);
            found.same("details", judged.details.as_str(), "fault_filter_abort");
        }
        ("local", Answer::BadRequest) => found.same("status", &judged.status, &400),
        ("no-route", Answer::NoRoute { virtual_host }) => {
            found.same("virtual host", judged.virtual_host.as_str(), virtual_host);
        }
        // istiod's way to say that there is no virtual host.
        ("no-virtual-host", Answer::NoRoute { virtual_host }) if virtual_host.starts_with("blackhole:") => {}
        ("no-listener", Answer::NoListener)
        | ("no-virtual-host", Answer::NoVirtualHost)
        | ("refused", Answer::Refused { .. })
        | ("closed", Answer::Closed(_)) => {}
        // A connection has nobody to tell it.
        ("closed", Answer::Tcp(forward)) if forward.destinations.iter().any(|d| d.share > 0.0 && !is_there(d)) => {}
        // Envoy answers plaintext that is no HTTP, and HTTP to what expects it, in words of its own.
        ("local", Answer::Closed(Closed::TlsOnPlaintext)) if judged.status == 400 => {}
        _ => found.add(format!("outcome: the judge {}, ours {}", brief(judged), shown(answer))),
    }
    found.0
}

/// Forwarded: where to, and as what.
fn destination(found: &mut Found, question: &Question, judged: &Judged, forward: &Forward<'_>) {
    let sharing = || forward.destinations.iter().filter(|d| d.share > 0.0);
    let clusters: Vec<&str> = if judged.clusters.is_empty() {
        vec![&judged.cluster]
    } else {
        judged.clusters.keys().map(String::as_str).collect()
    };
    for cluster in clusters {
        found.among("cluster", cluster, sharing().map(|d| d.cluster.as_str()));
    }
    // The same one can be there twice, with other headers: one of them must fit.
    let fitting = sharing().filter(|d| d.cluster == judged.cluster).map(|taken| {
        let mut of_it = Found(Vec::new());
        one_destination(&mut of_it, question, judged, forward, taken);
        of_it.0
    });
    found.0.extend(fitting.min_by_key(Vec::len).unwrap_or_default());
    if judged.outcome == "forward" && judged.clusters.is_empty() && !judged.virtual_host.is_empty() {
        mirrors(found, judged, forward);
    }
}

fn one_destination(
    found: &mut Found,
    question: &Question,
    judged: &Judged,
    forward: &Forward<'_>,
    taken: &Destination<'_>,
) {
    let word = match taken.state {
        State::Ready | State::Assumed | State::Unknown => "forward",
        State::NoCluster(_) => "no-cluster",
        State::NoEndpoint(_) => "no-endpoint",
    };
    if judged.outcome != "mixed" {
        found.same("state", judged.outcome.as_str(), word);
    }
    endpoints(found, judged, taken);
    if judged.outcome != "forward" || judged.virtual_host.is_empty() {
        return;
    }
    found.same("path", judged.upstream_path.as_str(), &forward.path);
    let authority = taken.authority.as_deref().unwrap_or(&forward.authority);
    found.same("upstream host", judged.upstream_host.as_str(), authority);
    let timeout = forward.timeout.map_or(0, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    if forward.retries.is_none_or(|retries| retries.per_try_timeout.is_none()) {
        found.same("timeout", &judged.timeout_ms, &timeout);
    }
    headers(found, question, judged, [&taken.headers, forward.headers]);
}

fn is_there(destination: &Destination<'_>) -> bool {
    !matches!(destination.state, State::NoCluster(_) | State::NoEndpoint(_))
}

/// The clusters whose pods answered must be among ours.
fn endpoints(found: &mut Found, judged: &Judged, taken: &Destination<'_>) {
    if judged.clusters.len() > 1 || taken.endpoints.is_empty() || taken.state != State::Ready {
        return;
    }
    // Those that get nothing as long as nearer ones work answer nothing.
    let gets = |name: &str| taken.locality.iter().all(|(known, share)| known != name || *share > 0.0);
    let ours: BTreeSet<&str> = taken.endpoints.iter().map(|e| e.cluster.name()).filter(|name| gets(name)).collect();
    // "m1c1/default/reviews-v1-0:9080"; others are addresses, of ServiceEntries.
    for endpoint in judged.endpoints.keys() {
        let cluster = endpoint.split_once('/').map_or(Target::Mesh.name(), |(cluster, _)| cluster).to_owned();
        found.among("cluster of the endpoint", &cluster, ours.iter().copied());
    }
}

/// Copies that every request makes must be there, and no others.
fn mirrors(found: &mut Found, judged: &Judged, forward: &Forward<'_>) {
    let ours = || forward.mirrors.iter().map(|m| &m.destination).filter(|d| is_there(d) && d.share > 0.0);
    for cluster in judged.mirrors.keys() {
        found.among("mirror", cluster, ours().map(|d| d.cluster.as_str()));
    }
    for sure in ours().filter(|d| d.share >= 1.0) {
        if !judged.mirrors.contains_key(&sure.cluster) {
            found.add(format!("mirror: ours {}, the judge has {:?}", sure.cluster, judged.mirrors.keys()));
        }
    }
}

/// Headers as the destination and the client see them, after the changes of the destination and then of the rule.
fn headers(found: &mut Found, question: &Question, judged: &Judged, changes: [&HeaderChanges; 2]) {
    let sent: BTreeMap<String, Vec<String>> =
        question.headers.iter().map(|(name, values)| (name.to_ascii_lowercase(), values.clone())).collect();
    let mut request = sent.clone();
    let mut response = BTreeMap::new();
    for change in changes {
        apply(&mut request, &change.remove, &change.set, &change.add);
        apply(&mut response, &change.response_remove, &change.response_set, &change.response_add);
    }
    let joined = |headers: BTreeMap<String, Vec<String>>| -> BTreeMap<String, String> {
        headers.into_iter().map(|(name, values)| (name, values.join(","))).collect()
    };
    let sent = joined(sent);
    let mut theirs = sent.clone();
    theirs.retain(|name, _| !judged.removed_headers.contains(name));
    theirs.extend(judged.upstream_headers.clone());
    theirs.retain(|name, _| !ORIGINALS.contains(&name.as_str()));
    found.same("request headers", &theirs, &joined(request));
    // What a corsPolicy says to browsers is Envoy's own.
    let mut answered = judged.response_headers.clone();
    answered.retain(|name, _| !name.starts_with("access-control-"));
    found.same("response headers", &answered, &joined(response));
}

fn apply(
    headers: &mut BTreeMap<String, Vec<String>>,
    remove: &[String],
    set: &[(String, String)],
    add: &[(String, String)],
) {
    for name in remove {
        headers.remove(&name.to_ascii_lowercase());
    }
    for (name, value) in set {
        headers.insert(name.to_ascii_lowercase(), vec![value.clone()]);
    }
    for (name, value) in add {
        headers.entry(name.to_ascii_lowercase()).or_default().push(value.clone());
    }
}

/// One line about the judge's answer.
pub(crate) fn brief(judged: &Judged) -> String {
    let mut text = judged.outcome.clone();
    for part in [&judged.cluster, &judged.location, &judged.details, &judged.error] {
        if !part.is_empty() {
            text = format!("{text} {part}");
        }
    }
    if judged.status > 0 { format!("{text} ({})", judged.status) } else { text }
}

/// One line about ours.
fn shown(answer: &Answer<'_>) -> String {
    let status = answer.status().map(|status| format!(" ({status})")).unwrap_or_default();
    let clusters: Vec<&str> =
        answer.forward().map(|f| f.destinations.iter().map(|d| d.cluster.as_str()).collect()).unwrap_or_default();
    let more = match answer {
        Answer::Closed(why) => format!(" {why:?}"),
        Answer::Redirect { location, .. } => format!(" {location}"),
        Answer::NoRoute { virtual_host } => format!(" in {virtual_host}"),
        Answer::Refused { reason } => format!(": {reason}"),
        _ => format!(" {}", clusters.join(" ")),
    };
    format!("{}{}{status}", answer.word(), more.trim_end())
}

struct Found(Vec<String>);

impl Found {
    fn add(&mut self, difference: String) {
        self.0.push(difference);
    }

    fn same<T: PartialEq + Debug + ?Sized>(&mut self, what: &str, judge: &T, ours: &T) {
        if judge != ours {
            self.add(format!("{what}: the judge {judge:?}, ours {ours:?}"));
        }
    }

    fn among<'a>(&mut self, what: &str, judge: &str, ours: impl Iterator<Item = &'a str>) {
        let ours: BTreeSet<&str> = ours.collect();
        if !ours.contains(judge) {
            self.add(format!("{what}: the judge {judge:?}, ours {ours:?}"));
        }
    }
}
