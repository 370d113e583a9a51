//! The answers as one document for machines.

use super::report::{Item, Report};
use crate::error::CommandError;
use crate::output::{self, Document};
use asm_shared::fleet::{Position, RouteTestExpectation, RouteTestRequest};
use asm_shared::route_test::{Answered, Change, Changed, Mismatch, Seen, Step};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What comes of requests.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RouteTestReport<'a> {
    /// Counts.
    summary: Summary,
    /// The requests, in the order of the tests.
    cases: Vec<CaseResult<'a>>,
    /// What comes out differently than in another revision; with --base only.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<Base<'a>>,
}

impl Document for RouteTestReport<'_> {
    const KIND: &'static str = "RouteTestReport";
}

/// Counts of requests.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// Requests.
    cases: usize,
    /// Those that are as expected.
    passed: usize,
    /// Those that are not.
    failed: usize,
    /// Those whose outcome depends on which object is older, which Git does not say.
    depend_on_order: usize,
}

/// A request and what comes of it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CaseResult<'a> {
    /// The RouteTest; left out for requests from elsewhere.
    #[serde(skip_serializing_if = "str::is_empty")]
    test: &'a str,
    /// Name of the case.
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    /// Where it stands.
    #[serde(flatten)]
    position: Option<&'a Position>,
    /// The request.
    request: &'a RouteTestRequest,
    /// What must come of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<&'a RouteTestExpectation>,
    /// Is it as expected? Of a request without an expectation: is it answered, and always in the same way?
    passed: bool,
    /// Why it could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What each gateway does with it.
    answers: Vec<GatewayAnswer<'a>>,
}

/// What a gateway does with a request.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GatewayAnswer<'a> {
    /// Name of the gateway.
    gateway: &'a str,
    /// What comes of it.
    #[serde(flatten)]
    seen: &'a Seen,
    /// What is not as expected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mismatches: Vec<&'a Mismatch>,
    /// The way of the request, up to the first step that fails; of a single request and of cases that fail.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    steps: &'a [Step],
    /// Objects that may change it and are not simulated.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    not_simulated: &'a [String],
}

/// The comparison with another revision.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Base<'a> {
    /// The revision.
    revision: &'a str,
    /// What differs.
    #[serde(flatten)]
    traffic: TrafficChanges<'a>,
}

/// Requests that come out differently.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrafficChanges<'a> {
    /// Requests that were asked of both sides.
    asked: usize,
    /// Those that come out differently.
    changed: usize,
    /// Those that are not as their test expects on the right side.
    failing: usize,
    /// What differs, per request and gateway.
    changes: Vec<TrafficChange<'a>>,
}

/// A request that comes out differently at a gateway.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TrafficChange<'a> {
    /// The request.
    request: &'a RouteTestRequest,
    /// The gateway.
    gateway: &'a str,
    /// What came of it; left out when the gateway did not know the host, or was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a Seen>,
    /// What comes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a Seen>,
}

impl<'a> TrafficChanges<'a> {
    pub(crate) fn of(changed: &'a Changed) -> Self {
        let change = |change: &'a Change| TrafficChange {
            request: &change.case.request,
            gateway: &change.gateway,
            before: change.before.as_ref(),
            after: change.after.as_ref(),
        };
        Self {
            asked: changed.asked,
            changed: changed.requests,
            failing: changed.failing,
            changes: changed.changes.iter().map(change).collect(),
        }
    }
}

/// The document.
pub(super) fn of(report: &Report) -> Result<Value, CommandError> {
    let (passed, failed) = report.counts();
    let depends = |item: &&Item| {
        item.answers.as_ref().is_ok_and(|all| all.iter().any(|(answered, _)| !answered.seen.alternatives.is_empty()))
    };
    let base = |(label, changed)| Base { revision: label, traffic: TrafficChanges::of(changed) };
    output::of(&RouteTestReport {
        summary: Summary {
            cases: report.items.len(),
            passed,
            failed,
            depend_on_order: report.items.iter().filter(depends).count(),
        },
        cases: report.items.iter().map(case).collect(),
        base: report.since.as_ref().map(|(label, changed)| base((label.as_str(), changed))),
    })
}

fn case(item: &Item) -> CaseResult<'_> {
    CaseResult {
        test: &item.case.test,
        name: &item.case.name,
        position: item.case.position.as_ref(),
        request: &item.case.request,
        expect: item.case.expect.as_ref(),
        passed: item.is_ok(),
        error: item.answers.as_ref().err().map(ToString::to_string),
        answers: item.answers.iter().flatten().map(|(answered, found)| answer(answered, found)).collect(),
    }
}

fn answer<'a>(answered: &'a Answered, found: &'a [Mismatch]) -> GatewayAnswer<'a> {
    GatewayAnswer {
        gateway: &answered.gateway,
        seen: &answered.seen,
        mismatches: found.iter().collect(),
        steps: &answered.steps,
        not_simulated: &answered.beyond,
    }
}
