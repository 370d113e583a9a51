//! What waits for people: changes that lose an address, with the file that approves them; objects in which lint finds an
//! error.

use super::Look;
use super::layout::object;
use super::overview::addresses;
use super::parts::{State, link_with, pill, slice, text};
use crate::web::views::{FleetView, TargetView};
use asm_shared::api::{HeldChange, HeldObject};
use asm_shared::plan::approval_file;
use maud::{Markup, html};

/// Entries of one page.
const EACH: usize = 25;

pub(super) fn of(view: &FleetView, look: &Look) -> Option<Markup> {
    let held: Vec<(&TargetView, &HeldChange)> =
        view.targets.iter().flat_map(|target| target.held.iter().map(move |held| (target, held))).collect();
    let lint: Vec<(&TargetView, &HeldObject)> =
        view.targets.iter().flat_map(|target| target.lint.iter().map(move |held| (target, held))).collect();
    let part = slice(held.len().max(lint.len()), EACH, look);
    let some = part.from..part.to;
    Some(html! {
        section.card #held data-part aria-labelledby="held-title" {
            h2 #held-title { "Waits for an approval" }
            @if held.is_empty() { p.calm { (pill(State::Good, "nothing")) " No change would lose an address." } }
            @for (target, held) in held.iter().enumerate().filter(|(at, _)| some.contains(at)).map(|(_, held)| held) {
                (change(target, held))
            }
        }
        section.card #lint data-part aria-labelledby="lint-title" {
            h2 #lint-title { "Held back by lint" }
            @if lint.is_empty() { p.calm { (pill(State::Good, "nothing")) " Lint finds no error in what Git says." } }
            @else { ul.attention { @for (target, held) in lint.iter().enumerate().filter(|(at, _)| some.contains(at)).map(|(_, held)| held) { li {
                (pill(State::Warned, &held.rule)) " " (target.name) ": " (object(&held.kind, held.namespace.as_deref(), &held.name))
                " at " code { (held.at) } " " (text(&held.message)) " " code { "kubectl asm explain " (held.rule) }
            } } } }
        }
        (part.turn("what is held back", |page| link_with(&["fleets", &view.name, "held"], &[("page", &page.to_string())])))
    })
}

fn change(target: &TargetView, held: &HeldChange) -> Markup {
    let file = approval_file(&target.name, held);
    html! { article.held {
        h3 { span.target { (target.name) } " " (held.action) " of " (object(&held.kind, held.namespace.as_deref(), &held.name)) }
        p { @if held.addresses.is_empty() { "It has no address yet." } @else { "Would be lost for good: " (addresses(&held.addresses)) } }
        p { (text(&held.message)) }
        @if let Some((path, content)) = file {
            p { "To consent, commit this as " code { (path) } ". It counts for this very object and these addresses only." }
            div.file { pre tabindex="0" role="region" aria-label={ "Content of " (path) } { code data-copy=(path) { (content) } } }
            p.hint { "To keep it, put it back into Git; nothing happens until then." }
        } @else {
            p.hint { "No approval lets it go on: the load balancer cannot be changed in place. Nothing happens until Git says otherwise." }
        }
    } }
}
