//! How long an API server may take and how much it may answer. A request that is swallowed on its way must not hold up its
//! target, and one to the host cluster not everything.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Limited;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tower::{BoxError, Layer, Service};

/// How long an API server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For an answer, with everything that the client tries again by itself.
    pub request: Duration,
    /// How long a watch may say nothing. API servers tell every minute that a watch still stands.
    pub silence: Duration,
}

/// Puts them on a client, and a bound on the size of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Times.
    pub(super) limits: Limits,
    /// Bytes.
    pub(super) most: usize,
}

/// Limits that no test of something else meets.
#[cfg(test)]
pub(super) const FAR: Bounds =
    Bounds { limits: Limits { request: Duration::from_secs(60), silence: Duration::from_secs(150) }, most: 1 << 20 };

/// A client with bounds.
#[derive(Clone, Debug)]
pub(super) struct Bounded<S> {
    inner: S,
    bounds: Bounds,
}

impl<S> Layer<S> for Bounds {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner, bounds: *self }
    }
}

impl<S, A, B> Service<Request<A>> for Bounded<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
{
    type Response = Response<Timed<Limited<B>>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let Bounds { limits, most } = self.bounds;
        let is_watch = request.uri().query().is_some_and(is_watch);
        let end = Instant::now() + limits.request;
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = timeout_at(end, answer).await.map_err(|_| late(limits.request))?.map_err(Into::into)?;
            let until = if is_watch { Until::Silent(limits.silence) } else { Until::Over(limits.request) };
            let first = if is_watch { Instant::now() + limits.silence } else { end };
            Ok(answer.map(|body| Timed {
                body: Box::pin(Limited::new(body, most)),
                until,
                sleep: Box::pin(sleep_until(first)),
            }))
        })
    }
}

fn is_watch(query: &str) -> bool {
    query.split('&').any(|part| matches!(part, "watch=true" | "watch=1"))
}

fn late(limit: Duration) -> BoxError {
    let words = format!("the API server did not answer within {} s", limit.as_secs());
    std::io::Error::new(std::io::ErrorKind::TimedOut, words).into()
}

/// When a body ends.
#[derive(Clone, Copy, Debug)]
enum Until {
    /// With an error when this time since the request is over.
    Over(Duration),
    /// As if the server had ended it, when it has said nothing for so long: a watch is then begun anew where it stood.
    Silent(Duration),
}

/// A body that ends in time.
pub(super) struct Timed<B> {
    body: Pin<Box<B>>,
    until: Until,
    sleep: Pin<Box<Sleep>>,
}

impl<B> Body for Timed<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = this.body.as_mut().poll_frame(cx) {
            if let Until::Silent(limit) = this.until {
                this.sleep.as_mut().reset(Instant::now() + limit);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if this.sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(match this.until {
            Until::Over(limit) => Some(Err(late(limit))),
            Until::Silent(_) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
