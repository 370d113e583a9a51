//! What a supervisor shows on the page: a bounded part of what it knows, in the types that the API has too, so that what is
//! redacted there is redacted here.

use super::conditions::Known;
use super::status::drift_status;
use super::worker::TargetReport;
use crate::web::TargetView;

/// Entries of each kind that one target shows; the status counts them all.
const MOST: usize = 200;

/// The targets, in the order of the status.
pub(super) fn targets(known: &Known) -> Vec<TargetView> {
    let view = |(name, report): &(String, Option<TargetReport>)| {
        report.as_ref().map_or_else(|| TargetView { name: name.clone(), ..TargetView::default() }, of)
    };
    known.targets.iter().map(view).collect()
}

fn of(report: &TargetReport) -> TargetView {
    let unhealthy = report.unhealthy.iter().take(MOST).map(|(id, why)| (id.clone(), why.clone()));
    TargetView {
        name: report.target.name().to_owned(),
        drift: drift_status(report, Vec::new()),
        unhealthy: unhealthy.collect(),
        held: report.held.iter().take(MOST).cloned().collect(),
        lint: report.lint.iter().take(MOST).cloned().collect(),
        problems: report.problems.iter().take(MOST).cloned().collect(),
        addresses: report.addresses.clone(),
    }
}
