//! "Something has changed", as server-sent events. They carry no content: the browser asks for the page that it shows, and
//! gets what it would get by a reload.

use super::Shared;
use super::views::Board;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::Stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Streams at a time; fewer than connections, so that pages can be read whatever is open.
pub(super) const STREAMS: usize = 64;
/// One event is followed by the next no sooner than this, however much happens.
const APART: Duration = Duration::from_millis(500);
/// A word when there is nothing to say, so that both sides know that the other is there.
const ALIVE: Duration = Duration::from_secs(10);

struct Open {
    board: watch::Receiver<Arc<Board>>,
    first: bool,
    _permit: OwnedSemaphorePermit,
}

pub(super) async fn stream(State(shared): State<Shared>) -> Response {
    let Ok(permit) = shared.streams.try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open\n").into_response();
    };
    let open = Open { board: shared.board, first: true, _permit: permit };
    let keep_alive = KeepAlive::new().interval(ALIVE).text("");
    Sse::new(changes(open)).keep_alive(keep_alive).into_response()
}

fn changes(open: Open) -> impl Stream<Item = Result<Event, Infallible>> {
    futures::stream::unfold(open, |mut open| async move {
        if !open.first {
            open.board.changed().await.ok()?;
            tokio::time::sleep(APART).await;
        }
        // The first says where things are: a page that was made before the stream was open sees that it is old.
        open.first = false;
        let version = open.board.borrow_and_update().version;
        let event = Event::default().event("change").id(version.to_string()).data(version.to_string());
        Some((Ok(event.retry(Duration::from_secs(2))), open))
    })
}
