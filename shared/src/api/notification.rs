//! `spec.notifications` of a FleetSync: who is told what happens.

use super::SecretReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Somebody who is told what happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationSpec {
    /// Name, for messages about it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What is there to receive it.
    #[serde(rename = "type")]
    pub kind: NotificationKind,
    /// Secret (same namespace) with the `url` (`https://…`), with the key of signatures as `secret` where there is one, and
    /// with `ca.crt` where the machine does not know the authority.
    pub secret_ref: SecretReference,
    /// The least that is told. Default: `Warning`.
    #[serde(default)]
    pub severity: NotificationSeverity,
    /// Reasons of Events that are told: `DriftFound`, `HeldBack`, …; all of them when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub reasons: Vec<String>,
}

/// What is there to receive notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NotificationKind {
    /// A custom robot of a DingTalk group; `secret` is its signing key (`SEC…`).
    DingTalk,
    /// A custom bot of a Lark (Feishu) group; `secret` is its signing key.
    Lark,
    /// An incoming webhook of Slack. Its URL is the secret.
    Slack,
    /// Anything that takes a JSON document; with `secret`, `X-Signature: sha256=…` is the HMAC-SHA-256 of the body.
    Generic,
}

/// The least that is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NotificationSeverity {
    /// What goes well, too.
    Normal,
    /// What people should look at.
    #[default]
    Warning,
}
