//! Events on the FleetSync: what happened, for people who look with `kubectl describe`.

use super::worker::News;
use crate::context::FleetContext;
use asm_shared::fleet::Target;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// Writes Events about one FleetSync.
pub(super) struct Events {
    recorder: Recorder,
    about: ObjectReference,
}

impl Events {
    pub(super) fn new(context: &FleetContext, about: ObjectReference) -> Self {
        let reporter = Reporter { controller: "asm-agent".to_owned(), instance: Some(context.identity.clone()) };
        Self { recorder: Recorder::new(context.client.clone(), reporter), about }
    }

    /// Something happened on a target.
    pub(super) async fn news(&self, target: &Target, news: News) {
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
    pub(super) async fn publish(&self, kind: EventType, reason: &str, action: &str, mut note: String) {
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
