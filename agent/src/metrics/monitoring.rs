//! What `manifests/monitoring` asks Prometheus for must be there to be asked for.

use super::{
    ApplyOutcome, FetchOutcome, FleetNumbers, HintOutcome, Metrics, NotificationOutcome, PruneOutcome, SyncOutcome,
    TargetKind, TargetNumbers,
};
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::{Change, NotificationKind};
use promql_parser::parser::{Expr, LabelModifier};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Labels that Prometheus or the operator adds.
const GIVEN: [&str; 4] = ["pod", "instance", "job", "namespace"];

/// With something of everything: what was never told has no name in the text.
fn filled() -> Metrics {
    let metrics = Metrics::default();
    let error = ClusterError::new(ErrorKind::Forbidden, "");
    metrics.commit_seen();
    metrics.fetched(FetchOutcome::Changed, Duration::ZERO);
    metrics.synced(SyncOutcome::Synced, Duration::ZERO);
    metrics.applied("mesh", ApplyOutcome::Created);
    metrics.pruned("mesh", PruneOutcome::Deleted);
    metrics.drifted("a", "mesh", 0);
    metrics.held("a", "mesh", 0);
    metrics.held_by_lint("a", "mesh", 0);
    metrics.target_synced("a", "mesh", jiff::Timestamp::UNIX_EPOCH);
    metrics.hinted(HintOutcome::Taken);
    metrics.credentials_expire("a", "mesh", Some(jiff::Timestamp::UNIX_EPOCH));
    metrics.api_error(TargetKind::Mesh, &error);
    metrics.watch_restarted(TargetKind::Mesh);
    metrics.fleet("a", FleetNumbers::default());
    metrics.target("a", "mesh", TargetNumbers::default());
    metrics.drift_found("mesh", Change::Modified);
    metrics.drift_corrected("mesh");
    metrics.notified(NotificationKind::Slack, NotificationOutcome::Sent);
    metrics
}

/// Every metric by the names that series have, with its labels.
fn known() -> BTreeMap<String, BTreeSet<&'static str>> {
    let of: [(&str, &[&str]); 6] = [
        ("fleetsync_ready source_ready fleetsync_suspended targets_pending", &["fleetsync"]),
        (
            "target_ready target_objects unhealthy_objects failed_objects drifted_objects held_changes lint_held_objects \
             credentials_expire_timestamp_seconds last_synced_timestamp_seconds",
            &["fleetsync", "target"],
        ),
        ("objects_applied objects_pruned", &["target", "outcome"]),
        ("git_fetch_duration_seconds sync_duration_seconds webhooks", &["outcome"]),
        ("drifts", &["target", "change"]),
        ("api_errors", &["target", "kind"]),
    ];
    let labels = |name: &str| -> BTreeSet<&'static str> {
        let listed = of.iter().find(|(names, _)| names.split_whitespace().any(|known| known == name));
        let own = listed.map(|(_, labels)| labels.iter().copied().collect());
        own.unwrap_or_else(|| BTreeSet::from(["target", "version"]))
    };
    let text = filled().encode().unwrap();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) else { continue };
        let own = labels(name.strip_prefix("asm_agent_").expect("one prefix for all"));
        match kind {
            "counter" => drop(found.insert(format!("{name}_total"), own)),
            "info" => drop(found.insert(format!("{name}_info"), own)),
            "histogram" => {
                let with_le: BTreeSet<&'static str> = own.iter().copied().chain(["le"]).collect();
                found.insert(format!("{name}_bucket"), with_le);
                found.insert(format!("{name}_sum"), own.clone());
                found.insert(format!("{name}_count"), own);
            }
            _ => drop(found.insert(name.to_owned(), own)),
        }
    }
    found
}

/// What an expression asks for.
#[derive(Debug, Default)]
struct Asked {
    /// Series, with the labels of their matchers.
    series: Vec<(String, Vec<String>)>,
    /// Labels of `by`: no others are left.
    kept: BTreeSet<String>,
    /// Labels of `on` and `group_left`.
    joined: BTreeSet<String>,
}

impl ExprVisitor for Asked {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        let selector = match expr {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(range) => Some(&range.vs),
            _ => None,
        };
        if let Some(selector) = selector {
            let labels = selector.matchers.matchers.iter().map(|matcher| matcher.name.clone());
            self.series.push((selector.name.clone().unwrap_or_default(), labels.collect()));
        }
        match expr {
            Expr::Aggregate(aggregate) => {
                let kept = aggregate.modifier.iter().filter(|modifier| modifier.is_include());
                self.kept.extend(kept.flat_map(|modifier| modifier.labels().labels.iter().cloned()));
            }
            Expr::Binary(binary) => {
                if let Some(modifier) = &binary.modifier {
                    let on = modifier.matching.iter().filter(|matching| matching.is_include());
                    let labels = on.map(LabelModifier::labels).chain(modifier.card.labels());
                    self.joined.extend(labels.flat_map(|labels| labels.labels.iter().cloned()));
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

fn asked(text: &str) -> Asked {
    let expr = promql_parser::parser::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
    let mut asked = Asked::default();
    let Ok(_) = walk_expr(&mut asked, &expr);
    asked
}

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/monitoring")
}

fn alerts() -> Value {
    let text = std::fs::read(monitoring().join("alerts.yaml")).unwrap();
    let documents = asm_shared::yaml::read(&text, &asm_shared::yaml::Limits::default()).unwrap();
    (*documents[0].value).clone()
}

fn dashboard() -> Value {
    serde_json::from_slice(&std::fs::read(monitoring().join("dashboard.json")).unwrap()).unwrap()
}

/// Every `expr` in a document.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if key == "expr" => found.push(text.replace("$fleetsync", ".*")),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn alerts_and_dashboard_ask_for_what_is_there() {
    let known = known();
    let mut all = Vec::new();
    expressions(&alerts(), &mut all);
    let of_alerts = all.len();
    expressions(&dashboard(), &mut all);
    assert!(of_alerts > 10 && all.len() > of_alerts + 10, "{all:#?}");
    for text in &all {
        let asked = asked(text);
        assert!(!asked.series.is_empty(), "{text} asks for nothing");
        let mut labels = BTreeSet::new();
        for (name, matched) in &asked.series {
            let own =
                known.get(name).unwrap_or_else(|| panic!("{text}: there is no {name}; there is {:?}", known.keys()));
            for label in matched {
                assert!(own.contains(&**label), "{text}: {name} has no label {label}");
            }
            labels.extend(own.iter().copied());
        }
        for label in asked.kept.iter().chain(&asked.joined) {
            assert!(labels.contains(&**label) || GIVEN.contains(&&**label), "{text}: nothing has the label {label}");
        }
    }
}

/// What an alert says in words names labels that its expression keeps.
#[test]
fn every_alert_says_what_to_do() {
    let rules = alerts();
    let rules = rules.pointer("/spec/groups/0/rules").and_then(Value::as_array).unwrap();
    let mut names = BTreeSet::new();
    for rule in rules {
        let text = |pointer: &str| rule.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        assert!(names.insert(text("/alert").to_owned()), "{} is there twice", text("/alert"));
        assert!(matches!(text("/labels/severity"), "critical" | "warning" | "info"), "{rule}");
        assert!(!text("/annotations/summary").is_empty() && !text("/annotations/description").is_empty(), "{rule}");
        let words = format!("{} {}", text("/annotations/summary"), text("/annotations/description"));
        for label in ["fleetsync", "target", "kind"] {
            let named = words.contains(&format!("$labels.{label}"));
            let asked = asked(text("/expr"));
            let kept = asked.kept.is_empty() || asked.kept.contains(label);
            let known = known();
            let has = asked.series.iter().any(|(name, _)| known[name].contains(label));
            assert!(!named || (kept && has), "{}: {label} is not there to be named", text("/alert"));
        }
    }
}
