//! What was taken over, in words: for the terminal and for the commit.

use super::choice::Taken;
use crate::live::drifted::Drifted;
use asm_shared::api::{Change, DriftedField};
use asm_shared::text::printable;
use serde_json::Value;

/// Characters of a value.
const VALUE: usize = 60;
/// Characters of the first line of a commit's message.
const SUBJECT: usize = 72;

/// One line per field.
pub(super) fn lines(taken: &[Taken<'_>]) -> Vec<String> {
    taken.iter().flat_map(|one| facts(one).into_iter().map(|fact| format!("{}: {fact}", name(one)))).collect()
}

/// Said of an object of which nothing differs any more.
pub(super) fn nothing(drifted: &Drifted<'_>) -> String {
    match drifted.object.change {
        Change::Replaced => format!(
            "{} was deleted and made again as the files say: nothing to take over; kubectl asm revert {} makes it the agent's",
            drifted.name(),
            drifted.name()
        ),
        _ => format!("{} is as the files say: nothing to take over", drifted.name()),
    }
}

/// The message of the commit: what, then who and when.
pub(super) fn message(taken: &[Taken<'_>]) -> String {
    let subject = match taken {
        [one] => match &one.fields[..] {
            [field] => format!("adopt {} {}", name(one), printable(&field.path)),
            [] => format!("adopt: {} is gone", name(one)),
            fields => format!("adopt {} ({} fields)", name(one), fields.len()),
        },
        _ => format!("adopt live changes of {} objects", taken.len()),
    };
    let mut message = cut(&subject, SUBJECT);
    message.push_str("\n\nTaken over from what runs:\n");
    for one in taken {
        message.push_str(&format!("\n{}\n", name(one)));
        facts(one).iter().for_each(|fact| message.push_str(&format!("- {fact}\n")));
    }
    message
}

/// `VirtualService default/bookinfo on mesh`.
fn name(one: &Taken<'_>) -> String {
    let kind = one.kind.split('.').next().unwrap_or_default();
    let namespace = one.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{kind} {namespace}{} on {}", one.name, one.target)
}

fn facts(one: &Taken<'_>) -> Vec<String> {
    if one.change == Change::Deleted && one.fields.is_empty() {
        return vec!["deleted; the Kubernetes API keeps no author of a deletion".to_owned()];
    }
    one.fields.iter().map(fact).collect()
}

/// `spec.replicas: 1 -> 3, by kubectl-edit (Update) at 2026-03-01T11:49:59Z`.
fn fact(field: &DriftedField) -> String {
    let value = |value: &Option<Value>| value.as_ref().map(shown);
    let change = match (value(&field.wanted), value(&field.found)) {
        (Some(wanted), Some(found)) => format!("{wanted} -> {found}"),
        (None, Some(found)) => format!("{found} added"),
        (Some(wanted), None) => format!("{wanted} removed"),
        (None, None) => "changed".to_owned(),
    };
    let by = match &field.manager {
        Some(manager) => {
            let operation = field.operation.as_deref().map(|operation| format!(" ({operation})")).unwrap_or_default();
            let time = field.time.as_ref().map(|time| format!(" at {}", time.0.strftime("%Y-%m-%dT%H:%M:%SZ")));
            format!("by {}{operation}{}", printable(manager), time.unwrap_or_default())
        }
        None => "author not recorded by the Kubernetes API".to_owned(),
    };
    format!("{}: {change}, {by}", printable(&field.path))
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    cut(&printable(if text.is_empty() { "\"\"" } else { &text }), VALUE)
}

fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let start: String = text.chars().take(length - 1).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_who_and_when() {
        let field = |path: &str, wanted: Value, found: Value, manager: Option<&str>| DriftedField {
            path: path.to_owned(),
            wanted: Some(wanted).filter(|value| !value.is_null()),
            found: Some(found).filter(|value| !value.is_null()),
            manager: manager.map(str::to_owned),
            user: None,
            author: None,
            operation: manager.map(|_| "Update".to_owned()),
            subresource: None,
            time: manager.map(|_| serde_json::from_value("2026-03-01T11:49:59Z".into()).unwrap()),
            note: None,
        };
        let taken = |kind: &str, change, fields| Taken {
            target: "mesh",
            kind: kind.to_owned(),
            namespace: Some("default".to_owned()),
            name: "bookinfo".to_owned(),
            change,
            fields,
        };
        let weight = field("spec.http[0].route[0].weight", 34.into(), 50.into(), Some("asm-console"));
        let gone = field("metadata.labels.a", "\u{1b}[31mred".into(), Value::Null, None);
        let route = taken("VirtualService.networking.istio.io", Change::Modified, vec![weight, gone]);
        insta::assert_snapshot!(message(&[route, taken("Service", Change::Deleted, vec![])]), @r"
        adopt live changes of 2 objects

        Taken over from what runs:

        VirtualService default/bookinfo on mesh
        - spec.http[0].route[0].weight: 34 -> 50, by asm-console (Update) at 2026-03-01T11:49:59Z
        - metadata.labels.a: \u{1b}[31mred removed, author not recorded by the Kubernetes API

        Service default/bookinfo on mesh
        - deleted; the Kubernetes API keeps no author of a deletion
        ");
    }
}
