//! The checks for people.

use super::{Check, VerifyReport};
use crate::ui::{Table, Ui};
use asm_shared::verify::Outcome;
use std::collections::BTreeSet;

/// A table for each address, then what to look at next.
pub(super) fn report(ui: &Ui, report: &VerifyReport) {
    let same = |a: &Check, b: &Check| {
        (&a.from, &a.gateway, &a.cluster, &a.address) == (&b.from, &b.gateway, &b.cluster, &b.address)
    };
    for (index, checks) in report.items.chunk_by(same).enumerate() {
        if let Some(first) = checks.first() {
            ui.line(&format!("{}{}", if index > 0 { "\n" } else { "" }, title(first)));
        }
        let mut table = Table::new(["result", "port", "check", "what", "found"]);
        for check in checks {
            let what = check.url.clone().filter(|_| check.check != "tcp").unwrap_or_else(|| check.name.clone());
            table.row([word(check.outcome), check.port.to_string(), check.check.to_owned(), what, check.found.clone()]);
        }
        ui.table(&table);
    }
    report.gaps.iter().for_each(|gap| ui.warning(gap));
    let count = |outcome| report.items.iter().filter(|check| check.outcome == outcome).count();
    if report.items.is_empty() {
        ui.status("Nothing was asked: no address is known, or no Gateway opens a port on these gateways.");
        ui.hint("next: kubectl asm gateway list, or name an address: kubectl asm verify GATEWAY --address IP");
        return;
    }
    let parts: Vec<String> = [
        (Outcome::Ok, "ok"),
        (Outcome::Failed, "failed"),
        (Outcome::Undecided, "undecided"),
        (Outcome::Skipped, "skipped"),
    ]
    .into_iter()
    .map(|(outcome, word)| (count(outcome), word))
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    let checks = if let [_] = &report.items[..] { "check" } else { "checks" };
    ui.status(&format!("{} {checks}: {}", report.items.len(), parts.join(", ")));
    let mut told = BTreeSet::new();
    for check in &report.items {
        if let Some(hint) = check.hint.as_ref().filter(|hint| told.insert((*hint).clone())) {
            ui.hint(&format!("{} ({}): {hint}", check.name, check.source));
        }
    }
}

fn title(check: &Check) -> String {
    let place = match (&check.cluster, &check.service) {
        (Some(cluster), Some(service)) => format!("  {cluster} {service}"),
        (Some(cluster), None) => format!("  {cluster}"),
        _ => String::new(),
    };
    let from = check.from.as_ref().map(|from| format!("  from {from}")).unwrap_or_default();
    format!("{}{place}  {}{from}", check.gateway, check.address)
}

fn word(outcome: Outcome) -> String {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "FAILED",
        Outcome::Undecided => "undecided",
        Outcome::Skipped => "skipped",
    }
    .to_owned()
}
