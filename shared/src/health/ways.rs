//! Where routes lead, and whether any pod answers there. The pods of a destination are in several clusters, and each is
//! watched by itself; how it stands in one of them is told in two bits, which are put together.

use crate::fleet::{FleetState, Manifest, Position};
use crate::istio::{DestinationRule, VirtualService, full_host, is_subset};
use crate::object::At as _;
use crate::object::ObjectId;
use crate::object::kinds::ISTIO_NETWORKING;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What names something, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The object.
    pub object: ObjectId,
    /// The place in its file.
    pub position: Position,
}

/// The pods that requests are sent to: those of a Service, or of a subset of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Namespace of the Service.
    pub namespace: Arc<str>,
    /// Name of the Service.
    pub service: Arc<str>,
    /// The subset.
    pub subset: Option<Arc<str>>,
    /// What its pods have besides the labels of the Service's selector.
    pub labels: BTreeMap<String, String>,
    /// The first route that sends requests there.
    pub used_by: Origin,
    /// How many more do.
    pub more: usize,
}

impl Way {
    /// What is wrong when no pod answers there, as the rest of a sentence about the route.
    pub fn fault(&self) -> String {
        let Self { namespace, service, .. } = self;
        let more = if self.more > 0 { format!(" (and {} more routes)", self.more) } else { String::new() };
        let at = &self.used_by.position;
        match &self.subset {
            Some(subset) => format!(
                "sends requests to the subset {subset} of {service}.{namespace} ({at}){more}, and no ready pod in any cluster \
                 has its labels ({}): these requests fail with 503. Start such pods, correct the labels, or take the share \
                 away: kubectl asm route weight",
                listed(&self.labels)
            ),
            None => format!(
                "sends requests to {service}.{namespace} ({at}){more}, and no pod of it is ready in any cluster: they fail \
                 with 503. Start its pods, or compare its selector with their labels: kubectl -n {namespace} describe service \
                 {service}"
            ),
        }
    }
}

/// `a=b,c=d`.
pub fn listed(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// What makes two ways the same: namespace, Service, subset, labels.
type Key = (Arc<str>, Arc<str>, Option<Arc<str>>, BTreeMap<String, String>);

/// The ways of all routes of a fleet to Services of the fleet, ordered. Everybody who reads a commit finds the same.
pub(super) fn all(state: &FleetState) -> Arc<[Way]> {
    let (services, entries) = (services(state), entries(state));
    let rules = Rules::of(state);
    let mut found: BTreeMap<Key, (Origin, usize)> = BTreeMap::new();
    for route in of_kind(state, "VirtualService") {
        let own = namespace(route);
        let mut mine = HashSet::new();
        for (host, subset, pointer) in taken(&route.object) {
            let host = full_host(&host, own).to_lowercase();
            let Some((space, service)) = services.get(&host).filter(|_| !entries.contains(&host)) else { continue };
            let labels = match &subset {
                None => BTreeMap::new(),
                // A subset that nobody defines is lint's.
                Some(subset) => match rules.labels(&host, subset, own, space) {
                    Some(labels) => labels,
                    None => continue,
                },
            };
            let key: Key = (space.clone(), service.clone(), subset.map(Into::into), labels);
            if !mine.insert(key.clone()) {
                continue;
            }
            let origin = || Origin { object: route.id.clone(), position: route.position_of(&pointer) };
            found.entry(key).and_modify(|(_, more)| *more += 1).or_insert_with(|| (origin(), 0));
        }
    }
    let way = |((namespace, service, subset, labels), (used_by, more))| Way {
        namespace,
        service,
        subset,
        labels,
        used_by,
        more,
    };
    found.into_iter().map(way).collect()
}

fn of_kind<'a>(state: &'a FleetState, kind: &'static str) -> impl Iterator<Item = &'a Manifest> {
    state.manifests.iter().filter(move |manifest| manifest.group_kind().is(ISTIO_NETWORKING, kind))
}

fn namespace(manifest: &Manifest) -> &str {
    manifest.id.namespace.as_deref().unwrap_or("default")
}

/// Services that choose pods, by their full name in lower case.
fn services(state: &FleetState) -> HashMap<String, (Arc<str>, Arc<str>)> {
    let of_pods = |manifest: &&Manifest| {
        let object = &manifest.object;
        let selector = object.at("/spec/selector").and_then(Value::as_object);
        manifest.group_kind().is("", "Service")
            && selector.is_some_and(|selector| !selector.is_empty())
            && object.at("/spec/type").and_then(Value::as_str) != Some("ExternalName")
    };
    let named = state.manifests.iter().filter(of_pods).map(|manifest| {
        let space = namespace(manifest);
        let host = full_host(&manifest.id.name, space).to_lowercase();
        (host, (Arc::from(space), manifest.id.name.clone()))
    });
    named.collect()
}

/// Hosts of ServiceEntries: what is behind them need not be pods.
fn entries(state: &FleetState) -> HashSet<String> {
    let hosts = |manifest: &Manifest| {
        let hosts = manifest.object.at("/spec/hosts").and_then(Value::as_array).into_iter().flatten();
        let own = namespace(manifest).to_owned();
        hosts.filter_map(Value::as_str).map(|host| full_host(host, &own).to_lowercase()).collect::<Vec<_>>()
    };
    of_kind(state, "ServiceEntry").flat_map(hosts).collect()
}

/// Host, subset and JSON pointer of every destination that gets requests: no mirror, and no share of nothing.
fn taken(route: &Value) -> Vec<(String, Option<String>, String)> {
    let all = VirtualService::destinations(route);
    let rule = |pointer: &str| pointer.split_once("/route/").map(|(rule, _)| rule.to_owned());
    let mut sums: HashMap<String, u64> = HashMap::new();
    for (to, pointer) in &all {
        if let Some(rule) = rule(pointer) {
            *sums.entry(rule).or_default() += u64::from(to.weight.unwrap_or_default());
        }
    }
    let gets = |weight: Option<u32>, pointer: &str| {
        let sum = rule(pointer).and_then(|rule| sums.get(&rule).copied());
        sum.is_some_and(|sum| sum == 0 || weight.unwrap_or_default() > 0)
    };
    all.into_iter()
        .filter(|(to, pointer)| gets(to.weight, pointer))
        .map(|(to, pointer)| (to.host, to.subset, pointer))
        .collect()
}

/// DestinationRules by host, in lower case; those with a wildcard apart.
#[derive(Default)]
struct Rules<'a> {
    exact: HashMap<String, Vec<(&'a str, DestinationRule)>>,
    wide: Vec<(String, &'a str, DestinationRule)>,
}

impl<'a> Rules<'a> {
    fn of(state: &'a FleetState) -> Self {
        let mut rules = Self::default();
        for manifest in of_kind(state, "DestinationRule") {
            let (rule, own) = (DestinationRule::read(&manifest.object), namespace(manifest));
            let host = full_host(&rule.host, own).to_lowercase();
            if host.starts_with('*') {
                rules.wide.push((host, own, rule));
            } else {
                rules.exact.entry(host).or_default().push((own, rule));
            }
        }
        rules
    }

    /// The labels of a subset: by the rule of the caller's namespace, then of the Service's, then any.
    fn labels(&self, host: &str, subset: &str, caller: &str, home: &str) -> Option<BTreeMap<String, String>> {
        let exact = self.exact.get(host).into_iter().flatten().map(|(own, rule)| (*own, rule));
        let wide = self.wide.iter().filter(|(wide, ..)| is_subset(host, wide)).map(|(_, own, rule)| (*own, rule));
        let near = |own: &str| (own != caller, own != home);
        let found = exact.chain(wide).filter_map(|(own, rule)| {
            let subset = rule.subsets.iter().find(|it| it.name == subset)?;
            Some((near(own), subset.of_pods()))
        });
        let (_, labels) = found.min_by_key(|(near, _)| *near)?;
        Some(labels.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect())
    }
}

/// How a way stands in one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// The Service is not there, or nobody has looked for its pods.
    Absent,
    /// The Service is there, and no such pod is ready.
    Closed,
    /// Such a pod is ready.
    Open,
}

/// How all ways of a commit stand in one cluster, short enough to be told: bits in the order of the ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    open: String,
    closed: String,
}

impl Told {
    /// Of every way, in their order.
    pub fn of(stands: impl Iterator<Item = Stand> + Clone) -> Self {
        let bits = |wanted: Stand| {
            let mut bytes: Vec<u8> = Vec::new();
            for (at, _) in stands.clone().enumerate().filter(|(_, stand)| *stand == wanted) {
                bytes.resize(bytes.len().max(at / 8 + 1), 0);
                if let Some(byte) = bytes.get_mut(at / 8) {
                    *byte |= 1 << (at % 8);
                }
            }
            STANDARD_NO_PAD.encode(bytes)
        };
        Self { open: bits(Stand::Open), closed: bits(Stand::Closed) }
    }
}

/// The ways by which nothing arrives: in some cluster nobody is ready though the Service is there, and in none somebody is.
/// Nothing is said while nothing is known of a cluster: it may have the pods.
pub fn dead<'w>(ways: &'w [Way], told: &[Option<&Told>]) -> Vec<&'w Way> {
    let Some(told) = told.iter().copied().collect::<Option<Vec<&Told>>>() else { return Vec::new() };
    let bits = |text: &str| STANDARD_NO_PAD.decode(text).unwrap_or_default();
    let told: Vec<(Vec<u8>, Vec<u8>)> = told.iter().map(|told| (bits(&told.open), bits(&told.closed))).collect();
    let is_set = |bytes: &[u8], at: usize| bytes.get(at / 8).is_some_and(|byte| byte & (1 << (at % 8)) != 0);
    let is_dead =
        |at: usize| told.iter().any(|(_, closed)| is_set(closed, at)) && !told.iter().any(|(open, _)| is_set(open, at));
    ways.iter().enumerate().filter(|(at, _)| is_dead(*at)).map(|(_, way)| way).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::MemoryTree;
    use Stand::{Absent, Closed, Open};

    const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec: {mesh: {}, clusters: \
                         [{name: m1c1}]}\n";
    const SERVICES: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: shop}\nspec: {selector: {app: \
                            reviews}, ports: [{port: 80}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: manual, \
                            namespace: shop}\nspec: {ports: [{port: 80}]}\n";
    const RULES: &str = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: reviews, namespace: \
                         shop}\nspec: {host: reviews, subsets: [{name: v1, labels: {version: v1, topology.istio.io/cluster: \
                         m1c1}}, {name: v2, labels: {version: v2}}]}\n---\napiVersion: networking.istio.io/v1\nkind: \
                         DestinationRule\nmetadata: {name: reviews, namespace: other}\nspec: {host: \
                         reviews.shop.svc.cluster.local, subsets: [{name: v2, labels: {version: two}}]}\n";

    fn ways(routes: &str) -> Vec<String> {
        let files = [
            ("fleet.yaml", FLEET),
            ("clusters/m1c1/a.yaml", SERVICES),
            ("mesh/rules.yaml", RULES),
            ("mesh/routes.yaml", routes),
        ];
        let tree: MemoryTree = files.into_iter().collect();
        let state = FleetState::read(&tree);
        assert!(state.problems.is_empty(), "{:?}", state.problems);
        let text = |way: &Way| {
            let subset = way.subset.as_deref().unwrap_or("-");
            let Position { line, .. } = way.used_by.position;
            format!("{}/{} {subset} [{}] line {line} +{}", way.namespace, way.service, listed(&way.labels), way.more)
        };
        all(&state).iter().map(text).collect()
    }

    fn route(namespace: &str, http: &str) -> String {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: r, namespace: {namespace}}}\nspec:\n  \
             hosts: [x.example.com]\n  http:\n  - route:\n{http}"
        )
    }

    #[test]
    fn ways_are_where_requests_are_sent() {
        let to = |host: &str, rest: &str| format!("    - {{destination: {{host: {host}{rest}}}\n");
        for (what, namespace, http, expected) in [
            ("a Service", "shop", to("reviews", "}"), vec!["shop/reviews - [] line 8 +0"]),
            (
                "by its full name",
                "other",
                to("reviews.shop.svc.cluster.local", "}"),
                vec!["shop/reviews - [] line 8 +0"],
            ),
            (
                "a subset, without what no pod has",
                "shop",
                to("reviews", ", subset: v1}"),
                vec!["shop/reviews v1 [version=v1] line 8 +0"],
            ),
            (
                "by the rule of the caller's namespace",
                "other",
                to("reviews.shop.svc.cluster.local", ", subset: v2}"),
                vec!["shop/reviews v2 [version=two] line 8 +0"],
            ),
            ("a subset that nobody defines", "shop", to("reviews", ", subset: v9}"), vec![]),
            ("a Service without a selector", "shop", to("manual", "}"), vec![]),
            ("somebody else's", "shop", to("other.example.com", "}"), vec![]),
            (
                "a share of nothing",
                "shop",
                to("reviews", ", subset: v1}, weight: 100") + &to("reviews", ", subset: v2}, weight: 0"),
                vec!["shop/reviews v1 [version=v1] line 8 +0"],
            ),
            (
                "no shares at all",
                "shop",
                to("reviews", ", subset: v1}") + &to("reviews", ", subset: v2}"),
                vec!["shop/reviews v1 [version=v1] line 8 +0", "shop/reviews v2 [version=v2] line 9 +0"],
            ),
            (
                "a mirror",
                "shop",
                to("reviews", ", subset: v1}") + "    mirror: {host: reviews, subset: v2}\n",
                vec!["shop/reviews v1 [version=v1] line 8 +0"],
            ),
        ] {
            assert_eq!(ways(&route(namespace, &http)), expected, "{what}");
        }
        let two = route("shop", &to("reviews", "}"))
            + "---\n"
            + &route("shop", &to("reviews", "}")).replace("name: r,", "name: s,");
        assert_eq!(ways(&two), ["shop/reviews - [] line 8 +1"]);
        let entry = "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e, namespace: shop}\nspec: \
                     {hosts: [reviews.shop.svc.cluster.local], ports: [{number: 80, name: http, protocol: HTTP}]}\n";
        assert_eq!(ways(&(route("shop", &to("reviews", "}")) + entry)), Vec::<String>::new());
    }

    #[test]
    fn a_way_is_dead_when_nobody_is_ready_anywhere() {
        let way = |n: usize| Way {
            namespace: "shop".into(),
            service: format!("s{n}").into(),
            subset: None,
            labels: BTreeMap::new(),
            used_by: Origin {
                object: ObjectId::new(ISTIO_NETWORKING, "VirtualService", Some("shop"), "r"),
                position: Position { file: "mesh/r.yaml".into(), line: 1, column: 1 },
            },
            more: 0,
        };
        let rows = [
            (Open, Open, false),
            (Open, Closed, false),
            (Closed, Open, false),
            (Closed, Closed, true),
            (Closed, Absent, true),
            (Absent, Closed, true),
            (Absent, Absent, false),
            (Absent, Open, false),
            (Closed, Closed, true),
            (Open, Closed, false),
        ];
        let ways: Vec<Way> = (0..rows.len()).map(way).collect();
        let first = Told::of(rows.iter().map(|row| row.0));
        let second = Told::of(rows.iter().map(|row| row.1));
        // As it gets to another replica.
        let passed_on: Told = serde_json::from_str(&serde_json::to_string(&second).expect("JSON")).expect("the same");
        let found = dead(&ways, &[Some(&first), Some(&passed_on)]);
        let expected: Vec<&Way> = ways.iter().zip(rows).filter(|(_, row)| row.2).map(|(way, _)| way).collect();
        assert_eq!(found, expected);
        assert!(dead(&ways, &[Some(&first), None]).is_empty(), "the pods may be where nobody has looked");
        assert!(dead(&ways, &[]).is_empty());
    }
}
