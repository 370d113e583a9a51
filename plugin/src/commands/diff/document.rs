//! The comparison as one document for machines.

use super::comparison::Comparison;
use crate::commands::lint::{Introduced, Item};
use crate::commands::route::test::document::TrafficChanges;
use crate::error::CommandError;
use crate::output::{self, Document};
use asm_shared::diff::{ObjectChange, TargetCounts, UnknownObject};
use asm_shared::fleet::Target;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What differs between two states of the fleet, or between Git and what runs.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FleetDiff<'a> {
    /// What the left side is: a commit, or `live`.
    before: &'a str,
    /// What the right side is.
    after: &'a str,
    /// How many objects of each target are concerned.
    targets: &'a [TargetCounts],
    /// The changes, in order of targets, kind, namespace, name.
    changes: &'a [ObjectChange],
    /// Targets that are no longer in fleet.yaml.
    left: Vec<&'a str>,
    /// Objects about which nothing can be said, because one side of them cannot be read.
    unknown: &'a [UnknownObject],
    /// Targets that could not be read, with --live.
    unreachable: Vec<Unreachable<'a>>,
    /// What lint finds in the change, of warning and above; between two states of Git only.
    #[serde(skip_serializing_if = "Option::is_none")]
    lint: Option<Lint<'a>>,
    /// What comes of the requests of both sides' route tests; between two states of Git only, and where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<TrafficChanges<'a>>,
}

impl Document for FleetDiff<'_> {
    const KIND: &'static str = "FleetDiff";
}

/// A target that could not be read.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Unreachable<'a> {
    /// `mesh` or a cluster's name.
    target: &'a str,
    /// Its kubeconfig context.
    context: &'a str,
    /// Why.
    error: String,
}

/// What a change brings in of what lint finds.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Lint<'a> {
    /// Errors that the left side does not have.
    new_errors: usize,
    /// Warnings that the left side does not have.
    new_warnings: usize,
    /// Findings that only the left side has.
    fixed: usize,
    /// Findings that both sides have.
    unchanged: usize,
    /// Those that are new, as `kubectl asm lint -o json` has them.
    findings: Vec<Item<'a>>,
}

impl<'a> Lint<'a> {
    fn of(lint: &'a Introduced) -> Self {
        let counts = lint.counts();
        Self {
            new_errors: counts.errors,
            new_warnings: counts.warnings,
            fixed: counts.fixed,
            unchanged: counts.unchanged,
            findings: lint.items(),
        }
    }
}

/// The document.
pub(super) fn of(comparison: &Comparison) -> Result<Value, CommandError> {
    let unreachable = comparison.unreached.iter().map(|unreached| Unreachable {
        target: unreached.name.target.name(),
        context: &unreached.name.kube_context,
        error: unreached.error.to_string(),
    });
    let diff = &comparison.diff;
    output::of(&FleetDiff {
        before: &comparison.before,
        after: &comparison.after,
        targets: &diff.targets,
        changes: &diff.changes,
        left: diff.left.iter().map(Target::name).collect(),
        unknown: &diff.unknown,
        unreachable: unreachable.collect(),
        lint: comparison.lint.as_ref().map(Lint::of),
        traffic: comparison.traffic.as_ref().map(|traffic| TrafficChanges::of(traffic.changed())),
    })
}
