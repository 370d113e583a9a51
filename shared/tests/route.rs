//! Requests to gateways of small fleets and what must come of them. A case is a folder in `shared/tests/route`: manifests,
//! those of one cluster in `clusters/NAME/`, and `requests.yaml`, where `want` says what is expected of each answer.
//!
//! ROUTE_CASES may name a folder with more cases.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that reads cases and prints the score"
)]

use asm_shared::fleet::{FleetState, LooseFolder, MemoryTree};
use asm_shared::route::{Answer, Front, Missing, Options, Outcome, Request, Sni, Table, compile};
use asm_shared::yaml::{Limits, read};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A case as it was read: files of the mesh, and of each cluster.
struct Case {
    mesh: MemoryTree,
    clusters: BTreeMap<String, MemoryTree>,
    requests: Vec<Map<String, Value>>,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let mut mesh = Vec::new();
        let mut clusters: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for path in files(folder) {
            let inner = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            match inner.strip_prefix("clusters/").and_then(|rest| rest.split_once('/')) {
                Some((cluster, _)) => clusters.entry(cluster.to_owned()).or_default().push((inner.clone(), text)),
                None if inner != "requests.yaml" => mesh.push((inner, text)),
                None => {}
            }
        }
        let requests = read(&std::fs::read(folder.join("requests.yaml")).unwrap(), &Limits::default()).unwrap();
        let all = &requests[0].value;
        let defaults = all["defaults"].as_object().cloned().unwrap_or_default();
        let list = all["requests"].as_array().into_iter().flatten();
        let whole = |request: &Value| {
            let mut whole = defaults.clone();
            whole.extend(request.as_object().unwrap().clone());
            whole
        };
        Self {
            mesh: mesh.into_iter().collect(),
            requests: list.map(whole).collect(),
            clusters: clusters.into_iter().map(|(name, files)| (name, files.into_iter().collect())).collect(),
        }
    }

    fn state(&self) -> FleetState {
        let mut folders = vec![LooseFolder { tree: &self.mesh, name: "", cluster: None }];
        folders.extend(self.clusters.iter().map(|(name, tree)| LooseFolder { tree, name, cluster: Some(name) }));
        FleetState::read_loose(&folders, &["own"])
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if entry.extension().is_some_and(|it| it == "yaml") {
            found.push(entry);
        }
    }
    found.sort();
    found
}

fn text<'v>(map: &'v Map<String, Value>, key: &str) -> &'v str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn request(map: &Map<String, Value>) -> Request {
    let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or_default();
    let pairs = |key: &str| -> Vec<(String, String)> {
        let all = map.get(key).and_then(Value::as_object).into_iter().flatten();
        all.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    };
    let mut path = if map.contains_key("path") { text(map, "path").to_owned() } else { "/".to_owned() };
    for (name, value) in pairs("query") {
        path = format!("{path}{}{name}={value}", if path.contains('?') { '&' } else { '?' });
    }
    Request {
        port: map.get("port").and_then(Value::as_u64).map_or(80, |port| u16::try_from(port).unwrap()),
        tls: flag("tls"),
        sni: match map.get("sni").and_then(Value::as_str) {
            None => Sni::Host,
            Some("") => Sni::Absent,
            Some(name) => Sni::Name(name.to_owned()),
        },
        client_certificate: flag("mtls"),
        host: text(map, "host").to_owned(),
        method: if map.contains_key("method") { text(map, "method").to_owned() } else { "GET".to_owned() },
        path,
        headers: pairs("headers"),
    }
}

fn table<'s>(state: &'s FleetState, map: &Map<String, Value>) -> Table<'s> {
    let labels = map.get("gateway").and_then(Value::as_object).into_iter().flatten();
    let labels = labels.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
    let front = Front::of_pod(state, &labels, text(map, "namespace"));
    let undated = map.get("undated").and_then(Value::as_str) != Some("unknown");
    compile(
        state,
        &front,
        &Options { same_age: undated, missing: Missing::Absent, pod_ports: true, ..Options::default() },
    )
}

/// What of an answer can be asked for.
fn tell(outcome: &Outcome<'_>) -> Map<String, Value> {
    let mut told = Map::new();
    let mut tell = |key: &str, value: Value| drop(told.insert(key.to_owned(), value));
    let answer = &outcome.answer;
    tell(
        "outcome",
        match answer {
            Answer::Tcp(_) => "forward".into(),
            Answer::Abort { .. } => "local".into(),
            answer => answer.word().into(),
        },
    );
    let status = if matches!(answer, Answer::Forward(_)) { Some(200) } else { answer.status() };
    tell("status", status.into());
    tell("virtualHost", outcome.virtual_host.into());
    tell("route", outcome.rule.map(|rule| rule.name.as_str()).into());
    match answer {
        Answer::Redirect { location, .. } => tell("location", location.as_str().into()),
        Answer::Direct { body, .. } => tell("body", body.as_ref().into()),
        _ => {}
    }
    if let Some(forward) = answer.forward() {
        let first = &forward.destinations[0];
        tell("host", first.host.as_str().into());
        tell("subset", first.subset.as_deref().unwrap_or_default().into());
        tell("upstreamPath", forward.path.as_ref().into());
        tell("upstreamHost", forward.authority.as_ref().into());
        let share = |it: &asm_shared::route::Destination<'_>| (it.cluster.clone(), Value::from(it.share));
        tell("shares", forward.destinations.iter().map(share).collect::<Map<_, _>>().into());
        let mirrors = forward.mirrors.iter().map(|it| (it.destination.cluster.clone(), it.destination.share.into()));
        tell("mirrors", mirrors.collect::<Map<_, _>>().into());
        tell("removedHeaders", forward.headers.remove.clone().into());
        let pods = |it: &asm_shared::route::ClusterEndpoints<'_>| (it.cluster.to_string(), Value::from(it.count));
        tell("pods", first.endpoints.iter().map(pods).collect::<Map<_, _>>().into());
    }
    let others = outcome.alternatives.iter().map(|it| {
        let name = it.rule.map(|rule| rule.name.clone()).filter(|name| !name.is_empty());
        format!("{} first: {}", it.oldest.id.name, name.unwrap_or_else(|| it.answer.word().to_owned()))
    });
    let mut others: Vec<String> = others.collect();
    others.sort();
    tell("alternatives", others.into());
    let elsewhere = outcome.elsewhere.iter().map(|(entries, answer)| {
        let clusters: Vec<&str> = entries.iter().map(|entry| entry.cluster.name()).collect();
        format!("{}: {}", clusters.join(" "), answer.word())
    });
    tell("elsewhere", elsewhere.collect::<Vec<_>>().into());
    let through = outcome.through.iter().map(|entry| format!("{} {}", entry.cluster, entry.service));
    tell("through", through.collect::<Vec<_>>().into());
    told
}

fn check(folder: &Path) -> usize {
    let case = Case::read(folder);
    let state = case.state();
    assert!(state.problems.is_empty(), "{:#?}", state.problems);
    let mut wrong = Vec::new();
    let mut tables: BTreeMap<String, Table<'_>> = BTreeMap::new();
    for map in &case.requests {
        let key = ["gateway", "namespace", "undated"].map(|key| format!("{:?}", map.get(key))).concat();
        let table = tables.entry(key).or_insert_with(|| table(&state, map));
        let request = request(map);
        let outcome = table.lookup(&request);
        let trace = table.explain(&request);
        assert!(trace.outcome.answer.same(&outcome.answer), "{}: explained as {:#?}", text(map, "id"), trace);
        let told = tell(&outcome);
        for (key, want) in map.get("want").and_then(Value::as_object).into_iter().flatten() {
            // What Envoy adds by itself is no matter of routes.
            if matches!(key.as_str(), "upstreamHeaders" | "responseHeaders") {
                continue;
            }
            let found = told.get(key).unwrap_or(&Value::Null);
            // Absent is nothing.
            let found = if want == "" && found.is_null() { want } else { found };
            let same = match (found.as_f64(), want.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                _ => loosely(found, want),
            };
            if !same {
                wrong.push(format!("{} {}: {key} is {found}, wanted {want}", folder.display(), text(map, "id")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    case.requests.len()
}

fn loosely(found: &Value, want: &Value) -> bool {
    match (found.as_object(), want.as_object()) {
        (Some(found), Some(want)) => {
            found.len() == want.len()
                && want.iter().all(|(key, value)| {
                    found
                        .get(key)
                        .is_some_and(|it| it.as_f64() == value.as_f64() && it.is_number() == value.is_number())
                })
        }
        _ => found == want,
    }
}

#[test]
fn requests_end_where_they_must() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/route");
    let more = std::env::var_os("ROUTE_CASES").map(PathBuf::from);
    for folder in [Some(own), more].into_iter().flatten() {
        let mut cases: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
        cases.sort();
        assert!(!cases.is_empty());
        for case in cases.iter().filter(|case| case.is_dir()) {
            eprintln!("{}: {} requests", case.display(), check(case));
        }
    }
}

/// The way in words, with places.
fn told(table: &Table<'_>, request: &Request) -> String {
    let mut text = String::new();
    for step in table.explain(request).steps {
        let mark = if step.passed { "✓" } else { "✗" };
        text += &format!("{mark} {}: {}\n", step.stage.name(), step.text);
        for place in &step.places {
            let position = place.position();
            text += &format!("    {}:{}:{}\n", position.file, position.line, position.column);
        }
        for (place, why) in &step.considered {
            text += &format!("    not {}: {why}\n", place.pointer);
        }
        text += &step.fix.map(|fix| format!("    → {fix}\n")).unwrap_or_default();
    }
    text
}

#[test]
fn the_way_is_told_in_words() {
    let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/route/bookstore"));
    let state = case.state();
    let ask = |id: &str| {
        let map = case.requests.iter().find(|it| text(it, "id") == id).unwrap_or_else(|| panic!("no request {id}"));
        told(&table(&state, map), &request(map))
    };
    for id in [
        "rewrite",
        "unknown subset",
        "empty subset",
        "the narrower host hides the wider",
        "no server for the name",
        "delegated",
        "delegate missing",
        "no listener",
        "split",
        "age unknown",
    ] {
        insta::assert_snapshot!(id.replace(' ', "-"), ask(id));
    }
}
