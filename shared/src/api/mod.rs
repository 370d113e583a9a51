//! The custom resources of group `kubectl-asm.io`: what the agent is told to sync and what it reports.
//!
//! `cargo xtask gen` writes the CRDs in `manifests/crds/` from these types.

mod drift_report;
mod fleet_sync;
pub mod labels;
mod notification;
mod revert;

pub use drift_report::{
    AuthorKind, Change, DriftOutcome, DriftReport, DriftReportSpec, DriftReportStatus, DriftedField, DriftedObject,
    FrozenReport, PastDrift,
};
pub use fleet_sync::{
    ClusterTarget, DriftMode, FleetSync, FleetSyncSpec, FleetSyncStatus, HeldChange, HeldObject, KeyReference,
    LintMode, MirrorSpec, PruneSpec, SecretReference, SourceSpec, SourceStatus, SyncProblem, TargetStatus, TargetsSpec,
    VerifyMode, VerifySpec, WebhookKind, WebhookSpec,
};
pub use notification::{NotificationKind, NotificationSeverity, NotificationSpec};
pub use revert::{RevertObject, RevertOutcome, RevertRequest, RevertResult, RevertStatus};
