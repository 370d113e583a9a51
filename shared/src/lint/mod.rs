//! Lint: what is wrong with a fleet although every file can be read, found without a cluster.
//!
//! * `rules/` – one rule, one file; its module comment is its documentation page.
//! * [`RULES`] – the list of them, in the order of the documentation. `upkeep/` – what is said of the files themselves and
//!   of what is ignored.
//! * `world/` – what rules ask: pods, Services, hosts, who is bound to whom. Built once; a rule walks it and keeps no copy.
//! * [`Finding`] – one fault: rule, severity, place, message, next step, related places, clusters, fixes.
//! * [`lint`] – rules, then what `fleet.yaml` and comments say about their findings; [`Selection`] – what of it is wanted;
//!   [`fix`] – rounds of both until nothing is left to mend; [`compare`] – what is new since a base.
//!
//! A rule looks at every target; what holds for several clusters alike is folded into one finding that names them.

mod compare;
mod excerpt;
mod finding;
mod fix;
mod hold_back;
mod ignore;
mod memory;
mod registry;
mod rounds;
mod rule;
mod rules;
mod select;
mod sink;
mod upkeep;
mod world;

pub use compare::{Compared, compare};
pub use excerpt::{Excerpt, SourceText};
pub use finding::{Edit, EditOp, Finding, Fix, Place, Related, Severity};
pub use fix::{Mended, mend};
pub use hold_back::{errors, hold_back};
pub use memory::{Memory, lint_again};
pub use registry::{RULES, all, find};
pub use rounds::{Fixed, Made, fix};
pub use rule::{Rule, Status};
pub use select::{Selection, UnknownRule, rules_of};
pub use upkeep::UPKEEP;

use crate::fleet::{FleetState, Tree};
use sink::Sink;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use world::World;

/// Fewer manifests than this are judged by one thread. No rule needs another one, so more are judged by several.
const WORTH_THREADS: usize = 256;

/// What is assumed of what the files do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assumptions {
    /// Everything that exists stands in the files. Otherwise a namespace of which the files hold no Service and no workload
    /// is taken to be somebody else's, and nothing is said of hosts in it.
    pub complete: bool,
    /// What time it is, for what ends some day; without it nothing is said of that.
    pub now: Option<jiff::Timestamp>,
}

/// What was found, and what was found and is ignored.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Ordered by place, then by rule.
    pub found: Vec<Finding>,
    /// What comments and `fleet.yaml` ignore.
    pub ignored: Vec<Finding>,
}

/// Judges a fleet: what keeps its files from being read, what the rules find, and what of that is ignored.
/// `base`: the fleet before the change that is judged, if there is one.
pub fn lint(
    tree: &dyn Tree,
    state: &FleetState,
    base: Option<&FleetState>,
    rules: &[&'static Rule],
    assumptions: Assumptions,
) -> Findings {
    judged(tree, state, base, rules, assumptions, &mut Memory::default())
}

fn judged(
    tree: &dyn Tree,
    state: &FleetState,
    base: Option<&FleetState>,
    rules: &[&'static Rule],
    assumptions: Assumptions,
    memory: &mut Memory,
) -> Findings {
    let world = World::of(state, assumptions).since(base);
    #[cfg(feature = "schema")]
    let world = world.knowing(std::mem::take(&mut memory.verdicts));
    let findings = run_in(&world, rules);
    #[cfg(feature = "schema")]
    {
        memory.verdicts = world.known();
    }
    // Without schemas there is nothing to remember.
    #[cfg(not(feature = "schema"))]
    let _ = memory;
    let (mut found, ignored) = ignore::apply(tree, state, rules, findings);
    if rules.iter().any(|rule| rule.id == upkeep::FLEET.id) {
        found.extend(upkeep::of_problems(state));
    }
    sort(&mut found);
    Findings { found, ignored }
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
    run_in(&World::of(state, assumptions).since(base), rules)
}

fn run_in(world: &World<'_>, rules: &[&'static Rule]) -> Vec<Finding> {
    let threads = if world.state.manifests.len() < WORTH_THREADS {
        1
    } else {
        thread::available_parallelism().map_or(1, NonZero::get).min(rules.len())
    };
    let next = AtomicUsize::new(0);
    let work = || {
        let mut sink = Sink::default();
        while let Some(rule) = rules.get(next.fetch_add(1, Ordering::Relaxed)) {
            sink.rule(rule);
            (rule.check)(world, &mut sink);
        }
        sink.finish()
    };
    if threads < 2 {
        return work();
    }
    let mut found: Vec<Finding> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // A panic of a thread goes on in this one, as it would have without threads.
        let ended =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.flatten().collect()
    });
    sort(&mut found);
    found
}

fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| (&a.place, a.rule, &a.message).cmp(&(&b.place, b.rule, &b.message)));
}
