//! `diff` with everything that it says of a change: lint and route tests of both sides, in a fleet that has gateways.

use super::{Case, commit_all, lint, measure};
use anyhow::Result;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Files of routes that differ; as many others do not.
const CHANGED: usize = 1_000;
/// Requests that are asked of both sides.
const REQUESTS: usize = 200;

pub(super) const CASE: Case = Case {
    what: "`diff` of 1,000 changed routes of a gateway, with `Lint:` and `Routes:` (2,000 files, 2 clusters, 200 route tests)",
    goal: "≤ 1 s",
    args: &["diff"],
    code: 1,
};

/// Times in order.
pub(super) fn times(program: &Path, runs: u32) -> Result<Vec<Duration>> {
    let fleet = lint::fleet(program, 2 * CHANGED, 2)?;
    std::fs::create_dir_all(fleet.path().join("tests"))?;
    std::fs::write(fleet.path().join("tests/shop.yaml"), tests()?)?;
    commit_all(fleet.path())?;
    for number in 0..CHANGED {
        let file = fleet.path().join(format!("mesh/routes/app-{number}.yaml"));
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(file, text.replace("{prefix: /v1}", "{prefix: /v2}"))?;
    }
    measure(program, fleet.path(), &CASE, runs)
}

fn tests() -> Result<String> {
    let mut text =
        String::from("apiVersion: kubectl-asm.io/v1alpha1\nkind: RouteTest\nmetadata: {name: shop}\nspec:\n  cases:\n");
    for number in 0..REQUESTS {
        let request = format!("{{url: 'http://app-{number}.example.com/v1'}}");
        writeln!(text, "    - {{name: app-{number}, request: {request}, expect: {{outcome: forward}}}}")?;
    }
    Ok(text)
}
