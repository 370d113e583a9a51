//! The pods that requests end at: which are ready behind the Services that routes lead to, and which of them have the labels
//! of a subset. EndpointSlices tell the first, reduced to names of pods; the second is read when other pods have come.

use super::Worker;
use super::resources::each_metadata;
use super::signals::{Interest, is_refusal};
use asm_io::cluster::ClusterError;
use asm_shared::health::arrival::Arrival;
use asm_shared::health::ways::{Stand, Told, Way, listed};
use asm_shared::object::GroupKind;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Label of a slice: the Service that it belongs to.
const SERVICE: &str = "kubernetes.io/service-name";
/// So many groups of pods of one namespace are told apart by one list of all its pods, fewer by a list each.
const LIST_FROM: usize = 8;

/// Namespace and name of a Service.
type Place = (Arc<str>, Arc<str>);
/// Names of pods, and whether they are ready.
type Endpoints = Vec<(Option<Arc<str>>, bool)>;
/// Namespace and labels of pods.
type Group = (Arc<str>, BTreeMap<String, String>);

/// A slice, as far as it counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    of: Place,
    name: Arc<str>,
    endpoints: Endpoints,
}

/// What the watch of slices sees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SliceSeen {
    /// A new list begins.
    Started,
    /// Part of the list.
    Listed(Slice),
    /// The list is complete.
    Done,
    /// Made or changed.
    Set(Slice),
    /// Deleted.
    Gone(Slice),
    /// They may not be watched, or there are none on this server.
    Refused,
}

/// Of a slice what counts; nothing of one that belongs to no Service.
pub(super) fn slice(found: &EndpointSlice) -> Option<Slice> {
    let metadata = &found.metadata;
    let service = metadata.labels.as_ref()?.get(SERVICE)?;
    let endpoints = found.endpoints.iter().map(|endpoint| {
        let pod = endpoint.target_ref.as_ref().and_then(|pod| pod.name.as_deref()).map(Arc::from);
        // What is not said counts as ready.
        let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
        (pod, ready)
    });
    Some(Slice {
        of: (metadata.namespace.as_deref()?.into(), service.as_str().into()),
        name: metadata.name.as_deref()?.into(),
        endpoints: endpoints.collect(),
    })
}

/// What is known of them.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    /// Services whose pods count.
    wanted: BTreeSet<Place>,
    /// Those of them of which pods are told apart by labels.
    grouped: BTreeSet<Place>,
    /// Number of the watch that counts.
    number: u64,
    slices: BTreeMap<Place, BTreeMap<Arc<str>, Endpoints>>,
    /// Slices that the list has named so far.
    listing: Option<BTreeSet<(Place, Arc<str>)>>,
    /// The list was complete, or is refused; `None`: not yet.
    listed: Option<bool>,
    /// Pods with the labels of a group, as they were read last.
    chosen: BTreeMap<Group, BTreeSet<Arc<str>>>,
    /// Services that have other pods than when the groups were read.
    stale: BTreeSet<Place>,
    /// Pods may not be listed.
    blind: bool,
}

impl Behind {
    /// Takes up what a commit wants to know. Gives back what is to be watched.
    pub(super) fn follow(&mut self, arrival: &Arrival) -> Option<Interest> {
        let wanted = arrival.services();
        // What does not count is not kept: for more Services the list is asked for anew.
        if !wanted.is_subset(&self.wanted) {
            *self = Self { number: self.number + 1, ..Self::default() };
        }
        self.slices.retain(|place, _| wanted.contains(place));
        self.wanted = wanted;
        self.grouped = groups(arrival).map(|(place, _)| place).collect();
        let groups: BTreeSet<Group> = groups(arrival).map(|(_, group)| group).collect();
        self.chosen.retain(|group, _| groups.contains(group));
        let fresh = |(_, group): &(Place, Group)| !self.chosen.contains_key(group);
        self.stale.extend(self::groups(arrival).filter(fresh).map(|(place, _)| place));
        self.stale.retain(|place| self.grouped.contains(place));
        let mut namespaces: BTreeSet<&Arc<str>> = self.wanted.iter().map(|(namespace, _)| namespace).collect();
        let first = namespaces.pop_first()?;
        Some(Interest::Slices(namespaces.is_empty().then(|| first.clone()), self.number))
    }

    /// Takes in what a watch saw. `true` when something is to be looked at.
    pub(super) fn see(&mut self, number: u64, seen: SliceSeen) -> bool {
        if number != self.number {
            return false;
        }
        match seen {
            SliceSeen::Started => {
                self.listing = Some(BTreeSet::new());
                false
            }
            SliceSeen::Listed(slice) => {
                if let Some(listing) = &mut self.listing {
                    listing.insert((slice.of.clone(), slice.name.clone()));
                }
                self.set(slice.of, slice.name, Some(slice.endpoints));
                false
            }
            SliceSeen::Done => {
                let listed = self.listing.take().unwrap_or_default();
                let known =
                    self.slices.iter().flat_map(|(of, all)| all.keys().map(move |name| (of.clone(), name.clone())));
                let gone: Vec<(Place, Arc<str>)> = known.filter(|slice| !listed.contains(slice)).collect();
                for (of, name) in gone {
                    self.set(of, name, None);
                }
                self.listed = Some(true);
                true
            }
            SliceSeen::Set(slice) => self.set(slice.of, slice.name, Some(slice.endpoints)),
            SliceSeen::Gone(slice) => self.set(slice.of, slice.name, None),
            SliceSeen::Refused => self.listed.replace(false) != Some(false),
        }
    }

    /// `true` when that is news.
    fn set(&mut self, of: Place, name: Arc<str>, endpoints: Option<Endpoints>) -> bool {
        if !self.wanted.contains(&of) {
            return false;
        }
        let pods = |all: Option<&BTreeMap<Arc<str>, Endpoints>>| -> BTreeSet<Arc<str>> {
            all.into_iter().flat_map(BTreeMap::values).flatten().filter_map(|(pod, _)| pod.clone()).collect()
        };
        let before = pods(self.slices.get(&of));
        let own = self.slices.entry(of.clone()).or_default();
        let is_news = match endpoints {
            Some(endpoints) => {
                own.get(&name) != Some(&endpoints) && {
                    own.insert(name, endpoints);
                    true
                }
            }
            None => own.remove(&name).is_some(),
        };
        // Those who leave need not be asked for their labels.
        if self.grouped.contains(&of) && !pods(self.slices.get(&of)).is_subset(&before) {
            self.stale.insert(of);
        }
        is_news
    }

    /// Is everything known that can be?
    pub(super) fn is_settled(&self) -> bool {
        self.wanted.is_empty()
            || self.listed == Some(false)
            || self.listed == Some(true) && (self.blind || self.stale.is_empty())
    }

    /// Is a pod of the Service ready that has these labels?
    fn stand(&self, of: &Place, labels: &BTreeMap<String, String>) -> Stand {
        let Some(slices) = self.slices.get(of).filter(|slices| !slices.is_empty()) else { return Stand::Absent };
        let mut ready = slices.values().flatten().filter(|(_, ready)| *ready).map(|(pod, _)| pod);
        let is_open = if labels.is_empty() {
            ready.next().is_some()
        } else {
            let Some(chosen) = self.chosen.get(&(of.0.clone(), labels.clone())) else { return Stand::Absent };
            ready.any(|pod| pod.as_ref().is_some_and(|pod| chosen.contains(pod)))
        };
        if is_open { Stand::Open } else { Stand::Closed }
    }

    /// How the ways stand here; `None` when that cannot be known.
    fn told(&self, ways: &[Way]) -> Option<Told> {
        let known = self.wanted.is_empty() || self.listed == Some(true) && !self.blind;
        let place = |way: &Way| (way.namespace.clone(), way.service.clone());
        known.then(|| Told::of(ways.iter().map(|way| self.stand(&place(way), &way.labels))))
    }
}

/// Groups of pods that are told apart by labels, each with its Service.
fn groups(arrival: &Arrival) -> impl Iterator<Item = (Place, Group)> {
    let of_ways = arrival.ways.iter().filter(|way| !way.labels.is_empty()).map(|way| {
        let place = (way.namespace.clone(), way.service.clone());
        (place, (way.namespace.clone(), way.labels.clone()))
    });
    let of_choices = arrival.choices.iter().filter_map(|choice| {
        let namespace = choice.service.namespace.clone()?;
        Some(((namespace.clone(), choice.service.name.clone()), (namespace, choice.labels.clone())))
    });
    of_ways.chain(of_choices)
}

impl Worker {
    /// Reads the labels of pods that have come, and says how everything stands.
    pub(super) async fn look_behind(&mut self) {
        let desired = self.order.desired.clone();
        if self.state.behind.listed == Some(true) {
            self.read_groups(&desired.arrival).await;
        }
        self.state.ways = self.state.behind.told(&desired.arrival.ways);
        for choice in &desired.arrival.choices {
            let behind = &self.state.behind;
            let place = (choice.service.namespace.clone().unwrap_or_default(), choice.service.name.clone());
            let is_known = behind.listed == Some(true) && !behind.blind;
            // That nobody is ready at all is told of the Service.
            let closed = is_known
                && behind.stand(&place, &choice.labels) == Stand::Closed
                && behind.stand(&place, &BTreeMap::new()) == Stand::Open;
            if closed {
                self.state.ails(&choice.used_by.object, choice.fault());
            } else {
                self.state.works(&choice.used_by.object);
            }
        }
    }

    /// Which pods have the labels of which group, where Services have other pods than before.
    async fn read_groups(&mut self, arrival: &Arrival) {
        let stale = std::mem::take(&mut self.state.behind.stale);
        let mut wanted: BTreeMap<Arc<str>, BTreeSet<BTreeMap<String, String>>> = BTreeMap::new();
        for (_, (namespace, labels)) in groups(arrival).filter(|(place, _)| stale.contains(place)) {
            wanted.entry(namespace).or_default().insert(labels);
        }
        for (namespace, groups) in wanted {
            match pods(&self.resources.client(), &namespace, &groups).await {
                Ok(found) => {
                    self.state.behind.blind = false;
                    let found = found.into_iter().map(|(labels, pods)| ((namespace.clone(), labels), pods));
                    self.state.behind.chosen.extend(found);
                }
                Err(error) => {
                    self.state.behind.stale.extend(stale.iter().filter(|(space, _)| *space == namespace).cloned());
                    if is_refusal(&error) {
                        self.state.behind.blind = true;
                    } else {
                        self.count_error(&error);
                        self.look_later = true;
                    }
                }
            }
        }
    }
}

/// Names of the pods of a namespace that have the labels of each group: metadata, by label, or of all where the groups are many.
async fn pods(
    client: &kube::Client,
    namespace: &str,
    groups: &BTreeSet<BTreeMap<String, String>>,
) -> Result<BTreeMap<BTreeMap<String, String>, BTreeSet<Arc<str>>>, ClusterError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut found: BTreeMap<BTreeMap<String, String>, BTreeSet<Arc<str>>> =
        groups.iter().map(|labels| (labels.clone(), BTreeSet::new())).collect();
    let lists: Vec<Option<&BTreeMap<String, String>>> =
        if groups.len() >= LIST_FROM { vec![None] } else { groups.iter().map(Some).collect() };
    for list in lists {
        let mut params = ListParams::default();
        if let Some(labels) = list {
            params = params.labels(&listed(labels));
        }
        each_metadata(&api, params, &GroupKind::new("", "Pod"), |pod| {
            let (name, own) = (pod.name.unwrap_or_default(), pod.labels.unwrap_or_default());
            let has = |labels: &BTreeMap<String, String>| labels.iter().all(|(key, value)| own.get(key) == Some(value));
            for (_, names) in found.iter_mut().filter(|(labels, _)| has(labels)) {
                names.insert(name.as_str().into());
            }
        })
        .await?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::fleet::Position;
    use asm_shared::health::ways::{Origin, dead};
    use asm_shared::object::ObjectId;
    use serde_json::json;

    fn way(service: &str, version: &str) -> Way {
        let labels =
            if version.is_empty() { BTreeMap::new() } else { [("version".to_owned(), version.to_owned())].into() };
        Way {
            namespace: "shop".into(),
            service: service.into(),
            subset: None,
            labels,
            used_by: Origin {
                object: ObjectId::new("networking.istio.io", "VirtualService", Some("shop"), "r"),
                position: Position { file: "mesh/r.yaml".into(), line: 1, column: 1 },
            },
            more: 0,
        }
    }

    fn arrival(ways: &[Way]) -> Arrival {
        Arrival { ways: ways.into(), ..Arrival::default() }
    }

    fn found(name: &str, service: &str, pods: &[(&str, bool)]) -> Slice {
        let endpoints: Vec<_> = pods
            .iter()
            .map(|(pod, ready)| json!({"addresses": [], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": pod}}))
            .collect();
        let object = json!({"addressType": "IPv4", "endpoints": endpoints,
            "metadata": {"name": name, "namespace": "shop", "labels": {SERVICE: service}}});
        slice(&serde_json::from_value(object).unwrap()).unwrap()
    }

    fn chosen(behind: &mut Behind, version: &str, pods: &[&str]) {
        let labels = [("version".to_owned(), version.to_owned())].into();
        behind.chosen.insert(("shop".into(), labels), pods.iter().map(|pod| Arc::from(*pod)).collect());
        behind.stale.clear();
    }

    #[test]
    fn a_way_is_open_as_long_as_a_ready_pod_has_its_labels() {
        let arrival = arrival(&[way("reviews", ""), way("reviews", "v1"), way("reviews", "v2"), way("absent", "")]);
        let mut behind = Behind::default();
        assert_eq!(behind.follow(&arrival), Some(Interest::Slices(Some("shop".into()), 1)));
        assert!(!behind.is_settled() && behind.told(&arrival.ways).is_none(), "nobody has looked");
        behind.see(1, SliceSeen::Started);
        behind.see(1, SliceSeen::Listed(found("a", "reviews", &[("one", true), ("two", false)])));
        behind.see(1, SliceSeen::Listed(found("x", "other", &[("x", true)])));
        assert!(behind.see(1, SliceSeen::Done));
        assert!(!behind.is_settled(), "nobody knows their labels");
        chosen(&mut behind, "v1", &["one"]);
        chosen(&mut behind, "v2", &["two"]);
        assert!(behind.is_settled());
        let dead_now = |behind: &Behind| {
            let told = behind.told(&arrival.ways);
            let dead = dead(&arrival.ways, &[told.as_ref()]);
            dead.iter().map(|way| listed(&way.labels)).collect::<Vec<_>>()
        };
        assert_eq!(dead_now(&behind), ["version=v2"]);

        // The same pods, one of them ready by now: nobody is asked for labels.
        assert!(behind.see(1, SliceSeen::Set(found("a", "reviews", &[("one", true), ("two", true)]))));
        assert!(behind.is_settled() && dead_now(&behind).is_empty());
        assert!(!behind.see(1, SliceSeen::Set(found("a", "reviews", &[("one", true), ("two", true)]))), "no news");
        assert!(behind.see(1, SliceSeen::Set(found("a", "reviews", &[("two", true)]))));
        assert!(behind.is_settled(), "whoever leaves is not asked for labels");
        assert_eq!(dead_now(&behind), ["version=v1"]);
        assert!(behind.see(1, SliceSeen::Set(found("b", "reviews", &[("three", true)]))));
        assert!(!behind.is_settled(), "somebody new");
        // What a list no longer names is gone; without slices nobody knows whether anybody looks.
        behind.see(1, SliceSeen::Started);
        behind.see(1, SliceSeen::Done);
        chosen(&mut behind, "v1", &[]);
        assert_eq!(dead_now(&behind), Vec::<String>::new());
    }

    #[test]
    fn more_services_are_another_list_and_fewer_are_not() {
        let mut behind = Behind::default();
        assert_eq!(behind.follow(&arrival(&[])), None);
        assert!(behind.is_settled());
        let both = arrival(&[way("a", ""), way("b", "")]);
        assert_eq!(behind.follow(&both), Some(Interest::Slices(Some("shop".into()), 1)));
        behind.see(1, SliceSeen::Started);
        behind.see(1, SliceSeen::Listed(found("a", "a", &[("one", true)])));
        behind.see(1, SliceSeen::Done);
        assert_eq!(behind.follow(&arrival(&[way("a", "")])), Some(Interest::Slices(Some("shop".into()), 1)));
        assert!(behind.is_settled());
        let elsewhere = Way { namespace: "other".into(), ..way("c", "") };
        assert_eq!(behind.follow(&arrival(&[way("a", ""), elsewhere])), Some(Interest::Slices(None, 2)));
        assert!(!behind.is_settled());
        assert!(!behind.see(1, SliceSeen::Done), "the watch before says something");
        assert!(!behind.is_settled());
        assert!(behind.see(2, SliceSeen::Refused) && !behind.see(2, SliceSeen::Refused));
        assert!(behind.is_settled() && behind.told(&[way("a", "")]).is_none(), "it cannot be known");
    }
}
