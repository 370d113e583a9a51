//! The route tables of a fleet's gateways, asked together.

use super::case::{Case, CaseError};
use super::seen::Seen;
use crate::authoring::did_you_mean;
use crate::fleet::{FleetState, Position, Target};
use crate::route::{self, Answer, Closed, Door, Front, Options, Outcome, Request, Table};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Workloads that are told when there is none of a name.
const MOST: usize = 10;

/// The route tables of a fleet's gateways.
#[derive(Debug)]
pub struct Simulator<'s> {
    state: &'s FleetState,
    /// Of the sidecars of workloads that send requests, by workload and cluster.
    callers: BTreeMap<(String, Option<String>), Table<'s>>,
    /// By the cluster that alone is looked at; `None` for all of them together.
    tables: BTreeMap<Option<String>, Vec<Table<'s>>>,
    clusters: BTreeSet<String>,
}

/// What one gateway does with a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The gateway, or the workload that sends it.
    pub gateway: String,
    /// What comes of the request there.
    pub seen: Seen,
    /// The way there, when it was asked for.
    pub steps: Vec<Step>,
    /// Objects that may change it and are not simulated.
    pub beyond: Vec<String>,
}

/// A step of the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Which one.
    pub stage: String,
    /// Did the request pass it?
    pub passed: bool,
    /// What was found, and why.
    pub text: String,
    /// Where it is written.
    pub places: Vec<Position>,
    /// What to change, when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl<'s> Simulator<'s> {
    /// The tables that these cases need.
    pub fn of(state: &'s FleetState, cases: &[Case]) -> Self {
        let fronts = route::gateways(state);
        let clusters: BTreeSet<String> = state.targets().iter().map(|target| target.name().to_owned()).collect();
        let asks_gateway = |case: &&Case| case.request.from.is_none();
        let wanted = cases
            .iter()
            .filter(asks_gateway)
            .map(|case| case.request.cluster.clone())
            .filter(|cluster| is_known(cluster, &clusters));
        let wanted: BTreeSet<Option<String>> = wanted.collect();
        let table = |cluster: Option<String>| {
            let only = cluster.as_deref().map(|name| Target::Cluster(name.into()));
            let options = Options { cluster: only, ..Options::default() };
            (cluster, route::compile_all(state, &fronts, &options))
        };
        let senders = cases.iter().filter_map(|case| {
            let (name, cluster) = (case.request.from.clone()?, case.request.cluster.clone());
            is_known(&cluster, &clusters).then_some((name, cluster))
        });
        let senders: BTreeSet<(String, Option<String>)> = senders.collect();
        let callers = senders.into_iter().filter_map(|(name, cluster)| {
            let target = cluster.as_deref().map(|name| Target::Cluster(name.into()));
            let (space, own) = name.split_once('/')?;
            let front = Front::of_caller(state, space, own, target.as_ref())?;
            let options = Options { cluster: target, ..Options::default() };
            Some(((name, cluster), route::compile(state, &front, &options)))
        });
        Self { state, callers: callers.collect(), tables: wanted.into_iter().map(table).collect(), clusters }
    }

    /// What comes of a request at each gateway that it is for: the one that it names; otherwise every one that knows its
    /// host, or all of them when none does. `explain`: with every step of the way.
    pub fn ask(&self, case: &Case, explain: bool) -> Result<Vec<Answered>, CaseError> {
        let request = case.request()?;
        let tables = match &case.request.from {
            None => self.tables_of(case)?,
            Some(name) => vec![self.caller(case, name)?],
        };
        let mut answers = Vec::new();
        for table in tables {
            let trace = explain.then(|| table.explain(&request));
            let steps = trace.iter().flat_map(|trace| &trace.steps).map(Step::of).collect();
            let outcome = trace.map_or_else(|| table.lookup(&request), |trace| trace.outcome);
            let Some((knows, seen)) = entering(case, table, &outcome) else { continue };
            let beyond = table.beyond().iter().map(|manifest| manifest.id.to_string()).collect();
            let front = table.front();
            let gateway =
                if front.sidecar { format!("{}/{}", front.namespace, front.name) } else { front.name.clone() };
            answers.push((knows, Answered { gateway, seen, steps, beyond }));
        }
        if answers.is_empty() {
            return Err(self.no_such_door(case, &request));
        }
        let is_chosen = case.request.gateway.is_some() || answers.iter().all(|(knows, _)| !knows);
        Ok(answers.into_iter().filter(|(knows, _)| *knows || is_chosen).map(|(_, answered)| answered).collect())
    }

    /// The table of the workload that sends a request.
    fn caller(&self, case: &Case, name: &str) -> Result<&Table<'s>, CaseError> {
        let wanted = &case.request;
        let of_gateways = [("gateway", &wanted.gateway), ("address", &wanted.address), ("service", &wanted.service)];
        if let Some((field, _)) = of_gateways.iter().find(|(_, value)| value.is_some()) {
            return Err(CaseError {
                message: format!("{name} sends the request, and `{field}` names what it is sent to"),
                hint: "what a workload sends goes where the URL says: leave one of them out".to_owned(),
            });
        }
        if !is_known(&wanted.cluster, &self.clusters) {
            return Err(self.no_cluster(wanted.cluster.as_deref().unwrap_or_default()));
        }
        let key = (name.to_owned(), wanted.cluster.clone());
        self.callers.get(&key).ok_or_else(|| {
            let known = Front::callers(self.state);
            let place = wanted.cluster.as_ref().map(|cluster| format!(" in {cluster}")).unwrap_or_default();
            let some: Vec<&str> = known.iter().take(MOST).map(String::as_str).collect();
            let more = if known.len() > MOST { ", …" } else { "" };
            let all = match some.as_slice() {
                [] => "the files hold no workload".to_owned(),
                some => format!("workloads are: {}{more}", some.join(", ")),
            };
            CaseError {
                message: format!("there is no workload {name}{place}"),
                hint: did_you_mean(name, known.iter().map(String::as_str)).unwrap_or(all),
            }
        })
    }

    fn no_cluster(&self, cluster: &str) -> CaseError {
        let names = self.clusters.iter().map(String::as_str).filter(|name| *name != "mesh").collect::<Vec<_>>();
        CaseError {
            message: format!("there is no cluster {cluster} in fleet.yaml"),
            hint: format!("clusters are: {}", names.join(", ")),
        }
    }

    fn tables_of(&self, case: &Case) -> Result<Vec<&Table<'s>>, CaseError> {
        let wanted = &case.request;
        let Some(tables) = self.tables.get(&wanted.cluster) else {
            return Err(self.no_cluster(wanted.cluster.as_deref().unwrap_or_default()));
        };
        if tables.is_empty() {
            return Err(CaseError {
                message: "the fleet has no gateway that could receive a request".to_owned(),
                hint: "make one with: kubectl asm gateway create NAME".to_owned(),
            });
        }
        let Some(name) = &wanted.gateway else { return Ok(tables.iter().collect()) };
        let found: Vec<_> = tables.iter().filter(|table| table.front().name == *name).collect();
        if found.is_empty() {
            let names: BTreeSet<&str> = tables.iter().map(|table| table.front().name.as_str()).collect();
            let all = || format!("gateways are: {}", names.iter().copied().collect::<Vec<_>>().join(", "));
            return Err(CaseError {
                message: format!("there is no gateway {name}"),
                hint: did_you_mean(name, names.iter().copied()).unwrap_or_else(all),
            });
        }
        Ok(found)
    }

    fn no_such_door(&self, case: &Case, request: &Request) -> CaseError {
        let tables = self.tables.get(&case.request.cluster).into_iter().flatten();
        let doors: Vec<&Door<'_>> = tables.flat_map(|table| &table.front().doors).collect();
        let (what, name, known): (_, _, BTreeSet<&str>) = match (&case.request.address, &case.request.service) {
            (Some(address), _) => {
                ("address", address, doors.iter().flat_map(|door| &door.addresses).map(String::as_str).collect())
            }
            (_, service) => (
                "Service",
                service.as_ref().unwrap_or(&request.host),
                doors.iter().map(|door| door.name.as_str()).collect(),
            ),
        };
        let known: Vec<&str> = known.into_iter().collect();
        CaseError {
            message: format!("no gateway has a Service in front of it with the {what} {name}"),
            hint: if known.is_empty() {
                format!("the files know no {what} of any")
            } else {
                format!("they know: {}", known.join(", "))
            },
        }
    }
}

fn is_known(cluster: &Option<String>, clusters: &BTreeSet<String>) -> bool {
    cluster.as_ref().is_none_or(|name| name != "mesh" && clusters.contains(name))
}

/// What comes of it through the door that the case names, and whether the gateway knows what to do with it; `None` when the
/// gateway has no such door.
fn entering(case: &Case, table: &Table<'_>, outcome: &Outcome<'_>) -> Option<(bool, Seen)> {
    let (address, service) = (&case.request.address, &case.request.service);
    let whole = || Some((knows(&outcome.answer), Seen::of(outcome)));
    if address.is_none() && service.is_none() {
        return whole();
    }
    let is_meant = |name: &str, addresses: &[String]| {
        address.as_ref().is_none_or(|address| addresses.contains(address))
            && service.as_ref().is_none_or(|service| name == service)
    };
    let ways = std::iter::once((&outcome.through[..], &outcome.answer));
    let ways = ways.chain(outcome.elsewhere.iter().map(|(through, answer)| (&through[..], answer)));
    for (through, answer) in ways {
        let meant: Vec<_> =
            through.iter().filter(|entry| is_meant(&entry.service, &entry.addresses)).cloned().collect();
        if !meant.is_empty() {
            return Some((true, Seen::with(outcome, answer, &meant)));
        }
    }
    // A door of its own, which has no such port.
    let has_it = table.front().doors.iter().any(|door| is_meant(&door.name, &door.addresses));
    if !has_it {
        return None;
    }
    Some((true, Seen::with(outcome, &Answer::NoListener, &[])))
}

/// Does a gateway know the host of a request?
fn knows(answer: &Answer<'_>) -> bool {
    !matches!(
        answer,
        Answer::NoListener | Answer::NoVirtualHost | Answer::Closed(Closed::NoServerForName | Closed::NoName)
    )
}

impl Step {
    fn of(step: &route::Step<'_>) -> Self {
        // Clusters of a group have the same lines.
        let mut places: Vec<Position> = Vec::new();
        for place in step.places.iter().map(route::Place::position) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Self {
            stage: step.stage.name().to_owned(),
            passed: step.passed,
            text: step.text.clone(),
            places,
            fix: step.fix.clone(),
        }
    }
}
