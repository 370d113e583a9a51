//! The status of a FleetSync as a function of what is known: no clock but the one passed in, no client.

use super::brief::{Brief, First, SHOWN};
use super::expiry::{self, Credentials};
use asm_shared::api::{
    FleetSyncStatus, HeldChange, HeldObject, RevertStatus, SourceStatus, SyncProblem, TargetStatus, labels,
};
use asm_shared::fleet::Target;
use asm_shared::object::ObjectId;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::collections::BTreeMap;

/// With more targets than this, a status shows of each no condition but `Ready` and those that are not as they should be: all five
/// of a thousand targets are more than etcd takes.
const MANY: usize = 100;
/// Longest message of a condition; the API server takes 32 KiB, etcd and people less.
const LONGEST: usize = 1024;

/// What the supervisor knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Generation of the spec at hand.
    pub(super) generation: Option<i64>,
    /// The commit that was read last.
    pub(super) source: Option<SourceStatus>,
    /// Why the source cannot be read: reason and message.
    pub(super) source_error: Option<(&'static str, String)>,
    /// Places of the repository that could not be asked, and why; the source comes from a mirror then.
    pub(super) passed_over: Vec<String>,
    /// Problems of the commit's files.
    pub(super) problems: Vec<SyncProblem>,
    /// Is there a fleet to sync at all?
    pub(super) has_fleet: bool,
    /// Reports by position: mesh first, clusters as in the fleet file. `None`: nothing heard yet.
    pub(super) targets: Vec<(String, Option<Brief>)>,
    /// Credentials of targets that say when they end.
    pub(super) expiring: Vec<Credentials>,
    /// Routes that lead where nobody answers in any cluster: the route, and what is wrong.
    pub(super) dead: Vec<(ObjectId, String)>,
    /// Namespace of the FleetSync.
    pub(super) namespace: String,
    /// Targets that have left the fleet file.
    pub(super) left: Vec<String>,
    /// Applying is suspended.
    pub(super) suspended: bool,
    /// The wish that was fulfilled last.
    pub(super) handled: Option<String>,
    /// The wish to put Git's values back that was carried out last.
    pub(super) reverted: Option<RevertStatus>,
}

struct Verdict {
    kind: &'static str,
    is_true: Option<bool>,
    reason: &'static str,
    message: String,
}

fn verdict(
    kind: &'static str,
    is_true: impl Into<Option<bool>>,
    reason: &'static str,
    message: impl Into<String>,
) -> Verdict {
    Verdict { kind, is_true: is_true.into(), reason, message: message.into() }
}

/// Makes the status. `previous` keeps the times of conditions that did not turn.
pub(super) fn status(known: &Known, previous: &FleetSyncStatus, now: &Time) -> FleetSyncStatus {
    let old_targets: BTreeMap<&str, &TargetStatus> =
        previous.targets.iter().map(|target| (target.name.as_str(), target)).collect();
    let targets: Vec<TargetStatus> = known
        .targets
        .iter()
        .map(|(name, report)| target_status(name, report.as_ref(), old_targets.get(name.as_str()).copied(), known, now))
        .collect();
    let drifted = targets.iter().map(|target| target.drifted).sum();
    let frozen = targets.iter().map(|target| target.frozen).sum();
    let held_back = targets.iter().map(|target| target.held_back).sum();
    let held_by_lint = targets.iter().map(|target| target.held_by_lint).sum();
    let verdicts = [source(known), fleet_valid(known), synced(known), healthy(known), drift(known), held(known)];
    let ready = ready(known, &verdicts);
    let verdicts = std::iter::once(ready).chain(verdicts).chain(expiring(known, now));
    let verdicts = verdicts.chain(certificates(known)).chain(contested(known));
    FleetSyncStatus {
        observed_generation: known.generation,
        conditions: conditions(verdicts, &previous.conditions, known.generation, now),
        source: known.source.clone(),
        targets,
        drifted,
        frozen,
        held_back,
        held_by_lint,
        problems: shown(&known.problems),
        problem_count: count(known.problems.len()),
        last_handled_reconcile_at: known.handled.clone(),
        last_handled_revert: known.reverted.clone(),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn conditions(
    verdicts: impl IntoIterator<Item = Verdict>,
    previous: &[Condition],
    generation: Option<i64>,
    now: &Time,
) -> Vec<Condition> {
    let condition = |verdict: Verdict| {
        let status = match verdict.is_true {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let old = previous.iter().find(|old| old.type_ == verdict.kind && old.status == status);
        Condition {
            type_: verdict.kind.to_owned(),
            status: status.to_owned(),
            reason: verdict.reason.to_owned(),
            message: cut(verdict.message),
            observed_generation: generation,
            last_transition_time: old.map_or_else(|| now.clone(), |old| old.last_transition_time.clone()),
        }
    };
    verdicts.into_iter().map(condition).collect()
}

/// What follows the first of so many.
fn more(count: usize) -> String {
    if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() }
}

pub(super) fn cut(message: String) -> String {
    cut_to(message, LONGEST)
}

fn cut_to(mut message: String, longest: usize) -> String {
    if message.len() > longest {
        let end = (0..=longest - 3).rev().find(|end| message.is_char_boundary(*end)).unwrap_or_default();
        message.truncate(end);
        message.push_str("...");
    }
    message
}

/// The first problems, each within bounds.
pub(super) fn shown(problems: &[SyncProblem]) -> Vec<SyncProblem> {
    let cut =
        |problem: &SyncProblem| SyncProblem { at: cut(problem.at.clone()), message: cut(problem.message.clone()) };
    problems.iter().take(SHOWN).map(cut).collect()
}

/// Only while there is something to do about it.
fn expiring(known: &Known, now: &Time) -> Option<Verdict> {
    let near: Vec<&Credentials> = known.expiring.iter().filter(|one| expiry::is_near(one.end, now.0)).collect();
    let first = near.iter().min_by_key(|one| one.end)?;
    let more = if near.len() > 1 { format!(" (and {} more targets)", near.len() - 1) } else { String::new() };
    let message = format!("{}{more}", expiry::word(first, &known.namespace, now.0));
    Some(verdict(labels::CREDENTIALS_VALID, false, "ExpireSoon", message))
}

/// Only while a certificate of a Gateway is about to end. One that has ended is ill health.
fn certificates(known: &Known) -> Option<Verdict> {
    let near: Vec<(&str, String)> = reports(known)
        .filter_map(|(name, report)| {
            let first = report.ending.as_ref()?;
            let (secret, end, whose) = (&first.secret, first.end, &first.whose);
            let note = format!(
                "{secret} holds a certificate that ends at {end}, which {whose} needs{}; renew it in this cluster",
                more(report.endings)
            );
            Some((name, note))
        })
        .collect();
    (!near.is_empty()).then(|| verdict(labels::CERTIFICATES_VALID, false, "ExpireSoon", join(near.into_iter())))
}

/// Only while somebody and the agent write the same field in turns.
fn contested(known: &Known) -> Option<Verdict> {
    let fights: Vec<(&str, String)> = reports(known)
        .filter_map(|(name, report)| {
            let first = report.contest.as_ref()?;
            Some((name, format!("{first}{}", more(report.contests))))
        })
        .collect();
    (!fights.is_empty()).then(|| verdict(labels::CONTESTED, true, "Fighting", join(fights.into_iter())))
}

fn source(known: &Known) -> Verdict {
    match (&known.source_error, &known.source) {
        (Some((reason, message)), _) => verdict(labels::SOURCE_READY, false, reason, message.clone()),
        (None, Some(source)) => {
            let revision = short(source.revision.as_deref().unwrap_or_default());
            let signed = source.signed_by.as_ref().map_or_else(String::new, |by| format!(", signed by {by}"));
            if known.passed_over.is_empty() {
                return verdict(labels::SOURCE_READY, true, "Fetched", format!("read {revision}{signed}"));
            }
            let (url, why) = (source.url.as_deref().unwrap_or_default(), known.passed_over.join("; "));
            let message = format!("read {revision}{signed} from the mirror {url}; {why}");
            verdict(labels::SOURCE_READY, true, "FetchedFromMirror", message)
        }
        (None, None) => verdict(labels::SOURCE_READY, None, "NotFetched", "the repository has not been read yet"),
    }
}

fn fleet_valid(known: &Known) -> Verdict {
    match known.problems.first() {
        Some(first) => {
            let more = more(known.problems.len());
            let reason = if known.has_fleet { "SomeFilesWrong" } else { "NoFleet" };
            verdict(labels::FLEET_VALID, false, reason, format!("{}: {}{more}", first.at, first.message))
        }
        None if known.source.is_none() => {
            verdict(labels::FLEET_VALID, None, "NotFetched", "the repository has not been read yet")
        }
        None => verdict(labels::FLEET_VALID, true, "NoProblems", "every file of the commit can be read"),
    }
}

/// The reports that are there, with the name of their target.
fn reports(known: &Known) -> impl Iterator<Item = (&str, &Brief)> {
    known.targets.iter().filter_map(|(name, report)| Some((name.as_str(), report.as_ref()?)))
}

/// `m1c1: text; m1c2: text`.
fn join<'a>(parts: impl Iterator<Item = (&'a str, String)>) -> String {
    parts.map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("; ")
}

fn synced(known: &Known) -> Verdict {
    let mut notes: Vec<String> = Vec::new();
    let late: Vec<(&str, String)> = known
        .targets
        .iter()
        .filter_map(|(name, report)| match report {
            Some(report) if report.is_synced() => None,
            Some(report) => Some((name.as_str(), why_not_synced(report, known))),
            None => Some((name.as_str(), "not looked at yet".to_owned())),
        })
        .collect();
    if !known.left.is_empty() {
        notes.push(format!("{} left fleet.yaml; what was synced there is left alone", known.left.join(", ")));
    }
    if known.targets.is_empty() {
        return verdict(labels::SYNCED, false, "NoFleet", "there is no commit with a valid fleet.yaml yet");
    }
    if late.is_empty() {
        let revision = known.source.as_ref().and_then(|source| source.revision.as_deref()).unwrap_or_default();
        let all = format!("{} targets are at {}", known.targets.len(), short(revision));
        notes.insert(0, all);
        return verdict(labels::SYNCED, true, "Applied", notes.join("; "));
    }
    let reason = if known.suspended {
        "Suspended"
    } else if reports(known).any(|(_, report)| report.blocked.is_some()) {
        "TargetUnavailable"
    } else if !reports(known).all(|(_, report)| report.settled) {
        "Progressing"
    } else if reports(known).any(|(_, report)| !report.problems.is_empty()) {
        "SomeObjectsFailed"
    } else if reports(known).any(|(_, report)| report.is_held()) {
        "HeldBack"
    } else if !known.problems.is_empty() {
        "SomeFilesWrong"
    } else {
        "Progressing"
    };
    notes.insert(0, join(late.into_iter()));
    verdict(labels::SYNCED, false, reason, notes.join("; "))
}

/// What lint holds back on a target: where, what, and how many more.
fn lint_note(report: &Brief) -> Option<String> {
    let first = report.lint.first()?;
    Some(format!("{}: {} ({}){}", first.at, first.message, first.rule, more(report.held_by_lint)))
}

/// One object that lint holds back on a target, for an Event.
pub(super) fn told(target: &str, held: &HeldObject) -> String {
    format!("{target}: {}: {} ({}); kubectl asm explain {} tells more", held.at, held.message, held.rule, held.rule)
}

fn why_not_synced(report: &Brief, known: &Known) -> String {
    if let Some(blocked) = &report.blocked {
        return blocked.clone();
    }
    if let Some(first) = report.problems.first() {
        return format!("{}: {}{}", first.at, first.message, more(report.problem_count));
    }
    if let Some(first) = report.held.first() {
        return first.message.clone();
    }
    if let Some(note) = lint_note(report) {
        return note;
    }
    if let Some(hold) = &report.hold {
        return hold.clone();
    }
    if let Some(parting) = &report.parting {
        return parting.clone();
    }
    if report.settled && !known.problems.is_empty() {
        return "its files have problems; see FleetValid".to_owned();
    }
    if report.leaving > 0 {
        return format!("{} removed objects are not gone yet", report.leaving);
    }
    format!("on the way to {}", short(&report.wanted))
}

fn healthy(known: &Known) -> Verdict {
    let sick = reports(known).filter_map(|(name, report)| Some((name, first_sick(name, report, known)?)));
    let sick: Vec<(&str, String)> = sick.collect();
    if !sick.is_empty() {
        return verdict(labels::HEALTHY, false, "Progressing", join(sick.into_iter()));
    }
    let blocked = reports(known).any(|(_, report)| report.blocked.is_some());
    if blocked || known.targets.is_empty() || known.targets.iter().any(|(_, report)| report.is_none()) {
        return verdict(labels::HEALTHY, None, "NotSeen", "not every target can be looked at");
    }
    let unseen: Vec<&str> = reports(known).filter(|(_, report)| report.unseen).map(|(name, _)| name).collect();
    if !unseen.is_empty() {
        let message = format!("{}: {UNSEEN}", unseen.join(", "));
        return verdict(labels::HEALTHY, None, "NotSeen", message);
    }
    verdict(labels::HEALTHY, true, "AllHealthy", "everything that was synced works")
}

/// Said of a target while it is not known whether requests arrive.
const UNSEEN: &str = "what requests need to arrive (load balancers, certificates, pods) has not been looked at yet";

/// What does not work on a target, the first with the number of the others. Where routes lead is the mesh's.
fn first_sick(name: &str, report: &Brief, known: &Known) -> Option<String> {
    let dead = known.dead.first().filter(|_| name == Target::Mesh.name());
    let first = dead.map(|(route, what)| format!("{route} {what}"));
    let first = first.or_else(|| report.sick.as_ref().map(|first| format!("{} {}", first.object, first.what)));
    Some(format!("{}{}", first?, more(unhealthy(name, report, known))))
}

/// How much does not work on a target.
fn unhealthy(name: &str, report: &Brief, known: &Known) -> usize {
    report.unhealthy + if name == Target::Mesh.name() { known.dead.len() } else { 0 }
}

fn drift(known: &Known) -> Verdict {
    let drifted: Vec<(&str, String)> = reports(known)
        .filter_map(|(name, report)| {
            let first = report.drift.as_ref()?;
            Some((name, format!("{} {}{}", first.object, first.what, more(report.drifted))))
        })
        .collect();
    if drifted.is_empty() {
        return verdict(labels::DRIFTED, false, "NoDrift", "nothing differs from Git");
    }
    verdict(labels::DRIFTED, true, "DriftFound", format!("{}; see kubectl asm drift", join(drifted.into_iter())))
}

fn held(known: &Known) -> Verdict {
    let held: Vec<(&str, String)> =
        reports(known).filter_map(|(name, report)| Some((name, held_note(report)?))).collect();
    if held.is_empty() {
        return verdict(labels::HELD_BACK, false, "NothingHeld", NOTHING_HELD);
    }
    let all: Vec<&Brief> = reports(known).map(|(_, report)| report).collect();
    verdict(labels::HELD_BACK, true, held_reason(&all), join(held.into_iter()))
}

/// Said when nothing is held back.
const NOTHING_HELD: &str = "nothing waits for an approval or for lint";

fn held_note(report: &Brief) -> Option<String> {
    let first = report.held.first().map(|held| held.message.clone());
    // What waits for another target's pass is on its way until that has ended.
    first.or_else(|| lint_note(report)).or_else(|| report.hold.clone().filter(|_| report.settled))
}

/// Approvals first: nothing else helps there.
fn held_reason(reports: &[&Brief]) -> &'static str {
    if reports.iter().any(|report| !report.held.is_empty()) {
        "ApprovalNeeded"
    } else if reports.iter().any(|report| !report.lint.is_empty()) {
        "LintErrors"
    } else {
        "RemovalsWait"
    }
}

fn ready(known: &Known, verdicts: &[Verdict]) -> Verdict {
    if known.suspended {
        return verdict(labels::READY, false, "Suspended", "suspended; kubectl asm resume goes on");
    }
    let wanted = [labels::SOURCE_READY, labels::FLEET_VALID, labels::SYNCED, labels::HEALTHY];
    for kind in wanted {
        if let Some(bad) = verdicts.iter().find(|verdict| verdict.kind == kind && verdict.is_true != Some(true)) {
            return verdict(labels::READY, false, bad.reason, bad.message.clone());
        }
    }
    let synced = verdicts.iter().find(|verdict| verdict.kind == labels::SYNCED);
    verdict(labels::READY, true, "Ready", synced.map(|synced| synced.message.clone()).unwrap_or_default())
}

/// How much of each target a status shows: with many targets less of each, so that the whole stays small.
#[derive(Clone, Copy)]
struct Share {
    entries: usize,
    letters: usize,
    /// Conditions that are as they should be, too.
    calm: bool,
}

impl Share {
    fn of(targets: usize) -> Self {
        Self {
            entries: (SHOWN / targets.max(1)).max(1),
            letters: (LONGEST * 4 / targets.max(1)).clamp(160, LONGEST),
            calm: targets <= MANY,
        }
    }

    /// Is there room for this condition of a target?
    fn shows(self, verdict: &Verdict) -> bool {
        let wanted = !matches!(verdict.kind, labels::DRIFTED | labels::HELD_BACK);
        self.calm || verdict.kind == labels::READY || verdict.is_true != Some(wanted)
    }

    fn cut(self, message: &str) -> String {
        cut_to(message.to_owned(), self.letters)
    }
}

fn target_status(
    name: &str,
    report: Option<&Brief>,
    previous: Option<&TargetStatus>,
    known: &Known,
    now: &Time,
) -> TargetStatus {
    let old = previous.map(|target| target.conditions.as_slice()).unwrap_or_default();
    let share = Share::of(known.targets.len());
    let Some(report) = report else {
        let waiting = verdict(labels::READY, None, "NotSeen", "not looked at yet");
        let conditions = conditions([waiting], old, known.generation, now);
        return TargetStatus { name: name.to_owned(), conditions, ..TargetStatus::default() };
    };
    let verdicts = target_verdicts(name, report, known).into_iter().filter(|verdict| share.shows(verdict));
    let verdicts = verdicts.map(|verdict| Verdict { message: share.cut(&verdict.message), ..verdict });
    let problem =
        |problem: &SyncProblem| SyncProblem { at: share.cut(&problem.at), message: share.cut(&problem.message) };
    let held = |held: &HeldChange| HeldChange { message: share.cut(&held.message), ..held.clone() };
    let lint = |held: &HeldObject| HeldObject { message: share.cut(&held.message), ..held.clone() };
    TargetStatus {
        name: name.to_owned(),
        revision: report.revision.clone(),
        conditions: conditions(verdicts, old, known.generation, now),
        objects: count(report.objects),
        drifted: count(report.drifted),
        frozen: count(report.frozen),
        unhealthy: count(unhealthy(name, report, known)),
        held: report.held.iter().take(share.entries).map(held).collect(),
        held_back: count(report.held_back),
        lint: report.lint.iter().take(share.entries).map(lint).collect(),
        held_by_lint: count(report.held_by_lint),
        credentials_expire: report.expires.map(Time),
        problems: report.problems.iter().take(share.entries).map(problem).collect(),
        problem_count: count(report.problem_count),
        serves_istio: report.serves_istio,
    }
}

/// `Ready`, `Synced`, `Healthy`, `Drifted`, `HeldBack` of one target.
fn target_verdicts(name: &str, report: &Brief, known: &Known) -> [Verdict; 5] {
    let at = format!("{} objects at {}", report.objects, short(&report.wanted));
    let synced = if report.is_synced() {
        verdict(labels::SYNCED, true, "Applied", at.clone())
    } else {
        let reason = match report {
            _ if known.suspended => "Suspended",
            Brief { blocked: Some(_), .. } => "Unavailable",
            report if !report.problems.is_empty() => "SomeObjectsFailed",
            report if report.is_held() => "HeldBack",
            _ => "Progressing",
        };
        verdict(labels::SYNCED, false, reason, why_not_synced(report, known))
    };
    let healthy = match first_sick(name, report, known) {
        _ if report.blocked.is_some() => verdict(labels::HEALTHY, None, "NotSeen", "the target cannot be looked at"),
        Some(first) => verdict(labels::HEALTHY, false, "Unhealthy", first),
        None if report.unseen => verdict(labels::HEALTHY, None, "NotSeen", UNSEEN),
        None => verdict(labels::HEALTHY, true, "AllHealthy", "everything that was synced works"),
    };
    let drifted = match &report.drift {
        Some(First { object, .. }) => {
            verdict(labels::DRIFTED, true, "DriftFound", format!("{object}; see kubectl asm drift"))
        }
        None => verdict(labels::DRIFTED, false, "NoDrift", "nothing differs from Git"),
    };
    let held = match held_note(report) {
        Some(message) => verdict(labels::HELD_BACK, true, held_reason(&[report]), message),
        None => verdict(labels::HELD_BACK, false, "NothingHeld", NOTHING_HELD),
    };
    let ready = if known.suspended {
        verdict(labels::READY, false, "Suspended", "suspended")
    } else if let Some(bad) = [&synced, &healthy].into_iter().find(|verdict| verdict.is_true != Some(true)) {
        verdict(labels::READY, false, bad.reason, bad.message.clone())
    } else {
        verdict(labels::READY, true, "Ready", at)
    };
    [ready, synced, healthy, drifted, held]
}

/// The first characters of a commit ID, as Git shows them.
pub(super) fn short(revision: &str) -> &str {
    revision.get(..8).unwrap_or(revision)
}

#[cfg(test)]
mod tests;
