//! What happened lately.

use super::Look;
use super::overview::of_kind;
use super::parts::{link_with, pill, slice, time};
use crate::web::history::Entry;
use crate::web::views::FleetView;
use maud::{Markup, html};

/// Entries of one page.
const EACH: usize = 50;

pub(super) fn of(view: &FleetView, look: &Look) -> Option<Markup> {
    let part = slice(view.history.len(), EACH, look);
    Some(html! {
        section.card #history data-part aria-labelledby="history-title" {
            h2 #history-title { "History" }
            (list(view.history.get(part.from..part.to).unwrap_or_default().iter()))
            (part.turn("the history", |page| {
                link_with(&["fleets", &view.name, "history"], &[("page", &page.to_string())])
            }))
            p.hint {
                "The last hundred things that this replica saw since it took over, and what the drift reports remember from before. What must last stands in Git, and in the Events: "
                code { "kubectl -n " (view.namespace) " events --for fleetsync/" (view.name) }
            }
        }
    })
}

/// Entries, newest first.
pub(super) fn list<'a>(entries: impl Iterator<Item = &'a Entry>) -> Markup {
    let mut entries = entries.peekable();
    html! {
        @if entries.peek().is_none() { p.none { "Nothing yet." } }
        @else { ol.history { @for entry in entries { li {
            (time(entry.at)) (pill(of_kind(entry.kind), entry.kind.word())) bdi { (entry.text) }
        } } } }
    }
}
