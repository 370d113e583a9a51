//! What became of a wish to sync: a function of the FleetSync.

use crate::live::report::{condition, is_true, short};
use crate::ui::Table;
use asm_shared::api::{FleetSync, FleetSyncStatus, labels};
use asm_shared::text::printable;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The agent has not seen the wish.
    Waiting,
    /// The agent is at it, or waits for something that passes by itself; what that is.
    Progressing(String),
    /// Every target is at the last commit and works.
    Synced,
    /// Only people can mend it; why.
    NotSynced(String),
    /// The Git server or a cluster does not answer; which one. Worth waiting for, until the time is over.
    Unreachable(String),
}

impl Outcome {
    /// Will waiting change nothing more?
    pub(super) fn is_settled(&self) -> bool {
        matches!(self, Self::Synced | Self::NotSynced(_))
    }

    /// The end of the sentence that begins with the FleetSync's name.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Waiting => "not handled by the agent yet".to_owned(),
            Self::Progressing(why) => format!("not synced yet: {why}"),
            Self::Synced => "synced".to_owned(),
            Self::NotSynced(why) | Self::Unreachable(why) => format!("not synced: {why}"),
        }
    }
}

/// What became of the wish.
pub(super) fn outcome(sync: &FleetSync, wish: &str) -> Outcome {
    let Some(status) = sync.status.as_ref().filter(|status| status.last_handled_reconcile_at.as_deref() == Some(wish))
    else {
        return Outcome::Waiting;
    };
    if is_true(&status.conditions, labels::READY) {
        return Outcome::Synced;
    }
    let of =
        |kind: &str| condition(&status.conditions, kind).map_or(("", ""), |c| (c.reason.as_str(), c.message.as_str()));
    let (reason, message) = of(labels::READY);
    let why = printable(if message.is_empty() { reason } else { message });
    let (source, _) = of(labels::SOURCE_READY);
    let (synced, _) = of(labels::SYNCED);
    if matches!(source, "Unreachable" | "Timeout") || synced == "TargetUnavailable" {
        return Outcome::Unreachable(why);
    }
    match reason {
        "" | "Progressing" | "NotFetched" | "NotSeen" => Outcome::Progressing(why),
        _ => Outcome::NotSynced(why),
    }
}

/// One row per target.
pub(super) fn table(sync: &FleetSync) -> Table {
    let mut table = Table::new(["Target", "Ready", "Revision", "Message"]);
    let targets = sync.status.as_ref().map(|status: &FleetSyncStatus| status.targets.as_slice()).unwrap_or_default();
    for target in targets {
        let ready = condition(&target.conditions, labels::READY);
        table.row([
            target.name.clone(),
            ready.map_or_else(|| "Unknown".to_owned(), |ready| ready.status.clone()),
            short(target.revision.as_deref().unwrap_or_default()).to_owned(),
            ready.map(|ready| printable(&ready.message)).unwrap_or_default(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn sync(handled: &str, conditions: &[(&str, &str, &str, &str)]) -> FleetSync {
        let conditions: Value = conditions
            .iter()
            .map(|(kind, status, reason, message)| {
                json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-03-01T11:00:00Z"})
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync", "metadata": {"name": "shop"},
            "spec": {"source": {"url": "https://git.example.com/shop.git"}},
            "status": {
                "lastHandledReconcileAt": handled, "conditions": conditions,
                "targets": [{"name": "mesh", "revision": "4f1c2aa000", "conditions": [conditions[0]]}, {"name": "m1c1"}]
            }
        }))
        .unwrap()
    }

    #[test]
    fn what_people_must_mend_ends_the_waiting() {
        let is = |handled, conditions: &[_]| outcome(&sync(handled, conditions), "now");
        assert_eq!(is("before", &[("Ready", "True", "Ready", "")]), Outcome::Waiting);
        assert_eq!(is("now", &[("Ready", "True", "Ready", "")]), Outcome::Synced);
        let progressing = is("now", &[("Ready", "False", "Progressing", "m1c1: on the way")]);
        assert_eq!(
            (progressing.is_settled(), progressing.words().as_str()),
            (false, "not synced yet: m1c1: on the way")
        );
        let held = is("now", &[("Ready", "False", "HeldBack", "m1c1: waits for an approval")]);
        assert_eq!(held, Outcome::NotSynced("m1c1: waits for an approval".to_owned()));
        let away = is(
            "now",
            &[("Ready", "False", "TargetUnavailable", "m1c1: gone"), ("Synced", "False", "TargetUnavailable", "")],
        );
        assert_eq!((away.is_settled(), away), (false, Outcome::Unreachable("m1c1: gone".to_owned())));
    }

    #[test]
    fn one_row_per_target() {
        let sync = sync("now", &[("Ready", "True", "Ready", "12 objects at 4f1c2aa")]);
        insta::assert_snapshot!(table(&sync).render(false), @"
        TARGET   READY     REVISION   MESSAGE
        mesh     True      4f1c2aa    12 objects at 4f1c2aa
        m1c1     Unknown   <none>     <none>
        ");
    }
}
