//! Drift reports as a table: a function of the reports and the time.

use crate::live::report::age;
use crate::ui::Table;
use asm_shared::api::{AuthorKind, Change, DriftReport, DriftedField, DriftedObject};
use asm_shared::text::printable;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt::Write as _;

/// Characters of a value in the narrow table.
const VALUE: usize = 32;
/// Characters of a path in the narrow table.
const PATH: usize = 56;
/// Columns that a narrow terminal does without, the least important first.
pub(super) const LEAST: &[&str] = &["Operation", "Since", "Change", "Time"];
/// Columns whose cells a narrow terminal shortens.
pub(super) const LONG: &[&str] = &["Object", "Field", "Wanted", "Found", "Manager"];
const NOT_RECORDED: &str = "author not recorded";

/// One row per drifted field; an object that is gone has one row.
pub(super) fn table(reports: &[DriftReport], now: Timestamp, wide: bool) -> Table {
    let mut headers =
        vec!["Target", "Object", "Change", "Field", "Wanted", "Found", "Manager", "Operation", "Time", "Since"];
    if wide {
        headers.extend(["Subresource", "Author", "Declared at"]);
    }
    let mut table = Table::new(headers);
    for (report, object) in objects(reports) {
        let mut add = |field: Option<&DriftedField>, user: Option<&str>| {
            let mut row = vec![report.spec.target.clone(), name(object), change(object.change).to_owned()];
            row.extend(cells(field, user, wide));
            row.push(format!("{} ago", age(object.since.0, now)));
            if wide {
                row.push(field.and_then(|field| field.subresource.clone()).unwrap_or_default());
                let author = field.and_then(|field| field.author).map(author).unwrap_or_default();
                row.push(author.to_owned());
                row.push(printable(&object.declared_at));
            }
            table.row(row);
        };
        if object.fields.is_empty() {
            add(None, object.user.as_deref());
        }
        object.fields.iter().for_each(|field| add(Some(field), None));
    }
    table
}

/// Field, wanted, found, manager, operation, time.
pub(super) fn cells(field: Option<&DriftedField>, user: Option<&str>, wide: bool) -> [String; 6] {
    let cut = |text: String, length: usize| if wide { text } else { cut(&text, length) };
    let Some(field) = field else {
        let none = String::new;
        let who = user.map_or_else(|| NOT_RECORDED.to_owned(), printable);
        return [none(), none(), none(), who, none(), none()];
    };
    let value = |value: &Option<Value>| cut(value.as_ref().map(plain).unwrap_or_default(), VALUE);
    [
        cut(printable(&field.path), PATH),
        value(&field.wanted),
        value(&field.found),
        // A user is a person, a manager a program.
        match (&field.user, &field.manager) {
            (Some(user), Some(manager)) => printable(&format!("{user} ({manager})")),
            (Some(name), None) | (None, Some(name)) => printable(name),
            (None, None) => NOT_RECORDED.to_owned(),
        },
        field.operation.clone().unwrap_or_default(),
        field.time.as_ref().map(|time| time.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default(),
    ]
}

/// What the table leaves out, and what the API does not know.
pub(super) fn notes(reports: &[DriftReport]) -> Vec<String> {
    let mut notes = Vec::new();
    for (report, object) in objects(reports) {
        let place = format!("{} {}", report.spec.target, name(object));
        match (&object.note, object.change) {
            (Some(note), _) => notes.push(format!("{place}: {}", printable(note))),
            (None, Change::Deleted | Change::Replaced) => {
                notes.push(format!("{place}: the Kubernetes API keeps no author of a deletion"));
            }
            (None, Change::Modified) => {}
        }
        if object.more_fields > 0 {
            notes.push(format!("{place}: {} more fields differ", object.more_fields));
        }
    }
    for report in reports {
        let Some(status) = &report.status else { continue };
        let listed = u32::try_from(status.objects.len()).unwrap_or(u32::MAX);
        if status.total > listed {
            notes.push(format!("{}: {} more objects differ", report.spec.target, status.total - listed));
        }
    }
    notes
}

/// What is left alone, one line per field: it is no drift, and yet not what Git says.
pub(super) fn frozen(reports: &[DriftReport], now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for report in reports {
        let Some(status) = &report.status else { continue };
        for field in &status.frozen {
            let kind = field.kind.split('.').next().unwrap_or_default();
            let namespace = field.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            let until = field.until.as_ref().map(|until| format!(", until {} (in {})", until.0, age(now, until.0)));
            lines.push(format!(
                "{} {kind} {namespace}{}: {} is left alone{} ({}; {})",
                report.spec.target,
                field.name,
                printable(&field.path),
                until.unwrap_or_default(),
                printable(&field.reason),
                printable(&field.declared_at)
            ));
        }
        let listed = u32::try_from(status.frozen.len()).unwrap_or(u32::MAX);
        if status.frozen_total > listed {
            lines.push(format!("{}: {} more fields are left alone", report.spec.target, status.frozen_total - listed));
        }
    }
    lines
}

/// `target/namespace/kind.group/name`, one line per object.
pub(super) fn names(reports: &[DriftReport]) -> String {
    let mut text = String::new();
    for (report, object) in objects(reports) {
        let namespace = object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}/{namespace}{}/{}", report.spec.target, object.kind.to_lowercase(), object.name);
    }
    text
}

/// The first object of a report, as other commands take it.
pub(super) fn selector(report: &DriftReport) -> Option<String> {
    let object = report.status.as_ref()?.objects.first()?;
    let kind = object.kind.split('.').next().unwrap_or_default();
    let namespace = object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    Some(format!("{}/{kind}/{namespace}{}", report.spec.target, object.name))
}

fn objects(reports: &[DriftReport]) -> impl Iterator<Item = (&DriftReport, &DriftedObject)> {
    reports
        .iter()
        .flat_map(|report| report.status.iter().flat_map(move |status| status.objects.iter().map(move |o| (report, o))))
}

fn name(object: &DriftedObject) -> String {
    let kind = object.kind.split('.').next().unwrap_or_default();
    let namespace = object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{kind} {namespace}{}", object.name)
}

fn author(author: AuthorKind) -> &'static str {
    match author {
        AuthorKind::Human => "human",
        AuthorKind::Controller => "controller",
    }
}

pub(super) fn change(change: Change) -> &'static str {
    match change {
        Change::Modified => "modified",
        Change::Deleted => "deleted",
        Change::Replaced => "replaced",
    }
}

fn plain(value: &Value) -> String {
    printable(
        &value.as_str().map_or_else(
            || value.to_string(),
            |text| if text.is_empty() { "\"\"".to_owned() } else { text.to_owned() },
        ),
    )
}

fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let start: String = text.chars().take(length - 1).collect();
    format!("{start}…")
}
