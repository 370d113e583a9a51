//! # rule-value
//! ## What it finds
//!
//! In the rules of a VirtualService: status codes, percentages, ports and weights out of range; a redirect or a rewrite that changes
//! nothing, or asks for two things at once; a scheme other than `http` and `https`; retries with attempts 0 and settings, and words of
//! `retryOn` that Envoy does not know; a fault that is neither delay nor abort, of a kind that is not built, or with a gRPC status that
//! does not exist; methods of CORS that do not exist, names of its headers that no header has, a `maxAge` finer than seconds; a direct
//! answer of more than 100 kB.
//!
//! ## Why it is bad
//!
//! The API server takes it, because the schema only says that it is a number or a text. istiod's webhook refuses the VirtualService where
//! there is one; where there is none, the rule or the whole VirtualService is left out.
//!
//! ## How to mend it
//!
//! As the message says.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, has, items, rules_of, text};
use crate::distance::nearest;
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::parse_duration;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "rule-value",
    severity: Severity::Error,
    summary: "a value of a rule is out of range",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("rule_value.rs"),
    check,
};

/// Conditions of `x-envoy-retry-on` and `x-envoy-retry-grpc-on`; a status code is one too.
const RETRY_ON: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "envoy-ratelimited",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];
/// A second in nanoseconds.
const SECOND: i128 = 1_000_000_000;
/// Names of gRPC's status codes.
const GRPC_STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"];
/// A direct answer is held by the control plane and by each proxy.
const LARGE_BODY: usize = 100 * 1024;
const LARGEST_BODY: usize = 1024 * 1024;

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for route in world.routes() {
        for (at, value) in rules_of(route.manifest, "http") {
            let mut rule = Rules { manifest: route.manifest, at, sink };
            rule.redirect(value);
            rule.rewrite(value);
            rule.answer(value);
            rule.fault(value);
            rule.retries(value);
            rule.mirrors(value);
            rule.cors(value);
            rule.cors_headers(value);
            rule.destinations(value);
        }
        for (at, value) in ["tls", "tcp"].into_iter().flat_map(|kind| rules_of(route.manifest, kind)) {
            Rules { manifest: route.manifest, at, sink }.destinations(value);
        }
    }
}

/// One rule, and where its faults go.
struct Rules<'a, 's> {
    manifest: &'a Manifest,
    at: String,
    sink: &'s mut Sink<'a>,
}

impl<'a> Rules<'a, '_> {
    fn report(&self, field: &str, message: impl Into<String>) -> Report<'a> {
        Report::at(self.manifest, format!("{}{field}", self.at), message)
    }

    fn tell(&mut self, field: &str, message: impl Into<String>) {
        let report = self.report(field, message);
        self.sink.push(report);
    }

    fn number(&mut self, rule: &Value, field: &str, (least, most): (f64, f64), what: &str) {
        let found = rule.at(field).and_then(Value::as_f64);
        if let Some(found) = found.filter(|found| !(least..=most).contains(found)) {
            self.tell(field, format!("{found} is no {what}: it must be {least} to {most}"));
        }
    }

    fn redirect(&mut self, rule: &Value) {
        let Some(redirect) = rule.get("redirect").filter(|redirect| redirect.is_object()) else { return };
        let given = |field: &str| !text(redirect, field).is_empty();
        if given("/uri") && given("/prefixRewrite") {
            self.tell("/redirect", "a redirect has either uri or prefixRewrite");
        } else if given("/prefixRewrite") {
            let all = items(rule, "/match").filter_map(|(_, entry)| entry.get("uri"));
            if all.into_iter().any(|uri| uri.get("prefix").is_none()) {
                self.tell("/redirect/prefixRewrite", "it replaces a prefix, and a match of this rule has none");
            }
        }
        let other = ["port", "derivePort"].iter().any(|field| has(redirect, field));
        if !["/uri", "/prefixRewrite", "/authority", "/scheme"].into_iter().any(given) && !other {
            self.tell("/redirect", "a redirect to the same place: it has neither uri, authority, scheme nor port");
        }
        self.number(rule, "/redirect/redirectCode", (300.0, 399.0), "status of a redirect");
        self.number(rule, "/redirect/port", (1.0, 65535.0), "port");
        let scheme = text(redirect, "/scheme");
        if !matches!(scheme, "" | "http" | "https") {
            self.word("/redirect/scheme", scheme, &["http", "https"], "a redirect goes to http or https");
        }
    }

    fn rewrite(&mut self, rule: &Value) {
        let Some(rewrite) = rule.get("rewrite").filter(|rewrite| rewrite.is_object()) else { return };
        let (uri, regex) = (!text(rewrite, "/uri").is_empty(), has(rewrite, "uriRegexRewrite"));
        if uri && regex {
            self.tell("/rewrite", "a rewrite has either uri or uriRegexRewrite");
        } else if !uri && !regex && text(rewrite, "/authority").is_empty() {
            self.tell("/rewrite", "a rewrite that changes nothing: it has neither uri, uriRegexRewrite nor authority");
        }
        if regex
            && ["match", "rewrite"].iter().any(|field| text(rewrite, &format!("/uriRegexRewrite/{field}")).is_empty())
        {
            self.tell("/rewrite/uriRegexRewrite", "it needs both match and rewrite");
        }
    }

    fn answer(&mut self, rule: &Value) {
        self.number(rule, "/directResponse/status", (200.0, 599.0), "status");
        let size =
            ["string", "bytes"].iter().map(|kind| text(rule, &format!("/directResponse/body/{kind}")).len()).max();
        let size = size.unwrap_or_default();
        if size > LARGE_BODY {
            let report =
                self.report("/directResponse/body", format!("an answer of {} kB: each proxy holds it", size / 1024));
            self.sink.push(if size > LARGEST_BODY { report } else { report.severity(Severity::Warning) });
        }
    }

    fn fault(&mut self, rule: &Value) {
        let Some(fault) = rule.get("fault").filter(|fault| fault.is_object()) else { return };
        if !has(fault, "abort") && !has(fault, "delay") {
            self.tell("/fault", "a fault is a delay, an abort or both");
        }
        for kind in ["abort", "delay"] {
            let field = format!("/fault/{kind}/percentage/value");
            self.number(rule, &field, (0.0, 100.0), "percentage");
            if rule.at(&field).and_then(Value::as_f64).is_some_and(|value| value > 0.0 && value < 0.0001) {
                self.tell(&field, "a percentage is 0, or 0.0001 at least");
            }
        }
        self.number(rule, "/fault/abort/httpStatus", (200.0, 599.0), "status");
        if let Some(status) = rule.at("/fault/abort/grpcStatus").and_then(Value::as_str)
            && !GRPC_STATUS.contains(&status)
        {
            let message = format!("gRPC has no status `{status}`");
            self.word("/fault/abort/grpcStatus", &status.replace('-', "_"), &GRPC_STATUS, &message);
        }
        for (field, instead) in
            [("/fault/abort/http2Error", "httpStatus"), ("/fault/delay/exponentialDelay", "fixedDelay")]
        {
            if rule.at(field).is_some_and(|value| !value.is_null()) {
                self.tell(field, format!("Istio has not built it: {instead} is what there is"));
            }
        }
        let kinds = ["httpStatus", "grpcStatus", "http2Error"];
        if fault.get("abort").is_some_and(|abort| abort.is_object() && !kinds.iter().any(|kind| has(abort, kind))) {
            let report =
                self.report("/fault/abort", "an abort without a status does nothing").severity(Severity::Warning);
            self.sink.push(report);
        }
    }

    fn retries(&mut self, rule: &Value) {
        let Some(retries) = rule.get("retries").filter(|retries| retries.is_object()) else { return };
        let attempts = retries.get("attempts").and_then(Value::as_i64).unwrap_or_default();
        let set: Vec<&str> = ["perTryTimeout", "retryOn", "retryRemoteLocalities"]
            .into_iter()
            .filter(|field| has(retries, field))
            .collect();
        if attempts < 0 {
            self.tell("/retries/attempts", format!("{attempts} attempts cannot be made"));
        } else if attempts == 0 && !set.is_empty() {
            self.tell(
                "/retries",
                format!("without attempts there are no retries, and {} has no effect", set.join(" and ")),
            );
        }
        for word in text(retries, "/retryOn").split(',').filter(|word| !word.is_empty()) {
            let status = word.parse::<u16>().is_ok_and(is_status);
            if !status && !RETRY_ON.contains(&word) {
                self.retry_on(text(retries, "/retryOn"), word);
            }
        }
    }

    /// A word among several: the whole text is written anew.
    fn retry_on(&mut self, all: &str, word: &str) {
        let report = self.report("/retries/retryOn", format!("Envoy retries on no `{word}`"));
        let report = match nearest(RETRY_ON, word.trim()) {
            Some(meant) => {
                let words: Vec<&str> = all.split(',').map(|other| if other == word { meant } else { other }).collect();
                let edit = EditOp::Set(format!("{}/retries/retryOn", self.at), words.join(",").into());
                // A blank behind the comma is no other word.
                report.hint(format!("Did you mean {meant}?")).fix(
                    format!("write {meant}"),
                    meant == word.trim(),
                    vec![(self.manifest, edit)],
                )
            }
            None => report.hint(format!("Known: a status code, {}", RETRY_ON.join(", "))),
        };
        self.sink.push(report);
    }

    fn mirrors(&mut self, rule: &Value) {
        self.number(rule, "/mirrorPercentage/value", (0.0, 100.0), "percentage");
        self.number(rule, "/mirrorPercent", (0.0, 100.0), "percentage");
        for index in 0..items(rule, "/mirrors").count() {
            self.number(rule, &format!("/mirrors/{index}/percentage/value"), (0.0, 100.0), "percentage");
        }
    }

    fn cors(&mut self, rule: &Value) {
        for (index, method) in
            items(rule, "/corsPolicy/allowMethods").filter_map(|(at, word)| Some((at, word.as_str()?)))
        {
            if !METHODS.contains(&method) {
                let field = format!("/corsPolicy/allowMethods/{index}");
                self.word(&field, method, &METHODS, &format!("there is no method `{method}`"));
            }
        }
        for (index, origin) in items(rule, "/corsPolicy/allowOrigins") {
            if ["/exact", "/prefix", "/regex"].iter().all(|kind| text(origin, kind).is_empty()) {
                self.tell(&format!("/corsPolicy/allowOrigins/{index}"), "an origin must say exact, prefix or regex");
            }
        }
    }

    /// Headers and age of CORS, as browsers are told them.
    fn cors_headers(&mut self, rule: &Value) {
        for list in ["allowHeaders", "exposeHeaders"] {
            let base = format!("/corsPolicy/{list}");
            let names = items(rule, &base).filter_map(|(at, name)| Some((at, name.as_str()?)));
            for (index, name) in names.filter(|(_, name)| *name != "*" && !is_token(name)) {
                let field = format!("{base}/{index}");
                let report = self.report(&field, format!("no header can be named `{name}`"));
                let bare = name.trim();
                let edit = EditOp::Set(format!("{}{field}", self.at), bare.into());
                self.sink.push(match is_token(bare) {
                    true => report.fix(format!("write {bare}"), true, vec![(self.manifest, edit)]),
                    false => report.hint("One name in each item; `*` is every header"),
                });
            }
        }
        let age = text(rule, "/corsPolicy/maxAge");
        if parse_duration(age).is_some_and(|age| age % SECOND != 0) {
            self.tell("/corsPolicy/maxAge", format!("{age} is too fine: browsers are told whole seconds"));
        }
    }

    fn destinations(&mut self, rule: &Value) {
        for (index, entry) in items(rule, "/route") {
            let at = format!("/route/{index}");
            self.number(rule, &format!("{at}/destination/port/number"), (1.0, 65535.0), "port");
            if let Some(weight) = entry.get("weight").and_then(Value::as_i64).filter(|weight| *weight < 0) {
                self.tell(&format!("{at}/weight"), format!("a weight is 0 or more, and not {weight}"));
            }
        }
    }

    /// A word that must be one of some.
    fn word(&mut self, field: &str, found: &str, known: &[&'static str], message: &str) {
        let report = self.report(field, message);
        let same = known.iter().find(|known| known.eq_ignore_ascii_case(found.trim()));
        self.sink.push(match same {
            Some(meant) => {
                let edit = EditOp::Set(format!("{}{field}", self.at), (*meant).into());
                report.fix(format!("write {meant}"), true, vec![(self.manifest, edit)])
            }
            None => report.hint(format!("Known: {}", known.join(", "))),
        });
    }
}

/// Is it a status that HTTP has? istiod refuses to retry on others.
fn is_status(code: u16) -> bool {
    matches!(code, 100..=103 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=418 | 421..=426 | 428 | 429 | 431 | 451)
        || matches!(code, 500..=508 | 510 | 511)
}

/// Is it what HTTP takes for a name?
fn is_token(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(inner)
}
