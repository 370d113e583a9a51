//! The rules that judge which requests a rule takes, against brute force: for generated VirtualServices, every request of a
//! small world is led through the routes as istiod joins them, and what that shows is compared with what lint says.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that prints the score")]

use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::lint::{Assumptions, Place, find, run};
use asm_shared::object::At as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Sets of VirtualServices that are tried.
const SETS: usize = 5000;

const HOSTS: &[&str] = &["a.x.com", "b.x.com", "*.x.com", "*"];
const PATHS: &[&str] = &["/", "/a", "/a/b", "/a/b/c", "/a/c", "/ab", "/b", "/b/z", "/B", "/c", "/A", "/A/B", "/A/b/c"];
const METHODS: &[&str] = &["GET", "POST", "PUT"];
const HEADERS: &[Option<&str>] = &[None, Some("1"), Some("12"), Some("2")];

/// A request, whatever its host is.
struct Request {
    path: &'static str,
    /// The path in lower case.
    lower: &'static str,
    method: &'static str,
    header: Option<&'static str>,
}

const NAMES: &[&str] = &["a.x.com", "b.x.com", "c.x.com", "y.com"];

fn name(place: &Place) -> String {
    place.object.as_ref().map(|object| object.name.to_string()).unwrap_or_default()
}

fn requests() -> Vec<Request> {
    let mut all = Vec::new();
    for path in PATHS {
        let lower = PATHS.iter().find(|lower| **lower == path.to_lowercase()).unwrap();
        for method in METHODS {
            all.extend(HEADERS.iter().map(|header| Request { path, lower, method, header: *header }));
        }
    }
    all
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn of<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.roll(values.len())]
    }
}

fn route(dice: &mut Dice) -> Value {
    let mut hosts: Vec<&str> = (0..=dice.roll(2)).map(|_| *dice.of(HOSTS)).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let rules: Vec<Value> = (0..=dice.roll(3)).map(|_| rule(dice)).collect();
    json!({"hosts": hosts, "gateways": ["door"], "http": rules})
}

fn rule(dice: &mut Dice) -> Value {
    let entries: Vec<Value> = (0..dice.roll(6).min(2)).map(|_| entry(dice)).collect();
    let mut rule = json!({"route": [{"destination": {"host": dice.of(&["p", "q"])}}]});
    if !entries.is_empty() {
        rule["match"] = entries.into();
    }
    rule
}

fn entry(dice: &mut Dice) -> Value {
    let uris = [
        json!({"exact": "/a"}),
        json!({"exact": "/a/b"}),
        json!({"prefix": "/"}),
        json!({"prefix": "/a"}),
        json!({"prefix": "/a/b"}),
        json!({"prefix": "/b"}),
        json!({"regex": "/a/.*"}),
    ];
    let mut entry = json!({});
    if dice.roll(8) > 0 {
        entry["uri"] = dice.of(&uris).clone();
    }
    if dice.roll(4) == 0 {
        entry["method"] = json!({"exact": dice.of(&["GET", "POST"])});
    }
    match dice.roll(8) {
        0 => entry["headers"] = json!({"h": {"exact": "1"}}),
        1 => entry["headers"] = json!({"h": {"prefix": "1"}}),
        2 => entry["headers"] = json!({"h": {}}),
        _ => {}
    }
    if entry.get("uri").is_some() && dice.roll(12) == 0 {
        entry["ignoreUriCase"] = true.into();
    }
    if entry.as_object().unwrap().is_empty() { json!({"uri": {"exact": "/c"}}) } else { entry }
}

/// Does a request meet a match entry? (The regular expression of this world is a prefix.)
fn meets(entry: &Value, request: &Request) -> bool {
    let fold = entry["ignoreUriCase"] == true;
    let text = |how: &Value, given: &str| {
        if let Some(exact) = how["exact"].as_str() {
            given == exact
        } else if let Some(prefix) = how["prefix"].as_str() {
            given.starts_with(prefix)
        } else if let Some(regex) = how["regex"].as_str() {
            given.starts_with(regex.trim_end_matches(".*"))
        } else {
            true
        }
    };
    let uri = entry.get("uri").is_none_or(|how| text(how, if fold { request.lower } else { request.path }));
    let method = entry.get("method").is_none_or(|how| text(how, request.method));
    let header = entry.at("/headers/h").is_none_or(|how| request.header.is_some_and(|given| text(how, given)));
    uri && method && header
}

/// Does istiod put the entry last?
fn catches_all(entry: &Value) -> bool {
    let any = entry.get("uri").is_none_or(|uri| uri["prefix"] == "/");
    any && entry.get("method").is_none() && entry.get("headers").is_none()
}

/// A VirtualService, and what it does with each request.
struct Taken {
    spec: Value,
    hosts: Vec<String>,
    /// Where its entries lead the request, those that istiod puts last left out.
    first: Vec<Option<Value>>,
    /// Where those lead it.
    last: Vec<Option<Value>>,
    /// The rule that takes the request, all by itself.
    rule: Vec<Option<usize>>,
}

fn take(spec: Value, requests: &[Request]) -> Taken {
    let hosts = spec["hosts"].as_array().unwrap().iter().map(|host| host.as_str().unwrap().to_owned()).collect();
    let rules = spec["http"].as_array().unwrap().iter().enumerate();
    let entries = rules.flat_map(|(number, rule)| {
        let own = rule["match"].as_array().cloned().unwrap_or_else(|| vec![json!({})]);
        let to = rule["route"][0]["destination"].clone();
        own.into_iter().map(move |entry| (entry, number, to.clone())).collect::<Vec<_>>()
    });
    let entries: Vec<(Value, usize, Value)> = entries.collect();
    let lead = |request: &Request, last: bool| find_entry(&entries, request, last).cloned();
    let taken = |request: &Request| entries.iter().find(|(entry, ..)| meets(entry, request)).map(|found| found.1);
    Taken {
        hosts,
        first: requests.iter().map(|request| lead(request, false)).collect(),
        last: requests.iter().map(|request| lead(request, true)).collect(),
        rule: requests.iter().map(taken).collect(),
        spec,
    }
}

/// The entry that takes a request, among those that istiod puts last or among the others. What follows an entry for
/// everything is left out.
fn find_entry<'e>(entries: &'e [(Value, usize, Value)], request: &Request, last: bool) -> Option<&'e Value> {
    for (entry, _, to) in entries {
        let all = catches_all(entry);
        if all == last && meets(entry, request) {
            return Some(to);
        }
        if all {
            return None;
        }
    }
    None
}

impl Taken {
    fn answers_to(&self, domain: &str) -> bool {
        self.hosts.iter().any(|host| host == domain)
    }
}

fn has(host: &str, name: &str) -> bool {
    host.strip_prefix('*').map_or(host == name, |tail| name.ends_with(tail))
}

/// The host (as written) that answers for a name: the narrowest.
fn domain<'r>(routes: &[&'r Taken], name: &str) -> Option<&'r str> {
    let hosts = routes.iter().flat_map(|route| &route.hosts).map(String::as_str);
    hosts.filter(|host| has(host, name)).max_by_key(|host| (!host.starts_with('*'), host.len()))
}

/// Where a request goes when the VirtualServices are joined in this order.
fn lead<'r>(routes: &[&'r Taken], name: &str, request: usize) -> Option<&'r Value> {
    let domain = domain(routes, name)?;
    let own = || routes.iter().filter(|route| route.answers_to(domain));
    own()
        .find_map(|route| route.first[request].as_ref())
        .or_else(|| own().find_map(|route| route.last[request].as_ref()))
}

#[derive(Debug, Default)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Score {
    fn count(&mut self, said: bool, is: bool) {
        match (said, is) {
            (true, true) => self.right += 1,
            (true, false) => self.wrong += 1,
            (false, true) => self.missed += 1,
            (false, false) => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn holds(&self, name: &str) {
        let (right, wrong, missed) = (self.right as f64, self.wrong as f64, self.missed as f64);
        let (precision, recall) = (right / (right + wrong), right / (right + missed));
        eprintln!("{name}: {self:?}, precision {precision:.4}, recall {recall:.4}");
        assert!(self.right > 200 && precision >= 0.99 && recall >= 0.99, "{name}: {self:?}");
    }
}

/// What the rules say: for each finding the rule, the VirtualService, the VirtualServices it refers to, the place.
fn said(state: &FleetState) -> BTreeSet<(&'static str, String, String, String)> {
    let rules = ["order-hazard", "host-hidden", "unreachable-rule"].map(|rule| find(rule).unwrap());
    let mut said = BTreeSet::new();
    for finding in run(state, &rules, Assumptions::default()) {
        for related in &finding.related {
            let (one, other) = (name(&finding.place), name(&related.place));
            said.insert((finding.rule, one, other, finding.place.path.clone()));
        }
    }
    said
}

fn state(routes: &[&Value]) -> FleetState {
    let door = json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway",
        "metadata": {"name": "door", "namespace": "shop"}, "spec": {"selector": {"istio": "in"}, "servers": [
            {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]}});
    let mut text = door.to_string();
    for (name, spec) in ["a", "b"].iter().zip(routes) {
        let route = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": name, "namespace": "shop"}, "spec": spec});
        text += &format!("\n---\n{route}");
    }
    let fleet =
        "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: x}\nspec: {mesh: {}, clusters: []}\n";
    let tree: MemoryTree = [("fleet.yaml", fleet), ("mesh/routes.yaml", text.as_str())].into_iter().collect();
    let state = FleetState::read(&tree);
    assert_eq!(state.manifests.len(), routes.len() + 1, "{:?}", state.problems);
    state
}

#[test]
fn order_hiding_and_shadows_are_what_requests_show() {
    let requests = requests();
    let mut dice = Dice(42);
    let (mut order, mut hiding, mut shadow) = (Score::default(), Score::default(), Score::default());
    for _ in 0..SETS {
        let (a, b) = (take(route(&mut dice), &requests), take(route(&mut dice), &requests));
        let said = said(&state(&[&a.spec, &b.spec]));

        let is = NAMES.iter().any(|name| {
            (0..requests.len()).any(|request| lead(&[&a, &b], name, request) != lead(&[&b, &a], name, request))
        });
        order.count(said.iter().any(|(rule, ..)| *rule == "order-hazard"), is);

        for (name, one, other_name, other) in [("a", &a, "b", &b), ("b", &b, "a", &a)] {
            let is = NAMES.iter().any(|host| {
                let domain = domain(&[one, other], host).unwrap_or_default();
                let hides = one.answers_to(domain) && !other.answers_to(domain);
                hides && (0..requests.len()).any(|request| lead(&[other], host, request).is_some())
            });
            let is_said = |(rule, from, to, _): &(&str, String, String, String)| {
                *rule == "host-hidden" && from == name && to == other_name
            };
            hiding.count(said.iter().any(is_said), is);
        }

        for number in 0..a.spec["http"].as_array().unwrap().len() {
            let is = !a.rule.contains(&Some(number));
            let path = format!("spec.http[{number}]");
            let is_said = |(rule, name, _, at): &(&str, String, String, String)| {
                *rule == "unreachable-rule" && name == "a" && *at == path
            };
            shadow.count(said.iter().any(is_said), is);
        }
    }
    order.holds("order-hazard");
    hiding.holds("host-hidden");
    shadow.holds("unreachable-rule");
}
