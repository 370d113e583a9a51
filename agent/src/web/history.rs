//! What happened lately, read off two views that follow each other. In memory and bounded; of the time before this replica's
//! lead it knows what the drift reports remember. The rest stands in Git and in the API server's Events.

use super::views::FleetView;
use asm_shared::api::{Change, DriftReportStatus, DriftedObject, PastDrift};
use asm_shared::object::redact_text;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::collections::BTreeMap;

/// Entries that are kept.
const KEPT: usize = 100;
/// Drifted objects of one target that one change tells one by one.
const TOLD: usize = 5;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the agent saw it.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: Kind,
    /// What.
    pub text: String,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A commit was read.
    Commit,
    /// Everything is as Git wants it.
    Ready,
    /// It is not any more.
    NotReady,
    /// Something differs from Git.
    Drift,
    /// It does not differ any more.
    Restored,
    /// Something waits for people.
    Held,
}

impl Kind {
    /// The word in the output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Ready => "ready",
            Self::NotReady => "not ready",
            Self::Drift => "drift",
            Self::Restored => "restored",
            Self::Held => "held back",
        }
    }
}

/// The history after a change: what the change was, then what was known before.
pub(super) fn follow(before: Option<&FleetView>, now: &FleetView) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut add = |kind, text: String| entries.push(Entry { at: now.at, kind, text: redact_text(&text) });
    if let Some((kind, text)) = readiness(before, now) {
        add(kind, text);
    }
    for target in &now.targets {
        let old = before.and_then(|before| before.target(&target.name));
        let none = DriftReportStatus::default();
        for (kind, text) in drift(&target.name, old.map_or(&none, |old| &old.drift), &target.drift) {
            add(kind, text);
        }
        let known = |held| old.is_some_and(|old| old.held.contains(held));
        for held in target.held.iter().filter(|held| !known(held)).take(TOLD) {
            let object = name(&held.kind, held.namespace.as_deref(), &held.name);
            let addresses = if held.addresses.is_empty() { "no address".to_owned() } else { held.addresses.join(", ") };
            add(
                Kind::Held,
                format!("{}: {} of {object} ({addresses}) waits for an approval", target.name, held.action),
            );
        }
    }
    if let Some(text) = commit(before, now) {
        add(Kind::Commit, text);
    }
    entries.extend(before.iter().flat_map(|before| &before.history).cloned());
    entries.extend(earlier(before, now));
    entries.truncate(KEPT);
    entries
}

/// What the reports remember of the time before there was anything to follow, when they have just been read; newest first.
fn earlier(before: Option<&FleetView>, now: &FleetView) -> Vec<Entry> {
    let mut found = Vec::new();
    for target in &now.targets {
        let known = before.and_then(|before| before.target(&target.name));
        if known.is_some_and(|known| !known.drift.history.is_empty()) {
            continue;
        }
        let old = target.drift.history.iter().filter(|past| before.is_none_or(|before| past.ended.0 < before.at));
        found.extend(old.map(|past| Entry { at: past.ended.0, kind: Kind::Restored, text: ended(&target.name, past) }));
    }
    found.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    found
}

fn ended(target: &str, past: &PastDrift) -> String {
    let field = past.field.as_ref();
    let by = past.user.as_deref().or_else(|| field.and_then(|field| field.manager.as_deref()));
    let by = by.map(|by| format!(", changed by {by}")).unwrap_or_default();
    let path = field.map(|field| format!(" {}", field.path)).unwrap_or_default();
    let object = name(&past.kind, past.namespace.as_deref(), &past.name);
    redact_text(&format!("{target}: {object}{path}{by}: {}", past.outcome.words()))
}

fn commit(before: Option<&FleetView>, now: &FleetView) -> Option<String> {
    let source = now.status.source.as_ref()?;
    let old = before.and_then(|before| before.status.source.as_ref());
    if old.is_some_and(|old| old.revision == source.revision) {
        return None;
    }
    let revision = source.revision.as_deref()?;
    let (subject, author) = (source.subject.as_deref().unwrap_or_default(), source.author.as_deref());
    let author = author.map(|author| format!(", by {author}")).unwrap_or_default();
    Some(format!("{} {subject}{author}", revision.get(..8).unwrap_or(revision)))
}

fn readiness(before: Option<&FleetView>, now: &FleetView) -> Option<(Kind, String)> {
    let of = |view: &FleetView| view.status.conditions.iter().find(|condition| condition.type_ == "Ready").cloned();
    let old: Option<Condition> = before.and_then(of);
    let new = of(now)?;
    if old.is_some_and(|old| old.status == new.status && old.reason == new.reason) {
        return None;
    }
    let kind = if new.status == "True" { Kind::Ready } else { Kind::NotReady };
    Some((kind, format!("{}: {}", new.reason, new.message)))
}

/// What began and what ended to differ.
fn drift(target: &str, before: &DriftReportStatus, now: &DriftReportStatus) -> Vec<(Kind, String)> {
    let key = |object: &DriftedObject| (object.kind.clone(), object.namespace.clone(), object.name.clone());
    let of = |report: &DriftReportStatus| -> BTreeMap<_, _> {
        report.objects.iter().map(|object| (key(object), object.clone())).collect()
    };
    let (old, new) = (of(before), of(now));
    let mut told = Vec::new();
    let begun: Vec<&DriftedObject> = new
        .iter()
        .filter(|(key, object)| old.get(*key).is_none_or(|old| differs(old, object)))
        .map(|(_, o)| o)
        .collect();
    let more = begun.len().saturating_sub(TOLD);
    for object in begun.into_iter().take(TOLD) {
        told.push((Kind::Drift, format!("{target}: {}", said(object))));
    }
    if more > 0 {
        told.push((Kind::Drift, format!("{target}: {more} more objects")));
    }
    // A report that is cut says nothing of what it leaves out.
    let whole = now.objects.len() as u64 == u64::from(now.total);
    let ended: Vec<&DriftedObject> =
        old.iter().filter(|(key, _)| whole && !new.contains_key(*key)).map(|(_, object)| object).collect();
    let more = ended.len().saturating_sub(TOLD);
    for object in ended.into_iter().take(TOLD) {
        let object = name(&object.kind, object.namespace.as_deref(), &object.name);
        told.push((Kind::Restored, format!("{target}: {object} is as Git wants it")));
    }
    if more > 0 {
        told.push((Kind::Restored, format!("{target}: {more} more objects are as Git wants them")));
    }
    told
}

/// Another drift of the same object, as far as people care.
fn differs(old: &DriftedObject, new: &DriftedObject) -> bool {
    let paths = |object: &DriftedObject| object.fields.iter().map(|field| field.path.clone()).collect::<Vec<_>>();
    old.change != new.change || paths(old) != paths(new)
}

fn said(object: &DriftedObject) -> String {
    let by = object.fields.iter().find_map(|field| field.manager.as_deref());
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let what = match object.change {
        Change::Modified => "changed",
        Change::Deleted => "deleted",
        Change::Replaced => "deleted and made again",
    };
    let fields: Vec<&str> = object.fields.iter().take(3).map(|field| field.path.as_str()).collect();
    let fields = if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) };
    format!("{} {what}{by}{fields}", name(&object.kind, object.namespace.as_deref(), &object.name))
}

/// `Service istio-system/edge`.
pub(super) fn name(kind: &str, namespace: Option<&str>, name: &str) -> String {
    let kind = kind.split('.').next().unwrap_or_default();
    let namespace = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{kind} {namespace}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::views::Views;
    use crate::web::views::tests::publish;
    use asm_shared::api::SourceStatus;

    fn drifted(name: &str) -> DriftedObject {
        serde_json::from_value(serde_json::json!({
            "kind": "Service", "namespace": "shop", "name": name, "change": "Modified", "declaredAt": "a.yaml:1:1",
            "since": "2026-01-01T00:00:00.000000Z",
            "fields": [{"path": "spec.type", "manager": "kubectl-edit", "operation": "Update"}],
        }))
        .unwrap()
    }

    fn history(views: &Views) -> Vec<(Kind, String)> {
        let board = views.subscribe().unwrap().borrow().clone();
        board.fleets["shop"].history.iter().map(|entry| (entry.kind, entry.text.clone())).collect()
    }

    #[test]
    fn what_begins_and_ends_is_told_once() {
        let views = Views::on();
        let source = |status: &mut asm_shared::api::FleetSyncStatus| {
            status.source = Some(SourceStatus {
                revision: Some("0123456789".to_owned()),
                subject: Some("two gateways".to_owned()),
                author: Some("Ann <ann@example.com>".to_owned()),
                ..SourceStatus::default()
            });
        };
        publish(&views, "2026-01-01T00:00:00Z", |status, _| source(status));
        for at in ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"] {
            publish(&views, at, |status, targets| {
                source(status);
                targets[0].drift = DriftReportStatus { total: 1, objects: vec![drifted("a")], ..Default::default() };
            });
        }
        publish(&views, "2026-01-01T00:00:03Z", |status, _| source(status));
        assert_eq!(
            history(&views),
            [
                (Kind::Restored, "mesh: Service shop/a is as Git wants it".to_owned()),
                (Kind::Drift, "mesh: Service shop/a changed by kubectl-edit: spec.type".to_owned()),
                (Kind::Commit, "01234567 two gateways, by Ann <ann@example.com>".to_owned()),
            ]
        );
    }

    #[test]
    fn what_the_reports_remember_is_there_after_a_restart_and_told_once() {
        let past = |name: &str, ended: &str| -> PastDrift {
            serde_json::from_value(serde_json::json!({
                "kind": "Service", "namespace": "shop", "name": name, "change": "Modified", "outcome": "Corrected",
                "since": "2025-12-31T23:00:00.000000Z", "ended": ended,
                "field": {"path": "spec.type", "manager": "kubectl-edit"},
            }))
            .unwrap()
        };
        let views = Views::on();
        publish(&views, "2026-01-01T00:00:00Z", |_, _| {});
        let old = || vec![past("b", "2025-12-31T23:30:00.000000Z"), past("a", "2025-12-31T23:10:00.000000Z")];
        publish(&views, "2026-01-01T00:00:01Z", |_, targets| targets[0].drift.history = old());
        // One that ends while the agent looks is told by what differs no more, not by the ledger.
        publish(&views, "2026-01-01T00:00:09Z", |_, targets| {
            targets[0].drift.history = [vec![past("c", "2026-01-01T00:00:08.000000Z")], old()].concat();
        });
        let told = |name: &str| {
            format!("mesh: Service shop/{name} spec.type, changed by kubectl-edit: corrected by the agent")
        };
        assert_eq!(history(&views), [(Kind::Restored, told("b")), (Kind::Restored, told("a"))]);
    }

    #[test]
    fn it_stays_small() {
        let views = Views::on();
        for round in 0..60 {
            publish(&views, "2026-01-01T00:00:00Z", |_, targets| {
                let objects: Vec<_> = (0..20).map(|n| drifted(&format!("{round}-{n}"))).collect();
                targets[0].drift = DriftReportStatus { total: 20, objects, ..Default::default() };
            });
        }
        assert_eq!(history(&views).len(), KEPT);
        assert!(history(&views).iter().any(|(_, text)| text == "mesh: 15 more objects"));
    }
}
