//! The identity of an object: group, kind, namespace, name. The version is not part of it, because one object is served
//! under several versions (`networking.istio.io/v1alpha3`, `v1beta1`, `v1`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// API group and kind, for example `networking.istio.io` and `VirtualService`. The core group is the empty string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct GroupKind {
    /// API group; empty for core/v1.
    pub group: Arc<str>,
    /// Kind as written in manifests.
    pub kind: Arc<str>,
}

impl GroupKind {
    /// Makes a group and kind.
    pub fn new(group: &str, kind: &str) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }

    /// Is it this group and kind?
    pub fn is(&self, group: &str, kind: &str) -> bool {
        &*self.group == group && &*self.kind == kind
    }
}

impl fmt::Display for GroupKind {
    /// `Service` for the core group, `VirtualService.networking.istio.io` otherwise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { write!(f, "{}", self.kind) } else { write!(f, "{}.{}", self.kind, self.group) }
    }
}

/// What makes an object the same object inside one API server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ObjectId {
    /// Group and kind.
    #[serde(flatten)]
    pub group_kind: GroupKind,
    /// Namespace; `None` for cluster-scoped kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Arc<str>>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectId {
    /// Makes an identity.
    pub fn new(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> Self {
        Self { group_kind: GroupKind::new(group, kind), namespace: namespace.map(Into::into), name: name.into() }
    }

    /// Reads the identity out of an object; `None` when `apiVersion`, `kind` or `metadata.name` is missing.
    pub fn of(object: &Value) -> Option<Self> {
        let (group, _) = split_api_version(object.get("apiVersion")?.as_str()?);
        let metadata = object.get("metadata")?;
        Some(Self::new(
            group,
            object.get("kind")?.as_str()?,
            metadata.get("namespace").and_then(Value::as_str),
            metadata.get("name")?.as_str()?,
        ))
    }
}

impl fmt::Display for ObjectId {
    /// `VirtualService default/bookinfo`, `Namespace shop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.group_kind.kind, self.name),
            None => write!(f, "{} {}", self.group_kind.kind, self.name),
        }
    }
}

/// `networking.istio.io/v1` → (`networking.istio.io`, `v1`); `v1` → (``, `v1`).
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.rsplit_once('/').unwrap_or(("", api_version))
}
