//! # ignore-unknown
//!
//! ## What it finds
//!
//! An ID that is no rule's, in a comment `# asm-lint: ignore[…]` or in `spec.lint` of `fleet.yaml`. Rules about reading and
//! ignoring (`fleet`, `ignore-…`) cannot be named there either.
//!
//! ## Why it is bad
//!
//! It is a typo, or the rule has another name now: what was to be ignored is not.
//!
//! ## How to mend it
//!
//! `kubectl asm explain` lists the rules.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::elsewhere;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "ignore-unknown",
    severity: Severity::Warning,
    summary: "a rule is ignored that does not exist",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("ignore_unknown.rs"),
    check: elsewhere,
};
