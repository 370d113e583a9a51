//! Files, live objects and names made to harm whoever reads them. `docs/security.md` names every attack with the test that makes
//! it; the last test of this file sees to it that each of them is there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::disallowed_methods, reason = "the core reads no files, its tests do")]

use asm_shared::drift::{Verdict, judge};
use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::lint::{Assumptions, rules_of, run};
use asm_shared::object::GroupKind;
use asm_shared::yaml::{self, Limit, Limits};
use serde_json::{Value, json};
use std::path::Path;

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: a}\nspec:\n  mesh: {}\n  clusters: [{name: c}]\n";

fn state(files: &[(&str, &str)]) -> FleetState {
    let tree: MemoryTree = [("fleet.yaml", FLEET)].into_iter().chain(files.iter().copied()).collect();
    FleetState::read(&tree)
}

fn told(state: &FleetState) -> String {
    state.problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// §5: what a document may cost is known before it is built; what has two meanings is refused.
#[test]
fn attack_yaml_bombs_are_cut_and_double_meanings_refused() {
    let limit = |text: &str| yaml::read(text.as_bytes(), &Limits::default()).err().and_then(|error| error.limit);
    let laughs: String = (1..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
        let items = vec![format!("*a{}", level - 1); 10].join(",");
        format!("{text}a{level}: &a{level} [{items}]\n")
    });
    assert_eq!(limit(&laughs), Some(Limit::Aliases));
    assert_eq!(limit(&"[".repeat(100_000)), Some(Limit::Depth));
    assert_eq!(limit(&"{a: ".repeat(100_000)), Some(Limit::Depth));
    assert!(yaml::read("? ".repeat(100_000).as_bytes(), &Limits::default()).is_err());
    assert_eq!(limit(&"---\na\n".repeat(100_000)), Some(Limit::Documents));
    assert_eq!(limit(&"a".repeat(64 << 20)), Some(Limit::Bytes));
    let one = |text: &str| yaml::read(text.as_bytes(), &Limits::default()).map(|all| (*all[0].value).clone());
    // One meaning each, that of kubectl; a key twice has none.
    assert!(one("a: 1\na: 2\n").is_err() && one("{a: 1, a: 2}").is_err() && one("'a': 1\na: 2\n").is_err());
    assert!(one("&a {a: *a}").is_err(), "a map inside of itself");
    for odd in ["a: .nan", "a: .inf", "a: -.inf"] {
        assert!(!one(odd).is_ok_and(|value| value["a"].is_number()), "{odd}");
    }
    assert_eq!(one("\u{feff}a: yes").unwrap(), one("a: yes").unwrap());
    let utf16: Vec<u8> = "\u{feff}a: 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    // Read as what it is or refused; never as something else.
    assert!(yaml::read(&utf16, &Limits::default()).map_or(true, |all| *all[0].value == json!({"a": 1})));
    for tag in ["!!python/object/apply:os.system [id]", "!!js/function 'x'", "!exec id"] {
        assert!(!one(&format!("a: {tag}")).is_ok_and(|value| value.to_string().len() > 60), "{tag}");
    }
}

/// §6: patterns of ignore rules are paths without backtracking, regular expressions those of RE2, in linear time.
#[test]
fn attack_patterns_of_catastrophic_cost_are_linear_or_refused() {
    let evil = format!("({}){{50}}", "a|a?".repeat(20));
    let route = format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a, namespace: b}}\nspec:\n  hosts: [x.example.com]\n  http:\n  \
         - match: [{{uri: {{regex: '{evil}'}}}}, {{uri: {{regex: '(a+)+$'}}}}, {{uri: {{regex: '(.*)*(.*)*(.*)*b'}}}}]\n    \
         route: [{{destination: {{host: web}}}}]\n"
    );
    let pointer = "spec".to_owned() + &".a[0]".repeat(5_000);
    let fleet = format!(
        "{FLEET}  ignoreDifferences:\n  - {{kind: Service, name: web, fields: ['{pointer}', '**.**.**.**', 'spec[*][*][*]'], reason: x}}\n"
    );
    let tree: MemoryTree = [("fleet.yaml", fleet.as_str()), ("mesh/a.yaml", route.as_str())].into_iter().collect();
    let state = FleetState::read(&tree);
    // That this ends is the test: none of them may take a time that grows by itself.
    let rules = rules_of(&[], &[]).unwrap();
    let found = run(&state, &rules, Assumptions::default());
    assert!(!state.problems.is_empty() || !found.is_empty());
}

/// §12: managedFields of an API server that lies. Nobody is named who is not in them, and nothing breaks.
#[test]
fn attack_garbage_in_managed_fields_names_nobody() {
    let object = |port: u32, entries: Value| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "b", "managedFields": entries},
            "spec": {"ports": [{"name": "a", "port": port}]},
        })
    };
    let deep = (0..100).fold(json!({}), |inner, _| json!({"f:spec": inner}));
    for entries in [
        json!(7),
        json!("c4n4ry"),
        json!([null, 1, [], "x"]),
        json!([{"manager": {"a": 1}, "fieldsV1": []}]),
        json!([{"manager": "m", "operation": "Update", "fieldsV1": {"f:spec": 7, "k:{": {}, "k:{\"name\":": {}, "v:": null}}]),
        json!([{"manager": "m", "operation": "Update", "time": "yesterday", "fieldsV1": deep}]),
        json!([{"fieldsV1": {"f:spec": {"f:ports": {"i:99999999999999999999": {}}}}}]),
    ] {
        let verdict = judge(&GroupKind::new("", "Service"), &object(80, Value::Null), &object(81, entries.clone()));
        let Verdict::Modified(fields) = verdict else { unreachable!("{entries}: the port differs") };
        assert_eq!(fields.len(), 1, "{entries}");
        assert!(fields[0].manager.as_deref().is_none_or(|name| name == "m" || name.is_empty()), "{:?}", fields[0]);
    }
}

/// §18: a Secret that is none is told of by its place, never by its value.
#[test]
fn attack_an_invalid_secret_in_git_is_told_without_its_value() {
    for body in [
        "stringData: {pin: 70123456789}",
        "data: {pin: 70123456789}",
        "stringData: {pin: [70123456789]}",
        "data: 70123456789",
        "stringData: {70123456789: {a: 70123456789}}",
        "data: {pin: !!binary '70123456789'}",
        "stringData: {pin: '70123456789\n",
    ] {
        let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: n}}\n{body}\n");
        let state = state(&[("clusters/c/s.yaml", &text)]);
        let shown = format!("{}{state:?}", told(&state));
        // The name of a key is no secret.
        assert!(!shown.replace("`70123456789`", "").contains("70123456789"), "{body}: {shown}");
    }
}

/// §7 and §10, of what lint says before anything is applied: one load balancer under two Services.
#[test]
fn attack_a_service_that_takes_over_listeners_is_held_back() {
    let service = |name: &str, id: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: shop\n  annotations:\n    \
             service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id: {id}\n    \
             service.beta.kubernetes.io/alibaba-cloud-loadbalancer-force-override-listeners: \"true\"\nspec:\n  type: LoadBalancer\n  \
             ports: [{{port: 80}}]\n  selector: {{app: {name}}}\n"
        )
    };
    let state = state(&[
        ("clusters/c/a.yaml", &service("a", "lb-2ze0123456789abcdefgh")),
        ("clusters/c/b.yaml", &service("b", "lb-2ze0123456789abcdefgh")),
    ]);
    let rules = rules_of(&[], &[]).unwrap();
    let found = run(&state, &rules, Assumptions::default());
    let error = found.iter().find(|finding| finding.rule == "load-balancer-shared").unwrap();
    assert_eq!(error.severity, asm_shared::lint::Severity::Error, "errors are held back");
}

/// Every test that the documentation names is there, under that name, in that file; and no attack is without one.
#[test]
fn every_attack_of_the_documentation_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ") && line.contains(".rs` ")).collect();
    let mut numbers = Vec::new();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        numbers.extend(cells[0].parse::<usize>().ok());
        let tests = cells.last().unwrap();
        let words = tests.split('`').map(str::trim).filter(|word| !word.is_empty() && *word != ",");
        let mut file = String::new();
        let mut count = 0;
        for word in words {
            if word.ends_with(".rs") {
                file = std::fs::read_to_string(root.join(word)).unwrap_or_else(|error| unreachable!("{word}: {error}"));
            } else {
                count += 1;
                assert!(file.contains(&format!("fn {word}(")), "{row}\nhas no test {word}");
            }
        }
        assert!(count > 0, "{row}\nnames no test");
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}
