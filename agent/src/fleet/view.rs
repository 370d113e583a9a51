//! What a supervisor shows on the page: a bounded part of what it knows, in the types that the API has too, so that what is
//! redacted there is redacted here.

use super::status::drift_status;
use super::worker::TargetReport;
use crate::web::TargetView;
use asm_shared::api::PastDrift;

/// Entries of each kind that one target shows; the status counts them all.
const MOST: usize = 200;
/// Entries of the ledger that one target shows.
const MOST_PAST: usize = 50;

/// A target, and what is known of it: of another replica's no more than the status says.
pub(super) fn of(name: &str, report: Option<&TargetReport>, history: &[PastDrift]) -> TargetView {
    let unknown = || TargetView { name: name.to_owned(), ..TargetView::default() };
    report.map_or_else(unknown, |report| full(report, history))
}

fn full(report: &TargetReport, history: &[PastDrift]) -> TargetView {
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
