//! `approvals/*.yaml`: consent, committed in Git, to one step that loses a load balancer's address.

use super::file::Metadata;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Consent to one destructive step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// `kubectl-asm.io/v1alpha1`.
    pub api_version: String,
    /// `Approval`.
    pub kind: String,
    /// Name of this approval.
    pub metadata: Metadata,
    /// What is agreed to.
    pub spec: ApprovalSpec,
}

/// What is agreed to. Every field must match the step, otherwise the step stays held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalSpec {
    /// The step.
    pub action: ApprovalAction,
    /// `mesh` or the name of a member cluster.
    pub target: String,
    /// `Kind.group` of the object (`Service`, `IstioGateway.istio.alibabacloud.com`).
    pub kind: String,
    /// Namespace of the object; absent for cluster-scoped kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: String,
    /// UID of the object, when the approval is for this incarnation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Every address that will be lost: IPs, or the host names of NLBs. Empty when the object has none.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// After this time the approval counts no more (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires: Option<Timestamp>,
    /// What becomes of the load balancer of a Service. Default: `Delete`.
    #[serde(default, skip_serializing_if = "LoadBalancerFate::is_delete")]
    pub load_balancer: LoadBalancerFate,
    /// Why, for the reviewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A step that needs consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApprovalAction {
    /// Delete the object.
    Delete,
    /// Change the object so that it loses its load balancer (Service type, cluster list, serverless switch).
    Release,
    /// Take over the listeners of a reused load balancer (`loadbalancer-force-override-listeners`). `addresses` names its ID.
    TakeOver,
}

impl ApprovalAction {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delete => "Delete",
            Self::Release => "Release",
            Self::TakeOver => "TakeOver",
        }
    }
}

/// What becomes of the load balancer of a Service that is deleted or gives it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LoadBalancerFate {
    /// The cloud controller deletes it; its address is lost for good.
    #[default]
    Delete,
    /// It stays, with its address, and costs on: the agent sets `loadbalancer-preserve-lb-on-delete` before. Needs cloud
    /// controller 2.10.0 or later, and `cloudControllerVersion` in `fleet.yaml`.
    Keep,
}

impl LoadBalancerFate {
    fn is_delete(&self) -> bool {
        *self == Self::Delete
    }
}
