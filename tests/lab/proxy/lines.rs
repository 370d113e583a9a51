//! What becomes of answers on their way: bodies that stop in the middle, watches that say nothing any more, connections that
//! break.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use tokio::sync::watch;

use super::{AnyBody, Cut};

/// How often each of it has happened; a body minds what comes after it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Turns {
    /// Watches have gone silent.
    pub(super) silenced: u64,
    /// Connections were cut.
    pub(super) cut: u64,
}

/// A body as it comes, until its line is cut or, of a watch, goes silent: then nothing comes any more, and no end either.
pub(super) fn watched(
    body: Incoming,
    turns: watch::Receiver<Turns>,
    is_watch: bool,
    reset: Arc<AtomicBool>,
) -> AnyBody {
    let began = *turns.borrow();
    let state = (body, turns, reset);
    let frames = stream::unfold(state, move |(mut body, mut turns, reset)| async move {
        let is_silent = move |now: &Turns| is_watch && now.silenced > began.silenced;
        let mut frame = None;
        if !is_silent(&turns.borrow()) {
            tokio::select! {
                biased;
                // The sender lives as long as the proxy, which ends its connections.
                _ = turns.wait_for(|now| *now != began && (is_silent(now) || now.cut > began.cut)) => {}
                next = body.frame() => frame = Some(next),
            }
        }
        if let Some(next) = frame {
            let frame: Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>> = next?.map_err(Into::into);
            return Some((frame, (body, turns, reset)));
        }
        let _ = turns.wait_for(|now| now.cut > began.cut).await;
        reset.store(true, Ordering::SeqCst);
        Some((Err(Cut.into()), (body, turns, reset)))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// The first half of an answer, sent as if it were all of it.
pub(super) async fn first_half(body: Incoming) -> Result<Bytes, Cut> {
    let whole = body.collect().await.map_err(|_| Cut)?.to_bytes();
    Ok(whole.slice(..whole.len() / 2))
}
