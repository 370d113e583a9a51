//! Lint: what is wrong with a fleet although every file can be read, found without a cluster.
//!
//! * `rules/` – one rule, one file; its module comment is its documentation page.
//! * [`RULES`] – the list of them, in the order of the documentation.
//! * `world/` – what rules ask: pods, Services, hosts, who is bound to whom. Built once; a rule walks it and keeps no copy.
//! * [`Finding`] – one fault: rule, severity, place, message, next step, related places, clusters, fixes.
//!
//! A rule looks at every target; what holds for several clusters alike is folded into one finding that names them.

mod finding;
mod fix;
mod registry;
mod rule;
mod rules;
mod sink;
mod world;

pub use finding::{Edit, EditOp, Finding, Fix, Place, Related, Severity};
pub use fix::{Mended, mend};
pub use registry::{RULES, find};
pub use rule::{Rule, Status};

use crate::fleet::FleetState;
use sink::Sink;
use world::World;

/// What is assumed of what the files do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assumptions {
    /// Everything that exists stands in the files. Otherwise a namespace of which the files hold no Service and no workload
    /// is taken to be somebody else's, and nothing is said of hosts in it.
    pub complete: bool,
    /// What time it is, for what ends some day; without it nothing is said of that.
    pub now: Option<jiff::Timestamp>,
}

/// Runs rules over a fleet. The findings are ordered by place, then by rule. Rules about changes say nothing.
pub fn run(state: &FleetState, rules: &[&'static Rule], assumptions: Assumptions) -> Vec<Finding> {
    run_since(state, None, rules, assumptions)
}

/// Runs rules over a fleet; rules about changes compare it with the fleet before (a merge base).
pub fn run_since(
    state: &FleetState,
    base: Option<&FleetState>,
    rules: &[&'static Rule],
    assumptions: Assumptions,
) -> Vec<Finding> {
    let world = World::of(state, assumptions).since(base);
    let mut sink = Sink::default();
    for rule in rules {
        sink.rule(rule);
        (rule.check)(&world, &mut sink);
    }
    sink.finish()
}
