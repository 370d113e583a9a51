//! `kubectl asm drift --history`: drift that is over.

use super::rows;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::report::age;
use crate::output::{self, Document, OutputFormat};
use crate::ui::Table;
use asm_shared::api::{DriftReport, PastDrift};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Columns that a narrow terminal does without, the least important first.
const LEAST: &[&str] = &["Operation", "Since", "Target"];
/// Columns whose cells a narrow terminal shortens.
const LONG: &[&str] = &["Object", "Field", "Git", "Live", "Manager"];

/// Drift that is over, the latest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DriftHistory<'a> {
    /// One row per field, or per object that was gone.
    items: Vec<Item<'a>>,
}

impl Document for DriftHistory<'_> {
    const KIND: &'static str = "DriftHistory";
}

/// A drift that is over.
#[derive(Serialize, JsonSchema)]
pub(super) struct Item<'a> {
    /// `mesh` or the cluster's name.
    target: &'a str,
    #[serde(flatten)]
    past: &'a PastDrift,
}

/// What is asked for.
pub(super) struct Wish<'a> {
    /// Nothing that ended before.
    pub(super) since: Option<Timestamp>,
    /// Only changes of these users or managers, or of managers whose name begins so up to a `-`.
    pub(super) by: &'a [String],
}

/// Shows it.
pub(super) fn run(
    context: &Context,
    format: OutputFormat,
    reports: &[DriftReport],
    wish: &Wish<'_>,
) -> Result<Exit, CommandError> {
    let items = items(reports, wish);
    match format {
        OutputFormat::Name => context.ui().data(&names(&items)),
        OutputFormat::Human | OutputFormat::Wide => {
            let mut table = table(&items, Timestamp::now());
            if let Some(width) = context.ui().width().filter(|_| format == OutputFormat::Human) {
                table.fit(width, LEAST, LONG);
            }
            context.ui().table(&table);
            let many = if items.len() == 1 { "1 change" } else { "changes" };
            let many = if items.len() == 1 { many.to_owned() } else { format!("{} {many}", items.len()) };
            context.ui().status(&format!("{many} that are over; the agent keeps the latest 64 KiB of each target"));
        }
        _ => output::print(context.ui(), format, &output::of(&DriftHistory { items })?)?,
    }
    // What is over needs nobody's attention.
    Ok(Exit::Clean)
}

fn items<'a>(reports: &'a [DriftReport], wish: &Wish<'_>) -> Vec<Item<'a>> {
    let all = reports.iter().flat_map(|report| {
        let history = report.status.iter().flat_map(|status| &status.history);
        history.map(|past| Item { target: &report.spec.target, past })
    });
    let mut items: Vec<Item<'a>> = all.filter(|item| wish.holds_for(item.past)).collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.past.ended.0));
    items
}

impl Wish<'_> {
    fn holds_for(&self, past: &PastDrift) -> bool {
        let field = past.field.as_ref();
        let user = field.map_or(past.user.as_deref(), |field| field.user.as_deref());
        let manager = field.and_then(|field| field.manager.as_deref());
        let is = |wanted: &String| {
            let rest = manager.and_then(|manager| manager.strip_prefix(wanted.as_str()));
            user == Some(wanted) || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        self.since.is_none_or(|since| past.ended.0 >= since) && (self.by.is_empty() || self.by.iter().any(is))
    }
}

fn table(items: &[Item<'_>], now: Timestamp) -> Table {
    let mut table =
        Table::new(vec!["Target", "Object", "Field", "Git", "Live", "Manager", "Operation", "Since", "Ended", "How"]);
    for item in items {
        let past = item.past;
        let namespace = past.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let kind = past.kind.split('.').next().unwrap_or_default();
        let mut row = vec![item.target.to_owned(), format!("{kind} {namespace}{}", past.name)];
        // Field, Git's value, the live one, manager, operation.
        row.extend(rows::cells(past.field.as_ref(), past.user.as_deref(), false).into_iter().take(5));
        if past.field.is_none() {
            row[2] = rows::change(past.change).to_owned();
        }
        let ago = |at: Timestamp| format!("{} ago", age(at, now));
        row.extend([ago(past.since.0), ago(past.ended.0), past.outcome.words().to_owned()]);
        table.row(row);
    }
    table
}

/// `target/namespace/kind.group/name`, one line per object.
fn names(items: &[Item<'_>]) -> String {
    let mut text = String::new();
    let mut told = BTreeSet::new();
    for item in items {
        let namespace = item.past.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let name = format!("{}/{namespace}{}/{}", item.target, item.past.kind.to_lowercase(), item.past.name);
        if told.insert(name.clone()) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> DriftReport {
        let past = |name: &str, manager: Option<&str>, ended: &str, outcome: &str| {
            json!({
                "kind": "Deployment.apps", "namespace": "shop", "name": name, "change": "Modified",
                "since": "2026-03-01T11:00:00.000000Z", "ended": ended, "outcome": outcome,
                "field": {"path": "spec.replicas", "wanted": 2, "found": 5, "manager": manager, "operation": manager.map(|_| "Update")}
            })
        };
        serde_json::from_value(json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "DriftReport", "metadata": {"name": "shop-m1c1"},
            "spec": {"fleetSync": "shop", "target": "m1c1"},
            "status": {"history": [
                past("web", Some("kubectl-edit"), "2026-03-01T11:50:00.000000Z", "PutBack"),
                past("api", Some("keda"), "2026-03-01T11:55:00.000000Z", "Corrected"),
                past("cart", None, "2026-02-20T12:00:00.000000Z", "Overwritten"),
                {
                    "kind": "Service", "namespace": "shop", "name": "web", "change": "Deleted",
                    "since": "2026-03-01T10:00:00.000000Z", "ended": "2026-03-01T10:00:10.000000Z", "outcome": "Reverted"
                },
            ]}
        }))
        .unwrap()
    }

    #[test]
    fn what_is_over_is_told_the_latest_first() {
        let reports = [report()];
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let all = items(&reports, &Wish { since: None, by: &[] });
        let mut table = table(&all, now);
        let text = table.render(false);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        for (line, words) in lines.iter().zip([
            ["Deployment shop/api", "keda", "corrected by the agent"],
            ["Deployment shop/web", "kubectl-edit", "put back by hand"],
            ["Service shop/web", "deleted", "reverted on request"],
            ["Deployment shop/cart", "author not recorded", "overwritten by a commit"],
        ]) {
            assert!(words.iter().all(|word| line.contains(word)), "{line}");
        }
        assert_eq!(lines.len(), 4);
        table.fit(100, LEAST, LONG);
        let widest = table.render(false).lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{widest:?}");
        assert_eq!(names(&all).lines().count(), 4);
    }

    #[test]
    fn it_is_asked_by_time_and_by_manager() {
        let reports = [report()];
        let found = |since: Option<&str>, by: &[&str]| {
            let by: Vec<String> = by.iter().map(|&by| by.to_owned()).collect();
            let since = since.map(|since| since.parse().unwrap());
            items(&reports, &Wish { since, by: &by }).iter().map(|item| item.past.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found(Some("2026-03-01T11:00:00Z"), &[]), ["api", "web"]);
        assert_eq!(found(None, &["kubectl"]), ["web"]);
        assert_eq!(found(None, &["kube", "keda"]), ["api"]);
    }
}
