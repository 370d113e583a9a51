//! Istio's own tests of gateways, where they are at hand: what comes of each call must be what Istio's simulation expects.
//! `docs/istio-differences.md` lists the cases that are not ours and says why; a difference that is not listed fails, and so
//! does a listed one that is none any more.
//!
//! The cases are expected beside the project, or in the folder that CONFORMANCE_CASES names.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that reads cases and prints the score"
)]

use asm_shared::fleet::{FleetState, LooseFolder, MemoryTree};
use asm_shared::route::{Answer, Front, Options, Outcome, Request, Sni, compile};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn cases() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/istio");
    let folder = std::env::var_os("CONFORMANCE_CASES").map_or(beside, PathBuf::from).join("simulation");
    folder.is_dir().then_some(folder)
}

#[test]
fn calls_end_where_istio_expects_them_or_the_difference_has_a_reason() {
    let Some(folder) = cases() else {
        eprintln!("skipped: Istio's simulation cases are not beside the project");
        return;
    };
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let (mut agreed, mut all, mut wrong) = (0, 0, Vec::new());
    let mut reasons = reasons();
    for case in folders {
        let about: Value = serde_json::from_slice(&std::fs::read(case.join("case.json")).unwrap()).unwrap();
        let name = format!("simulation/{}", text(&about["case"]));
        let listed = reasons.remove(&name).is_some();
        let found = differences(&case, &about);
        all += found.len();
        agreed += found.iter().filter(|it| it.is_empty()).count();
        let differs = found.iter().any(|it| !it.is_empty());
        match (differs, listed) {
            (true, false) => wrong.push(format!("{name}: {}", found.concat().join("; "))),
            (false, true) => wrong.push(format!("{name} is listed as a difference but agrees")),
            _ => {}
        }
    }
    eprintln!("{agreed} of {all} calls agree");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(reasons.is_empty(), "listed but no such case: {reasons:?}");
}

/// Heading (`## SUITE/CASE`) and text of each entry of this suite.
fn reasons() -> BTreeMap<String, String> {
    let page = include_str!("../../docs/istio-differences.md");
    let entries = page.split("\n## ").skip(1).filter_map(|entry| entry.split_once('\n'));
    let own = entries.filter(|(case, _)| case.starts_with("simulation/"));
    own.map(|(case, why)| (case.trim().into(), why.into())).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What is different in each call.
fn differences(case: &Path, about: &Value) -> Vec<Vec<String>> {
    let yaml = std::fs::read_to_string(case.join(text(&about["config"]))).unwrap();
    let tree: MemoryTree = [("config.yaml", yaml)].into_iter().collect();
    let folder = LooseFolder { tree: &tree, name: "", cluster: None };
    let state = FleetState::read_loose(&[folder], &["cluster"]);
    let proxy = &about["proxy"];
    let labels = proxy["labels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| (key.clone(), text(value).to_owned())).collect();
    let mut front = Front::of_pod(&state, &labels, text(&proxy["namespace"]));
    let addresses = proxy["ip_addresses"].as_array().into_iter().flatten();
    front.addresses = addresses.map(|it| text(it).to_owned()).collect();
    let table = compile(&state, &front, &Options { same_age: true, pod_ports: true, ..Options::default() });
    let calls = about["calls"].as_array().into_iter().flatten();
    calls
        .map(|call| {
            let request = request(&call["call"]);
            let outcome = table.lookup(&request);
            let trace = table.explain(&request);
            assert!(trace.outcome.answer.same(&outcome.answer), "{}", text(&call["name"]));
            let found = compare(&call["expected"], &outcome);
            found.into_iter().map(|it| format!("{}: {it}", text(&call["name"]))).collect()
        })
        .collect()
}

fn request(call: &Value) -> Request {
    let tls = text(&call["tls"]) != "plaintext";
    let headers = call["headers"].as_object().into_iter().flatten();
    let sni = text(&call["sni"]);
    Request {
        port: u16::try_from(call["port"].as_u64().unwrap()).unwrap(),
        tls,
        sni: if sni.is_empty() { Sni::Absent } else { Sni::Name(sni.to_owned()) },
        client_certificate: text(&call["tls"]) == "mtls",
        host: text(&call["host_header"]).to_owned(),
        method: "GET".to_owned(),
        path: text(&call["path"]).to_owned(),
        headers: headers
            .map(|(name, value)| {
                let first = value.as_array().and_then(|all| all.first()).unwrap_or(value);
                (name.clone(), text(first).to_owned())
            })
            .collect(),
    }
}

fn compare(expected: &Value, outcome: &Outcome<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let answer = &outcome.answer;
    let word = match text(&expected["error_name"]) {
        "" => None,
        "ErrNoListener" => Some("no-listener"),
        "ErrNoRoute" => Some("no-route"),
        "ErrNoVirtualHost" => Some("no-virtual-host"),
        "ErrTLSRedirect" => Some("redirect"),
        "ErrMultipleFilterChain" => Some("refused"),
        other => Some(other),
    };
    match word {
        Some(word) if answer.word() != word => wrong.push(format!("{}, expected {word}", answer.word())),
        None if !matches!(answer, Answer::Forward(_) | Answer::Tcp(_)) => {
            wrong.push(format!("{}, expected a destination", answer.word()));
        }
        _ => {}
    }
    if let (Some(cluster), Some(forward)) = (expected["cluster"].as_str(), answer.forward()) {
        let short = |name: &str| name.replace(".svc.cluster.local", "");
        let found = forward.destinations.first().map(|it| it.cluster.clone()).unwrap_or_default();
        if short(&found) != short(cluster) {
            wrong.push(format!("{found}, expected {cluster}"));
        }
    }
    let found = outcome.virtual_host;
    if let Some(name) = expected["virtual_host"].as_str().filter(|name| found.is_some_and(|found| found != *name)) {
        wrong.push(format!("virtual host {found:?}, expected {name}"));
    }
    if let Some(name) = expected["route"].as_str().filter(|name| !name.is_empty()) {
        let found = outcome.rule.map(|rule| rule.name.as_str()).unwrap_or_default();
        if found != name {
            wrong.push(format!("route {found}, expected {name}"));
        }
    }
    wrong
}
