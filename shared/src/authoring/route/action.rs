//! What a rule does besides choosing a destination: mirror, fault, redirect, rewrite, timeout, retries.

use super::super::fleet_view::fleet;
use super::super::text::{Field, Node, field};
use super::super::workspace::{Change, Workspace};
use super::super::{AuthoringError, Plan};
use super::change::{Rule, declare};
use super::{Destination, Scope, objects};
use crate::fleet::{FleetState, Manifest, Tree};
use crate::istio::{Gateway, HttpMatch, HttpRule, StringMatch, VirtualService, gateway_name};
use crate::object::At as _;
use crate::object::parse_duration;
use serde_json::{Value, json};
use std::str::FromStr;

/// What becomes of a field that may be left alone, set or taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Setting<T> {
    /// Stays as it is.
    #[default]
    Keep,
    /// Gets a value.
    To(T),
    /// Goes.
    Off,
}

/// A percentage of requests, from 0 to 100, perhaps with a fraction.
#[derive(Clone, Debug, PartialEq)]
pub struct Share(serde_json::Number);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is no percentage from 0 to 100");
        let text = text.strip_suffix('%').unwrap_or(text);
        let value: f64 = text.parse().ok().filter(|value| (0.0..=100.0).contains(value)).ok_or_else(wrong)?;
        // A whole number is written without a fraction.
        let number = match text.parse::<u64>() {
            Ok(whole) => Some(whole.into()),
            Err(_) => serde_json::Number::from_f64(value),
        };
        number.map(Self).ok_or_else(wrong)
    }
}

impl Share {
    fn all() -> Self {
        Self(100.into())
    }

    fn value(&self) -> Value {
        json!({ "value": self.0 })
    }
}

/// Retries: `ATTEMPTS[,per-try=DURATION][,on=CONDITIONS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    attempts: u32,
    per_try: Option<String>,
}

impl FromStr for Retries {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| format!("`{text}` is not ATTEMPTS[,per-try=DURATION]: {why}");
        let (attempts, per_try) = match text.split_once(',') {
            Some((attempts, rest)) => {
                let duration = rest.strip_prefix("per-try=").ok_or_else(|| wrong("`per-try=` is the only addition"))?;
                (attempts, Some(duration_of(duration)?))
            }
            None => (text, None),
        };
        let attempts = attempts.parse().map_err(|_| wrong("the attempts are a whole number, 0 for none"))?;
        Ok(Self { attempts, per_try })
    }
}

/// A duration that Istio takes: at least a millisecond.
fn duration_of(text: &str) -> Result<String, String> {
    match parse_duration(text) {
        Some(nanoseconds) if nanoseconds >= 1_000_000 => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is no duration: write for example 500ms, 5s or 1m30s")),
    }
}

/// The changes that set timeout and retries of a rule, and what is strange about them.
pub(super) fn times(
    rule: &Rule<'_>,
    timeout: &Setting<String>,
    retries: &Setting<Retries>,
) -> Result<(Vec<Change>, Vec<String>), AuthoringError> {
    let (mut changes, mut warnings) = (Vec::new(), Vec::new());
    match timeout {
        Setting::Keep => {}
        Setting::To(text) => {
            let duration = duration_of(text).map_err(AuthoringError::new)?;
            changes.push(Change::Set(rule.pointer("/timeout"), duration.into()));
        }
        Setting::Off => changes.extend(removal(rule, "timeout")),
    }
    match retries {
        Setting::Keep => {}
        Setting::To(retries) => {
            changes.push(Change::Set(rule.pointer("/retries/attempts"), retries.attempts.into()));
            let per_try = retries.per_try.as_deref().map(Value::from);
            changes.extend(per_try.map(|value| Change::Set(rule.pointer("/retries/perTryTimeout"), value)));
        }
        Setting::Off => changes.extend(removal(rule, "retries")),
    }
    let total = match timeout {
        Setting::To(text) => parse_duration(text),
        Setting::Keep => rule.value.get("timeout").and_then(Value::as_str).and_then(parse_duration),
        Setting::Off => None,
    };
    let per_try = match retries {
        Setting::To(Retries { per_try: Some(text), .. }) => parse_duration(text),
        Setting::Off => None,
        _ => rule.value.at("/retries/perTryTimeout").and_then(Value::as_str).and_then(parse_duration),
    };
    if let (Some(total), Some(per_try)) = (total, per_try)
        && per_try >= total
    {
        warnings
            .push(format!("{rule}: one try may take as long as the whole request, so there is no time for a second"));
    }
    Ok((changes, warnings))
}

/// The change that takes a field of a rule away, if it is there.
fn removal(rule: &Rule<'_>, name: &str) -> Option<Change> {
    rule.value.get(name).map(|_| Change::Remove(rule.pointer(&format!("/{name}"))))
}

/// Which rule is meant.
macro_rules! open {
    ($intent:expr, $state:expr, $allow_unknown:expr) => {{
        fleet($state)?;
        let scope = Scope { state: $state, written: $intent.namespace.as_deref(), allow_unknown: $allow_unknown };
        (scope, scope.route(&$intent.name)?)
    }};
}

/// Send copies of a rule's requests somewhere else, and forget the answers.
#[derive(Clone, Debug)]
pub struct MirrorRoute {
    /// Name of the VirtualService.
    pub name: String,
    /// Its namespace; `default` when absent.
    pub namespace: Option<String>,
    /// The rule, by its name or its number from 1; the only one when absent.
    pub rule: Option<String>,
    /// Where the copies go; nowhere any more when absent.
    pub to: Option<Destination>,
    /// How many of the requests; all when absent.
    pub percent: Option<Share>,
    /// Names that the fleet does not know are allowed.
    pub allow_unknown: bool,
}

impl MirrorRoute {
    /// The edit of the route's file, and of the DestinationRule that lacks a subset.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let (scope, route) = open!(self, state, self.allow_unknown);
        let rule = Rule::find(route, self.rule.as_deref())?;
        let mut workspace = Workspace::new(tree);
        let mut warnings = Vec::new();
        // `mirrorPercent` and `mirror_percent` are what earlier versions of the API called it.
        const PERCENTS: [&str; 3] = ["mirrorPercentage", "mirrorPercent", "mirror_percent"];
        let Some(to) = &self.to else {
            let fields = ["mirror", "mirrors"].into_iter().chain(PERCENTS);
            let changes: Vec<_> = fields.filter_map(|name| removal(&rule, name)).collect();
            workspace.change(route, &changes)?;
            return Ok(Plan { edits: workspace.finish(), warnings });
        };
        if rule.value.get("mirrors").and_then(Value::as_array).is_some_and(|mirrors| !mirrors.is_empty()) {
            return Err(AuthoringError::new(format!("{rule} has several mirrors (`mirrors`)"))
                .at(&route.position_of(&rule.pointer("/mirrors")))
                .hint(format!(
                    "edit them by hand, or take them away first: kubectl asm route mirror {} --off",
                    self.name
                )));
        }
        if to.weight.is_some() {
            return Err(AuthoringError::new("a mirror has no weight").hint("say how many requests with --percent"));
        }
        warnings.extend(scope.check_destination(to)?);
        warnings.extend(declare(&mut workspace, scope, route, std::slice::from_ref(to), &[])?);
        let value = Node::from(objects::destination(to)).value();
        let mut changes = vec![Change::Set(rule.pointer("/mirror"), value)];
        changes.extend(PERCENTS[1..].iter().filter_map(|name| removal(&rule, name)));
        let share = self.percent.clone().unwrap_or_else(Share::all);
        changes.push(Change::Set(rule.pointer("/mirrorPercentage"), share.value()));
        workspace.change(route, &changes)?;
        Ok(Plan { edits: workspace.finish(), warnings })
    }
}

/// A fault for tests: `503[=PERCENT]` or `5s[=PERCENT]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    what: Value,
    share: Share,
}

impl Fault {
    /// Reads `STATUS[=PERCENT]`.
    pub fn abort(text: &str) -> Result<Self, String> {
        let (status, share) = Self::parts(text)?;
        let status: u16 = status
            .parse()
            .ok()
            .filter(|status| (200..=599).contains(status))
            .ok_or_else(|| format!("`{status}` is no HTTP status from 200 to 599"))?;
        Ok(Self { what: json!(status), share })
    }

    /// Reads `DURATION[=PERCENT]`.
    pub fn delay(text: &str) -> Result<Self, String> {
        let (duration, share) = Self::parts(text)?;
        Ok(Self { what: duration_of(duration)?.into(), share })
    }

    fn parts(text: &str) -> Result<(&str, Share), String> {
        match text.split_once('=') {
            Some((what, share)) => Ok((what, share.parse()?)),
            None => Ok((text, Share::all())),
        }
    }
}

/// Make a rule fail on purpose.
#[derive(Clone, Debug)]
pub struct FaultRoute {
    /// Name of the VirtualService.
    pub name: String,
    /// Its namespace; `default` when absent.
    pub namespace: Option<String>,
    /// The rule, by its name or its number from 1; the only one when absent.
    pub rule: Option<String>,
    /// Requests that are answered with an error.
    pub abort: Option<Fault>,
    /// Requests that wait. With neither of the two, the rule's faults go.
    pub delay: Option<Fault>,
}

impl FaultRoute {
    /// The edit of the route's file.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let (_, route) = open!(self, state, false);
        let rule = Rule::find(route, self.rule.as_deref())?;
        let mut changes = Vec::new();
        // As a whole: what was there before (`grpcStatus`, the older `percent`) would contradict it.
        for (name, field, fault) in
            [("delay", "fixedDelay", self.delay.as_ref()), ("abort", "httpStatus", self.abort.as_ref())]
        {
            if let Some(fault) = fault {
                let value = json!({ "percentage": fault.share.value(), field: fault.what });
                changes.push(Change::Set(rule.pointer(&format!("/fault/{name}")), value));
            }
        }
        if changes.is_empty() {
            changes.extend(removal(&rule, "fault"));
        }
        let mut workspace = Workspace::new(tree);
        workspace.change(route, &changes)?;
        Ok(Plan { edits: workspace.finish(), warnings: Vec::new() })
    }
}

/// An answer that sends the client elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    /// Another host.
    pub host: Option<String>,
    /// Another path, the whole of it.
    pub path: Option<String>,
    /// To HTTPS.
    pub https: bool,
    /// Status; 301 when absent.
    pub code: Option<u16>,
}

impl Redirect {
    pub(super) fn field(&self) -> Result<Field, AuthoringError> {
        if self.host.is_none() && self.path.is_none() && !self.https {
            return Err(AuthoringError::new("the redirect leads nowhere")
                .hint("say where with --to-host, --to-path or --https"));
        }
        if let Some(path) = self.path.as_ref().filter(|path| !path.starts_with('/')) {
            return Err(AuthoringError::new(format!("`{path}` is no path")).hint("a path begins with /"));
        }
        if let Some(code) = self.code.filter(|code| ![301, 302, 303, 307, 308].contains(code)) {
            return Err(AuthoringError::new(format!("{code} is no status of a redirect"))
                .hint("it is one of 301, 302, 303, 307, 308"));
        }
        let fields = [
            self.path.as_deref().map(|path| field("uri", path)),
            self.host.as_deref().map(|host| field("authority", host)),
            self.https.then(|| field("scheme", "https")),
            self.code.map(|code| field("redirectCode", code)),
        ];
        Ok(field("redirect", fields.into_iter().flatten().collect::<Vec<_>>()))
    }

    /// Would clients come back to the same rule for ever?
    pub(super) fn loops(&self, scope: Scope<'_>, route: &Manifest, matches: &[HttpMatch]) -> Option<String> {
        let view = VirtualService::read(&route.object);
        let by_port = !matches.is_empty() && matches.iter().all(|entry| entry.others.contains_key("port"));
        if self.host.as_ref().is_some_and(|host| !view.hosts.contains(host) && !view.hosts.iter().any(|h| h == "*")) {
            return None;
        }
        if let Some(path) = &self.path {
            let target = HttpMatch { uri: Some(StringMatch::Exact(path.clone())), ..HttpMatch::default() };
            let uri = |entry: &HttpMatch| HttpMatch { uri: entry.uri.clone(), ..HttpMatch::default() };
            let meets = matches.is_empty() || matches.iter().any(|entry| crate::istio::covers(&uri(entry), &target));
            return (meets && !self.https).then(|| {
                format!(
                    "{path} is redirected too: clients come back to this rule for ever, unless another host answers"
                )
            });
        }
        let tls = view.gateways.iter().find(|reference| {
            let named = gateway_name(reference, scope.namespace());
            let found =
                named.and_then(|(namespace, name)| Scope { written: Some(namespace), ..scope }.find("Gateway", name));
            found.is_some_and(|gateway| Gateway::read(&gateway.object).servers.iter().any(|s| s.terminates_tls()))
        });
        tls.filter(|_| self.https && !by_port).map(|gateway| {
            format!(
                "the Gateway {gateway} serves HTTPS too, and such requests would be redirected to themselves: match the plain \
                 port (port:80), or let the Gateway redirect (tls.httpsRedirect)"
            )
        })
    }
}

/// Let a rule answer with a redirect instead of sending requests on.
#[derive(Clone, Debug)]
pub struct RedirectRoute {
    /// Name of the VirtualService.
    pub name: String,
    /// Its namespace; `default` when absent.
    pub namespace: Option<String>,
    /// The rule, by its name or its number from 1; the only one when absent.
    pub rule: Option<String>,
    /// Where to.
    pub redirect: Redirect,
}

impl RedirectRoute {
    /// The edit of the route's file.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let (scope, route) = open!(self, state, false);
        let rule = Rule::locate(route, self.rule.as_deref())?;
        let new = Node::from(vec![self.redirect.field()?]).value();
        let mut changes =
            vec![Change::Set(rule.pointer("/redirect"), new.get("redirect").cloned().unwrap_or_default())];
        // Istio refuses a redirect beside these, or ignores them.
        const OTHERS: [&str; 12] = [
            "route",
            "directResponse",
            "delegate",
            "rewrite",
            "fault",
            "mirror",
            "mirrors",
            "mirrorPercentage",
            "mirrorPercent",
            "mirror_percent",
            "timeout",
            "retries",
        ];
        let gone: Vec<_> = OTHERS.iter().filter(|name| rule.value.get(**name).is_some()).copied().collect();
        changes.extend(gone.iter().filter_map(|name| removal(&rule, name)));
        let mut workspace = Workspace::new(tree);
        workspace.change(route, &changes)?;
        let mut warnings = Vec::new();
        if !gone.is_empty() {
            warnings.push(format!(
                "{rule} answers by itself now: its {} {} out",
                gone.join(", "),
                if gone.len() == 1 { "is" } else { "are" }
            ));
        }
        let matches = rule.value.get("match").map(|_| HttpRule::read(rule.value).matches).unwrap_or_default();
        warnings.extend(self.redirect.loops(scope, route, &matches));
        Ok(Plan { edits: workspace.finish(), warnings })
    }
}

/// Change the path or host of the requests that a rule sends on.
#[derive(Clone, Debug)]
pub struct RewriteRoute {
    /// Name of the VirtualService.
    pub name: String,
    /// Its namespace; `default` when absent.
    pub namespace: Option<String>,
    /// The rule, by its name or its number from 1; the only one when absent.
    pub rule: Option<String>,
    /// What stands instead of the matched prefix (or of the whole path, for an exact match).
    pub prefix: Option<String>,
    /// What stands instead of the host. With neither of the two, the rule's rewrite goes.
    pub authority: Option<String>,
}

impl RewriteRoute {
    /// The edit of the route's file.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let (_, route) = open!(self, state, false);
        let rule = Rule::find(route, self.rule.as_deref())?;
        let (mut changes, mut warnings) = (Vec::new(), Vec::new());
        if let Some(prefix) = &self.prefix {
            if !prefix.starts_with('/') {
                return Err(AuthoringError::new(format!("`{prefix}` is no path")).hint("a path begins with /"));
            }
            if rule.value.at("/rewrite/uriRegexRewrite").is_some() {
                changes.push(Change::Remove(rule.pointer("/rewrite/uriRegexRewrite")));
            }
            changes.push(Change::Set(rule.pointer("/rewrite/uri"), prefix.as_str().into()));
            for entry in HttpRule::read(rule.value).matches {
                match entry.uri {
                    Some(StringMatch::Prefix(matched)) if prefix.ends_with('/') && !matched.ends_with('/') => {
                        warnings.push(format!(
                            "{matched}/x becomes {prefix}/x, with two slashes: match prefix:{matched}/ (and exact:{matched}) instead"
                        ));
                    }
                    Some(StringMatch::Regex(regex)) => {
                        warnings.push(format!("a path that matches regex:{regex} is replaced as a whole by {prefix}"));
                    }
                    _ => {}
                }
            }
        }
        if let Some(authority) = &self.authority {
            changes.push(Change::Set(rule.pointer("/rewrite/authority"), authority.as_str().into()));
        }
        if changes.is_empty() {
            changes.extend(removal(&rule, "rewrite"));
        }
        let mut workspace = Workspace::new(tree);
        workspace.change(route, &changes)?;
        Ok(Plan { edits: workspace.finish(), warnings })
    }
}
