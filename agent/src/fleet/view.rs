//! What a supervisor shows on the page: a bounded part of what it knows, in the types that the API has too, so that what is
//! redacted there is redacted here.

use super::conditions::Known;
use super::status::{StatusWriter, drift_status};
use super::worker::TargetReport;
use crate::web::TargetView;
use asm_shared::api::PastDrift;

/// Entries of each kind that one target shows; the status counts them all.
const MOST: usize = 200;
/// Entries of the ledger that one target shows.
const MOST_PAST: usize = 50;

/// The targets, in the order of the status.
pub(super) fn targets(known: &Known, writer: &StatusWriter) -> Vec<TargetView> {
    let view = |(name, report): &(String, Option<TargetReport>)| {
        let of = |report| of(report, writer.history(name));
        report.as_ref().map_or_else(|| TargetView { name: name.clone(), ..TargetView::default() }, of)
    };
    known.targets.iter().map(view).collect()
}

fn of(report: &TargetReport, history: &[PastDrift]) -> TargetView {
    let unhealthy = report.unhealthy.iter().take(MOST).map(|(id, why)| (id.clone(), why.clone()));
    TargetView {
        name: report.target.name().to_owned(),
        drift: drift_status(report, history.iter().take(MOST_PAST).cloned().collect()),
        unhealthy: unhealthy.collect(),
        held: report.held.iter().take(MOST).cloned().collect(),
        lint: report.lint.iter().take(MOST).cloned().collect(),
        problems: report.problems.iter().take(MOST).cloned().collect(),
        addresses: report.addresses.clone(),
    }
}
