//! Workloads and CRDs, by the rules of kstatus.

use super::{Health, number, observed};
use crate::object::At as _;
use serde_json::Value;

fn progress(text: String) -> Health {
    Health::Progressing(text)
}

fn condition<'a>(live: &'a Value, kind: &str) -> Option<&'a Value> {
    live.at("/status/conditions")?
        .as_array()?
        .iter()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

fn is_true(condition: &Value) -> bool {
    condition.get("status").and_then(Value::as_str) == Some("True")
}

/// `spec.replicas` defaults to 1; the API server writes the default, a fresh object may not have it yet.
fn wanted(live: &Value) -> i64 {
    live.at("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

pub(super) fn deployment(live: &Value) -> Health {
    if let Some(condition) = condition(live, "Progressing")
        && condition.get("reason").and_then(Value::as_str) == Some("ProgressDeadlineExceeded")
    {
        let message = condition.get("message").and_then(Value::as_str).unwrap_or("its progress deadline is exceeded");
        return Health::Failed(message.to_owned());
    }
    replicas(live, "/status/updatedReplicas", "/status/availableReplicas")
}

pub(super) fn stateful_set(live: &Value) -> Health {
    replicas(live, "/status/updatedReplicas", "/status/readyReplicas")
}

fn replicas(live: &Value, updated: &str, available: &str) -> Health {
    if !observed(live) {
        return progress("waits for its controller".to_owned());
    }
    let (wanted, updated, available) = (wanted(live), number(live, updated), number(live, available));
    if updated < wanted {
        return progress(format!("{updated} of {wanted} replicas updated"));
    }
    if number(live, "/status/replicas") > updated {
        return progress("waits for old replicas to end".to_owned());
    }
    if available < wanted {
        return progress(format!("{available} of {wanted} replicas available"));
    }
    Health::Healthy
}

pub(super) fn daemon_set(live: &Value) -> Health {
    if !observed(live) {
        return progress("waits for its controller".to_owned());
    }
    let wanted = number(live, "/status/desiredNumberScheduled");
    let available = number(live, "/status/numberAvailable").min(number(live, "/status/updatedNumberScheduled"));
    if available < wanted {
        return progress(format!("{available} of {wanted} pods available"));
    }
    Health::Healthy
}

pub(super) fn definition(live: &Value) -> Health {
    if condition(live, "Established").is_some_and(is_true) {
        return Health::Healthy;
    }
    progress("waits to be established".to_owned())
}
