//! The binary as its users see it: one test program, one module per concern.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod agent;
mod api_server;
mod apps;
mod authoring;
mod clb;
mod clb_retire;
mod cluster;
#[cfg(unix)]
mod confirmation;
mod contract;
mod diff;
mod diff_formats;
mod doctor_chain;
mod doctor_clb_access;
mod drift_ways;
mod forge_server;
mod gateway;
mod graph;
mod import;
mod kubeconfig;
mod lint;
mod lint_clean;
mod lint_loose;
mod pull_requests;
mod pull_requests_body;
mod pull_requests_forks;
mod pull_requests_git;
mod route_rules;
mod route_steps;
mod route_test;
mod routes;
#[cfg(unix)]
mod terminal;
mod verify;
mod watch;
#[cfg(unix)]
mod wizard;
mod world;
