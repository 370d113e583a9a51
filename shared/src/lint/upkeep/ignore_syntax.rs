//! # ignore-syntax
//!
//! ## What it finds
//!
//! A comment that begins with `# asm-lint:` and does not go on as one that lint understands, or gives no reason; an entry of
//! `spec.lint.ignore` in `fleet.yaml` with an empty reason or a pattern that cannot be read.
//!
//! ## Why it is bad
//!
//! It has no effect: the findings that it was written for are still there. Without a reason nobody can tell later whether
//! it still holds.
//!
//! ## How to mend it
//!
//! Write the IDs of the rules in brackets, and why:
//!
//! ```yaml
//! # asm-lint: ignore[destination-host] the Service is made by the operator of the payment team
//! host: payments
//! ```
//!
//! Such a comment holds for the line on which it stands. On a line of its own it holds for the field or list item directly
//! below with everything in it, and above the first field of a document for the whole document.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::elsewhere;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "ignore-syntax",
    severity: Severity::Warning,
    summary: "an ignore comment or entry cannot be understood",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("ignore_syntax.rs"),
    check: elsewhere,
};
