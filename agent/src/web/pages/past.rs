//! Drift that is over: the newest of the ledger, which outlives the agent.

use super::parts::{State, has, pill, text, time};
use crate::web::history::name;
use crate::web::views::{FleetView, TargetView};
use asm_shared::api::PastDrift;
use maud::{Markup, html};

/// Entries that are shown.
const SHOWN: usize = 25;

/// The newest entries of a fleet, or of one target.
pub(super) fn of(view: &FleetView, target: &str, part: &str) -> Markup {
    let targets = view.targets.iter().filter(|known| target.is_empty() || known.name == target);
    let all = targets.flat_map(|target| target.drift.history.iter().map(move |past| (target, past)));
    let mut all: Vec<(&TargetView, &PastDrift)> = all.filter(|(_, past)| is_about(past, part)).collect();
    all.sort_by_key(|(_, past)| std::cmp::Reverse(past.ended.0));
    all.truncate(SHOWN);
    html! {
        section.card #past data-part aria-labelledby="past-title" {
            h2 #past-title { "Over" }
            @if all.is_empty() { p.none { "Nothing yet." } }
            @else { ol.history { @for (target, past) in &all { li { (line(target, past)) } } } }
            p.hint { "All that is kept: " code { "kubectl asm drift --history " (view.name) } }
        }
    }
}

fn is_about(past: &PastDrift, part: &str) -> bool {
    let in_field = |field: &asm_shared::api::DriftedField| {
        has(&field.path, part) || field.manager.as_ref().is_some_and(|by| has(by, part))
    };
    part.is_empty()
        || has(&name(&past.kind, past.namespace.as_deref(), &past.name), part)
        || past.field.as_ref().is_some_and(in_field)
}

fn line(target: &TargetView, past: &PastDrift) -> Markup {
    let field = past.field.as_ref();
    let by = past.user.as_ref().or_else(|| field.and_then(|field| field.user.as_ref().or(field.manager.as_ref())));
    html! {
        (time(past.ended.0)) (pill(State::Good, past.outcome.words()))
        (target.name) ": " code { (name(&past.kind, past.namespace.as_deref(), &past.name)) }
        @if let Some(field) = field { " " code { (field.path) } }
        @if let Some(by) = by { " by " bdi { (text(by)) } }
        " since " (time(past.since.0))
    }
}
