//! What a supervisor shows on the page: a bounded part of what it knows, in the types that the API has too, so that what is
//! redacted there is redacted here. Of another replica's targets it shows what that one tells and writes.

use super::brief::Brief;
use super::conditions::cut;
use super::status::drift_status;
use super::worker::TargetReport;
use crate::web::{Elsewhere, TargetView};
use asm_shared::api::{DriftReportStatus, PastDrift};
use asm_shared::object::ObjectId;
use serde::{Deserialize, Serialize};

/// Entries of each kind that one target shows; the status counts them all.
const MOST: usize = 200;
/// Entries of the ledger that one target shows.
const MOST_PAST: usize = 50;
/// Objects that do not work that other replicas are told of …
const TOLD_SICK: usize = 10;
/// … and objects with addresses.
const TOLD_ADDRESSES: usize = 100;

/// What other replicas are told of a target for their pages, besides how it stands: few enough for an annotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Told {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unhealthy: Vec<(ObjectId, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<(ObjectId, Vec<String>)>,
    /// Objects with addresses that are not told.
    more_addresses: usize,
}

impl Told {
    pub(super) fn of(report: &TargetReport) -> Self {
        let unhealthy = report.unhealthy.iter().take(TOLD_SICK).map(|(id, why)| (id.clone(), cut(why.clone())));
        let addresses = report.addresses.iter().take(TOLD_ADDRESSES).map(|(id, all)| (id.clone(), all.clone()));
        Self {
            unhealthy: unhealthy.collect(),
            addresses: addresses.collect(),
            more_addresses: report.addresses.len().saturating_sub(TOLD_ADDRESSES),
        }
    }
}

/// A target that this replica works on.
pub(super) fn of(report: &TargetReport, history: &[PastDrift]) -> TargetView {
    let unhealthy = report.unhealthy.iter().take(MOST).map(|(id, why)| (id.clone(), why.clone()));
    TargetView {
        name: report.target.name().to_owned(),
        drift: drift_status(report, history.iter().take(MOST_PAST).cloned().collect()),
        unhealthy: unhealthy.collect(),
        held: report.held.iter().take(MOST).cloned().collect(),
        lint: report.lint.iter().take(MOST).cloned().collect(),
        problems: report.problems.iter().take(MOST).cloned().collect(),
        addresses: report.addresses.clone(),
        elsewhere: None,
    }
}

/// A target that another replica works on: how it stands and what is told of it, its drift report, and who that is.
pub(super) fn of_other(
    name: &str,
    brief: Option<&Brief>,
    told: &Told,
    drift: Option<&DriftReportStatus>,
    replica: Option<&str>,
) -> TargetView {
    let Some(brief) = brief else { return TargetView { name: name.to_owned(), ..TargetView::default() } };
    let unknown =
        || DriftReportStatus { total: u32::try_from(brief.drifted).unwrap_or(u32::MAX), ..Default::default() };
    let view = TargetView {
        name: name.to_owned(),
        drift: drift.cloned().unwrap_or_else(unknown),
        unhealthy: told.unhealthy.clone(),
        held: brief.held.clone(),
        lint: brief.lint.clone(),
        problems: brief.problems.clone(),
        addresses: told.addresses.iter().cloned().collect(),
        elsewhere: None,
    };
    let missing = |what: &str, all: usize, here: usize| {
        let more = all.saturating_sub(here);
        (more > 0).then(|| format!("{more} more {what}"))
    };
    let missing = [
        missing("objects that do not work", brief.unhealthy, view.unhealthy.len()),
        missing("addresses", told.more_addresses, 0),
        missing("held changes", brief.held_back, view.held.len()),
        missing("objects that lint holds back", brief.held_by_lint, view.lint.len()),
        missing("objects that failed", brief.problem_count, view.problems.len()),
        missing("drifted objects", brief.drifted, if drift.is_some() { brief.drifted } else { 0 }),
    ];
    let missing: Vec<String> = missing.into_iter().flatten().collect();
    let elsewhere = (!missing.is_empty()).then(|| Elsewhere { replica: replica.map(str::to_owned), missing });
    TargetView { elsewhere, ..view }
}

/// The part of a drift report that the page shows.
pub(super) fn short_of(mut status: DriftReportStatus) -> DriftReportStatus {
    status.history.truncate(MOST_PAST);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::fleet::Target;

    fn sick(count: usize) -> TargetReport {
        let mut report = TargetReport::new(&Target::Cluster("m1c1".into()), &"r".into());
        for n in 0..count {
            let id = ObjectId::new("", "Service", Some("istio-system"), &format!("s{n:03}"));
            report.unhealthy.insert(id.clone(), "waits".to_owned());
            report.addresses.insert(id, vec![format!("198.51.100.{n}")]);
        }
        report
    }

    /// What one replica shows of its own target, another one shows as well, as far as it fits into an annotation; and it says
    /// whose page has the rest.
    #[test]
    fn another_replica_shows_the_same() {
        let over_there = |report: &TargetReport, drift: Option<&DriftReportStatus>| {
            let told = serde_json::to_string(&Told::of(report)).unwrap();
            let brief = serde_json::to_string(&Brief::of(report)).unwrap();
            assert!(told.len() < 32 << 10, "{} bytes", told.len());
            let (told, brief) = (serde_json::from_str(&told).unwrap(), serde_json::from_str(&brief).unwrap());
            of_other("m1c1", Some(&brief), &told, drift, Some("asm-agent-1"))
        };
        let few = sick(3);
        let drift = drift_status(&few, Vec::new());
        assert_eq!(over_there(&few, Some(&drift)), of(&few, &[]));

        let many = sick(250);
        let shown = over_there(&many, Some(&drift));
        assert_eq!((shown.unhealthy.len(), shown.addresses.len()), (TOLD_SICK, TOLD_ADDRESSES));
        let elsewhere = shown.elsewhere.unwrap();
        assert_eq!(elsewhere.replica.as_deref(), Some("asm-agent-1"));
        assert_eq!(elsewhere.missing, ["240 more objects that do not work", "150 more addresses"]);
        assert_eq!(of_other("m1c1", None, &Told::default(), None, None).name, "m1c1");
    }
}
