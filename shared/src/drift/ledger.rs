//! What drifted and is over, kept within a bound: the newest first, the oldest goes.

use crate::api::{DriftedField, PastDrift};
use serde_json::Value;

/// Bytes of JSON that the history of one target takes at most.
pub const HISTORY_BYTES: usize = 64 * 1024;
/// Bytes of one value; more is cut.
const VALUE_BYTES: usize = 512;

/// Puts what is over in front of a history (`past` oldest first), and drops what has no room any more.
pub fn remember(history: &mut Vec<PastDrift>, past: impl IntoIterator<Item = PastDrift>) {
    for entry in past {
        let field = entry.field.map(short);
        history.insert(0, PastDrift { field, ..entry });
    }
    // The brackets, and a comma after each.
    let mut bytes = 2;
    let fits = |entry: &PastDrift| {
        bytes += serde_json::to_string(entry).map_or(HISTORY_BYTES, |text| text.len() + 1);
        bytes <= HISTORY_BYTES
    };
    let room = history.iter().map(fits).take_while(|fits| *fits).count();
    history.truncate(room);
}

fn short(field: DriftedField) -> DriftedField {
    let cut = |value: Value| {
        let text = value.to_string();
        if text.len() <= VALUE_BYTES { value } else { Value::from(format!("({} bytes)", text.len())) }
    };
    DriftedField { wanted: field.wanted.map(cut), found: field.found.map(cut), ..field }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Change, DriftOutcome};
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use serde_json::json;

    fn past(name: &str, found: Value) -> PastDrift {
        let field = json!({"path": "spec.replicas", "wanted": 1, "found": found, "manager": "kubectl-edit"});
        PastDrift {
            kind: "Deployment.apps".to_owned(),
            namespace: Some("shop".to_owned()),
            name: name.to_owned(),
            change: Change::Modified,
            user: None,
            field: serde_json::from_value(field).unwrap(),
            since: MicroTime(Timestamp::UNIX_EPOCH),
            ended: MicroTime(Timestamp::UNIX_EPOCH),
            outcome: DriftOutcome::PutBack,
        }
    }

    #[test]
    fn the_newest_are_kept_within_the_bound() {
        let mut history = Vec::new();
        for n in 0..2000 {
            remember(&mut history, [past(&format!("web-{n}"), json!(n))]);
            assert!(serde_json::to_string(&history).unwrap().len() <= HISTORY_BYTES);
        }
        assert_eq!(history[0].name, "web-1999");
        assert!(history.len() > 150 && history.len() < 600, "{}", history.len());
    }

    #[test]
    fn a_long_value_does_not_push_out_the_others() {
        let mut history = Vec::new();
        remember(&mut history, [past("a", json!(1)), past("b", json!("x".repeat(100_000)))]);
        assert_eq!(history.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(history[0].field.as_ref().unwrap().found, Some(json!("(100002 bytes)")));
    }
}
