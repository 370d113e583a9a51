//! The page for people: a function of the FleetSync and the time.

use super::{is_current, is_well};
use crate::live::host::resource_name;
use crate::live::report::{age, condition, short};
use crate::ui::Table;
use asm_shared::api::{DriftMode, FleetSync, FleetSyncStatus, HeldChange, SyncProblem, TargetStatus, labels};
use asm_shared::object::redact_text;
use asm_shared::text::printable;
use jiff::Timestamp;
use kube::ResourceExt as _;
use std::fmt::Write as _;

/// Characters of a message in a table.
const MESSAGE: usize = 60;

/// The whole page.
pub(super) fn of(sync: &FleetSync, now: Timestamp, wide: bool) -> String {
    let mut text = String::new();
    // Writing to a string does not fail, here and below.
    let _ = writeln!(text, "{} in {}", resource_name(sync), sync.namespace().unwrap_or_default());
    facts(&mut text, sync, now, wide);
    let Some(status) = &sync.status else { return text };
    if !status.targets.is_empty() {
        text.push('\n');
        text.push_str(&targets(&status.targets, wide).render(false));
    }
    problems(&mut text, status);
    held(&mut text, status);
    lint(&mut text, status);
    text
}

/// What to do next, if there is something to do.
pub(super) fn next_step(sync: &FleetSync) -> Option<String> {
    let name = sync.name_any();
    let namespace = match sync.namespace() {
        Some(namespace) if namespace != crate::live::host::DEFAULT_NAMESPACE => format!(" -n {namespace}"),
        _ => String::new(),
    };
    let Some(status) = &sync.status else {
        return Some(format!("no agent has looked at {name} yet: is asm-agent running? kubectl get pods{namespace}"));
    };
    if sync.spec.suspend {
        return Some(format!("applying is suspended; go on with: kubectl asm resume {name}{namespace}"));
    }
    if status.held_back > 0 {
        return Some("write the approval file above, commit it, and the agent goes on".to_owned());
    }
    if status.problem_count > 0 {
        return Some("correct the files above and commit; check them first with: kubectl asm lint".to_owned());
    }
    if status.held_by_lint > 0 {
        return Some(
            "mend what lint holds back and commit; the same findings, with their lines: kubectl asm lint".to_owned(),
        );
    }
    if status.drifted > 0 {
        return Some(format!("see which fields, who and when: kubectl asm drift {name}{namespace}"));
    }
    (!is_well(sync)).then(|| format!("ask the agent to try again now: kubectl asm sync {name}{namespace}"))
}

fn facts(text: &mut String, sync: &FleetSync, now: Timestamp, wide: bool) {
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:10} {value}");
    };
    let source = &sync.spec.source;
    let path = if source.path.is_empty() { String::new() } else { format!(", folder {}", source.path) };
    line("Source", &redact_text(&format!("{} ({}{path})", source.url, source.branch)));
    let Some(status) = &sync.status else {
        line("Ready", "Unknown: no agent has reported yet");
        return;
    };
    if let Some(source) = &status.source {
        let revision =
            source.revision.as_deref().map_or("none", |revision| if wide { revision } else { short(revision) });
        let subject = source.subject.as_deref().map(|subject| format!("  {}", printable(subject))).unwrap_or_default();
        line("Revision", &format!("{revision}{subject}"));
        let author = source.author.as_deref().map(printable).unwrap_or_default();
        let seen = source.seen_at.as_ref().map(|time| format!("seen {} ago", age(time.0, now))).unwrap_or_default();
        let parts: Vec<String> = [author, seen].into_iter().filter(|part| !part.is_empty()).collect();
        if !parts.is_empty() {
            line("", &parts.join(", "));
        }
        if let Some(signer) = &source.signed_by {
            line("Signed by", &printable(signer));
        }
        // Said only when it is another place than the one above.
        if let Some(url) = source.url.as_deref().filter(|url| wide || *url != sync.spec.source.url) {
            let mirror = if *url == sync.spec.source.url { "" } else { " (a mirror)" };
            line("Fetched", &redact_text(&format!("from {}{mirror}", printable(url))));
        }
    }
    let mode = match sync.spec.drift {
        DriftMode::Report => "reported",
        DriftMode::Correct => "corrected",
    };
    let prune = &sync.spec.prune;
    let prune = if prune.enabled {
        format!("at most {} objects and {} % per target and commit", prune.max_count, prune.max_percent)
    } else {
        "off".to_owned()
    };
    if wide {
        line("Drift", mode);
        line("Prune", &prune);
    }
    match condition(&status.conditions, labels::READY) {
        Some(ready) if ready.status == "True" => line("Ready", &format!("True: {}", printable(&ready.message))),
        Some(ready) => line("Ready", &format!("{} ({}): {}", ready.status, ready.reason, printable(&ready.message))),
        None => line("Ready", "Unknown"),
    }
    if !is_current(sync, status) {
        line("", "this is about an older spec; the agent has not looked at the newest one yet");
    }
    if status.frozen > 0 {
        let fields = if status.frozen == 1 { "field is" } else { "fields are" };
        line(
            "Frozen",
            &format!("{} {fields} left alone by fleet.yaml; which and why: kubectl asm drift", status.frozen),
        );
    }
    if sync.spec.suspend {
        line("Suspended", "nothing is applied, drift is still reported");
    }
    if wide {
        for kind in [
            labels::SOURCE_READY,
            labels::FLEET_VALID,
            labels::SYNCED,
            labels::HEALTHY,
            labels::DRIFTED,
            labels::HELD_BACK,
        ] {
            if let Some(found) = condition(&status.conditions, kind) {
                line("", &format!("{kind} {} ({}): {}", found.status, found.reason, printable(&found.message)));
            }
        }
    }
}

fn targets(targets: &[TargetStatus], wide: bool) -> Table {
    let mut headers = vec!["Target", "Ready", "Revision", "Objects", "Drifted", "Held"];
    if wide {
        headers.extend(["Unhealthy", "Problems"]);
    }
    headers.push("Message");
    let mut table = Table::new(headers);
    for target in targets {
        let ready = condition(&target.conditions, labels::READY);
        let revision = target.revision.as_deref().unwrap_or_default();
        let mut row = vec![
            target.name.clone(),
            ready.map_or_else(|| "Unknown".to_owned(), |ready| ready.status.clone()),
            if wide { revision.to_owned() } else { short(revision).to_owned() },
            target.objects.to_string(),
            target.drifted.to_string(),
            (target.held_back + target.held_by_lint).to_string(),
        ];
        if wide {
            row.extend([target.unhealthy.to_string(), target.problem_count.to_string()]);
        }
        let message = ready.map(|ready| printable(&ready.message)).unwrap_or_default();
        row.push(if wide { message } else { cut(&message, MESSAGE) });
        table.row(row);
    }
    table
}

fn problems(text: &mut String, status: &FleetSyncStatus) {
    let count = status.problem_count + status.targets.iter().map(|target| target.problem_count).sum::<u32>();
    if count == 0 {
        return;
    }
    let _ = writeln!(text, "\nProblems ({count})");
    let mut shown = 0;
    let mut one = |prefix: &str, problem: &SyncProblem| {
        let _ = writeln!(text, "  {prefix}{}: {}", printable(&problem.at), printable(&problem.message));
        shown += 1;
    };
    status.problems.iter().for_each(|problem| one("", problem));
    for target in &status.targets {
        target.problems.iter().for_each(|problem| one(&format!("{} ", target.name), problem));
    }
    if count > shown {
        let _ = writeln!(text, "  … and {} more", count - shown);
    }
}

fn held(text: &mut String, status: &FleetSyncStatus) {
    if status.held_back == 0 {
        return;
    }
    let _ = writeln!(text, "\nHeld back until approved in Git ({})", status.held_back);
    let mut shown = 0;
    for target in &status.targets {
        for change in &target.held {
            one_held(text, &target.name, change);
            shown += 1;
        }
    }
    if status.held_back > shown {
        let _ = writeln!(text, "  … and {} more", status.held_back - shown);
    }
}

fn lint(text: &mut String, status: &FleetSyncStatus) {
    if status.held_by_lint == 0 {
        return;
    }
    let _ = writeln!(text, "\nHeld back by lint until mended in Git ({})", status.held_by_lint);
    let mut shown = 0;
    for target in &status.targets {
        for held in &target.lint {
            let (at, message) = (printable(&held.at), printable(&held.message));
            let _ = writeln!(text, "  {} {at}: {message} ({})", target.name, printable(&held.rule));
            shown += 1;
        }
    }
    if status.held_by_lint > shown {
        let _ = writeln!(text, "  … and {} more", status.held_by_lint - shown);
    }
}

fn one_held(text: &mut String, target: &str, held: &HeldChange) {
    let kind = held.kind.split('.').next().unwrap_or_default();
    let namespace = held.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let lost = match held.addresses.as_slice() {
        [] => "it has no address".to_owned(),
        addresses => format!("would lose {}", addresses.join(", ")),
    };
    let _ = writeln!(text, "  {target}: {} {kind} {namespace}{}, {lost}", held.action, held.name);
    let _ = writeln!(text, "    {}", printable(&held.message));
    let Some((path, content)) = asm_shared::plan::approval_file(target, held) else { return };
    let _ = writeln!(text, "    To agree, commit {path}:");
    for line in content.lines() {
        let _ = writeln!(text, "      {line}");
    }
}

fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let start: String = text.chars().take(length - 1).collect();
    format!("{}…", start.trim_end())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
