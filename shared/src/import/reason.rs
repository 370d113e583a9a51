//! Why an object is not imported.

use crate::api::labels::PART_OF;
use crate::object::At as _;
use crate::object::kinds::ASM;
use crate::object::{ObjectId, redact_text};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Why an object was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// ASM makes it from an IstioGateway.
    Generated,
    /// Another object owns it.
    Owned,
    /// It belongs to Kubernetes itself.
    System,
    /// Another tool keeps it from another source.
    OtherTool,
    /// It is on its way out.
    Deleting,
    /// It holds what looks like a credential.
    Credential,
    /// Secrets never go into files.
    Secret,
    /// It was not asked for.
    NotAsked,
    /// Its name cannot be the name of a file.
    UnusableName,
}

/// A reason, and the sentence that says it of one object.
pub(super) type Why = (Reason, String);

/// Labels and annotations by which other tools know their objects.
const TOOLS: &[(&str, &str)] = &[
    ("argocd.argoproj.io/instance", "Argo CD"),
    ("argocd.argoproj.io/tracking-id", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("helm.toolkit.fluxcd.io/name", "Flux"),
    ("meta.helm.sh/release-name", "Helm"),
    ("kapp.k14s.io/app", "kapp"),
    ("objectset.rio.cattle.io/id", "Fleet"),
    ("configsync.gke.io/declared-version", "Config Sync"),
    ("app.kubernetes.io/created-by-kluctl", "Kluctl"),
    ("kluctl.io/deployment-item-dir", "Kluctl"),
];

const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// Why an object is left out, whatever its kind; `None` when nothing speaks against it.
pub(super) fn against(id: &ObjectId, live: &Value) -> Option<Why> {
    let metadata = live.get("metadata")?;
    if let Some(namespace) = id.namespace.as_deref().filter(|namespace| SYSTEM_NAMESPACES.contains(namespace)) {
        return Some((Reason::System, format!("{namespace} belongs to Kubernetes")));
    }
    if *id.name == *"default" && id.group_kind.is("", "ServiceAccount") {
        return Some((Reason::System, "every namespace has it".to_owned()));
    }
    if metadata.get("deletionTimestamp").is_some_and(Value::is_string) {
        return Some((Reason::Deleting, "it is being deleted".to_owned()));
    }
    if let Some(owner) = metadata.get("ownerReferences").and_then(Value::as_array).and_then(|owners| owners.first()) {
        let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
        return Some((Reason::Owned, format!("the {} {} owns it", text("kind"), text("name"))));
    }
    other_tool(metadata).or_else(|| {
        let place = credential(live)?;
        Some((Reason::Credential, format!("{place} looks like a credential: move it to a Secret first")))
    })
}

/// Why an object is left out that Git does not have and that carries the label of a set.
pub(super) fn in_a_set() -> Why {
    let told = "an ApplySet has it already: an agent, or kubectl apply --prune";
    (Reason::OtherTool, format!("{told} (label {PART_OF})"))
}

/// Does an object carry the label of a set? Those that Git has may: that is the agent's work.
pub(super) fn is_in_a_set(live: &Value) -> bool {
    live.at("/metadata/labels").is_some_and(|labels| labels.get(PART_OF).is_some())
}

fn other_tool(metadata: &Value) -> Option<Why> {
    let is_there = |key: &str| {
        ["labels", "annotations"].iter().any(|map| metadata.get(map).is_some_and(|map| map.get(key).is_some()))
    };
    let (key, tool) = TOOLS.iter().find(|(key, _)| is_there(key))?;
    Some((Reason::OtherTool, format!("{tool} keeps it ({key}): take it out there first")))
}

/// Where an object holds what looks like a credential. It need not be one; a file in Git is for ever.
fn credential(live: &Value) -> Option<String> {
    let parts = live.as_object()?.iter().filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"));
    parts.into_iter().find_map(|(name, value)| in_value(name, value))
}

fn in_value(path: &str, value: &Value) -> Option<String> {
    match value {
        // Private keys, and credentials in URLs.
        Value::String(text) => (redact_text(text) != *text).then(|| path.to_owned()),
        Value::Array(list) => {
            list.iter().enumerate().find_map(|(index, inner)| in_value(&format!("{path}[{index}]"), inner))
        }
        Value::Object(map) => {
            let text = |field: &str| map.get(field).and_then(Value::as_str);
            if let (Some(name), Some(value)) = (text("name"), text("value"))
                && names_credential(name)
                && is_secret_text(value)
            {
                return Some(format!("{path} ({name})"));
            }
            map.iter().find_map(|(name, inner)| {
                let is_header = name.eq_ignore_ascii_case("authorization");
                if (is_header || names_credential(name)) && inner.as_str().is_some_and(is_secret_text) {
                    return Some(format!("{path}.{name}"));
                }
                in_value(&format!("{path}.{name}"), inner)
            })
        }
        _ => None,
    }
}

/// `DB_PASSWORD`, `apiKey`, `client-secret`; not `TOKEN_TTL` and not `PASSWORD_FILE`.
fn names_credential(name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "password",
        "passwd",
        "token",
        "clientsecret",
        "accesskeysecret",
        "secretkey",
        "apikey",
        "secretaccesskey",
        "privatekey",
    ];
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    WORDS.iter().any(|word| plain.ends_with(word))
}

/// Paths, references to variables and host names are not secret; neither is nothing.
fn is_secret_text(value: &str) -> bool {
    !value.is_empty() && !value.starts_with('/') && !value.starts_with("$(") && !value.contains("%REQ(")
}

/// The part of a gateway's generated objects: `istio-<gateway>` in `istio-system`.
pub(super) const GENERATED_IN: &str = "istio-system";

/// Which objects of member clusters ASM makes.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    /// Names of the IstioGateways; `None` when they could not be read.
    gateways: Option<Vec<String>>,
}

impl Generated {
    /// By the IstioGateways there are; `None` when they were not read.
    pub fn by(gateways: Option<Vec<String>>) -> Self {
        Self { gateways }
    }

    pub(super) fn why(&self, id: &ObjectId) -> Option<Why> {
        if id.namespace.as_deref() != Some(GENERATED_IN) || id.group_kind.group.ends_with(ASM) {
            return None;
        }
        let gateway = id.name.strip_prefix("istio-")?;
        match &self.gateways {
            Some(known) => known
                .iter()
                .any(|name| name == gateway)
                .then(|| (Reason::Generated, format!("ASM makes it from the IstioGateway {gateway}"))),
            None => Some((
                Reason::Generated,
                "ASM may have made it: IstioGateways were not read, so nothing tells".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_are_told_from_what_only_sounds_like_them() {
        for (object, place) in [
            (json!({"env": [{"name": "DB_PASSWORD", "value": "hunter2"}]}), Some("spec.env[0] (DB_PASSWORD)")),
            (json!({"env": [{"name": "PASSWORD_FILE", "value": "/run/password"}]}), None),
            (json!({"env": [{"name": "TOKEN_TTL", "value": "30"}]}), None),
            (json!({"env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}]}), None),
            (
                json!({"headers": {"request": {"set": {"Authorization": "Basic eA=="}}}}),
                Some("spec.headers.request.set.Authorization"),
            ),
            (json!({"tls": {"privateKey": "/etc/certs/key.pem"}}), None),
            (json!({"url": "redis://me:hunter2@host"}), Some("spec.url")),
            (json!({"automountServiceAccountToken": false}), None),
            (json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}), None),
        ] {
            let found = credential(&json!({"spec": object}));
            assert_eq!(found.as_deref(), place, "{object}");
            assert!(!found.unwrap_or_default().contains("hunter2"));
        }
    }

    #[test]
    fn generated_is_what_a_gateway_is_there_for() {
        let service = |name: &str, namespace: &str| ObjectId::new("", "Service", Some(namespace), name);
        let known = Generated::by(Some(vec!["ingressgateway".to_owned()]));
        let is = |generated: &Generated, name, namespace| generated.why(&service(name, namespace)).is_some();
        assert!(is(&known, "istio-ingressgateway", "istio-system"));
        assert!(!is(&known, "istio-ingressgateway-2", "istio-system"));
        assert!(!is(&known, "istio-ingressgateway", "shop"));
        // Better one too few than one that two write.
        assert!(is(&Generated::by(None), "istio-ingressgateway-2", "istio-system"));
    }
}
