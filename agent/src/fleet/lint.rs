//! What lint keeps a commit from doing, before it becomes orders.

use asm_shared::api::LintMode;
use asm_shared::fleet::{FleetState, Tree};
use asm_shared::lint::{Assumptions, errors, hold_back};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Takes out of a commit what lint finds errors in. Gives back how long that took.
pub(super) fn judge(tree: &dyn Tree, state: &mut FleetState, mode: LintMode) -> Duration {
    let started = Instant::now();
    if mode == LintMode::HoldBack && state.fleet.is_some() {
        let assumptions = Assumptions { now: Some(Timestamp::now()), ..Assumptions::default() };
        let found = errors(tree, state, assumptions);
        hold_back(state, &found);
    }
    started.elapsed()
}
