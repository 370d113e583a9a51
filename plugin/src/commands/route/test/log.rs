//! An access log: what would come of the requests that were really made.

use super::document::TrafficChanges;
use super::sources::Scene;
use super::{Format, changes};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Document, OutputFormat};
use asm_shared::fleet::RouteTestRequest;
use asm_shared::route_test::access_log::{self, Logged};
use asm_shared::route_test::{Case, Changed, Effect, Simulator, To, compare};
use asm_shared::text::printable;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// Requests told one by one.
const TOLD: usize = 20;

/// What would come of the requests of an access log.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessLogReport<'a> {
    /// Lines of the log.
    lines: usize,
    /// Lines that are no HTTP request, or were not understood.
    skipped: usize,
    /// Requests that differ from each other.
    requests: usize,
    /// How many lines come to which outcome.
    outcomes: BTreeMap<&'a str, usize>,
    /// Requests that nobody answers, or not always, the most frequent first.
    failing: Vec<LoggedRequest<'a>>,
    /// Requests that go elsewhere than they went then, the most frequent first.
    moved: Vec<LoggedRequest<'a>>,
    /// What comes out differently than in another revision; with --base only.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<TrafficChanges<'a>>,
}

impl Document for AccessLogReport<'_> {
    const KIND: &'static str = "AccessLogReport";
}

/// A request of the log.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LoggedRequest<'a> {
    /// The request.
    request: &'a RouteTestRequest,
    /// Lines that have it.
    lines: usize,
    /// What would come of it.
    told: &'a str,
    /// Where Envoy sent it then.
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<&'a str>,
}

/// A request, how often it was made, and what would come of it.
struct Asked {
    case: Case,
    lines: usize,
    then: Option<String>,
    outcome: String,
    told: String,
    is_answered: bool,
    is_moved: bool,
}

/// Reads the log and asks everything in it.
pub(super) fn run(context: &Context, format: Format, scene: &Scene, path: &Path) -> Result<Exit, CommandError> {
    let Format::Common(format) = format else {
        return Err(CommandError::usage("-o junit is for tests, and an access log holds none")
            .hinted("an access log has: json, yaml, name"));
    };
    let Log { requests: all, skipped, lines } = read(path)?;
    if all.is_empty() {
        return Err(CommandError::input(format!("{}: no line of it is an HTTP request", path.display()))
            .hinted("it should be the access log of a gateway: Istio's default text format, or JSON lines"));
    }
    let cases: Vec<Case> = all.iter().map(|(logged, _)| Case::asked(logged.request.clone())).collect();
    let asked = ask(scene, &cases, &all);
    let changed = scene.before.as_ref().map(|(label, before)| (label, compare(before, &scene.state, &cases)));
    let report = report(&asked, lines, skipped, changed.as_ref().map(|(_, changed)| changed));
    let ui = context.ui();
    match format {
        // `name` is not offered: cases are no resources.
        OutputFormat::Human | OutputFormat::Wide | OutputFormat::Name => {
            ui.data(&page(&report));
            if let Some((label, changed)) = &changed {
                ui.data(&format!("\nSince {}: {}\n", printable(label), changes::summary(changed)));
                changes::lines(changed, TOLD).iter().for_each(|line| ui.line(line));
            }
        }
        OutputFormat::Json | OutputFormat::Yaml => output::print(ui, format, &output::of(&report)?)?,
    }
    let is_clean = report.failing.is_empty() && changed.is_none_or(|(_, changed)| changed.changes.is_empty());
    Ok(if is_clean { Exit::Clean } else { Exit::Findings })
}

/// What stands in a log.
struct Log {
    /// Requests with the number of their lines.
    requests: Vec<(Logged, usize)>,
    skipped: usize,
    lines: usize,
}

fn read(path: &Path) -> Result<Log, CommandError> {
    let failed =
        |error: &std::io::Error| CommandError::input(format!("cannot read {}", path.display())).caused_by(error);
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let (mut found, mut skipped, mut lines): (BTreeMap<String, (Logged, usize)>, _, _) = (BTreeMap::new(), 0, 0);
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| failed(&error))?;
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        lines += 1;
        match access_log::read(&text) {
            Some(logged) => {
                let key = format!("{:?} {:?}", logged.request, logged.cluster);
                found.entry(key).or_insert((logged, 0)).1 += 1;
            }
            None => skipped += 1,
        }
    }
    Ok(Log { requests: found.into_values().collect(), skipped, lines })
}

fn ask(scene: &Scene, cases: &[Case], all: &[(Logged, usize)]) -> Vec<Asked> {
    let simulator = Simulator::of(&scene.state, cases);
    let pairs = cases.iter().zip(all);
    let mut asked: Vec<Asked> = pairs
        .map(|(case, (logged, lines))| {
            let answers = simulator.ask(case, false);
            let first = answers.as_ref().ok().and_then(|all| all.first());
            let effect = first.map(|answered| &answered.seen.effect);
            let told = match (&answers, effect) {
                (Err(error), _) => error.to_string(),
                (_, effect) => effect.map(|effect| effect.told()).unwrap_or_default(),
            };
            let to = effect.map(|effect| &effect.destinations[..]).unwrap_or_default();
            let is_moved = logged.cluster.as_ref().is_some_and(|then| {
                then.starts_with("outbound|") && !to.iter().any(|to| cluster(to) == then.trim_end_matches(';'))
            });
            Asked {
                case: case.clone(),
                lines: *lines,
                then: logged.cluster.clone(),
                outcome: effect.map_or("none", |effect| effect.outcome.as_str()).to_owned(),
                told,
                is_answered: effect.is_some_and(Effect::is_answered),
                is_moved,
            }
        })
        .collect();
    asked.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.case.request.url.cmp(&b.case.request.url)));
    asked
}

/// As Envoy calls it.
fn cluster(to: &To) -> String {
    format!("outbound|{}|{}|{}", to.port, to.subset.as_deref().unwrap_or_default(), to.host)
}

fn report<'a>(asked: &'a [Asked], lines: usize, skipped: usize, changed: Option<&'a Changed>) -> AccessLogReport<'a> {
    let mut outcomes = BTreeMap::new();
    for it in asked {
        *outcomes.entry(it.outcome.as_str()).or_default() += it.lines;
    }
    let told = |it: &'a Asked| LoggedRequest {
        request: &it.case.request,
        lines: it.lines,
        told: &it.told,
        then: it.then.as_deref(),
    };
    AccessLogReport {
        lines,
        skipped,
        requests: asked.len(),
        outcomes,
        failing: asked.iter().filter(|it| !it.is_answered).map(told).collect(),
        moved: asked.iter().filter(|it| it.is_answered && it.is_moved).map(told).collect(),
        base: changed.map(TrafficChanges::of),
    }
}

fn page(report: &AccessLogReport<'_>) -> String {
    let lines = if report.lines == 1 { "line" } else { "lines" };
    let requests = if report.requests == 1 { "request" } else { "requests" };
    let mut text = format!("{} {lines}, {} different {requests}", report.lines, report.requests);
    match report.skipped {
        0 => {}
        1 => text.push_str("; 1 line is no HTTP request"),
        more => text.push_str(&format!("; {more} lines are no HTTP requests")),
    }
    text.push('\n');
    for (outcome, lines) in &report.outcomes {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(text, "  {lines:>8}  {outcome}");
    }
    for (title, list) in [("Nobody answers:", &report.failing), ("Goes elsewhere than it went then:", &report.moved)] {
        if list.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{title}");
        for it in list.iter().take(TOLD) {
            let method = it.request.method.as_deref().unwrap_or("GET");
            let _ = writeln!(text, "  {:>8}  {method} {}", it.lines, printable(&it.request.url));
            let then = it.then.map(|then| format!("; then {}", printable(then))).unwrap_or_default();
            let _ = writeln!(text, "            → {}{then}", printable(it.told));
        }
        let more = list.len().saturating_sub(TOLD);
        if more > 0 {
            let _ = writeln!(text, "  and {more} more: -o json has all");
        }
    }
    text
}
