//! The answers for people.

use super::changes;
use super::report::{Item, Report};
use crate::ui::Table;
use anstyle::{AnsiColor, Style};
use asm_shared::fleet::Position;
use asm_shared::route_test::{Answered, Effect, Mismatch, Seen, To};
use asm_shared::text::{printable, wrapped};
use std::fmt::Write as _;

const WIDTH: usize = 100;
/// Where what is said of a step begins.
const INDENT: usize = 19;

/// Styles of the page; none where colour is off.
pub(super) struct Styles {
    good: Style,
    bad: Style,
    warn: Style,
    quiet: Style,
}

impl Styles {
    pub(super) fn new(color: bool) -> Self {
        let none = Style::new();
        if !color {
            return Self { good: none, bad: none, warn: none, quiet: none };
        }
        Self {
            good: AnsiColor::Green.on_default(),
            bad: AnsiColor::Red.on_default(),
            warn: AnsiColor::Yellow.on_default().bold(),
            quiet: none.dimmed(),
        }
    }
}

/// The whole page.
pub(super) fn page(report: &Report, color: bool) -> String {
    let styles = Styles::new(color);
    let mut text = String::new();
    for item in &report.items {
        if report.is_single {
            single(&mut text, item, &styles);
        } else {
            case(&mut text, item, &styles);
        }
    }
    if let Some((label, changed)) = &report.since {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(text, "\nSince {}: {}", printable(label), changes::summary(changed));
        changes::lines(changed, usize::MAX).iter().for_each(|line| {
            let _ = writeln!(text, "{line}");
        });
    }
    if !report.is_single {
        let _ = writeln!(text, "\n{}", summary(report));
    }
    text
}

/// `12 requests: 11 as expected, 1 not`.
pub(super) fn summary(report: &Report) -> String {
    let (right, wrong) = report.counts();
    let requests = match report.items.len() {
        1 => "1 request".to_owned(),
        more => format!("{more} requests"),
    };
    if wrong == 0 {
        format!("{requests}: all as expected")
    } else {
        format!("{requests}: {right} as expected, {wrong} not")
    }
}

/// One request with all its steps.
fn single(text: &mut String, item: &Item, styles: &Styles) {
    let _ = writeln!(text, "{}", printable(&item.case.told()));
    item.answers.iter().flatten().for_each(|(answered, _)| followed(text, answered, styles));
}

/// What one gateway does, step by step.
fn followed(text: &mut String, answered: &Answered, styles: &Styles) {
    let _ = writeln!(text, "\nAt {}{}", printable(&answered.gateway), through(&answered.seen));
    for step in &answered.steps {
        let (mark, style) = if step.passed { ("ok", styles.good) } else { ("!!", styles.bad) };
        for (number, line) in wrapped(&printable(&step.text), WIDTH - INDENT).iter().enumerate() {
            let _ = if number == 0 {
                writeln!(text, "  {style}{mark}{style:#} {:<13} {line}", step.stage)
            } else {
                writeln!(text, "{:INDENT$}{line}", "")
            };
        }
        let quiet = styles.quiet;
        for place in &step.places {
            let _ = writeln!(text, "{:INDENT$}{quiet}{}{quiet:#}", "", told(place));
        }
        for line in step.fix.iter().flat_map(|fix| wrapped(&format!("help: {}", printable(fix)), WIDTH - INDENT)) {
            let _ = writeln!(text, "{:INDENT$}{line}", "");
        }
    }
    outcome(text, &answered.seen, styles);
    for object in &answered.beyond {
        let _ = writeln!(text, "  {}not simulated:{:#} {} may change it", styles.warn, styles.warn, printable(object));
    }
}

/// `mesh/routes.yaml:12`.
fn told(place: &Position) -> String {
    format!("{}:{}", printable(&place.file), place.line)
}

/// ` (istio-edge in m1c1, m1c2)`.
fn through(seen: &Seen) -> String {
    let doors: Vec<String> = seen.through.iter().map(ToString::to_string).collect();
    if doors.is_empty() { String::new() } else { format!(" through {}", printable(&doors.join(", "))) }
}

fn outcome(text: &mut String, seen: &Seen, styles: &Styles) {
    let style = if seen.effect.is_answered() { styles.good } else { styles.bad };
    let _ = writeln!(text, "  {style}→{style:#} {}", printable(&seen.effect.told()));
    details(text, &seen.effect);
    if let Some(rule) = &seen.rule {
        let name = if rule.name.is_empty() { String::new() } else { format!(" rule {}", printable(&rule.name)) };
        let service = printable(&rule.virtual_service);
        let _ = writeln!(text, "    by VirtualService {service}{name}   {}", told(&rule.position));
    }
    for other in &seen.elsewhere {
        let (warn, through) = (styles.warn, other.through.iter().map(ToString::to_string).collect::<Vec<_>>());
        let _ = writeln!(text, "  {warn}but{warn:#} {}", printable(&other.effect.told()));
        details(text, &other.effect);
        let _ = writeln!(text, "    through {}", printable(&through.join(", ")));
    }
    for other in &seen.alternatives {
        let warn = styles.warn;
        let _ = writeln!(text, "  {warn}or{warn:#} {}", printable(&other.effect.told()));
        let others: Vec<String> = other.others.iter().map(|name| printable(name)).collect();
        let (oldest, rivals) = (printable(&other.oldest), others.join(", "));
        let _ = writeln!(text, "    if {oldest} ({}) is older than {rivals}: Git does not say", told(&other.position));
    }
}

fn details(text: &mut String, effect: &Effect) {
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "    {what:<10} {}", printable(value));
    };
    if matches!(effect.outcome.as_str(), "forward") {
        line(
            "seen as",
            &format!("{}{}", effect.host.as_deref().unwrap_or_default(), effect.path.as_deref().unwrap_or_default()),
        );
    }
    for to in effect.destinations.iter().filter(|to| !to.pods.is_empty()) {
        line("pods", &format!("{}: {}", to.name(), pods(to)));
        if !to.locality.is_empty() {
            line("locality", &format!("{}: {}", to.name(), localities(to)));
        }
    }
    if let Some(timeout) = &effect.timeout {
        line("timeout", timeout);
    }
    for (what, headers) in [("request", &effect.request_headers), ("response", &effect.response_headers)] {
        headers.iter().for_each(|(name, value)| line(what, &format!("{name}: {value}")));
    }
}

/// `m1c1 2, m1c2 1`.
fn pods(to: &To) -> String {
    to.pods.iter().map(|(cluster, count)| format!("{cluster} {count}")).collect::<Vec<_>>().join(", ")
}

/// `80 % to m1c1, 20 % to m1c2`.
fn localities(to: &To) -> String {
    let shares: Vec<String> =
        to.locality.iter().map(|(cluster, percent)| format!("{percent} % to {cluster}")).collect();
    shares.join(", ")
}

/// One test case: a line, and what is wrong with it.
fn case(text: &mut String, item: &Item, styles: &Styles) {
    let (mark, style) = if item.is_ok() { ("ok  ", styles.good) } else { ("FAIL", styles.bad) };
    let _ = write!(text, "{style}{mark}{style:#}  {}", printable(&item.name()));
    if item.is_ok() {
        let came =
            item.answers.as_ref().ok().and_then(|all| all.first()).map(|(answered, _)| answered.seen.effect.told());
        let _ = writeln!(text, "  {}→ {}{:#}", styles.quiet, printable(&came.unwrap_or_default()), styles.quiet);
        return;
    }
    let place = item.case.position.as_ref().map(|place| format!("   {}", told(place))).unwrap_or_default();
    let _ = writeln!(text, "{place}\n      {}", printable(&item.case.told()));
    match &item.answers {
        Err(error) => {
            let _ = writeln!(text, "      {}\n      help: {}", printable(&error.message), printable(&error.hint));
        }
        Ok(answers) => answers.iter().for_each(|(answered, found)| wrong(text, answered, found, item)),
    }
}

fn wrong(text: &mut String, answered: &Answered, found: &[Mismatch], item: &Item) {
    if found.is_empty() && item.case.expect.is_some() {
        return;
    }
    let rule = answered
        .seen
        .rule
        .as_ref()
        .map(|rule| format!(", by {} {}", printable(&rule.virtual_service), told(&rule.position)));
    let _ = writeln!(
        text,
        "      at {}{}: {}",
        printable(&answered.gateway),
        rule.unwrap_or_default(),
        printable(&answered.seen.effect.told())
    );
    for mismatch in found {
        let (field, expected) = (&mismatch.field, printable(&mismatch.expected));
        let _ = writeln!(text, "        {field}: expected {expected}, found {}", printable(&mismatch.found));
    }
    if let Some(step) = answered.steps.iter().find(|step| !step.passed) {
        let place = step.places.first().map(|place| format!("   {}", told(place))).unwrap_or_default();
        let _ = writeln!(text, "        first step that fails: {}: {}{place}", step.stage, printable(&step.text));
        if let Some(fix) = &step.fix {
            let _ = writeln!(text, "        help: {}", printable(fix));
        }
    }
}

/// One row per case and gateway.
pub(super) fn table(report: &Report) -> Table {
    let mut table = Table::new(["Result", "Case", "Request", "Gateway", "Outcome", "Rule", "File"]);
    for item in &report.items {
        let result = if item.is_ok() { "ok" } else { "FAIL" };
        let mut row = |gateway: &str, outcome: &str, rule: String, file: String| {
            table.row(
                [result, &printable(&item.name()), &printable(&item.case.told()), gateway, outcome, &rule, &file]
                    .map(str::to_owned),
            );
        };
        match &item.answers {
            Err(error) => row("", &printable(&error.message), String::new(), String::new()),
            Ok(answers) => answers.iter().for_each(|(answered, _)| {
                let rule = answered.seen.rule.as_ref();
                row(
                    &printable(&answered.gateway),
                    &printable(&answered.seen.effect.told()),
                    rule.map(|rule| printable(&rule.virtual_service)).unwrap_or_default(),
                    rule.map(|rule| told(&rule.position)).unwrap_or_default(),
                );
            }),
        }
    }
    table
}

/// What to do next.
pub(super) fn next_steps(report: &Report) -> Vec<String> {
    let answers = report.items.iter().filter_map(|item| item.answers.as_ref().ok()).flatten();
    let mut rules = answers.filter_map(|(answered, _)| answered.seen.rule.as_ref());
    let (_, wrong) = report.counts();
    if report.is_single {
        let show = |service: &str| {
            let (namespace, name) = service.split_once('/').unwrap_or(("default", service));
            let namespace =
                if namespace == "default" { String::new() } else { format!(" -n {}", printable(namespace)) };
            format!("kubectl asm route show {}{namespace}", printable(name))
        };
        return vec![rules.next().map_or_else(|| "kubectl asm lint".to_owned(), |rule| show(&rule.virtual_service))];
    }
    if wrong > 0 {
        let first = report.items.iter().find(|item| !item.is_ok());
        return first.map(|item| format!("kubectl asm route test {}", quoted(item))).into_iter().collect();
    }
    Vec::new()
}

/// The request of a case as a command line has it.
fn quoted(item: &Item) -> String {
    let request = &item.case.request;
    let mut words = vec![request.url.clone()];
    words.extend(request.method.iter().map(|method| format!("-X {method}")));
    let quote = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    words.extend(request.headers.iter().map(|(name, value)| format!("-H {}", quote(&format!("{name}: {value}")))));
    let from = match (&request.from, &request.cluster) {
        (Some(workload), Some(cluster)) => Some(format!("{workload}@{cluster}")),
        (workload, cluster) => workload.clone().or_else(|| cluster.clone()),
    };
    for (flag, value) in
        [("gateway", &request.gateway), ("address", &request.address), ("clb", &request.service), ("from", &from)]
    {
        words.extend(value.iter().map(|value| format!("--{flag} {value}")));
    }
    if words[0].chars().any(|c| !(c.is_ascii_alphanumeric() || "-_./:%".contains(c))) {
        words[0] = quote(&words[0]);
    }
    printable(&words.join(" "))
}
