//! What the status of a FleetSync needs to know of a target: its report with long lists counted and cut. It also goes to the
//! other replicas, one of which writes the status.

use super::conditions::{cut, shown};
use super::worker::TargetReport;
use asm_shared::api::{HeldChange, HeldObject, RevertStatus, SyncProblem};
use asm_shared::health::ways::Told;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Problems and held changes that are told in full; the rest is counted.
pub(super) const SHOWN: usize = 10;

/// The first of many, in words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct First {
    /// The object.
    pub(super) object: String,
    /// What is the matter with it.
    pub(super) what: String,
}

/// A certificate that is about to end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ending {
    /// The Secret.
    pub(super) secret: String,
    /// Its end.
    pub(super) end: Timestamp,
    /// Who needs it.
    pub(super) whose: String,
}

/// How a target stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Brief {
    /// Commit that it is to be brought to.
    pub(super) wanted: String,
    /// Commit that is fully applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<String>,
    /// Objects in Git.
    pub(super) objects: usize,
    /// Objects that differ from Git; the first with what happened and who did it.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) drifted: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) drift: Option<First>,
    /// What is put back again and again.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) contests: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) contest: Option<String>,
    /// What does not work yet.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) unhealthy: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sick: Option<First>,
    /// What requests need to arrive has not been looked at yet for this commit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) unseen: bool,
    /// How the ways of the commit's routes stand here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ways: Option<Told>,
    /// Certificates that are about to end.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) endings: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ending: Option<Ending>,
    /// What waits for an approval.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) held_back: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) held: Vec<HeldChange>,
    /// What lint holds back.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) held_by_lint: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lint: Vec<HeldObject>,
    /// What could not be synced.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) problem_count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<SyncProblem>,
    /// Fields that are left alone.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) frozen: usize,
    /// Why the target cannot be worked on at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blocked: Option<String>,
    /// Why removals wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hold: Option<String>,
    /// What is removed in a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parting: Option<String>,
    /// A member cluster that answers for Istio's kinds.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) serves_istio: bool,
    /// Objects that are on their way out.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) leaving: usize,
    /// The wish to sync that was fulfilled last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<String>,
    /// The request to put Git's values back that was carried out last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reverted: Option<RevertStatus>,
    /// The last pass over this commit ended.
    pub(super) settled: bool,
    /// When the credentials end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Timestamp>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Brief {
    pub(super) fn of(report: &TargetReport) -> Self {
        let drift = report.drift.first_key_value().map(|(id, (drift, _))| {
            let by = drift.fields.iter().find_map(|field| field.manager.as_deref());
            let by = by.map_or(String::new(), |by| format!(" by {by}"));
            First { object: id.to_string(), what: format!("{}{by}", format!("{:?}", drift.change).to_lowercase()) }
        });
        let sick = report.unhealthy.first_key_value();
        Self {
            wanted: report.wanted.to_string(),
            revision: report.revision.as_deref().map(str::to_owned),
            objects: report.objects,
            drifted: report.drift.len(),
            drift,
            contests: report.contested.len(),
            contest: report.contested.first().cloned().map(cut),
            unhealthy: report.unhealthy.len(),
            sick: sick.map(|(id, why)| First { object: id.to_string(), what: cut(why.clone()) }),
            unseen: report.unseen,
            ways: report.ways.clone(),
            endings: report.ending.len(),
            ending: report.ending.first().map(|one| Ending {
                secret: one.secret.to_string(),
                end: one.end,
                whose: cut(one.whose.clone()),
            }),
            held_back: report.held.len(),
            held: report
                .held
                .iter()
                .take(SHOWN)
                .map(|held| HeldChange { message: cut(held.message.clone()), ..held.clone() })
                .collect(),
            held_by_lint: report.lint.len(),
            lint: report
                .lint
                .iter()
                .take(SHOWN)
                .map(|held| HeldObject { message: cut(held.message.clone()), ..held.clone() })
                .collect(),
            problem_count: report.problems.len(),
            problems: shown(&report.problems),
            frozen: report.frozen.len(),
            blocked: report.blocked.clone().map(cut),
            hold: report.hold.clone().map(cut),
            parting: report.parting.clone().map(cut),
            serves_istio: report.serves_istio,
            leaving: report.leaving,
            request: report.request.as_deref().map(str::to_owned),
            reverted: report.reverted.as_deref().cloned(),
            settled: report.settled,
            expires: report.expires,
        }
    }

    /// Is the wanted commit fully applied, with nothing waiting?
    pub(super) fn is_synced(&self) -> bool {
        self.blocked.is_none() && self.revision.as_ref() == Some(&self.wanted) && self.leaving == 0
    }

    /// Is something held back, by the guard of load balancers, by lint, or because removals wait?
    pub(super) fn is_held(&self) -> bool {
        !self.held.is_empty() || !self.lint.is_empty() || self.hold.is_some()
    }
}
