//! All fleets; and one fleet at a glance: what needs people, its targets, what happened last.

use super::Look;
use super::layout::object;
use super::parts::{State, condition, elsewhere, link, link_with, number, pill, short, text, time, unlisted, wide};
use crate::web::history::Kind;
use crate::web::views::{Board, FleetView, TargetView};
use asm_shared::api::{Change, DriftedObject, TargetStatus};
use maud::{Markup, html};

/// Things of one kind that need people, told one by one.
const TOLD: usize = 5;
/// Entries of the history.
const LATELY: usize = 8;

/// All FleetSyncs of the namespace.
pub(super) fn index(board: &Board) -> Markup {
    html! {
        section.card #fleets data-part aria-labelledby="fleets-title" {
            h1 #fleets-title { "Fleets" }
            @if board.fleets.is_empty() {
                p { "The agent follows no FleetSync yet. " code { "kubectl -n asm-system get fleetsyncs" } " says which there are." }
            } @else {
                (wide("Fleets", html! { table {
                    thead { tr { th { "Fleet" } th { "State" } th { "Commit" } th.number { "Targets" } th.number { "Objects" } th.number { "Drifted" } th.number { "Held back" } } }
                    tbody { @for view in board.fleets.values() { (index_row(view)) } }
                } }))
            }
        }
    }
}

fn index_row(view: &FleetView) -> Markup {
    let (state, status) = (State::of(view), &view.status);
    let ready = status.targets.iter().filter(|target| State::of_target(target) == State::Good).count();
    html! { tr {
        th scope="row" { a href=(link(&["fleets", &view.name])) { (view.name) } }
        td { (pill(state, state.word())) }
        td { @if let Some(source) = &status.source {
            code { (short(source.revision.as_deref().unwrap_or_default())) } " "
            bdi { (source.subject.as_deref().unwrap_or_default()) }
        } }
        td.number { (ready) "/" (status.targets.len()) }
        td.number { (status.targets.iter().map(|target| target.objects).sum::<u32>()) }
        td.number { (number(status.drifted, State::Warned)) }
        td.number { (number(status.held_back + status.held_by_lint, State::Warned)) }
    } }
}

/// One fleet at a glance.
pub(super) fn of(view: &FleetView, _: &Look) -> Option<Markup> {
    Some(html! {
        section.card #attention data-part aria-labelledby="attention-title" { (attention(view)) }
        section.card #targets data-part aria-labelledby="targets-title" {
            h2 #targets-title { "Targets" }
            @if view.status.targets.is_empty() { p.none { "None yet: there is no commit with a valid fleet.yaml." } }
            @else { (targets(view)) (elsewhere(view)) }
        }
        section.card #lately data-part aria-labelledby="lately-title" {
            h2 #lately-title { "Lately" }
            (super::history::list(view.history.iter().take(LATELY)))
            @if view.history.len() > LATELY { p { a href=(link(&["fleets", &view.name, "history"])) { "More" } } }
        }
    })
}

/// What needs people.
fn attention(view: &FleetView) -> Markup {
    let status = &view.status;
    let held: Vec<_> =
        view.targets.iter().flat_map(|target| target.held.iter().map(move |held| (target, held))).collect();
    let lint: Vec<_> =
        view.targets.iter().flat_map(|target| target.lint.iter().map(move |held| (target, held))).collect();
    let expiring = condition(&status.conditions, "CredentialsValid").filter(|condition| condition.status == "False");
    let certificates =
        condition(&status.conditions, "CertificatesValid").filter(|condition| condition.status == "False");
    let source = condition(&status.conditions, "SourceReady").filter(|condition| condition.status == "False");
    let failed: Vec<_> =
        view.targets.iter().flat_map(|target| target.problems.iter().map(move |one| (target, one))).collect();
    let sick: Vec<_> =
        view.targets.iter().flat_map(|target| target.unhealthy.iter().map(move |one| (target, one))).collect();
    let calm = held.is_empty()
        && lint.is_empty()
        && expiring.is_none()
        && certificates.is_none()
        && source.is_none()
        && failed.is_empty()
        && sick.is_empty();
    let calm = calm && status.drifted == 0 && status.problem_count == 0;
    let (drift_page, held_page) = (link(&["fleets", &view.name, "drift"]), link(&["fleets", &view.name, "held"]));
    html! {
        h2 #attention-title { "Needs attention" }
        @if calm {
            p.calm { (pill(State::Good, "nothing")) " Everything that Git says runs, and nothing else was seen." }
        } @else {
            ul.attention {
                @if let Some(source) = source { li { (pill(State::Bad, "source")) " " strong { (source.reason) } " " (text(&source.message)) } }
                @if let Some(expiring) = expiring { li { (pill(State::Warned, "credentials")) " " (text(&expiring.message)) } }
                @if let Some(certificates) = certificates { li { (pill(State::Warned, "certificates")) " " (text(&certificates.message)) } }
                @for (target, held) in held.iter().take(TOLD) { li {
                    (pill(State::Warned, "held back")) " " (target.name) ": " (held.action) " of "
                    (object(&held.kind, held.namespace.as_deref(), &held.name))
                    @if !held.addresses.is_empty() { " would lose " (addresses(&held.addresses)) }
                    ". " a href=(held_page) { "How to approve it" }
                } }
                @for (target, held) in lint.iter().take(TOLD) { li {
                    (pill(State::Warned, "lint")) " " (target.name) ": " (object(&held.kind, held.namespace.as_deref(), &held.name))
                    " is left as it runs: " code { (held.rule) } " at " code { (held.at) } ". " a href=(held_page) { "Why" }
                } }
                @for problem in status.problems.iter().take(TOLD) { li {
                    (pill(State::Bad, "file")) " " code { (problem.at) } " " (text(&problem.message))
                } }
                @for (target, problem) in failed.iter().take(TOLD) { li {
                    (pill(State::Bad, "failed")) " " (target.name) ": " code { (problem.at) } " " (text(&problem.message))
                } }
                @for (target, (id, why)) in sick.iter().take(TOLD) { li {
                    (pill(State::Waiting, "unhealthy")) " " (target.name) ": "
                    (object(&id.group_kind.to_string(), id.namespace.as_deref(), &id.name)) " " (text(why))
                } }
                @for (target, drifted) in drifts(view).take(TOLD) { li {
                    (pill(State::Warned, "drift")) " " (target.name) ": " (object(&drifted.kind, drifted.namespace.as_deref(), &drifted.name))
                    " " (change(drifted.change)) (by(drifted)) ". "
                    a href=(link_with(&["fleets", &view.name, "drift"], &[("target", &target.name)])) { "What exactly" }
                } }
                @if u64::from(status.drifted) > TOLD as u64 { li { a href=(drift_page) { "All " (status.drifted) " drifted objects" } } }
            }
        }
    }
}

fn drifts(view: &FleetView) -> impl Iterator<Item = (&TargetView, &DriftedObject)> {
    view.targets.iter().flat_map(|target| target.drift.objects.iter().map(move |object| (target, object)))
}

/// What happened to an object, in a word.
pub(super) fn change(change: Change) -> &'static str {
    match change {
        Change::Modified => "was changed",
        Change::Deleted => "was deleted",
        Change::Replaced => "was deleted and made again",
    }
}

fn by(object: &DriftedObject) -> Markup {
    let by = object.fields.iter().find_map(|field| field.manager.as_deref());
    html! { @if let Some(by) = by { " by " bdi { strong { (by) } } } }
}

/// Addresses, each by itself.
pub(super) fn addresses(all: &[String]) -> Markup {
    html! { @for (index, address) in all.iter().enumerate() { @if index > 0 { " " } code.address { (address) } } }
}

fn targets(view: &FleetView) -> Markup {
    wide(
        "Targets",
        html! { table {
            thead { tr {
                th { "Target" } th { "State" } th { "Commit" } th.number { "Objects" } th.number { "Drifted" } th.number { "Unhealthy" }
                th.number { "Held back" } th.number { "Left alone" } th { "Credentials end" }
            } }
            tbody { @for target in &view.status.targets { (target_row(view, target)) } }
        } },
    )
}

fn target_row(view: &FleetView, target: &TargetStatus) -> Markup {
    let state = State::of_target(target);
    let ready = condition(&target.conditions, "Ready").filter(|ready| ready.status != "True");
    let wanted = view.status.source.as_ref().and_then(|source| source.revision.as_deref());
    let late = target.revision.as_deref() != wanted;
    let unlisted = view.target(&target.name).map(unlisted).unwrap_or_default();
    html! {
        tr {
            th scope="row" { (target.name) }
            td { (pill(state, state.word())) }
            td { @match &target.revision {
                Some(revision) => { code.warned[late] { (short(revision)) } @if late { span.unseen { " (not the newest)" } } },
                None => span.none { "none" },
            } }
            td.number { (target.objects) }
            td.number { @if target.drifted > 0 {
                a href=(link_with(&["fleets", &view.name, "drift"], &[("target", &target.name)])) { (number(target.drifted, State::Warned)) }
                @if unlisted > 0 { span.unseen { " of which " (unlisted) " are not listed" } }
            } @else { (number(0, State::Good)) } }
            td.number { (number(target.unhealthy, State::Waiting)) }
            td.number { (number(target.held_back + target.held_by_lint, State::Warned)) }
            td.number { (number(target.frozen, State::Unknown)) }
            td { @match &target.credentials_expire { Some(end) => (time(end.0)), None => span.none { "not said" } } }
        }
        @if let Some(ready) = ready { tr.why { td colspan="9" { strong { (ready.reason) } " " (text(&ready.message)) } } }
    }
}

/// The colour of something that happened.
pub(super) fn of_kind(kind: Kind) -> State {
    match kind {
        Kind::Commit => State::Unknown,
        Kind::Ready | Kind::Restored => State::Good,
        Kind::NotReady => State::Waiting,
        Kind::Drift | Kind::Held => State::Warned,
    }
}
