//! A fleet repository: what its folders mean, its own file kinds, and the state that both binaries build from it.

mod apply_patches;
mod approval;
mod declared;
mod drift_modes;
mod file;
mod frozen;
pub mod layout;
mod loose;
mod manifests;
mod memory;
mod objects;
mod own;
mod parse;
mod patch;
mod paths;
pub(crate) mod pods;
mod problem;
mod route_test;
mod schema;
mod state;
mod suggest;
mod tree;
mod typed;

pub use approval::{Approval, ApprovalAction, ApprovalSpec, LoadBalancerFate};
pub use drift_modes::ModeRule;
pub use file::{
    API_VERSION, Cluster, DriftConfig, DriftRule, Fleet, FleetSpec, Group, IgnoredDifference, LintConfig, LintIgnore,
    Mesh, Metadata,
};
pub use frozen::Freeze;
pub(crate) use frozen::path as frozen_path;
pub use loose::{LooseFolder, ONLY_CLUSTER, loose_path};
pub use memory::Memory;
pub(crate) use parse::MARK as LINT_MARK;
pub use patch::{Patch, PatchSpec, PatchTarget};
use problem::FileError;
pub use problem::{Position, Problem};
pub use route_test::{OUTCOMES, RouteTest, RouteTestCase, RouteTestExpectation, RouteTestRequest, RouteTestSpec};
pub use schema::json_schemas;
pub use state::{FleetState, HeldManifest, IdlePatch, Manifest, Target};
pub use tree::{MemoryTree, Part, Tree, TreeError};
