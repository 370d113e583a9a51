//! `--once`: one commit of one FleetSync, for CI and for trying things out.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::FleetSyncStatus;

use super::agent::{Parts, with_claim};
use super::{Ending, Failure, failure};
use crate::context::FleetContext;
use crate::fleet::{self, Outcome};

/// Syncs and says how it went.
pub(super) async fn run(parts: Parts, name: &str, timeout: Duration) -> Result<Ending, Failure> {
    let ended = with_claim(parts, |context| sync(context, name, timeout)).await?;
    ended.ok_or_else(|| failure(Ending::NotSynced, format!("FleetSync {name}: ended by a signal before it was synced")))
}

async fn sync(context: FleetContext, name: &str, timeout: Duration) -> Result<Ending, Failure> {
    let started = Instant::now();
    let share = context.shards.subscribe();
    match tokio::time::timeout(timeout, context.wait_for_lead()).await {
        Ok(true) => {}
        Ok(false) => return Err(failure(Ending::NotSynced, format!("FleetSync {name}: ended by a signal"))),
        Err(_) => {
            let holder = share.borrow().leader.clone();
            return Err(if holder.is_empty() {
                failure(Ending::Unreachable, "the Lease asm-agent could not be had; see the log above".to_owned())
            } else {
                let message = format!(
                    "the agent {holder} writes already (Lease asm-agent): leave it to that one, or stop it, or, if it \
                     does not run any more, wait for its Lease to expire"
                );
                failure(Ending::NotSynced, message)
            });
        }
    }
    let left = timeout.saturating_sub(started.elapsed());
    let outcome = fleet::once(context, name, left).await.map_err(|error| explain(name, &error))?;
    let (ending, word, status) = match outcome {
        Outcome::Synced(status) => (Ending::Done, "synced and healthy", status),
        Outcome::NotSynced(status) => (Ending::NotSynced, "not synced", status),
        Outcome::Unreachable(status) => (Ending::Unreachable, "not reachable", status),
    };
    // A closed pipe changes nothing about what was done.
    let _ = std::io::stdout().write_all(describe(name, word, &status).as_bytes());
    Ok(ending)
}

fn explain(name: &str, error: &ClusterError) -> Failure {
    let unreachable = matches!(
        error.kind,
        ErrorKind::Unreachable
            | ErrorKind::Timeout
            | ErrorKind::Server
            | ErrorKind::Throttled(_)
            | ErrorKind::Unauthorized
    );
    let ending = if unreachable { Ending::Unreachable } else { Ending::Usage };
    failure(ending, format!("FleetSync {name}: {}", error.message))
}

/// What a person or a CI log wants to know, a line each.
fn describe(name: &str, word: &str, status: &FleetSyncStatus) -> String {
    let mut text = String::new();
    let source = status.source.clone().unwrap_or_default();
    let revision = source.revision.unwrap_or_else(|| "no commit".to_owned());
    // Writing into a String cannot fail.
    let _ = writeln!(text, "FleetSync {name}: {word} at {revision} {}", source.subject.unwrap_or_default());
    for condition in status.conditions.iter().filter(|condition| condition.type_ != "Ready") {
        let _ =
            writeln!(text, "  {}={} {}: {}", condition.type_, condition.status, condition.reason, condition.message);
    }
    for problem in &status.problems {
        let _ = writeln!(text, "  {}: {}", problem.at, problem.message);
    }
    more(&mut text, status.problem_count, status.problems.len(), "problems");
    for target in &status.targets {
        let _ = writeln!(
            text,
            "  {}: {} objects, {} drifted, {} not healthy, {} held back",
            target.name, target.objects, target.drifted, target.unhealthy, target.held_back
        );
        for held in &target.held {
            let object = format!("{} {}/{}", held.kind, held.namespace.as_deref().unwrap_or_default(), held.name);
            let _ = writeln!(text, "    held back: {} {object}: {}", held.action, held.message);
        }
        more(&mut text, target.held_back, target.held.len(), "held back");
        for held in &target.lint {
            let _ = writeln!(text, "    {}: {} ({})", held.at, held.message, held.rule);
        }
        more(&mut text, target.held_by_lint, target.lint.len(), "held back by lint");
        for problem in &target.problems {
            let _ = writeln!(text, "    {}: {}", problem.at, problem.message);
        }
        more(&mut text, target.problem_count, target.problems.len(), "problems");
    }
    text
}

fn more(text: &mut String, all: u32, shown: usize, what: &str) {
    let hidden = usize::try_from(all).unwrap_or(usize::MAX).saturating_sub(shown);
    if hidden > 0 {
        let _ = writeln!(text, "    and {hidden} more {what}");
    }
}

#[cfg(test)]
mod tests {
    use asm_io::cluster::{ClusterError, ErrorKind};
    use asm_shared::api::{FleetSyncStatus, HeldChange, SourceStatus, SyncProblem, TargetStatus};

    use super::{Ending, describe, explain};

    #[test]
    fn outcome_names_commit_targets_and_what_is_in_the_way() {
        let target = TargetStatus {
            name: "m1c1".to_owned(),
            objects: 12,
            held_back: 3,
            held: vec![HeldChange {
                action: "Delete".to_owned(),
                kind: "Service".to_owned(),
                namespace: Some("shop".to_owned()),
                name: "ingress".to_owned(),
                uid: "u".to_owned(),
                addresses: vec!["47.0.0.1".to_owned()],
                message: "47.0.0.1 would be lost".to_owned(),
            }],
            ..TargetStatus::default()
        };
        let status = FleetSyncStatus {
            source: Some(SourceStatus {
                revision: Some("abc123".to_owned()),
                subject: Some("Remove ingress".to_owned()),
                ..SourceStatus::default()
            }),
            targets: vec![target],
            problems: vec![SyncProblem { at: "mesh/a.yaml:3:1".to_owned(), message: "is no object".to_owned() }],
            problem_count: 1,
            ..FleetSyncStatus::default()
        };
        assert_eq!(
            describe("fleet", "not synced", &status),
            "FleetSync fleet: not synced at abc123 Remove ingress\n\
             \x20 mesh/a.yaml:3:1: is no object\n\
             \x20 m1c1: 12 objects, 0 drifted, 0 not healthy, 3 held back\n\
             \x20   held back: Delete Service shop/ingress: 47.0.0.1 would be lost\n\
             \x20   and 2 more held back\n"
        );
    }

    #[test]
    fn a_missing_fleetsync_is_input_and_a_silent_server_is_not() {
        let ending = |kind| explain("fleet", &ClusterError::new(kind, "why")).ending;
        assert_eq!(ending(ErrorKind::NotFound), Ending::Usage);
        assert_eq!(ending(ErrorKind::Unreachable), Ending::Unreachable);
    }
}
