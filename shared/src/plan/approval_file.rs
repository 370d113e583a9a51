//! The approval file that lets a held change go on.

use crate::api::HeldChange;
use crate::fleet::ApprovalAction;
use crate::yaml;
use serde_json::{Map, Value, json};

/// Path and content of the file to commit; `None` for a step that no approval lets go on.
pub fn approval_file(target: &str, held: &HeldChange) -> Option<(String, String)> {
    serde_json::from_value::<ApprovalAction>(json!(held.action)).ok()?;
    let kind = held.kind.split('.').next().unwrap_or_default().to_lowercase();
    let name = label(&format!("{}-{target}-{kind}-{}", held.action.to_lowercase(), held.name));
    let mut spec = Map::new();
    let mut put = |key: &str, value: Value| spec.insert(key.to_owned(), value);
    put("action", json!(held.action));
    put("target", json!(target));
    put("kind", json!(held.kind));
    if let Some(namespace) = &held.namespace {
        put("namespace", json!(namespace));
    }
    put("name", json!(held.name));
    put("uid", json!(held.uid));
    put("addresses", json!(held.addresses));
    let approval = json!({
        "apiVersion": crate::fleet::API_VERSION, "kind": "Approval", "metadata": {"name": name}, "spec": spec,
    });
    Some((format!("approvals/{name}.yaml"), yaml::write(&approval)))
}

/// Names of approvals are DNS labels.
fn label(text: &str) -> String {
    let mut label: String =
        text.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    label.truncate(63);
    label.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Approval;

    #[test]
    fn the_file_is_an_approval_that_the_agent_understands() {
        let mut held = HeldChange {
            action: "Delete".to_owned(),
            kind: "Service".to_owned(),
            namespace: Some("istio-system".to_owned()),
            name: "clb-2".to_owned(),
            uid: "u-1".to_owned(),
            addresses: vec!["198.51.100.7".to_owned()],
            message: String::new(),
        };
        let (path, text) = approval_file("m1c1", &held).unwrap();
        assert_eq!(path, "approvals/delete-m1c1-service-clb-2.yaml");
        let documents = yaml::read(text.as_bytes(), &yaml::Limits::default()).unwrap();
        let approval: Approval = serde_json::from_value((*documents[0].value).clone()).unwrap();
        assert_eq!((approval.spec.target.as_str(), approval.spec.addresses.len()), ("m1c1", 1));
        held.action = "Replace".to_owned();
        assert_eq!(approval_file("m1c1", &held), None);
    }
}
