//! What to do about a difference.

use super::comparison::Comparison;
use super::sides::Right;
use asm_shared::diff::Op;
use asm_shared::text::printable;

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
    let standing = &comparison.standing;
    let new = comparison.lint.as_ref().map_or(0, |lint| lint.counts().introduced());
    steps.push(match (&comparison.right, comparison.is_live, &standing.base) {
        // What becomes of them is not ours to say.
        (Right::Loose, _, _) => return steps,
        (_, true, _) => "kubectl asm sync   (what is committed; then kubectl asm status)".to_owned(),
        (_, false, Some(base)) if new > 0 => format!("kubectl asm lint --base {} --new-only", shell(&printable(base))),
        _ if standing.is_proposable && standing.is_detached => "kubectl asm pr create --branch NAME".to_owned(),
        _ if standing.is_proposable => "kubectl asm pr create".to_owned(),
        (Right::Files, false, _) => "git add --all && git commit   (then kubectl asm diff --live)".to_owned(),
        (Right::Commit(_), false, _) => "kubectl asm diff --live   (what of it runs already)".to_owned(),
    });
    steps
}

/// A revision as a shell takes it: `HEAD@{1}`, `main^{/fix}`.
fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./@~^:+".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
