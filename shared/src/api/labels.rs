//! Names that the agent writes on objects, and the names of conditions: one place, because the plugin reads them too.

/// Label on every synced object: the ApplySet it belongs to (KEP-3659, with the prefix that kubectl really writes).
///
/// A label and no annotation: the cloud controller hashes all annotations of a Service and syncs its load balancer anew
/// when one is added.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// Label on the FleetSync: the ID that members of a target's set carry starts with this.
pub const APPLYSET_ID: &str = "applyset.kubernetes.io/id";
/// Annotation on a FleetSync that asks for a sync now; the value is the time of the wish.
pub const RECONCILE_AT: &str = "kubectl-asm.io/reconcile-at";
/// Annotation on a FleetSync that asks to look at the branch now; the value is the time of the hint (a webhook's).
pub const HINT_AT: &str = "kubectl-asm.io/hint-at";
/// Annotation on a FleetSync that asks to put Git's values back on objects now: a `RevertRequest` as JSON.
pub const REVERT: &str = "kubectl-asm.io/revert";
/// Label on every Lease of the agent: what it is about, [`LEASE_MEMBER`], [`LEASE_LEADER`], [`LEASE_TARGET`] or
/// [`LEASE_CLUSTER`].
pub const LEASE: &str = "kubectl-asm.io/lease";
/// A Lease that a replica renews: it lives.
pub const LEASE_MEMBER: &str = "member";
/// The Lease of who writes the status of FleetSyncs. Not renewed; it holds as long as its holder's member Lease.
pub const LEASE_LEADER: &str = "leader";
/// A Lease of who works on a target. Not renewed either.
pub const LEASE_TARGET: &str = "target";
/// A Lease of who works on a cluster, whatever targets lead to it. Not renewed either.
pub const LEASE_CLUSTER: &str = "cluster";
/// Annotation on the Lease of a cluster: as which target it is worked on, `namespace/FleetSync/target`.
pub const LEASE_CLUSTER_OF: &str = "kubectl-asm.io/cluster-of";
/// Annotation on the Lease of a target: which, `namespace/FleetSync/target`.
pub const LEASE_OF: &str = "kubectl-asm.io/target";
/// Annotation on the Lease of a target: how it stands, for the other replicas (JSON).
pub const LEASE_STATE: &str = "kubectl-asm.io/state";
/// Annotation on a member Lease: which targets this replica knows, as a hash. Only those who know the same share them.
pub const LEASE_TARGETS: &str = "kubectl-asm.io/targets";
/// Field manager of everything the agent applies.
pub const FIELD_MANAGER: &str = "asm-agent";

/// Condition: the last commit was read from Git.
pub const SOURCE_READY: &str = "SourceReady";
/// Condition: the commit's files make a fleet without problems.
pub const FLEET_VALID: &str = "FleetValid";
/// Condition: every target is at the last commit.
pub const SYNCED: &str = "Synced";
/// Condition: what was synced works (addresses there, workloads available).
pub const HEALTHY: &str = "Healthy";
/// Condition: something live differs from Git.
pub const DRIFTED: &str = "Drifted";
/// Condition, only while it is true: somebody writes a field again and again, and the agent no longer puts it back.
pub const CONTESTED: &str = "Contested";
/// Condition: a destructive step waits for an approval.
pub const HELD_BACK: &str = "HeldBack";
/// Condition, only while it is false: the kubeconfig of a target is about to end.
pub const CREDENTIALS_VALID: &str = "CredentialsValid";
/// Condition, only while it is false: a certificate that a Gateway names is about to end.
pub const CERTIFICATES_VALID: &str = "CertificatesValid";
/// Condition: all of the above as they should be.
pub const READY: &str = "Ready";

/// The ApplySet ID of one target of one FleetSync: `applyset-` and the URL-safe base64 of the SHA-256 of
/// `name.namespace.kind.group`, so that nobody can take it for another set's (KEP-3659), with the target's name put in
/// front because one FleetSync is the parent of one set per target.
pub fn applyset_id(namespace: &str, name: &str, target: &str) -> String {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};
    let text = format!("{target}.{name}.{namespace}.FleetSync.kubectl-asm.io");
    format!("applyset-{}-v1", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes())))
}
