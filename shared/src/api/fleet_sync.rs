//! `FleetSync`: which repository goes to which API servers, and how that goes.

#![allow(unreachable_pub, reason = "KubeSchema repeats the struct in a place of its own, where pub reaches nobody")]

use super::{NotificationSpec, RevertStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A fleet repository and the API servers that it is synced into.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "kubectl-asm.io",
    version = "v1alpha1",
    kind = "FleetSync",
    namespaced,
    status = "FleetSyncStatus",
    shortname = "fsync",
    category = "kubectl-asm",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Revision","type":"string","jsonPath":".status.source.revision"}"#,
    printcolumn = r#"{"name":"Drifted","type":"integer","jsonPath":".status.drifted"}"#,
    printcolumn = r#"{"name":"Held","type":"integer","jsonPath":".status.heldBack"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct FleetSyncSpec {
    /// The Git repository.
    pub source: SourceSpec,
    /// How to reach the API servers. Targets are those of `fleet.yaml`; this says which Secret holds the kubeconfig.
    #[serde(default)]
    pub targets: TargetsSpec,
    /// What to do about live changes: report them, or put Git's values back. Default: `Report`.
    #[serde(default)]
    pub drift: DriftMode,
    /// Limits on removing objects that have left Git.
    #[serde(default)]
    pub prune: PruneSpec,
    /// What to do about objects in which lint finds an error: leave them as they run, or apply them all the same. Default:
    /// `HoldBack`.
    #[serde(default)]
    pub lint: LintMode,
    /// Who is told what happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub notifications: Vec<NotificationSpec>,
    /// Stop applying. Drift is still reported.
    #[serde(default)]
    pub suspend: bool,
    /// Service account that requests to the targets are made as, by impersonation:
    /// `system:serviceaccount:<namespace of this FleetSync>:<name>`. The users of the kubeconfigs then need no more than to
    /// impersonate it. Default: the agent's `--default-service-account`, or nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
}

/// Where the commits come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.verify) || self.verify.mode == 'HEAD' || has(self.tag)",
    "message": "verify.mode Tag and TagAndHEAD look at a tag: name it in source.tag"
}]))]
pub struct SourceSpec {
    /// `https://…`, `ssh://USER@HOST/PATH` or `USER@HOST:PATH`. Plain `http://` is taken only without credentials.
    pub url: String,
    /// Branch to follow.
    #[serde(default = "default_branch")]
    pub branch: String,
    /// Tag to follow instead of the branch. As a branch, it may only move forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Folder of the fleet inside the repository; the root when empty.
    #[serde(default)]
    pub path: String,
    /// Seconds between two looks at the branch; up to a tenth is added at random. Default 30.
    #[serde(default = "default_interval")]
    #[schemars(range(min = 1, max = 86_400))]
    pub interval_seconds: u32,
    /// Seconds after which a look at the branch, with whatever has to be fetched, is given up. Default 30.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 3_600))]
    pub timeout_seconds: u32,
    /// Secret (same namespace). For https: `username` and `password` (or a token as the password) or `bearerToken`,
    /// optionally `ca.crt`, and `tls.crt` with `tls.key` for a client certificate. For SSH: `identity` (private key, with
    /// its passphrase in `password`) and `known_hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
    /// Copies of the repository, asked in this order when the one before cannot be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub mirrors: Vec<MirrorSpec>,
    /// Whose signature a commit must have before anything in it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifySpec>,
    /// Lets the Git server say that there is something new. A hint only: the agent then looks at the branch by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSpec>,
}

/// A copy of the repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorSpec {
    /// As `source.url`.
    pub url: String,
    /// Secret for this copy, as `source.secretRef`. Without it no credentials are sent: those of `source.secretRef` belong
    /// to `source.url` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
}

/// Whose signature a commit must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifySpec {
    /// What is looked at. Default: `HEAD`.
    #[serde(default)]
    pub mode: VerifyMode,
    /// Secret (same namespace) whose every key holds public keys: OpenPGP (ASCII-armored), or SSH as `authorized_keys` or
    /// allowed signers.
    pub secret_ref: SecretReference,
}

/// What must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VerifyMode {
    /// The commit.
    #[default]
    #[serde(rename = "HEAD")]
    Head,
    /// The tag that is followed.
    Tag,
    /// Both.
    #[serde(rename = "TagAndHEAD")]
    TagAndHead,
}

/// How the Git server proves that a hint is its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSpec {
    /// Who sends it.
    #[serde(rename = "type")]
    pub kind: WebhookKind,
    /// Secret (same namespace) with the shared secret under key `token`.
    pub secret_ref: SecretReference,
}

/// Who sends hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WebhookKind {
    /// `X-Hub-Signature-256`: HMAC-SHA-256 of the body.
    GitHub,
    /// `X-Gitlab-Token`.
    GitLab,
    /// `X-Gitea-Signature` (Forgejo and Gogs, too): HMAC-SHA-256 of the body.
    Gitea,
    /// `X-Gitee-Token`: the password, or a signature of `X-Gitee-Timestamp`.
    Gitee,
    /// `X-Codeup-Token`.
    Codeup,
    /// `X-Signature: sha256=…`: HMAC-SHA-256 of the body.
    Generic,
}

fn default_branch() -> String {
    "main".to_owned()
}
fn default_interval() -> u32 {
    30
}
fn default_timeout() -> u32 {
    30
}

/// A Secret of the FleetSync's namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret.
    pub name: String,
}

/// A key of a Secret of the FleetSync's namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyReference {
    /// Name of the Secret.
    pub name: String,
    /// Key in it. Default `kubeconfig`.
    #[serde(default = "default_key")]
    pub key: String,
}

fn default_key() -> String {
    "kubeconfig".to_owned()
}

/// The API servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetsSpec {
    /// Secret with the kubeconfig of the mesh API. Default: `mesh-kubeconfig`, key `kubeconfig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<KeyReference>,
    /// Secrets of member clusters that are not named `<cluster>-kubeconfig`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ClusterTarget>,
}

/// The Secret of one member cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterTarget {
    /// Name of the cluster in `fleet.yaml`.
    pub name: String,
    /// Secret with its kubeconfig.
    pub kubeconfig: KeyReference,
}

impl FleetSyncSpec {
    /// The Secret that holds the kubeconfig of a target (`mesh` or a cluster's name).
    pub fn kubeconfig_of(&self, target: &str) -> KeyReference {
        let named = if target == "mesh" {
            self.targets.mesh.clone()
        } else {
            self.targets
                .clusters
                .iter()
                .find(|cluster| cluster.name == target)
                .map(|cluster| cluster.kubeconfig.clone())
        };
        named.unwrap_or_else(|| KeyReference { name: format!("{target}-kubeconfig"), key: default_key() })
    }
}

/// What to do about live changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftMode {
    /// Say which field, who and when; change nothing.
    #[default]
    Report,
    /// Put Git's values back.
    Correct,
}

/// What to do about objects in which lint finds an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LintMode {
    /// Leave what runs of them as it is until a commit mends them; apply everything else.
    #[default]
    HoldBack,
    /// Apply what can be read, right or wrong.
    Off,
}

/// Limits on removing objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PruneSpec {
    /// Remove objects that have left Git. Default true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Most objects that one commit may remove from one target. Default 20.
    #[serde(default = "default_max_count")]
    pub max_count: u32,
    /// Most of a target's objects, in percent, that one commit may remove; one object is always allowed. Default 50.
    #[serde(default = "default_max_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub max_percent: u32,
    /// May a commit take a target's last object away? Default false.
    #[serde(default)]
    pub allow_empty: bool,
    /// Seconds that an object must have been gone from Git before it is removed; put back in the meantime, nothing happens to
    /// it. Default 30.
    #[serde(default = "default_grace")]
    #[schemars(range(min = 0, max = 86_400))]
    pub grace_seconds: u32,
}

fn yes() -> bool {
    true
}
fn default_max_count() -> u32 {
    20
}
fn default_max_percent() -> u32 {
    50
}
fn default_grace() -> u32 {
    30
}

impl Default for PruneSpec {
    fn default() -> Self {
        let (max_count, max_percent, grace_seconds) = (default_max_count(), default_max_percent(), default_grace());
        Self { enabled: true, max_count, max_percent, allow_empty: false, grace_seconds }
    }
}

/// How the sync goes. Kept small: numbers per target, texts capped, at most a few problems and held changes in full.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetSyncStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `SourceReady`, `FleetValid`, `Synced`, `Healthy`, `Drifted`, `HeldBack`; and `CredentialsValid`, while the
    /// kubeconfig of a target is about to end, `CertificatesValid`, while a certificate that a Gateway names is.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The commit at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceStatus>,
    /// One entry per target, mesh first.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub targets: Vec<TargetStatus>,
    /// Drifted objects over all targets.
    #[serde(default)]
    pub drifted: u32,
    /// Fields that are left alone, over all targets.
    #[serde(default)]
    pub frozen: u32,
    /// Changes that wait for an approval, over all targets.
    #[serde(default)]
    pub held_back: u32,
    /// Objects that lint holds back, over all targets.
    #[serde(default)]
    pub held_by_lint: u32,
    /// The first problems of the commit's files, with file and line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<SyncProblem>,
    /// How many problems there are in all.
    #[serde(default)]
    pub problem_count: u32,
    /// Value of the annotation `kubectl-asm.io/reconcile-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The request to put Git's values back that was carried out last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_revert: Option<RevertStatus>,
}

/// The commit at hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Commit that was read last (full ID).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// First line of its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its author, as `Name <mail>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// When the agent first saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Time>,
    /// Where it came from: `source.url` or one of the mirrors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whose signature it has, when `source.verify` asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

/// How one target stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// `mesh` or the cluster's name.
    pub name: String,
    /// Commit that is fully applied here (full ID).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// `Ready`, `Synced`, `Healthy`, `Drifted`, `HeldBack` of this target.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Objects in Git for this target.
    #[serde(default)]
    pub objects: u32,
    /// Objects that differ from Git.
    #[serde(default)]
    pub drifted: u32,
    /// Fields that are left alone.
    #[serde(default)]
    pub frozen: u32,
    /// Objects that are not healthy yet.
    #[serde(default)]
    pub unhealthy: u32,
    /// The first changes that wait for an approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldChange>,
    /// How many wait in all.
    #[serde(default)]
    pub held_back: u32,
    /// The first objects that lint holds back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lint: Vec<HeldObject>,
    /// How many there are in all.
    #[serde(default)]
    pub held_by_lint: u32,
    /// When the credentials of the kubeconfig end, if they say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_expire: Option<Time>,
    /// The first objects that could not be applied or read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<SyncProblem>,
    /// How many there are in all.
    #[serde(default)]
    pub problem_count: u32,
    /// The API server of this member cluster also answers for Istio's kinds (access by the data plane's KubeAPI). They are
    /// addressed at the mesh API alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub serves_istio: bool,
}

/// A destructive step that waits for an approval in Git.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldChange {
    /// `Delete`, `Release` or `TakeOver`, as in an Approval; `Replace` when no approval helps.
    pub action: String,
    /// `Kind.group`.
    pub kind: String,
    /// Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// UID of the live object.
    pub uid: String,
    /// Addresses that would be lost.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Why it is held back and what to do.
    pub message: String,
}

/// An object that is left as it runs because lint finds an error in what Git says of it, or because it would rely on such
/// an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldObject {
    /// `Kind.group`.
    pub kind: String,
    /// Namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// ID of the rule; `kubectl asm explain RULE` tells more.
    pub rule: String,
    /// `file:line:column` in the repository.
    pub at: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Something that keeps an object from being synced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncProblem {
    /// `file:line:column` in the repository, or the object when there is no file.
    pub at: String,
    /// What is wrong and what to do.
    pub message: String,
}
