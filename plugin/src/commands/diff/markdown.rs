//! The comparison as Markdown, for a pull request.

use super::{Comparison, render};

/// At most `budget` characters.
pub(super) fn page(comparison: &Comparison, budget: usize) -> String {
    let page = render::page(comparison, true, false);
    let fence = "~~~~~~";
    let room = budget.saturating_sub(2 * fence.len() + 32);
    if page.chars().count() <= room {
        return format!("{fence}text\n{page}{fence}\n");
    }
    let cut: String = page.chars().take(room).collect();
    let whole = cut.rfind('\n').map_or(0, |end| end + 1);
    format!("{fence}text\n{}{fence}\n(the rest is left out)\n", &cut[..whole])
}
