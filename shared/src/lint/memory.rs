//! What was judged the last time, for whoever lints a fleet again and again.

#[cfg(feature = "schema")]
use super::world::Known;
use super::{Assumptions, Findings, Rule, judged};
use crate::fleet::{FleetState, Tree};

/// What the schemas said of objects, by object. It helps where the objects are the very same as the last time
/// (`FleetState::read_again`); what is gone is forgotten.
#[derive(Debug, Default)]
pub struct Memory {
    #[cfg(feature = "schema")]
    pub(super) verdicts: Known,
}

/// As [`lint`](super::lint); schemas judge only what they have not judged the last time. Rules about several objects are all
/// run again: together they cost less than to find out which of them could say something else.
pub fn lint_again(
    tree: &dyn Tree,
    state: &FleetState,
    base: Option<&FleetState>,
    rules: &[&'static Rule],
    assumptions: Assumptions,
    memory: &mut Memory,
) -> Findings {
    judged(tree, state, base, rules, assumptions, memory)
}
