//! # fleet
//!
//! ## What it finds
//!
//! A file that is not YAML, a document that is no object, an object in a folder where it cannot go, two files that hold the
//! same object, a `fleet.yaml`, `Patch`, `Approval` or `RouteTest` with wrong fields: everything that keeps a file from
//! being read as what it is meant to be.
//!
//! ## Why it is bad
//!
//! The agent does not sync what it cannot read, and removes nothing from the clusters concerned until it can. Other rules
//! do not see what stands in such a file, so they may find too much or too little.
//!
//! ## How to mend it
//!
//! The finding says what is wrong and where. It cannot be ignored by a comment or in `fleet.yaml`.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::elsewhere;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "fleet",
    severity: Severity::Error,
    summary: "a file cannot be read as what it is meant to be",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("fleet.rs"),
    check: elsewhere,
};
