//! Events on the FleetSync: what happened, for people who look with `kubectl describe`; and whoever else is to be told hears
//! of the same (`spec.notifications`).
//!
//! A thousand objects that drift at once are not a thousand Events: of each reason a few are told one by one, and then one in
//! a while, with the number of those that were not.

use super::conditions::short;
use super::worker::News;
use crate::context::FleetContext;
use crate::notify::Notifier;
use asm_shared::api::{FleetSyncStatus, NotificationSpec, labels};
use asm_shared::fleet::Target;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::collections::HashMap;
use tokio::time::Instant;

/// Events of one reason that are told one by one, and how many seconds later there may be another.
const BURST: f64 = 20.0;
const EACH: f64 = 10.0;

/// Reasons of `Ready` that somebody has to do something about.
const STUCK: [&str; 2] = ["TargetUnavailable", "SomeObjectsFailed"];

/// Writes Events about one FleetSync.
pub(super) struct Events {
    recorder: Recorder,
    about: ObjectReference,
    notifier: Notifier,
    /// By reason; reasons are words of this program, so there are few.
    allowances: HashMap<String, Allowance>,
}

/// How many more Events of a reason there may be.
struct Allowance {
    left: f64,
    counted: Instant,
    untold: usize,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { left: BURST, counted: now, untold: 0 }
    }

    /// May there be another? Then with how many that were not told before it.
    fn take(&mut self, now: Instant) -> Option<usize> {
        self.left = (self.left + now.duration_since(self.counted).as_secs_f64() / EACH).min(BURST);
        self.counted = now;
        if self.left < 1.0 {
            self.untold += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.untold))
    }
}

impl Events {
    pub(super) fn new(context: &FleetContext, about: ObjectReference) -> Self {
        let reporter = Reporter { controller: "asm-agent".to_owned(), instance: Some(context.identity.clone()) };
        let name = about.name.clone().unwrap_or_default();
        let notifier = Notifier::new(context, &name);
        let recorder = Recorder::new(context.client.clone(), reporter);
        Self { recorder, about, notifier, allowances: HashMap::new() }
    }

    /// Takes up who else is to be told.
    pub(super) fn follow(&mut self, specs: &[NotificationSpec]) {
        self.notifier.follow(specs);
    }

    /// What turned from one status to the next: a commit is everywhere, or something cannot go on by itself.
    pub(super) async fn turned(&mut self, before: &FleetSyncStatus, now: &FleetSyncStatus, is_there: bool) {
        if is_there {
            let source = now.source.as_ref();
            let text = |text: Option<&String>| text.cloned().unwrap_or_default();
            let revision = text(source.and_then(|source| source.revision.as_ref()));
            let subject = text(source.and_then(|source| source.subject.as_ref()));
            let note = format!("{} targets are at {}: {subject}", now.targets.len(), short(&revision));
            self.publish(EventType::Normal, "Synced", "Apply", note).await;
        }
        let ending = |status: &FleetSyncStatus| {
            let known = status.conditions.iter().find(|condition| condition.type_ == labels::CERTIFICATES_VALID);
            known.map(|condition| condition.message.clone())
        };
        if let Some(message) = ending(now).filter(|_| ending(before).is_none()) {
            self.publish(EventType::Warning, "CertificateExpiresSoon", "Watch", message).await;
        }
        let reason = |status: &FleetSyncStatus| {
            let ready = status.conditions.iter().find(|condition| condition.type_ == labels::READY);
            ready.map(|ready| (ready.reason.clone(), ready.message.clone()))
        };
        let Some((turned_to, message)) = reason(now) else { return };
        let is_news = reason(before).is_none_or(|(was, _)| was != turned_to);
        if is_news && STUCK.contains(&turned_to.as_str()) {
            self.publish(EventType::Warning, &turned_to, "Apply", message).await;
        }
    }

    /// Something happened on a target.
    pub(super) async fn news(&mut self, target: &Target, news: News) {
        match news {
            News::Drift { object, change, fields, by } => {
                let fields = if fields.is_empty() { String::new() } else { format!(": {fields}") };
                let change = format!("{change:?}").to_lowercase();
                self.publish(
                    EventType::Warning,
                    "DriftFound",
                    "Watch",
                    format!("{target}: {object} {change} by {by}{fields}"),
                )
                .await;
            }
            News::Moved { object, told } => {
                let note = format!("{target}: {object}: {told}");
                self.publish(EventType::Warning, "AddressChanged", "Watch", note).await;
            }
            // The report holds it; an Event of each would be noise.
            News::Ended(_) => {}
            News::Contested { note } => {
                self.publish(EventType::Warning, "DriftContested", "Apply", format!("{target}: {note}")).await;
            }
            News::Overwritten { object, fields, by } => {
                let note = format!("{target}: {object}: the commit was applied over changes of {fields} by {by}");
                self.publish(EventType::Warning, "DriftOverwritten", "Apply", note).await;
            }
            News::Reverted { object } => {
                let note = format!("{target}: {object} put back to what Git says, on request");
                self.publish(EventType::Normal, "DriftReverted", "Apply", note).await;
            }
            News::Corrected { object } => {
                let note = format!("{target}: {object} put back to what Git says");
                self.publish(EventType::Normal, "DriftCorrected", "Apply", note).await;
            }
        }
    }

    /// Publishes one; a failure is logged and otherwise ignored: Events are a courtesy.
    pub(super) async fn publish(&mut self, kind: EventType, reason: &str, action: &str, mut note: String) {
        self.notifier.tell(kind == EventType::Warning, reason, &note);
        let now = Instant::now();
        let allowance = self.allowances.entry(reason.to_owned()).or_insert_with(|| Allowance::new(now));
        match allowance.take(now) {
            None => return,
            Some(0) => {}
            Some(untold) => note = format!("{note} (and {untold} more since the last Event of this reason)"),
        }
        note.truncate((0..=1000.min(note.len())).rev().find(|end| note.is_char_boundary(*end)).unwrap_or_default());
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(note),
            action: action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &self.about).await {
            let error = asm_io::cluster::ClusterError::from(error);
            tracing::debug!("an Event could not be written: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, BURST};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn a_flood_is_a_few_events_and_a_number() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
        let told = (0..1000).filter(|_| allowance.take(now).is_some()).count();
        assert_eq!(told, BURST as usize);
        let later = now + Duration::from_secs(11);
        assert_eq!(allowance.take(later), Some(980));
        assert_eq!(allowance.take(later), None);
        assert_eq!(allowance.take(later + Duration::from_secs(3600)), Some(1));
    }
}
