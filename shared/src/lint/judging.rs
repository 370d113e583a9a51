//! A fleet judged: rules over a world, several side by side, then what is ignored.

use super::assumptions::Assumptions;
use super::finding::{Finding, sort};
use super::memory::Memory;
use super::rule::Rule;
#[cfg(feature = "schema")]
use super::select::is_in;
use super::sink::Sink;
use super::world::{Asked, World};
use super::{ignore, upkeep};
#[cfg(feature = "schema")]
use crate::fleet::layout::FLEET_FILE;
use crate::fleet::{FleetState, Tree};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Fewer manifests than this are judged by one thread. No rule needs another one, so more are judged by several.
const WORTH_THREADS: usize = 256;

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
    judged(tree, state, &Look { base, rules, assumptions, paths: &[] }, &mut Memory::once())
}

fn judged(tree: &dyn Tree, state: &FleetState, look: &Look<'_>, memory: &mut Memory) -> Findings {
    let rules = look.rules;
    let world = World::of(state, look.base, look.assumptions);
    #[cfg(feature = "schema")]
    let world = {
        // What the fleet file ignores may be anywhere, and is said to be needless if nothing is found.
        let paths = if is_in(FLEET_FILE, look.paths) { &[] } else { look.paths };
        world.knowing(std::mem::take(&mut memory.verdicts), paths)
    };
    let findings = memory.said.again(state, look, |open| run_in(&world, open));
    #[cfg(feature = "schema")]
    {
        memory.verdicts = world.known();
    }
    let (mut found, ignored) = ignore::apply(tree, state, rules, findings);
    if rules.iter().any(|rule| rule.id == upkeep::FLEET.id) {
        found.extend(upkeep::of_problems(state));
    }
    sort(&mut found);
    Findings { found, ignored }
}

/// What a look is about.
#[derive(Clone, Copy, Debug)]
pub struct Look<'l> {
    /// The fleet before the change that is judged, if there is one.
    pub base: Option<&'l FleetState>,
    /// Rules to run.
    pub rules: &'l [&'static Rule],
    /// What is assumed.
    pub assumptions: Assumptions,
    /// Files and folders whose findings are wanted; empty = all. Schemas judge nothing else; the other rules need everything.
    pub paths: &'l [String],
}

/// As [`lint`]; schemas judge only what they have not judged the last time, and what is wanted, and a rule is run again only if
/// something differs that it asked for the last time.
pub fn lint_again(tree: &dyn Tree, state: &FleetState, look: &Look<'_>, memory: &mut Memory) -> Findings {
    judged(tree, state, look, memory)
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
    let said = run_in(&World::of(state, base, assumptions), rules);
    let mut found: Vec<Finding> = said.into_iter().flat_map(|said| said.findings).collect();
    sort(&mut found);
    found
}

/// What a rule says, and what it has asked for.
pub(super) struct Said {
    pub(super) rule: &'static str,
    pub(super) asked: Asked,
    pub(super) findings: Vec<Finding>,
}

impl Said {
    /// Lets a rule look at a world that nobody has asked for anything.
    fn by(rule: &'static Rule, world: World<'_>) -> Self {
        let mut sink = Sink::of(rule.speaker());
        (rule.check)(&world, &mut sink);
        Self { rule: rule.id, findings: sink.finish(), asked: world.asked() }
    }
}

/// Runs rules, several side by side. Of one rule the findings are ordered.
fn run_in(world: &World<'_>, rules: &[&'static Rule]) -> Vec<Said> {
    let threads = if world.len() < WORTH_THREADS {
        1
    } else {
        thread::available_parallelism().map_or(1, NonZero::get).min(rules.len())
    };
    let next = AtomicUsize::new(0);
    let parts = world.parts();
    let work = || {
        let mine = std::iter::from_fn(|| rules.get(next.fetch_add(1, Ordering::Relaxed)).copied());
        mine.map(|rule| Said::by(rule, World::over(parts.clone()))).collect::<Vec<Said>>()
    };
    if threads < 2 {
        return work();
    }
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // A panic of a thread goes on in this one, as it would have without threads.
        let ended =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.flatten().collect()
    })
}
