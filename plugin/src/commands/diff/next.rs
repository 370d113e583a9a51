//! What to do about a difference.

use super::compare::{Comparison, Right};
use super::value::printable;
use asm_shared::diff::Op;

/// The commands that come next, the most urgent first.
pub(super) fn steps(comparison: &Comparison) -> Vec<String> {
    let diff = &comparison.diff;
    if diff.is_empty() {
        return Vec::new();
    }
    let mut steps = Vec::new();
    let replaced =
        diff.changes.iter().find(|change| change.op == Op::Replace && change.id.group_kind.is("", "Service"));
    if let Some(service) = replaced {
        let name = printable(&service.id.name);
        steps.push(format!("kubectl asm clb replace {name}   (a second address, then DNS)"));
    }
    steps.push(match (&comparison.right, comparison.is_live) {
        // What becomes of them is not ours to say.
        (Right::Loose, _) => return steps,
        (_, true) => "kubectl asm sync   (what is committed; then kubectl asm status)".to_owned(),
        (Right::Files, false) => "git add --all && git commit   (then kubectl asm diff --live)".to_owned(),
        (Right::Commit(_), false) => "kubectl asm diff --live   (what of it runs already)".to_owned(),
    });
    steps
}
