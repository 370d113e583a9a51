//! Link after link, up to the first that does not hold.

use super::live::{Live, LiveBackend};
use crate::asm::annotations::{Product, setting};
use crate::fleet::{Manifest, Target};
use crate::object::At as _;
use crate::route::{Answer, Destination, Door, Front, Request, Stage, Step, Trace};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The way of one request through one Service of one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// Name of the gateway.
    pub gateway: String,
    /// Cluster of the Service; `mesh` for a serverless gateway.
    pub cluster: String,
    /// Service that it comes in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The request.
    pub request: String,
    /// The links, up to the first that does not hold.
    pub links: Vec<Link>,
    /// Number of the link that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<u8>,
    /// What comes of the request.
    pub ends: String,
}

impl Chain {
    /// Is there a link of which nothing is known?
    pub fn is_certain(&self) -> bool {
        self.links.iter().all(|link| link.state != LinkState::Unknown)
    }
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// 1 to 8.
    pub number: u8,
    /// What it joins.
    pub name: &'static str,
    /// Does it hold?
    pub state: LinkState,
    /// What was found, and why.
    pub text: String,
    /// Where that is written: file, line, column.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// Does a link hold?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LinkState {
    /// Yes.
    Holds,
    /// Nobody who knows was asked.
    Unknown,
    /// No.
    Broken,
}

const NAMES: [&str; 8] = [
    "address",
    "load balancer",
    "gateway pods",
    "Gateway selects them",
    "server on the port",
    "VirtualService",
    "Service and subset",
    "pods behind it",
];

fn link(number: u8, state: LinkState, text: impl Into<String>) -> Link {
    let name = NAMES.get(usize::from(number).wrapping_sub(1)).copied().unwrap_or_default();
    Link { number, name, state, text: text.into(), places: Vec::new(), fix: None }
}

impl Link {
    fn at(mut self, place: impl ToString) -> Self {
        self.places.push(place.to_string());
        self
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// The Services that a request may end at, with their subsets' labels: what [`Live::backends`] is to know.
pub fn backends<'t>(trace: &'t Trace<'_>) -> Vec<(&'t Manifest, Option<&'t str>, BTreeMap<String, String>)> {
    let destinations = trace.outcome.answer.forward().map(|forward| forward.destinations.iter()).into_iter().flatten();
    let mut found = Vec::new();
    for to in destinations {
        let labels = subset_labels(to);
        for service in to.services.iter().filter(|service| service.group_kind().is("", "Service")) {
            found.push((*service, to.subset.as_deref(), labels.clone()));
        }
    }
    found
}

/// The labels that a DestinationRule gives the subset; the first one that has it counts.
fn subset_labels(to: &Destination<'_>) -> BTreeMap<String, String> {
    let subsets = to.rules.iter().flat_map(|rule| rule.object.at("/spec/subsets").and_then(Value::as_array)).flatten();
    let own = subsets.into_iter().find(|subset| subset.get("name").and_then(Value::as_str) == to.subset.as_deref());
    let labels = own.and_then(|subset| subset.get("labels")).and_then(Value::as_object);
    labels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Walks. `door`: the Service that the request comes in by; `None` when no file knows one. `live`: what runs, if it was asked.
pub fn walk(
    front: &Front<'_>,
    door: Option<&Door<'_>>,
    request: &Request,
    trace: &Trace<'_>,
    live: Option<&Live>,
) -> Chain {
    let way = Way { front, door, request, trace, live };
    let links: [&dyn Fn() -> Link; 8] = [
        &|| way.address(),
        &|| way.load_balancer(),
        &|| way.gateway_pods(),
        &|| way.stages(4, &[Stage::Gateways], "a Gateway selects the pods"),
        &|| way.stages(5, &[Stage::Listener, Stage::FilterChain], "a server takes the connection"),
        &|| {
            let stages = [Stage::VirtualHost, Stage::Binding, Stage::Route, Stage::Delegate, Stage::Action];
            way.stages(6, &stages, "a rule takes the request")
        },
        &|| way.destination(),
        &|| way.endpoints(),
    ];
    let mut walked = Vec::new();
    for next in links {
        let link = next();
        let is_broken = link.state == LinkState::Broken;
        walked.push(link);
        if is_broken {
            break;
        }
        // The gateway answers by itself: nothing is behind it.
        if walked.len() == 6 && trace.outcome.answer.forward().is_none() {
            break;
        }
    }
    let broken = walked.iter().find(|link| link.state == LinkState::Broken).map(|link| link.number);
    Chain {
        gateway: front.name.clone(),
        cluster: door.map_or("mesh", |door| door.cluster.name()).to_owned(),
        service: door.filter(|door| door.cluster != Target::Mesh).map(|door| door.name.clone()),
        request: told(request),
        links: walked,
        ends: match broken {
            Some(number) => format!("it ends at link {number}"),
            None => ends(&trace.outcome.answer),
        },
        broken,
    }
}

fn told(request: &Request) -> String {
    let (scheme, default) = if request.tls { ("https", 443) } else { ("http", 80) };
    let host = request.name();
    let port = if request.port == default { String::new() } else { format!(":{}", request.port) };
    let method = if request.method == "GET" { String::new() } else { format!("{} ", request.method) };
    format!("{method}{scheme}://{host}{port}{}", request.path)
}

/// What comes of it in the end.
fn ends(answer: &Answer<'_>) -> String {
    match answer {
        Answer::Redirect { status, location } => format!("{status} to {location}"),
        Answer::Direct { status, .. } => format!("the gateway answers {status} by itself"),
        Answer::Abort { status } => format!("the rule aborts it with {status}"),
        Answer::Forward(forward) | Answer::Tcp(forward) => {
            let to: Vec<String> = forward
                .destinations
                .iter()
                .map(|to| {
                    let subset = to.subset.as_ref().map(|subset| format!(" {subset}")).unwrap_or_default();
                    let share = if forward.destinations.len() > 1 {
                        format!(" {:.0} %", to.share * 100.0)
                    } else {
                        String::new()
                    };
                    format!("{}:{}{subset}{share}", to.host, to.port)
                })
                .collect();
            to.join(", ")
        }
        other => other.word().to_owned(),
    }
}

struct Way<'w, 't> {
    front: &'w Front<'w>,
    door: Option<&'w Door<'w>>,
    request: &'w Request,
    trace: &'w Trace<'t>,
    live: Option<&'w Live>,
}

impl Way<'_, '_> {
    fn place(&self) -> Option<String> {
        let manifest = self.door.map(|door| door.manifest).or(self.front.manifest)?;
        Some(manifest.position.to_string())
    }

    fn here(&self, link: Link) -> Link {
        match self.place() {
            Some(place) => link.at(place),
            None => link,
        }
    }

    fn is_serverless(&self) -> bool {
        self.front.serverless
    }

    /// 1: is there an address?
    fn address(&self) -> Link {
        let (known, exists) = match (self.live, self.is_serverless()) {
            (None, _) => {
                let mut known = self.front.addresses.clone();
                known.extend(self.door.iter().flat_map(|door| door.addresses.iter().cloned()));
                let text = if known.is_empty() {
                    "which address it has is known to the cluster only (--live); DNS must lead there".to_owned()
                } else {
                    format!("{}; DNS must lead there", known.join(", "))
                };
                return self.here(link(1, LinkState::Unknown, text));
            }
            (Some(live), true) => (live.addresses.clone(), true),
            (Some(live), false) => match &live.door {
                Some(door) => (door.addresses.clone(), door.exists),
                None => {
                    return self.here(link(1, LinkState::Unknown, "the cluster could not be asked for the address"));
                }
            },
        };
        let name = self.door.filter(|_| !self.is_serverless()).map_or(self.front.name.as_str(), |door| &door.name);
        if !exists {
            let text = format!("the cluster has no Service {name}");
            return self.here(link(1, LinkState::Broken, text).fix(
                "is the commit synced (kubectl asm status)? an IstioGateway must list the cluster in clusterIds, and ASM must have made the Service",
            ));
        }
        let has_load_balancer = self.is_serverless() || self.door.is_some_and(|door| door.kind == "LoadBalancer");
        match (&known[..], has_load_balancer) {
            ([], true) if self.is_serverless() => {
                self.here(link(1, LinkState::Broken, format!("{name} has no address in the mesh yet"))).fix(format!(
                    "ASM makes the load balancer; what it says of it: kubectl asm gateway show {name} --live"
                ))
            }
            ([], true) => {
                let link = link(1, LinkState::Broken, format!("{name} has no address yet"));
                self.here(
                    self.complaint(
                        link,
                        "wait for the cloud controller, or see what it says: kubectl asm clb list --live",
                    ),
                )
            }
            ([], false) => link(
                1,
                LinkState::Holds,
                format!("{name} has no load balancer: it is reached inside of the cluster only"),
            ),
            (all, _) => link(1, LinkState::Holds, format!("{}; DNS must lead there", all.join(", "))),
        }
    }

    /// What the cloud controller says, or what else to do.
    fn complaint(&self, link: Link, otherwise: &str) -> Link {
        let complaints = self.live.and_then(|live| live.door.as_ref()).map(|door| &door.complaints[..]);
        match complaints {
            Some([first, ..]) => {
                let text = format!("{}; the cloud controller says {}: {}", link.text, first.reason, first.message);
                Link { text, ..link }.fix(first.meaning.unwrap_or(otherwise))
            }
            _ => link.fix(otherwise),
        }
    }

    /// 2: does the load balancer listen on the port, and has it back ends?
    fn load_balancer(&self) -> Link {
        let port = self.request.port;
        let Some(door) = self.door else {
            return link(2, LinkState::Unknown, "no file knows a Service in front of the gateway");
        };
        let name = if self.is_serverless() { &self.front.name } else { &door.name };
        // ASM opens ports of its own for a serverless gateway that lists none.
        let is_told = !self.is_serverless() || !door.ports.is_empty();
        if is_told && !door.ports.iter().any(|own| own.port == port) {
            let has: Vec<String> = door.ports.iter().map(|own| own.port.to_string()).collect();
            let link = link(2, LinkState::Broken, format!("{name} has no port {port}; it has {}", has.join(", ")));
            let fix = if door.generated {
                format!(
                    "open it: kubectl asm gateway edit {} --port NAME={port}:TARGET (name all ports)",
                    self.front.name
                )
            } else {
                format!("add port {port} to the Service")
            };
            return self.here(link).fix(fix);
        }
        let live = self.live.and_then(|live| live.door.as_ref());
        if let Some(live) = live.filter(|live| !live.ports.contains(&port)) {
            let has: Vec<String> = live.ports.iter().map(u16::to_string).collect();
            let text = format!("the Service in the cluster has no port {port} yet; it has {}", has.join(", "));
            return self.here(link(2, LinkState::Broken, text)).fix("is the commit synced? kubectl asm status");
        }
        if let Some(first) = live.and_then(|live| live.complaints.first()) {
            let text = format!("the cloud controller says {}: {}", first.reason, first.message);
            return self
                .here(link(2, LinkState::Broken, text))
                .fix(first.meaning.unwrap_or("kubectl asm clb list --live"));
        }
        if let Some(id) = reused_without_listeners(door) {
            let text = format!(
                "{id} is reused, and its listeners are not the controller's: whether it listens on {port} is known to the cloud only"
            );
            return self.here(link(2, LinkState::Unknown, text)).fix(
                "set force-override-listeners to \"true\" to have the controller make them, or make them at the console",
            );
        }
        let whose = if self.is_serverless() { "the load balancer that ASM makes for " } else { "" };
        let local = match (door.local, self.is_serverless()) {
            (false, _) => "",
            (true, false) => "; under externalTrafficPolicy Local only nodes with a gateway pod are back ends",
            (true, true) => {
                "; externalTrafficPolicy Local is about ASM's own nodes: none of the clusters' is a back end, and their \
                 pods come in as everybody does"
            }
        };
        link(2, LinkState::Holds, format!("port {port} of {whose}{name}{local}"))
    }

    /// 3: does the Service lead to ready gateway pods?
    fn gateway_pods(&self) -> Link {
        let failed = self.trace.steps.iter().find(|step| step.stage == Stage::Front && !step.passed);
        if let Some(step) = failed {
            return by_step(3, step);
        }
        match self.live.and_then(|live| live.door.as_ref()) {
            Some(live) if live.pods == 0 => {
                let link = link(3, LinkState::Broken, "its selector chooses no pod in the cluster");
                self.here(link).fix("the labels must be those of the gateway's pods (app, istio, asm-system, provider, podLabels), and the gateway must have replicas")
            }
            Some(live) if live.ready == 0 => {
                let link =
                    link(3, LinkState::Broken, format!("none of {} is ready", counted(live.pods, "gateway pod")));
                self.here(link).fix(format!("kubectl --namespace {} describe pods", self.front.namespace))
            }
            Some(live) => {
                link(3, LinkState::Holds, format!("{} of {} ready", live.ready, counted(live.pods, "gateway pod")))
            }
            None if self.is_serverless() => link(
                3,
                LinkState::Holds,
                "ASM runs the pods, outside of the member clusters: nothing of them to look at",
            ),
            None => {
                let step = self.trace.steps.iter().find(|step| step.stage == Stage::Front);
                let text =
                    step.map_or_else(|| "the Service leads to the gateway's pods".to_owned(), |step| step.text.clone());
                link(3, LinkState::Holds, text)
            }
        }
    }

    /// What the simulation says of some stages.
    fn stages(&self, number: u8, stages: &[Stage], otherwise: &str) -> Link {
        let steps: Vec<&Step<'_>> = self.trace.steps.iter().filter(|step| stages.contains(&step.stage)).collect();
        if let Some(failed) = steps.iter().find(|step| !step.passed) {
            return by_step(number, failed);
        }
        let Some(last) = steps.last() else {
            // Nothing was said of it: an earlier step must have ended the way.
            return match self.trace.steps.iter().find(|step| !step.passed) {
                Some(failed) => by_step(number, failed),
                None => link(number, LinkState::Holds, otherwise),
            };
        };
        let mut held = link(number, LinkState::Holds, last.text.clone());
        held.places = places(last);
        held
    }

    /// 7: do Service and subset exist?
    fn destination(&self) -> Link {
        let stages = [Stage::Weights, Stage::Destination, Stage::Subset];
        let link = self.stages(7, &stages, "the destination exists");
        if link.state != LinkState::Holds || self.live.is_none() {
            return link;
        }
        let asked = self.asked();
        let is_missing = !asked.is_empty() && asked.iter().all(|(_, found)| !found.exists);
        if is_missing {
            let names: Vec<String> = asked
                .iter()
                .map(|((cluster, namespace, name, _), _)| format!("{namespace}/{name} in {cluster}"))
                .collect();
            return Link {
                state: LinkState::Broken,
                text: format!("the Service is not there: {}", names.join(", ")),
                ..link
            }
            .fix("is the commit synced? kubectl asm status");
        }
        link
    }

    /// The answers about the Services that this request ends at.
    fn asked(&self) -> Vec<((String, String, String, String), LiveBackend)> {
        let Some(live) = self.live else { return Vec::new() };
        let wanted = backends(self.trace);
        wanted
            .iter()
            .map(|(service, subset, _)| key(service, *subset))
            .filter_map(|key| live.backends.get(&key).map(|found| (key, *found)))
            .collect()
    }

    /// 8: are there pods?
    fn endpoints(&self) -> Link {
        let mut link = self.pods_behind();
        if self.is_serverless() && link.state == LinkState::Holds {
            link.text
                .push_str("; security groups of their clusters must let the gateway in, which runs outside of them");
        }
        link
    }

    fn pods_behind(&self) -> Link {
        let by_files = self.stages(8, &[Stage::Endpoints, Stage::Locality], "there are pods");
        if self.live.is_none() {
            return by_files;
        }
        let asked = self.asked();
        if asked.is_empty() {
            return by_files;
        }
        // A destination is served by the pods of all clusters together.
        let mut by_destination: BTreeMap<(String, String, String), Pods> = BTreeMap::new();
        for ((cluster, namespace, name, subset), found) in &asked {
            let entry = by_destination.entry((namespace.clone(), name.clone(), subset.clone())).or_default();
            entry.all += found.pods;
            entry.ready += found.ready;
            if found.ready > 0 {
                entry.places.push(format!("{} in {cluster}", found.ready));
            }
        }
        let label = |(namespace, name, subset): &(String, String, String)| {
            if subset.is_empty() {
                format!("{namespace}/{name}")
            } else {
                format!("{namespace}/{name} subset {subset}")
            }
        };
        if let Some((empty, pods)) = by_destination.iter().find(|(_, pods)| pods.ready == 0) {
            let found = if pods.all == 0 {
                "has no pod in any cluster".to_owned()
            } else {
                format!("has {}, and none is ready", counted(pods.all, "pod"))
            };
            let text = format!("{} {found}", label(empty));
            return Link { state: LinkState::Broken, text, fix: None, ..by_files }.fix(format!(
                "kubectl --namespace {} get pods --show-labels, in the clusters that are to have them",
                empty.0
            ));
        }
        let told: Vec<String> = by_destination
            .iter()
            .map(|(key, pods)| format!("{}: {} ready", label(key), pods.places.join(", ")))
            .collect();
        Link { state: LinkState::Holds, text: told.join("; "), fix: None, ..by_files }
    }
}

/// The pods of a destination, in all clusters.
#[derive(Default)]
struct Pods {
    all: usize,
    ready: usize,
    /// How many are ready in which cluster, in words.
    places: Vec<String>,
}

/// How [`Live::backends`] knows a Service.
pub fn key(service: &Manifest, subset: Option<&str>) -> (String, String, String, String) {
    (
        service.target.name().to_owned(),
        service.id.namespace.as_deref().unwrap_or("default").to_owned(),
        service.id.name.to_string(),
        subset.unwrap_or_default().to_owned(),
    )
}

/// `1 pod`, `2 pods`.
fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

fn places(step: &Step<'_>) -> Vec<String> {
    let mut places: Vec<String> = step.places.iter().map(|place| place.position().to_string()).collect();
    places.dedup();
    places
}

fn by_step(number: u8, step: &Step<'_>) -> Link {
    let mut broken = link(number, LinkState::Broken, step.text.clone());
    broken.places = places(step);
    broken.fix = step.fix.clone();
    broken
}

/// The ID of a load balancer that is used without its listeners being made.
fn reused_without_listeners(door: &Door<'_>) -> Option<String> {
    let object = &door.manifest.object;
    let at = if door.generated { "/spec/serviceAnnotations" } else { "/metadata/annotations" };
    let annotations = object.at(at);
    let class = object.at("/spec/loadBalancerClass").and_then(Value::as_str);
    let id = setting(annotations, "loadbalancer-id").filter(|id| !id.is_empty())?;
    let overrides = setting(annotations, "loadbalancer-force-override-listeners") == Some("true");
    (!overrides).then(|| format!("{} {id}", Product::of_class(class).word()))
}
