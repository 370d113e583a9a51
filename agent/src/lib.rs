//! `asm-agent`: keeps a mesh API and its member clusters at what a Git repository says.
//!
//! The edge of the agent is in this folder: command line, logging, HTTP, leader election, Git, credentials. What it
//! does with a commit is in `fleet`, which gets a [`context::FleetContext`] and knows nothing of how it came about.

pub mod args;
pub mod context;
pub mod credentials;
pub mod fleet;
pub mod http;
pub mod lease;
pub mod log;
pub mod metrics;
mod notify;
pub mod readiness;
pub mod run;
pub mod shutdown;
pub mod source;
mod trace;
pub mod web;
