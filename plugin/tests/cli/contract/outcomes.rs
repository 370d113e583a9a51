//! The way in which a verb ends is the same in every output format, and what it prints for machines is one document that
//! the published schema describes in full.

use super::stage::{Stage, run_more};
use super::verbs::{Case, VERBS, Verb};
use crate::world::Run;
use asm_shared::yaml::Limits;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// The arguments that bring an outcome about.
type CaseOf = fn(&Verb) -> &Case;

/// What a verb can come to.
const OUTCOMES: [(&str, i32, CaseOf); 4] = [
    ("clean", 0, |verb| &verb.clean),
    ("findings", 1, |verb| &verb.findings),
    ("input", 2, |verb| &verb.input),
    ("unreachable", 3, |verb| &verb.unreachable),
];

/// Runs a function for every item, several at a time; all failures are told.
fn all<T: Sync>(items: &[T], check: impl Fn(&T) -> Result<(), String> + Sync) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = check(item) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failures\n\n{}", failures.len(), failures.join("\n\n"));
}

/// The stage of a case, and its arguments; `None` for one that never happens.
fn staged(case: &Case) -> Option<(Stage, &'static str)> {
    match case {
        Case::Never(_) => None,
        Case::Args(args) => Some((Stage::new(), args)),
        Case::After(prepare, args) => {
            let stage = Stage::new();
            prepare(&stage);
            Some((stage, args))
        }
    }
}

/// One run.
struct Try {
    verb: &'static Verb,
    outcome: &'static str,
    code: i32,
    case: &'static Case,
    format: Option<&'static str>,
    dry_run: bool,
}

impl Try {
    fn run(&self) -> Result<(), String> {
        let Some((stage, args)) = staged(self.case) else { return Ok(()) };
        if self.outcome == "unreachable" {
            stage.cut_off();
        }
        let mut words = self.verb.words();
        words.extend(args.split_whitespace());
        words.extend(self.format.iter().flat_map(|format| ["-o", format]));
        words.extend(self.dry_run.then_some("--dry-run"));
        let before = stage.world.files();
        let run = stage.world.run(&words);
        let told = |what: &str| {
            let run: String = run.to_string().lines().take(30).map(|line| format!("{line}\n")).collect();
            Err(format!("{}: {} ({}): {what}\n{run}", words.join(" "), self.outcome, self.code))
        };
        if run.code != Some(self.code) {
            return told("ends with another code");
        }
        if (self.code >= 2 || self.dry_run) && stage.world.files() != before {
            return told("files have changed");
        }
        if self.code >= 2 && !run.stderr.starts_with("error: ") && !run.stderr.contains("\nerror: ") {
            return told("no error on stderr");
        }
        match self.printed(&run) {
            Ok(()) => Ok(()),
            Err(what) => told(&what),
        }
    }

    /// What stands on stdout.
    fn printed(&self, run: &Run) -> Result<(), String> {
        if self.code == 2 && run.stdout.is_empty() {
            return Ok(());
        }
        match self.format {
            Some("json" | "yaml") if run.stdout.is_empty() && self.code == 3 => Ok(()),
            Some("json") => {
                let document =
                    serde_json::from_str(&run.stdout).map_err(|error| format!("not one JSON document: {error}"))?;
                judge(&document)
            }
            Some("yaml") => {
                let documents = asm_shared::yaml::read(run.stdout.as_bytes(), &Limits::default())
                    .map_err(|error| format!("not YAML: {error:?}"))?;
                let [document] = &documents[..] else { return Err("not one YAML document".to_owned()) };
                judge(&document.value)
            }
            Some("name") => match run.stdout.lines().find(|line| !line.contains('/') || line.contains(' ')) {
                None => Ok(()),
                Some(line) => Err(format!("`{line}` is not resource/name")),
            },
            _ => Ok(()),
        }
    }
}

/// Does the published schema of its kind describe a document, and all of its fields?
fn judge(document: &Value) -> Result<(), String> {
    static VALIDATORS: OnceLock<BTreeMap<String, jsonschema::Validator>> = OnceLock::new();
    let validators = VALIDATORS.get_or_init(|| {
        published()
            .into_iter()
            .map(|(kind, schema)| (kind, jsonschema::validator_for(&closed(schema)).unwrap()))
            .collect()
    });
    let kind = document["kind"].as_str().ok_or("the document has no kind")?;
    let validator = validators.get(kind).ok_or_else(|| {
        format!(
            "docs/schemas/output/{}.json is missing: serialise a type with `impl Document` (see plugin/src/output/mod.rs), \
             add it to schemas() in plugin/src/output/schema.rs and run `cargo xtask gen`",
            kind.to_lowercase()
        )
    })?;
    let errors: Vec<_> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(format!("not what the schema of {kind} says: {}", errors.join("; "))) }
}

/// The files under `docs/schemas/output/`, by kind.
fn published() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas/output");
    let files =
        std::fs::read_dir(&folder).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let schemas = files.map(|text| serde_json::from_str::<Value>(&text).unwrap());
    schemas.map(|schema| (schema["title"].as_str().unwrap().to_owned(), schema)).collect()
}

/// The schema with all objects closed: what it does not describe is a failure of the test, not of a reader.
fn closed(mut schema: Value) -> Value {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(map) => {
                map.values_mut().for_each(close);
                if map.get("properties").is_some_and(Value::is_object) && !map.contains_key("additionalProperties") {
                    map.insert("unevaluatedProperties".to_owned(), false.into());
                }
            }
            Value::Array(list) => list.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut schema);
    schema
}

#[test]
fn one_code_in_every_format_and_what_the_schema_says() {
    let mut tries = Vec::new();
    for verb in VERBS {
        for (outcome, code, case) in OUTCOMES {
            for format in verb.formats.iter().copied().map(Some).chain([None]) {
                tries.push(Try { verb, outcome, code, case: case(verb), format, dry_run: false });
                if verb.has_dry_run() {
                    tries.push(Try { verb, outcome, code, case: case(verb), format, dry_run: true });
                }
            }
        }
    }
    all(&tries, Try::run);
}

/// What verbs print with flags that no row of the table has.
#[test]
fn documents_of_other_flags_are_what_the_schema_says() {
    let lines = [
        ("StepList", "route weight reviews v3=100 --steps 10,100 --dry-run"),
        ("StepList", "route weight reviews v3=100 --steps 10,100"),
        ("RouteList", "route list --all-namespaces"),
        // One Service is there, another is not: null; and one is there that Git does not know.
        ("LoadBalancerList", "clb list --live"),
        ("IngressGateway", "gateway show edge --live"),
        ("ImportReport", "import --without sidecars --dry-run"),
        ("ImportReport", "import --without sidecars"),
    ];
    all(&lines, |(kind, line)| {
        let stage = Stage::new();
        stage.host.put(
            "services",
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {
                    "name": "istio-edge-2", "namespace": "istio-system", "uid": "1",
                    "labels": {"service.k8s.alibaba/loadbalancer-id": "lb-1"}
                },
                "spec": {"type": "LoadBalancer", "selector": {"app": "istio-edge", "istio": "edge"}},
                "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}
            }),
        );
        stage.host.put(
            "services",
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "by-hand", "namespace": "istio-system", "uid": "2"},
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
            }),
        );
        stage.host.put(
            "pods",
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "istio-edge-0", "namespace": "istio-system", "labels": {
                    "app": "istio-edge", "istio": "edge", "asm-system": "true", "provider": "asm"
                }},
                "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}
            }),
        );
        run_more(&stage);
        let words: Vec<_> = line.split(' ').chain(["-o", "json"]).collect();
        let run = stage.world.run(&words);
        let document: Value = serde_json::from_str(&run.stdout).map_err(|error| format!("{line}: {error}\n{run}"))?;
        if run.code != Some(0) || document["kind"] != **kind {
            return Err(format!("{line}: no {kind}\n{run}"));
        }
        judge(&document).map_err(|what| format!("{line}: {what}\n{run}"))
    });
}

/// A wrong flag, and a format that the verb does not have.
#[test]
fn usage_errors_are_2_in_every_format() {
    let mut lines = Vec::new();
    for verb in VERBS {
        let (Case::Args(args) | Case::After(_, args)) = verb.clean else {
            panic!("{}: `clean` never happens", verb.path)
        };
        let words = || verb.words().into_iter().chain(args.split_whitespace());
        for format in verb.formats {
            lines.push(words().chain(["-o", format, "--no-such-flag"]).collect::<Vec<_>>());
        }
        lines.push(words().chain(["--no-such-flag"]).collect());
        for format in ["wide", "json", "yaml", "name", "toml"].iter().filter(|format| !verb.formats.contains(format)) {
            lines.push(words().chain(["-o", format]).collect());
        }
    }
    all(&lines, |words| {
        let stage = Stage::new();
        let before = stage.world.files();
        let run = stage.world.run(words);
        if run.code != Some(2) || !run.stdout.is_empty() || !run.stderr.starts_with("error: ") {
            let told = run.to_string().lines().take(5).collect::<Vec<_>>().join("\n");
            return Err(format!("{}: not a usage error\n{told}", words.join(" ")));
        }
        if stage.world.files() != before || stage.world.root().join("../new").exists() {
            return Err(format!("{}: something was written\n{run}", words.join(" ")));
        }
        Ok(())
    });
}

#[test]
fn the_same_state_gives_the_same_bytes() {
    let mut tries = Vec::new();
    for verb in VERBS.iter().filter(|verb| verb.repeatable) {
        // Errors are told after the work is done, in the order of the data.
        for (_, _, case) in &OUTCOMES[..2] {
            for format in verb.formats.iter().copied().map(Some).chain([None]) {
                tries.push((verb, case(verb), format));
            }
        }
    }
    all(&tries, |(verb, case, format)| {
        let Some((stage, args)) = staged(case) else { return Ok(()) };
        let mut words = verb.words();
        words.extend(args.split_whitespace());
        words.extend(format.iter().flat_map(|format| ["-o", format]));
        let first = stage.world.run(&words).to_string();
        for _ in 1..10 {
            let again = stage.world.run(&words).to_string();
            if again != first {
                return Err(format!("{}: first\n{first}\nthen\n{again}", words.join(" ")));
            }
        }
        Ok(())
    });
}

/// JSON and YAML are two spellings of one document: of what reads, and of what would be written.
#[test]
fn json_and_yaml_say_the_same() {
    let mut tries = Vec::new();
    for verb in VERBS.iter().filter(|verb| verb.formats.contains(&"json") && verb.formats.contains(&"yaml")) {
        let reads = verb.repeatable || verb.path == "drift";
        for (_, _, case) in OUTCOMES.iter().take(if reads { 2 } else { 1 }) {
            let flags: &[&str] = if verb.has_dry_run() { &["--dry-run"] } else { &[] };
            if reads || verb.has_dry_run() {
                tries.push((verb, case(verb), flags));
            }
        }
    }
    let read: Vec<_> = tries.iter().map(|(verb, ..)| verb.path).collect();
    for path in ["gateway list", "clb show", "route list", "diff", "status", "drift", "version"] {
        assert!(read.contains(&path), "{path} is not compared");
    }
    all(&tries, |(verb, case, flags)| {
        let Some((stage, args)) = staged(case) else { return Ok(()) };
        let words: Vec<_> =
            verb.words().into_iter().chain(args.split_whitespace()).chain(flags.iter().copied()).collect();
        let run = |format| stage.world.run(&[&words[..], &["-o", format]].concat());
        let (json, yaml) = (run("json"), run("yaml"));
        let failed = |what: &str| Err(format!("{}: {what}\n{json}\n{yaml}", words.join(" ")));
        let Ok(document) = serde_json::from_str::<Value>(&json.stdout) else { return failed("not JSON") };
        match asm_shared::yaml::read(yaml.stdout.as_bytes(), &Limits::default()).as_deref() {
            Ok([same]) if *same.value == document && json.code == yaml.code => Ok(()),
            Ok([_]) => failed("JSON and YAML differ"),
            _ => failed("not one YAML document"),
        }
    });
}

#[test]
fn every_published_schema_is_made_by_the_program() {
    let made: Vec<_> =
        kubectl_asm::schemas::schemas().into_iter().map(|(kind, schema)| (kind.to_owned(), schema)).collect();
    let published: Vec<_> = published().into_iter().collect();
    let stale: Vec<_> = made.iter().filter(|schema| !published.contains(schema)).map(|(kind, _)| kind).collect();
    assert!(stale.is_empty() && made.len() == published.len(), "not up to date: {stale:?}; run `cargo xtask gen`");
}
