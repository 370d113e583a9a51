//! # ignore-unused
//!
//! ## What it finds
//!
//! A comment `# asm-lint: ignore[…]`, or an entry of `spec.lint.ignore` in `fleet.yaml`, that no finding matches any more. It
//! is judged for the rules that run: with `--rule`, for those only.
//!
//! ## Why it is bad
//!
//! What it was written for is mended or stands elsewhere now. Left in place it would hide the next fault of that kind.
//!
//! ## How to mend it
//!
//! Remove it, or move it to the line that the finding names.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::elsewhere;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "ignore-unused",
    severity: Severity::Warning,
    summary: "nothing is found where a rule is ignored",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("ignore_unused.rs"),
    check: elsewhere,
};
