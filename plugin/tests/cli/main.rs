//! The binary as its users see it: one test program, one module per concern.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

mod agent;
mod api_server;
mod authoring;
mod cluster;
mod contract;
mod diff;
mod gateway;
mod kubeconfig;
mod routes;
mod world;
