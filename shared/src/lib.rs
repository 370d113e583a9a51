//! The pure core of `kubectl asm` and `asm-agent`: one model of a service-mesh fleet kept in Git.
//!
//! Nothing in this crate touches the network, a clock, the environment or a terminal; callers pass values in and get
//! values back (`clippy.toml` beside this crate enforces it). Data flows one way:
//! `Tree → FleetState → {diff, plan, drift, lint, route} → graph` for reading, `intent → file edits` for authoring.

pub mod access;
pub mod api;
pub mod asm;
pub mod authoring;
pub mod diff;
mod distance;
pub mod doctor;
pub mod drift;
pub mod fleet;
pub mod graph;
pub mod health;
pub mod import;
pub mod istio;
pub mod kubeconfig;
pub mod lint;
pub mod object;
pub mod plan;
pub mod pull_request;
pub mod route;
pub mod route_test;
#[cfg(feature = "schema")]
pub mod schema;
pub mod sharding;
pub mod text;
pub mod topology;
pub mod verify;
pub mod yaml;
