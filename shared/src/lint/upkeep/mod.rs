//! What lint says of the files and of its own settings: rules with pages like the others, but nothing in them looks at a
//! world.

mod fleet;
mod ignore_syntax;
mod ignore_unknown;
mod ignore_unused;

use super::finding::{Finding, Place};
use super::rule::Rule;
use super::sink::Sink;
use super::world::World;
use crate::fleet::{FleetState, Position, Problem, Target, layout::FLEET_FILE};

pub(super) use fleet::RULE as FLEET;
pub(super) use ignore_syntax::RULE as IGNORE_SYNTAX;
pub(super) use ignore_unknown::RULE as IGNORE_UNKNOWN;
pub(super) use ignore_unused::RULE as IGNORE_UNUSED;

/// These rules, in the order of the documentation. No setting in a file turns them off; `--ignore` does.
pub const UPKEEP: &[&Rule] = &[&FLEET, &IGNORE_SYNTAX, &IGNORE_UNKNOWN, &IGNORE_UNUSED];

/// What makes these findings stands outside of the rules.
fn elsewhere<'a>(_: &World<'a>, _: &mut Sink<'a>) {}

/// A finding at a place that belongs to no object.
pub(super) fn finding(rule: &'static Rule, position: Position, message: String) -> Finding {
    Finding {
        rule: rule.id,
        severity: rule.severity,
        code: None,
        message,
        hint: None,
        place: Place { position, object: None, path: String::new() },
        related: Vec::new(),
        targets: Vec::new(),
        fixes: Vec::new(),
    }
}

/// What keeps files from being read, as findings.
pub(super) fn of_problems(state: &FleetState) -> impl Iterator<Item = Finding> {
    state.problems.iter().map(of_problem)
}

fn of_problem(problem: &Problem) -> Finding {
    let whole = || Position { file: FLEET_FILE.into(), line: 1, column: 1 };
    let position = problem.position.clone().unwrap_or_else(whole);
    // A name with a slash is a folder, not a target.
    let names = problem.targets.iter().filter(|name| !name.contains('/'));
    let targets = names.map(|name| if &**name == "mesh" { Target::Mesh } else { Target::Cluster(name.clone()) });
    let mut targets: Vec<Target> = targets.collect();
    targets.sort();
    Finding { hint: problem.hint.clone(), targets, ..finding(&FLEET, position, problem.message.clone()) }
}
