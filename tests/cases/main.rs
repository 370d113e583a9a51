//! End-to-end tests: one binary, so that the lab is built and linked once.

mod accident_table;
mod accidents;
mod bad_input;
mod bytes;
mod crash;
mod create_gateway;
mod differential;
mod doctor;
mod documents;
mod drift_ways;
mod every_kind;
mod idle;
mod import;
mod isolation;
mod lab;
mod life;
mod lint_holds;
mod once;
mod order;
mod pull_request;
mod several_clbs;
mod shared_gateway;
mod source;
mod story;
mod traffic;
