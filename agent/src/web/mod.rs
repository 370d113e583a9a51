//! The live page: how the fleet stands, for people, in a browser. Reading only.
//!
//! * `views` – the picture that supervisors publish; the page knows nothing else and asks nobody.
//! * `history` – what happened lately, read off two pictures.
//! * `access` – who may look: hosts, origins, a token; and what every answer forbids the browser.
//! * `live` – "something has changed", as server-sent events.
//! * `pages` – the HTML, one file per page; `assets` – a style sheet and a few KB of script that exchanges the sections of a
//!   page that have changed. Without scripts, everything can be read, and is as new as the last reload.

mod access;
mod assets;
mod history;
mod live;
mod pages;
mod views;

pub use access::{Access, AccessError};
pub use history::{Entry, Kind};
pub use views::{Board, Commit, Elsewhere, FleetView, News, TargetView, Views, Wishes};

use crate::http::{Limited, Limits};
use axum::Router;
use axum::middleware;
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Pages that are made at the same time; the rest waits its turn.
const RENDERING: usize = 2;

/// A stream of events lasts this long at most; the browser then opens another. Whoever does not read what is written, or
/// never finishes a request, is cut much sooner.
const LIMITS: Limits = Limits { connections: 128, lifetime: Duration::from_secs(900), quiet: Duration::from_secs(30) };

/// A listening page that has not begun to answer.
pub struct Page {
    listener: TcpListener,
    router: Router,
}

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    board: watch::Receiver<Arc<Board>>,
    streams: Arc<Semaphore>,
    rendering: Arc<Semaphore>,
}

impl Page {
    /// Takes the address, so that a port in use is known before any work starts. `None` when the views are off.
    pub async fn bind(address: SocketAddr, views: &Views, access: Access) -> io::Result<Option<Self>> {
        let Some(board) = views.subscribe() else { return Ok(None) };
        let listener = TcpListener::bind(address).await?;
        Ok(Some(Self { listener, router: router(board, access) }))
    }

    /// The address that was taken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop`; connections that are open then are cut.
    pub async fn serve(self, stop: CancellationToken) -> io::Result<()> {
        let listener = Limited::new(self.listener, LIMITS);
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = async { axum::serve(listener, self.router).await } => ended,
        }
    }
}

fn router(board: watch::Receiver<Arc<Board>>, access: Access) -> Router {
    let shared = Shared {
        board,
        streams: Arc::new(Semaphore::new(live::STREAMS)),
        rendering: Arc::new(Semaphore::new(RENDERING)),
    };
    Router::new()
        .route("/", get(pages::index))
        .route("/live", get(live::stream))
        .route("/fleets/{fleet}", get(pages::overview))
        .route("/fleets/{fleet}/gateways", get(pages::gateways))
        .route("/fleets/{fleet}/gateways/{namespace}/{name}", get(pages::gateway))
        .route("/fleets/{fleet}/drift", get(pages::drift))
        .route("/fleets/{fleet}/held", get(pages::held))
        .route("/fleets/{fleet}/picture", get(pages::picture))
        .route("/fleets/{fleet}/history", get(pages::history))
        .route("/assets/page.css", get(assets::style))
        .route("/assets/page.js", get(assets::script))
        .route("/assets/icon.svg", get(assets::icon))
        .fallback(pages::nowhere)
        .layer(middleware::from_fn_with_state(Arc::new(access), access::guard))
        .with_state(shared)
}

#[cfg(test)]
mod tests;
