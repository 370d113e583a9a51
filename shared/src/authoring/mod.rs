//! What people mean (create a gateway, place an application, split a route), turned into edits of files.
//!
//! An intent is a plain struct with a `plan` function: fleet in, [`FileEdit`]s out. Nothing is written here. New files
//! are written with the comments that a person would write; existing files are edited in place and keep every byte that
//! the change does not need.

mod adopt;
mod app;
mod bookinfo;
mod clb;
mod cluster;
mod edit;
mod error;
mod fleet_view;
mod freeze;
mod gateway;
mod init;
mod placement;
mod route;
mod suggest;
mod text;
mod workspace;

pub use adopt::{AdoptDrift, AdoptObject, Difference, LiveChange, differences};
pub use app::{AddApp, AddBookinfo, MoveApp, PlaceApp, RemoveApp, ServiceAnnotation};
pub use bookinfo::{BOOKINFO, Service as BookinfoService};
pub use clb::{
    AddClb, AddressType, Addresses, ChargeType, ClbPlace, ClbPort, ClbSettings, ExternalTrafficPolicy, FinishClb,
    FixClbAccess, LoadBalancerPort, LoadBalancerService, REPLACES, RemoveClb, ReplaceClb, Replacement, UnreachedClb,
};
pub use cluster::{AddCluster, RemoveCluster};
pub(crate) use edit::Edited;
pub use edit::{Action, FileEdit, new_problems, objects_of};
pub use error::AuthoringError;
pub use freeze::{FreezeFields, UnfreezeFields};
pub use gateway::{
    Assignment, CreateGateway, DeleteGateway, Deletion, EditGateway, Entry, Flag, GatewayPath, GatewayPort,
    GatewaySettings, Hosting, LoadBalancer, NewSharedGateway, Override, Reuse, SHARING_RISKS, ShareGateway, Toleration,
};
pub use init::InitFleet;
pub use placement::{Placement, PlacementRule, Workload};
pub use route::{
    AddRoute, ApiVersion, Destination, Fault, FaultRoute, InsertRule, MatchSpec, MirrorRoute, MoveRule, NewGateway,
    Redirect, RedirectRoute, RemoveRoute, Retries, RewriteRoute, RuleAction, RulePlace, SetRoute, Setting, Share,
    SplitRoute, Step, SubsetSpec, WeighRoute, Weight, route_exists,
};
pub use suggest::did_you_mean;

/// What an intent comes to: the edits, and what the author should know about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The edits, in the order in which people read them.
    pub edits: Vec<FileEdit>,
    /// What is allowed but perhaps not meant.
    pub warnings: Vec<String>,
}
