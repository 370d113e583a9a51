//! Where a request ends: Services, subsets, pods.

use super::super::compiled::ForwardAction;
use super::super::model::items;
use super::super::outcome::{Destination, NoCluster, NoEndpoint, Place, State};
use super::super::trace::Stage;
use super::rule::subsets;
use super::{Walk, listed, name};
use serde_json::Value;

impl<'a, 's> Walk<'a, 's> {
    /// The destinations, each with its steps; the first broken one ends the way, unless others work.
    pub(super) fn destinations(&mut self, action: &'a ForwardAction<'s>, works: bool) {
        if action.destinations.len() > 1 {
            let shares = action.destinations.iter().map(|it| format!("{:.0}% to {}", it.share * 100.0, short(it)));
            let shares: Vec<String> = shares.collect();
            let places = action.destinations.iter().map(|it| it.place.clone()).collect();
            self.pass(Stage::Weights, listed(&shares), places);
        }
        for destination in &action.destinations {
            if !self.destination(destination) && !works {
                return;
            }
        }
    }

    fn destination(&mut self, it: &'a Destination<'s>) -> bool {
        let services: Vec<String> = it.services.iter().map(|it| format!("{} in {}", name(it), it.target)).collect();
        let mut places = vec![it.place.clone()];
        places.extend(it.services.iter().map(|manifest| Place { manifest, pointer: String::new() }));
        let host = &it.host;
        match it.state {
            State::NoCluster(NoCluster::NoService) => {
                let text = format!("there is no Service or ServiceEntry {host}");
                let fix = self.near(host).unwrap_or_else(|| format!("Add a Service {host}, or name another host"));
                return self.fail(Stage::Destination, text, places, fix);
            }
            State::NoCluster(NoCluster::NotExported) => {
                let pods = &self.table.front.namespace;
                let who = if self.table.front.sidecar { "which calls it" } else { "where the gateway's pods are" };
                let text = format!("{host} is not exported to namespace {pods}, {who}");
                return self.fail(Stage::Destination, text, places, format!("Add {pods} to its exportTo"));
            }
            State::NoCluster(NoCluster::NoPort) => {
                let ports: Vec<String> = it.services.first().map(|it| ports(&it.object)).unwrap_or_default();
                let text = format!("{host} has no port {}; it has {}", it.port, listed(&ports));
                let fix = "Name one of its ports in destination.port.number".to_owned();
                return self.fail(Stage::Destination, text, places, fix);
            }
            State::Unknown => {
                let text =
                    format!("{host}:{} is in no file, nor is anything of its namespace; taken as existing", it.port);
                self.pass(Stage::Destination, text, places);
                return true;
            }
            _ => {
                let what = if services.is_empty() { host.clone() } else { listed(&services) };
                self.pass(Stage::Destination, format!("{host}:{} is {what}", it.port), places);
            }
        }
        self.subset(it) && self.endpoints(it)
    }

    fn subset(&mut self, it: &'a Destination<'s>) -> bool {
        let places: Vec<Place<'a>> =
            it.rules.iter().map(|manifest| Place { manifest, pointer: "/spec/subsets".to_owned() }).collect();
        let rules: Vec<String> = it.rules.iter().map(|rule| name(rule)).collect();
        if it.state == State::NoCluster(NoCluster::NoSubset) {
            let subset = it.subset.clone().unwrap_or_default();
            let (text, fix) = if it.rules.is_empty() {
                (
                    format!("no DestinationRule for {} applies, so there is no subset {subset}", it.host),
                    format!("Add a DestinationRule for {} with the subset {subset}", it.host),
                )
            } else {
                let known: Vec<String> = it.rules.iter().flat_map(|rule| subsets(rule)).collect();
                (
                    format!("DestinationRule {} has no subset {subset}; it has {}", listed(&rules), listed(&known)),
                    format!("Add the subset {subset}, or route to one of these"),
                )
            };
            let places = std::iter::once(it.place.clone()).chain(places).collect();
            return self.fail(Stage::Subset, text, places, fix);
        }
        if let Some(subset) = &it.subset {
            let text =
                format!("DestinationRule {} defines the subset {subset}: {}", listed(&rules), labels(it, subset));
            self.pass(Stage::Subset, text, places);
        }
        true
    }

    fn endpoints(&mut self, it: &'a Destination<'s>) -> bool {
        let mut places: Vec<Place<'a>> = Vec::new();
        for cluster in &it.endpoints {
            places.extend(cluster.workloads.iter().map(|manifest| Place { manifest, pointer: String::new() }));
        }
        match it.state {
            State::NoEndpoint(why) => {
                let text = match why {
                    NoEndpoint::NoPod => format!("no pod belongs to {}", it.host),
                    NoEndpoint::NoPodInSubset => format!(
                        "no pod of {} has the labels of the subset: {}",
                        it.host,
                        labels(it, it.subset.as_deref().unwrap_or_default())
                    ),
                    NoEndpoint::NoRegion => {
                        let clusters: Vec<String> = it.endpoints.iter().map(|at| at.cluster.to_string()).collect();
                        format!(
                            "the pods of {} are in {}, and distribute sends nothing to their regions",
                            it.host,
                            listed(&clusters)
                        )
                    }
                };
                let places = it.rules.iter().chain(&it.services);
                let places = places.map(|manifest| Place { manifest, pointer: String::new() }).collect();
                let fix = match why {
                    NoEndpoint::NoRegion => "Add their regions to localityLbSetting.distribute",
                    _ => "Deploy pods with these labels, or change the labels of the subset",
                }
                .to_owned();
                return self.fail(Stage::Endpoints, text, places, fix);
            }
            State::Assumed => {
                self.pass(Stage::Endpoints, "no file makes its pods; taken as having some", Vec::new());
            }
            _ => {
                let all = it.endpoints.iter().map(|at| {
                    let plural = if at.count == 1 { "" } else { "s" };
                    format!("{} pod{plural} in {}", at.count, at.cluster)
                });
                self.pass(Stage::Endpoints, listed(&all.collect::<Vec<_>>()), places);
            }
        }
        if !it.locality.is_empty() {
            let shares = it.locality.iter().map(|(cluster, share)| format!("{:.0}% to {cluster}", share * 100.0));
            let places = it.rules.iter().map(|manifest| Place { manifest, pointer: "/spec/trafficPolicy".to_owned() });
            let places = places.collect();
            self.pass(Stage::Locality, listed(&shares.collect::<Vec<_>>()), places);
        }
        true
    }

    /// A host of a similar name.
    fn near(&self, host: &str) -> Option<String> {
        let known = self.table.hosts.iter().map(|known| (crate::distance::distance(host, known), known));
        let same_name = |known: &str| known.split('.').next() == host.split('.').next();
        let near = known.filter(|(distance, known)| *distance <= 3 || same_name(known)).min();
        near.map(|(_, known)| format!("Did you mean {known}?"))
    }
}

/// `reviews:9080, subset v2`.
fn short(it: &Destination<'_>) -> String {
    let subset = it.subset.as_ref().map(|subset| format!(", subset {subset}")).unwrap_or_default();
    format!("{}:{}{subset}", it.host, it.port)
}

fn ports(service: &Value) -> Vec<String> {
    let all = items(service, "/spec/ports").iter();
    all.filter_map(|it| it.get("port").or_else(|| it.get("number"))).map(Value::to_string).collect()
}

fn labels(it: &Destination<'_>, subset: &str) -> String {
    let all = it.rules.iter().flat_map(|rule| items(&rule.object, "/spec/subsets"));
    let own = all.into_iter().find(|it| it.get("name").and_then(Value::as_str) == Some(subset));
    let labels = own.and_then(|it| it.get("labels")).and_then(Value::as_object).into_iter().flatten();
    let words: Vec<String> =
        labels.into_iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    if words.is_empty() { "no labels".to_owned() } else { listed(&words) }
}
