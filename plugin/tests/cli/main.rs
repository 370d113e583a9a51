//! The binary as its users see it: one test program, one module per concern.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod agent;
mod api_server;
mod apps;
mod authoring;
mod clb;
mod clb_retire;
mod cluster;
mod contract;
mod diff;
mod gateway;
mod kubeconfig;
mod lint;
mod route_rules;
mod route_steps;
mod routes;
mod world;
