//! The pages. Each is a function of the board; none asks anybody.

mod drift;
mod gateway;
mod gateways;
mod held;
mod history;
mod layout;
mod overview;
mod parts;
mod past;
mod picture;

use super::Shared;
use super::views::{Board, FleetView};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use layout::Tab;
use maud::Markup;
use serde::Deserialize;
use std::sync::Arc;

pub(super) use picture::style_of_pictures;

/// What a link asks for. What a page does not know, it does not look at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Look {
    /// Part of a name.
    q: String,
    /// A member cluster.
    cluster: String,
    /// A gateway.
    gateway: String,
    /// A host.
    host: String,
    /// A target.
    target: String,
    /// Only what is broken.
    broken: String,
    /// Page, from 1.
    page: usize,
}

/// Which FleetSync, and how to make its page.
struct Wanted {
    fleet: String,
    tab: Tab,
    make: fn(&FleetView, &Look) -> Option<Markup>,
}

pub(super) async fn index(State(shared): State<Shared>) -> Response {
    make(shared, |board| {
        if let (1, Some(name)) = (board.fleets.len(), board.fleets.keys().next()) {
            return Redirect::temporary(&parts::link(&["fleets", name])).into_response();
        }
        Html(layout::page(board, "Fleets", None, overview::index(board)).into_string()).into_response()
    })
    .await
}

macro_rules! tabs {
    ($($name:ident: $tab:ident, $make:path;)*) => {$(
        pub(super) async fn $name(
            State(shared): State<Shared>,
            Path(fleet): Path<String>,
            Query(look): Query<Look>,
        ) -> Response {
            show(shared, Wanted { fleet, tab: Tab::$tab, make: $make }, look).await
        }
    )*};
}

tabs! {
    overview: Overview, overview::of;
    gateways: Gateways, gateways::of;
    drift: Drift, drift::of;
    held: Held, held::of;
    picture: Picture, picture::of;
    history: History, history::of;
}

pub(super) async fn gateway(
    State(shared): State<Shared>,
    Path((fleet, namespace, name)): Path<(String, String, String)>,
    Query(look): Query<Look>,
) -> Response {
    let look = Look { gateway: format!("{namespace}/{name}"), ..look };
    show(shared, Wanted { fleet, tab: Tab::Gateways, make: gateway::of }, look).await
}

pub(super) async fn nowhere(State(shared): State<Shared>) -> Response {
    make(shared, |board| not_found(board, "There is no such page.")).await
}

async fn show(shared: Shared, wanted: Wanted, look: Look) -> Response {
    make(shared, move |board| {
        let Some(view) = board.fleets.get(&wanted.fleet) else {
            return not_found(board, "There is no FleetSync of this name that the agent follows.");
        };
        match (wanted.make)(view, &look) {
            Some(main) => {
                let title = format!("{} · {}", wanted.tab.title(), view.name);
                Html(layout::page(board, &title, Some((view, wanted.tab)), main).into_string()).into_response()
            }
            None => not_found(board, "The fleet has nothing of this name."),
        }
    })
    .await
}

/// Makes a page from the board as it is now, on a thread that nobody waits for; few at a time.
async fn make(shared: Shared, page: impl FnOnce(&Board) -> Response + Send + 'static) -> Response {
    let board: Arc<Board> = shared.board.borrow().clone();
    let Ok(_permit) = shared.rendering.acquire_owned().await else { return broken() };
    let made = tokio::task::spawn_blocking(move || if board.leader.is_some() { standby(&board) } else { page(&board) });
    made.await.unwrap_or_else(|_| broken())
}

fn broken() -> Response {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        [(CONTENT_TYPE, "text/plain")],
        "the page could not be made; see the agent's log\n",
    )
        .into_response()
}

fn standby(board: &Board) -> Response {
    let page = layout::page(board, "Standing by", None, layout::standby(board)).into_string();
    (StatusCode::SERVICE_UNAVAILABLE, Html(page)).into_response()
}

fn not_found(board: &Board, why: &str) -> Response {
    let page = layout::page(board, "Not found", None, layout::not_found(why)).into_string();
    (StatusCode::NOT_FOUND, Html(page)).into_response()
}
