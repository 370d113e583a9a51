//! What came of a request, as values: nothing borrowed, nothing that says where the files happen to have it twice.

use crate::fleet::{Manifest, Position};
use crate::route::{
    Answer, Closed, Destination, Entry as Door, Forward, HeaderChanges, NoCluster, NoEndpoint, Outcome,
    Rule as Decides, State,
};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// What the client and the destination notice.
    #[serde(flatten)]
    pub effect: Effect,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The Services through which it can come in so; none when no Service is in front of the gateway.
    pub through: Vec<Entry>,
    /// What comes of it by other Services.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
    /// What else may come of it: Git does not say which object is older.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

/// What the client and the destination notice. Two of them are equal when nobody can tell them apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// In one word.
    pub outcome: String,
    /// Status that the gateway itself answers with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why nothing better comes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Location of a redirect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Body that the gateway itself answers with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Where it goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<To>,
    /// Path with query as the destination sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Host as the destination sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Who gets copies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<To>,
    /// Injected error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<Injected>,
    /// Injected delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Injected>,
    /// How long the destination may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Headers that the gateway sets on the request.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub request_headers: BTreeMap<String, String>,
    /// Headers that the gateway sets on the response.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
    /// Headers that it takes away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_headers: Vec<String>,
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct To {
    /// Full name of the host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Subset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<String>,
    /// Of so many percent of the requests.
    #[serde(serialize_with = "number")]
    #[schemars(with = "f64")]
    pub percent: f64,
    /// The clusters that have pods of it, with how many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pods: BTreeMap<String, u32>,
    /// Percent of its requests that each of them gets, when a DestinationRule or the Service decides by locality;
    /// otherwise as many as it has pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub locality: BTreeMap<String, f64>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Something that is done to a part of the requests.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Injected {
    /// Percent of the requests.
    #[serde(serialize_with = "number")]
    #[schemars(with = "f64")]
    pub percent: f64,
    /// Status of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Length of a delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
}

/// The rule that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The VirtualService, as `namespace/name`.
    pub virtual_service: String,
    /// Name of the rule.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where the rule, or the match entry that is met, stands.
    #[serde(flatten)]
    pub position: Position,
}

/// A Service through which it comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its cluster; `mesh` for a serverless gateway.
    pub cluster: String,
    /// Its name.
    pub service: String,
    /// Its port.
    pub port: u16,
    /// Addresses that the files know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

/// What comes of it by other Services than those that are looked at first.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Elsewhere {
    /// What then comes of it.
    #[serde(flatten)]
    pub effect: Effect,
    /// The Services.
    pub through: Vec<Entry>,
}

/// What may come of it besides.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    /// What then comes of it.
    #[serde(flatten)]
    pub effect: Effect,
    /// The object that then is the oldest.
    pub oldest: String,
    /// Where that object stands.
    pub position: Position,
    /// Those that it competes with.
    pub others: Vec<String>,
}

impl Seen {
    /// What came of a request.
    pub fn of(outcome: &Outcome<'_>) -> Self {
        let elsewhere = outcome.elsewhere.iter().map(|(through, answer)| Elsewhere {
            effect: Effect::of(answer),
            through: through.iter().map(Entry::of).collect(),
        });
        Self { elsewhere: elsewhere.collect(), ..Self::with(outcome, &outcome.answer, &outcome.through) }
    }

    /// What came of it through some of the Services only.
    pub(super) fn with(outcome: &Outcome<'_>, answer: &Answer<'_>, through: &[Door<'_>]) -> Self {
        let alternatives = outcome.alternatives.iter().map(|other| Alternative {
            effect: Effect::of(&other.answer),
            oldest: named(other.oldest),
            position: other.oldest.position.clone(),
            others: other.others.iter().map(|manifest| named(manifest)).collect(),
        });
        Self {
            effect: Effect::of(answer),
            rule: outcome.rule.map(Rule::of),
            through: through.iter().map(Entry::of).collect(),
            elsewhere: Vec::new(),
            alternatives: alternatives.collect(),
        }
    }
}

impl Effect {
    /// What an answer means for client and destination.
    pub fn of(answer: &Answer<'_>) -> Self {
        let mut effect = Self { outcome: answer.word().to_owned(), status: answer.status(), ..Self::default() };
        match answer {
            Answer::Redirect { location, .. } => effect.location = Some(location.clone()),
            Answer::Direct { body, .. } => effect.body = Some(body.to_string()).filter(|body| !body.is_empty()),
            Answer::Closed(why) => effect.reason = Some(closed(*why).to_owned()),
            Answer::NoRoute { virtual_host } => effect.reason = Some(format!("no rule of {virtual_host} takes it")),
            Answer::Refused { reason } => effect.reason = Some((*reason).to_owned()),
            Answer::Abort { status } => {
                effect.abort = Some(Injected { percent: 100.0, status: Some(*status), duration: None });
            }
            _ => {}
        }
        if let Some(forward) = answer.forward() {
            effect.forwards(forward, matches!(answer, Answer::Tcp(_)));
        }
        effect
    }

    fn forwards(&mut self, forward: &Forward<'_>, is_tcp: bool) {
        self.destinations = forward.destinations.iter().map(To::of).collect();
        self.reason = self.destinations.iter().find_map(|to| to.problem.clone()).filter(|_| self.status.is_some());
        if !is_tcp {
            self.path = Some(forward.path.to_string());
            self.host = Some(forward.authority.to_string());
        }
        self.mirrors = forward.mirrors.iter().map(|mirror| To::of(&mirror.destination)).collect();
        if let Some(fault) = forward.fault {
            self.abort = fault.abort.map(|(share, status)| Injected {
                percent: percent(share),
                status: Some(status),
                duration: None,
            });
            self.delay = fault.delay.map(|(share, delay)| Injected {
                percent: percent(share),
                status: None,
                duration: Some(duration(delay)),
            });
        }
        self.timeout = forward.timeout.map(duration);
        self.headers(forward.headers);
        if let [only] = forward.destinations {
            self.headers(&only.headers);
            if let Some(host) = &only.authority {
                self.host = Some(host.clone());
            }
        }
    }

    fn headers(&mut self, changes: &HeaderChanges) {
        let pairs = |list: &[(String, String)]| list.to_vec();
        self.request_headers.extend(pairs(&changes.set).into_iter().chain(pairs(&changes.add)));
        self.response_headers.extend(pairs(&changes.response_set).into_iter().chain(pairs(&changes.response_add)));
        self.removed_headers.extend(changes.remove.iter().chain(&changes.response_remove).cloned());
    }

    /// Does somebody answer, whichever destination it goes to? A redirect, an answer of the gateway itself and an injected
    /// error are answers that somebody wished for.
    pub fn is_answered(&self) -> bool {
        let is_wished = matches!(self.outcome.as_str(), "forward" | "tcp" | "redirect" | "direct" | "abort");
        is_wished && self.destinations.iter().all(|to| to.problem.is_none())
    }

    /// In a few words: `reviews:9080/v1 90 %, reviews:9080/v2 10 %`, `301 → https://…`, `404: no host …`.
    pub fn told(&self) -> String {
        let to: Vec<String> = self.destinations.iter().map(To::told).collect();
        let reason = self.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let mut text = match (self.outcome.as_str(), self.status) {
            ("redirect", Some(status)) => format!("{status} → {}", self.location.as_deref().unwrap_or_default()),
            ("direct", Some(status)) => format!("{status} by the gateway itself"),
            ("abort", Some(status)) => format!("{status}, injected"),
            ("no-listener", _) => "nothing listens on the port".to_owned(),
            ("closed", _) => format!("connection closed{reason}"),
            ("passthrough", _) => {
                "let through to wherever DNS leads: nobody in the mesh has this host and port".to_owned()
            }
            ("no-virtual-host", _) => "404: no host of the gateway".to_owned(),
            ("forward" | "tcp", _) => to.join(", "),
            (word, Some(status)) => format!("{status} {word}{reason}"),
            (word, None) => format!("{word}{reason}"),
        };
        let abort = self.abort.as_ref().filter(|_| self.outcome != "abort");
        for (what, injected) in [("fails", abort), ("is delayed", self.delay.as_ref())] {
            if let Some(injected) = injected {
                text.push_str(&format!("; {} % {what}", injected.percent));
            }
        }
        for mirror in &self.mirrors {
            text.push_str(&format!("; copies to {}", mirror.told()));
        }
        text
    }
}

impl To {
    fn of(destination: &Destination<'_>) -> Self {
        let pods = destination.endpoints.iter().map(|here| (here.cluster.name().to_owned(), here.count));
        Self {
            host: destination.host.clone(),
            port: destination.port,
            subset: destination.subset.clone(),
            percent: percent(destination.share),
            pods: pods.collect(),
            locality: destination.locality.iter().map(|(name, share)| (name.clone(), percent(*share))).collect(),
            problem: problem(&destination.state).map(str::to_owned),
        }
    }

    /// The clusters whose pods get requests as long as they work.
    pub fn clusters(&self) -> impl Iterator<Item = &str> {
        let gets = |cluster: &&str| self.locality.get(*cluster).is_none_or(|percent| *percent > 0.0);
        self.pods.keys().map(String::as_str).filter(gets)
    }

    /// `reviews:9080/v1`; the namespace when it is not `default`.
    pub fn name(&self) -> String {
        let host = self.host.strip_suffix(".svc.cluster.local").unwrap_or(&self.host);
        let host = host.strip_suffix(".default").unwrap_or(host);
        let subset = self.subset.as_ref().map(|subset| format!("/{subset}")).unwrap_or_default();
        format!("{host}:{}{subset}", self.port)
    }

    fn told(&self) -> String {
        let share = if self.percent < 100.0 { format!(" {} %", self.percent) } else { String::new() };
        let problem = self.problem.as_ref().map(|problem| format!(" ({problem})")).unwrap_or_default();
        format!("{}{share}{problem}", self.name())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} in {}", self.service, self.port, self.cluster)?;
        self.addresses.iter().try_for_each(|address| write!(f, " {address}"))
    }
}

impl Rule {
    fn of(rule: &Decides<'_>) -> Self {
        let manifest = rule.virtual_service.manifest;
        let namespace = manifest.id.namespace.as_deref().unwrap_or("default");
        let place = rule.delegate.as_ref().unwrap_or(&rule.matched);
        Self {
            virtual_service: format!("{namespace}/{}", manifest.id.name),
            name: rule.name.clone(),
            position: place.position(),
        }
    }
}

impl Entry {
    fn of(door: &Door<'_>) -> Self {
        Self {
            cluster: door.cluster.name().to_owned(),
            service: door.service.clone(),
            port: door.port,
            addresses: door.addresses.clone(),
        }
    }
}

/// `VirtualService default/reviews`.
fn named(manifest: &Manifest) -> String {
    manifest.id.to_string()
}

/// A whole number as one: JSON and YAML write `100.0` differently.
fn number<S: Serializer>(percent: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if percent.fract() == 0.0 && (0.0..=100.0).contains(percent) {
        return serializer.serialize_u8(*percent as u8);
    }
    serializer.serialize_f64(*percent)
}

/// With two digits: `33.33`.
fn percent(share: f64) -> f64 {
    (share * 10_000.0).round() / 100.0
}

/// `1.5s`, `250ms`.
pub(super) fn duration(duration: Duration) -> String {
    if duration.subsec_millis() == 0 || duration.as_secs() > 0 {
        format!("{}s", duration.as_secs_f64())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

fn closed(why: Closed) -> &'static str {
    match why {
        Closed::NoServerForName => "nothing on this port takes this server name",
        Closed::NoName => "the client names no server, and every server of the gateway wants a name",
        Closed::PlaintextOnTls => "plain HTTP on a port for TLS",
        Closed::TlsOnPlaintext => "TLS on a port for plain HTTP",
        Closed::NoClientCertificate => "the server asks for a certificate of the client",
        Closed::NoUpstream => "the destination does not exist or has no pod",
    }
}

fn problem(state: &State) -> Option<&'static str> {
    match state {
        State::Ready | State::Assumed | State::Unknown => None,
        State::NoCluster(NoCluster::NoService) => Some("no Service or ServiceEntry has this name"),
        State::NoCluster(NoCluster::NotExported) => Some("the Service is not exported to the gateway"),
        State::NoCluster(NoCluster::NoPort) => Some("the Service has no such port"),
        State::NoCluster(NoCluster::NoSubset) => Some("no DestinationRule defines the subset"),
        State::NoEndpoint(NoEndpoint::NoPod) => Some("no pod of the Service"),
        State::NoEndpoint(NoEndpoint::NoPodInSubset) => Some("no pod has the labels of the subset"),
        State::NoEndpoint(NoEndpoint::NoRegion) => Some("distribute sends nothing to the regions of its pods"),
    }
}
