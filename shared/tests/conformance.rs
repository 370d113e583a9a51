//! Istio's own test data for `istioctl analyze`, where it is at hand: our findings, mapped to Istio's codes, must be those
//! that Istio's tests expect. `docs/istio-differences.md` lists the cases where ours are others and says why; a difference
//! that is not listed fails, and so does a listed one that is none any more.
//!
//! The cases are expected beside the project, or in the folder that CONFORMANCE_CASES names.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that reads cases and prints the score"
)]

use asm_shared::fleet::{FleetState, Manifest, MemoryTree, Position, Target};
use asm_shared::lint::{Assumptions, Finding, RULES, Rule, run};
use asm_shared::object::ObjectId;
use asm_shared::yaml::{Limits, read};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Istio has one code for everything that is missing. These are our rules that look for what an analyzer looks for; for an
/// analyzer that is not listed they are all rules with one of its codes.
const SAME_QUESTION: &[(&str, &[&str])] = &[
    ("gateway.ConflictingGatewayAnalyzer", &["conflicting-gateways", "gateway-selector"]),
    ("gateway.IngressGatewayPortAnalyzer", &["gateway-port", "gateway-selector"]),
    ("gateway.SecretAnalyzer", &["certificate-reach", "credential-content", "gateway-selector"]),
    ("virtualservice.DestinationHostAnalyzer", &["destination-host", "destination-port", "ingress-subset"]),
    ("virtualservice.DestinationRuleAnalyzer", &["destination-subset"]),
    ("virtualservice.GatewayAnalyzer", &["virtual-service-gateway", "virtual-service-host", "generated-gateway"]),
];

/// (code, kind, namespace, name), as often as it is found.
type Found = BTreeMap<(String, String, String, String), usize>;

fn cases() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/istio");
    let folder = std::env::var_os("CONFORMANCE_CASES").map_or(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

#[test]
fn findings_are_those_of_istioctl_or_the_difference_has_a_reason() {
    let Some(folder) = cases() else {
        eprintln!("skipped: Istio's analyzer cases are not beside the project");
        return;
    };
    let mut reasons = reasons();
    let mut score: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut all = 0;
    for case in ["analyzers", "multicluster"].iter().flat_map(|suite| cases_in(&folder, suite)) {
        let about: Value = serde_json::from_slice(&std::fs::read(case.join("case.json")).unwrap()).unwrap();
        if about["in_scope"] != true {
            continue;
        }
        let (expected, found) = (expected(&about), found(&case, &about));
        let analyzer = texts(&about["analyzers"]).join(", ");
        let name = format!("{}/{}", text(&about["suite"]), text(&about["case"]));
        let agrees = expected == found;
        let score = score.entry(analyzer).or_default();
        score.0 += usize::from(agrees);
        score.1 += 1;
        all += 1;
        match (agrees, reasons.remove(&name)) {
            (true, Some(_)) => wrong.push(format!("{name} is listed as a difference but agrees")),
            (false, None) => wrong.push(format!("{name}\n  expected {expected:#?}\n  found    {found:#?}")),
            _ => {}
        }
    }
    let agreed: usize = score.values().map(|(agreed, _)| agreed).sum();
    for (analyzer, (agreed, all)) in &score {
        eprintln!("{agreed:3} of {all:3}  {analyzer}");
    }
    eprintln!("{agreed} of {all} cases agree");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_reasoned_difference_has_a_reason() {
    for (case, reason) in reasons() {
        assert!(case.contains('/'), "{case}: a heading is SUITE/CASE");
        assert!(reason.split_whitespace().count() >= 8, "{case}: why is ours right?");
    }
}

/// Heading (`## SUITE/CASE`) and text of each entry.
fn reasons() -> BTreeMap<String, String> {
    let page = include_str!("../../docs/istio-differences.md");
    let entries = page.split("\n## ").skip(1);
    entries.filter_map(|entry| entry.split_once('\n')).map(|(case, why)| (case.trim().into(), why.into())).collect()
}

fn cases_in(folder: &Path, suite: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder.join(suite)) else { return Vec::new() };
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn expected(about: &Value) -> Found {
    let mut found = Found::new();
    for message in about["expected"].as_array().into_iter().flatten() {
        let field = |name: &str| text(&message[name]).to_owned();
        *found.entry((field("code"), field("kind"), field("namespace"), field("name"))).or_default() += 1;
    }
    found
}

fn found(case: &Path, about: &Value) -> Found {
    let codes: BTreeSet<&str> = texts(&about["analyzer_codes"]).into_iter().collect();
    let kinds = texts(&about["analyzer_kinds"]);
    let analyzers = texts(&about["analyzers"]);
    let asks = SAME_QUESTION.iter().find(|(analyzer, _)| analyzers.contains(analyzer)).map(|(_, rules)| *rules);
    let rules: Vec<&'static Rule> = RULES
        .iter()
        .filter(|rule| rule.istio.iter().any(|code| codes.contains(code)))
        .filter(|rule| asks.is_none_or(|asks| asks.contains(&rule.id)))
        .copied()
        .collect();
    let findings = run(&state(case, about), &rules, assumptions());
    let mut found = Found::new();
    for Finding { code, place, .. } in findings {
        let (Some(code), Some(object)) = (code, place.object) else { continue };
        let kind = &object.group_kind.kind;
        if codes.contains(code) && (kinds.is_empty() || kinds.contains(&&**kind)) {
            let namespace = object.namespace.as_deref().unwrap_or_default();
            let key = (code.to_owned(), kind.to_string(), namespace.to_owned(), object.name.to_string());
            *found.entry(key).or_default() += 1;
        }
    }
    found
}

/// Istio's cases hold everything; their expired certificate ended in 2023.
fn assumptions() -> Assumptions {
    Assumptions { complete: true, now: jiff::Timestamp::from_second(1_800_000_000).ok() }
}

/// The input as a fleet: Istio's kinds are the mesh's, the rest belongs to the case's clusters, or to one.
fn state(case: &Path, about: &Value) -> FleetState {
    let clusters: BTreeMap<String, Vec<&str>> = match about["clusters"].as_object() {
        Some(clusters) => clusters.iter().map(|(name, files)| (name.clone(), texts(files))).collect(),
        None => [("default".to_owned(), texts(&about["input"]))].into(),
    };
    let names: String = clusters.keys().map(|name| format!("    - name: {name}\n")).collect();
    let fleet = format!(
        "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata:\n  name: cases\nspec:\n  mesh: {{}}\n  clusters:\n{names}"
    );
    let tree: MemoryTree = [("fleet.yaml", fleet.as_str())].into_iter().collect();
    let mut state = FleetState::read(&tree);
    assert!(state.fleet.is_some(), "{:?}", state.problems);
    for (cluster, files) in clusters {
        for file in files {
            let bytes = std::fs::read(case.join(file)).unwrap();
            let documents = read(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{file}: {error:?}"));
            for document in documents.into_iter().flat_map(|document| document.unfold()) {
                let Some(id) = ObjectId::of(&document.value) else { continue };
                let mesh = id.group_kind.group.ends_with("istio.io");
                let (line, column) = document.start();
                state.manifests.push(Manifest {
                    target: if mesh { Target::Mesh } else { Target::Cluster(cluster.as_str().into()) },
                    id,
                    api_version: text(&document.value["apiVersion"]).into(),
                    object: document.value.clone(),
                    position: Position { file: file.into(), line, column },
                    document: Arc::new(document),
                    patched_by: None,
                });
            }
        }
    }
    state.manifests.sort_by(|a, b| (&a.target, &a.id).cmp(&(&b.target, &b.id)));
    state
}
