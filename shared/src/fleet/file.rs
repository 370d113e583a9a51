//! `fleet.yaml`: the mesh, its member clusters and the groups they form.

use crate::api::DriftMode;
use crate::lint::Severity;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `apiVersion` of the fleet's own file kinds.
pub const API_VERSION: &str = "kubectl-asm.io/v1alpha1";

/// The file `fleet.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fleet {
    /// `kubectl-asm.io/v1alpha1`.
    pub api_version: String,
    /// `Fleet`.
    pub kind: String,
    /// Name of the fleet.
    pub metadata: Metadata,
    /// Mesh, clusters, groups.
    pub spec: FleetSpec,
}

/// Metadata of the fleet's own file kinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Name, a DNS label.
    pub name: String,
}

/// What `fleet.yaml` declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FleetSpec {
    /// The mesh control plane (one ASM instance).
    pub mesh: Mesh,
    /// Member clusters of the mesh.
    #[serde(default)]
    pub clusters: Vec<Cluster>,
    /// Groups of member clusters; `groups/<name>/` goes to each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// Fields that are left alone, whatever they hold in a cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<IgnoredDifference>,
    /// What the agent does about live changes of a part of the fleet.
    #[serde(default, skip_serializing_if = "DriftConfig::is_empty")]
    pub drift: DriftConfig,
    /// What `kubectl asm lint` leaves out or judges otherwise.
    #[serde(default, skip_serializing_if = "LintConfig::is_empty")]
    pub lint: LintConfig,
}

/// What the agent does about live changes, where it is not what the FleetSync says (`spec.drift` there).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftConfig {
    /// Modes of folders and objects. One that names an object counts before one that names files only; of several of a
    /// kind the last counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<DriftRule>,
}

impl DriftConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The mode of the objects that `object` and `path` match; at least one of the two is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftRule {
    /// Only objects that this matches: `KIND/NAMESPACE/NAME`, or `KIND/NAME` without a namespace; `*` is any part of a
    /// step, `**` any number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Only objects in files that this matches: `clusters/m1c2/**`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Say what changed, or put Git's values back.
    pub mode: DriftMode,
    /// Why, for who reads it next year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Settings of `kubectl asm lint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LintConfig {
    /// Findings that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<LintIgnore>,
    /// Severity of a rule's findings, by the rule's ID, instead of the rule's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub severity: BTreeMap<String, Severity>,
}

impl LintConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Findings that are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LintIgnore {
    /// ID of the rule.
    pub rule: String,
    /// Only of objects that this matches: `KIND/NAMESPACE/NAME`, or `KIND/NAME` without a namespace; `*` is any part of a
    /// step, `**` any number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Only in files that this matches: `mesh/legacy/**`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why they are left out.
    pub reason: String,
}

/// The mesh control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mesh {
    /// ID of the ASM instance (`c` and 32 characters).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Region, for example `cn-hangzhou`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// ASM version, for example `1.22`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Edition: `Standard`, `Enterprise` or `Ultimate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// kubeconfig context that engineers use for the mesh API; `mesh` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// One member cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// Name in this fleet: folder name under `clusters/`, a DNS label, not `mesh`.
    pub name: String,
    /// ACK cluster ID (`c` and 32 lower-case letters or digits), as `clusterIds` of an IstioGateway wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Kubernetes version, for example `1.33`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Version of the cloud controller manager, for example `2.12.4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_controller_version: Option<String>,
    /// kubeconfig context that engineers use for it; the cluster's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// A named group of member clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// Folder name under `groups/`.
    pub name: String,
    /// Names of the clusters in it.
    pub clusters: Vec<String>,
}

/// A field that is left alone: whatever it holds in a cluster, it is neither reported as drift nor written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IgnoredDifference {
    /// `mesh` or names of clusters; every target that has the object when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Kind of the object, with its group where two groups have the kind: `Service`, `VirtualService.networking.istio.io`.
    pub kind: String,
    /// Namespace of the object; `default` when absent and the kind has namespaces. `*` is any part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the object; `*` is any part of it.
    pub name: String,
    /// Only objects in files that this matches: `clusters/m1c2/**`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Paths of the fields as `kubectl asm drift` prints them: `spec.http[0].route[1].weight`. Elements of lists without
    /// keys are counted as in Git's file.
    pub fields: Vec<String>,
    /// Why, for who reads it next year.
    pub reason: String,
    /// After this time the entry counts no more: the fields are drift again (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<Timestamp>,
}
