//! What all pages have in common: the head, the ways to other pages, how a fleet stands in two lines.

use super::parts::{State, link, pill, short, text, time};
use crate::web::history::name;
use crate::web::views::{Board, FleetView};
use maud::{DOCTYPE, Markup, html};

/// FleetSyncs that the head names; more are on the index.
const NAMED: usize = 8;

/// A page of a FleetSync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Gateways,
    Drift,
    Held,
    Picture,
    History,
}

impl Tab {
    const ALL: [Self; 6] = [Self::Overview, Self::Gateways, Self::Drift, Self::Held, Self::Picture, Self::History];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Gateways => "Gateways",
            Self::Drift => "Drift",
            Self::Held => "Held back",
            Self::Picture => "Picture",
            Self::History => "History",
        }
    }

    fn link(self, fleet: &str) -> String {
        match self {
            Self::Overview => link(&["fleets", fleet]),
            Self::Gateways => link(&["fleets", fleet, "gateways"]),
            Self::Drift => link(&["fleets", fleet, "drift"]),
            Self::Held => link(&["fleets", fleet, "held"]),
            Self::Picture => link(&["fleets", fleet, "picture"]),
            Self::History => link(&["fleets", fleet, "history"]),
        }
    }

    fn count(self, view: &FleetView) -> u32 {
        match self {
            Self::Drift => view.status.drifted,
            Self::Held => view.status.held_back + view.status.held_by_lint,
            _ => 0,
        }
    }
}

/// A whole document.
pub(super) fn page(board: &Board, title: &str, fleet: Option<(&FleetView, Tab)>, main: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · asm-agent" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/page.css";
                script src="/assets/page.js" defer {}
            }
            body data-version=(board.version) {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/" { "asm-agent" }
                    (fleets(board, fleet.map(|(view, _)| view)))
                    p #live.live role="status" { "as of the last reload" }
                }
                @if let Some((view, tab)) = fleet {
                    div.fleet {
                        section #head data-part aria-label="State of the fleet" { (head(view)) }
                        nav #tabs.tabs data-part aria-label="Pages of this fleet" { (tabs(view, tab)) }
                    }
                }
                main #main tabindex="-1" { (main) }
                footer.foot {
                    span { "asm-agent " (env!("CARGO_PKG_VERSION")) }
                    span { "This page only shows. What is to change, changes in Git." }
                    @if let Some((view, _)) = fleet {
                        span #at data-part { "state of " (time(view.at)) }
                    }
                }
            }
        }
    }
}

fn fleets(board: &Board, here: Option<&FleetView>) -> Markup {
    html! {
        nav #nav.fleets data-part aria-label="Fleets" {
            @for (fleet, view) in board.fleets.iter().take(NAMED) {
                a href=(link(&["fleets", fleet])) aria-current=[here.filter(|here| here.name == *fleet).map(|_| "page")] {
                    (dot(State::of(view))) (fleet)
                }
            }
            @if board.fleets.len() > NAMED {
                a href="/" { "all " (board.fleets.len()) }
            }
        }
    }
}

fn dot(state: State) -> Markup {
    html! { span class={ "dot " (state.class()) } {} span.unseen { (state.word()) ": " } }
}

fn tabs(view: &FleetView, here: Tab) -> Markup {
    html! {
        @for tab in Tab::ALL {
            a href=(tab.link(&view.name)) aria-current=[(tab == here).then_some("page")] {
                (tab.title())
                @if tab.count(view) > 0 { " " span.count { (tab.count(view)) } }
            }
        }
    }
}

/// Name, state, commit.
fn head(view: &FleetView) -> Markup {
    let state = State::of(view);
    let ready = view.status.conditions.iter().find(|condition| condition.type_ == "Ready");
    html! {
        div.title {
            h1 { (view.name) }
            (pill(state, state.word()))
            @if let Some(ready) = ready {
                @if ready.status != "True" { p.why { strong { (ready.reason) } " " (text(&ready.message)) } }
                @else { p.since { "since " (time(ready.last_transition_time.0)) } }
            }
        }
        @if let Some(source) = &view.status.source {
            p.commit {
                code { (short(source.revision.as_deref().unwrap_or_default())) }
                bdi.subject { (source.subject.as_deref().unwrap_or_default()) }
                @if let Some(author) = &source.author { span { "by " bdi { (author) } } }
                @if let Some(seen) = &source.seen_at { span { "read " (time(seen.0)) } }
                @if let Some(by) = &source.signed_by { span.good { "signed by " bdi { (by) } } }
            }
            p.source {
                span { (text(source.url.as_deref().unwrap_or(&view.wishes.url))) " · " (view.wishes.reference) }
                @if !view.wishes.path.is_empty() { span { "folder " (view.wishes.path) } }
                @if source.url.as_deref().is_some_and(|url| url != view.wishes.url) {
                    span.warned { "from a mirror: " (view.wishes.url) " could not be asked" }
                }
                span { "drift: " (format!("{:?}", view.wishes.drift)) }
                @if view.wishes.suspended { span.warned { "suspended; kubectl asm resume goes on" } }
            }
        } @else {
            p.source { span { (text(&view.wishes.url)) " · " (view.wishes.reference) } span { "not read yet" } }
        }
    }
}

/// Said by a replica that has lost its Lease.
pub(super) fn standby(board: &Board) -> Markup {
    // The pod's name and a random part.
    let leader = board.leader.as_deref().unwrap_or_default();
    let pod = leader.rsplit_once('_').map_or(leader, |(pod, _)| pod);
    html! {
        section.card data-part #standby aria-label="Standing by" {
            h1 { "This replica stands by" }
            p { "Its Lease has run out, so it writes nothing and knows nothing that is new. Who has which target by now:" }
            pre { "kubectl -n asm-system get leases" }
            @if !pod.is_empty() {
                p { "The status is written by " code { (pod) } ":" }
                pre { "kubectl -n asm-system port-forward pod/" (pod) " 8082" }
            }
            p { "This page goes on by itself when this replica is back." }
        }
    }
}

/// Said where nothing is.
pub(super) fn not_found(why: &str) -> Markup {
    html! {
        section.card aria-label="Not found" { h1 { "Not found" } p { (why) } p { a href="/" { "All fleets" } } }
    }
}

/// `Service istio-system/edge`.
pub(super) fn object(kind: &str, namespace: Option<&str>, of: &str) -> Markup {
    html! { code { (name(kind, namespace, of)) } }
}
