//! Spans: how long the parts of a sync take, for who collects traces (`--otlp-endpoint`, in builds with the feature `otlp`).
//!
//! They carry names of FleetSyncs and targets, commits, words of this program and numbers: never the name or content of an
//! object, an address or a credential. Nothing of them stands in the log.

#[cfg(not(feature = "otlp"))]
mod lacking;
#[cfg(feature = "otlp")]
mod otlp;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use asm_shared::fleet::Target;
use asm_shared::plan::Stage;
use tracing::field::Empty;
use tracing::{Span, trace_span};
use tracing_subscriber::{Layer, Registry};

#[cfg(not(feature = "otlp"))]
pub(crate) use lacking::start;
#[cfg(feature = "otlp")]
pub(crate) use otlp::start;

/// Under which name they are told from everything else: the log leaves them out, the exporter takes nothing else.
pub(crate) const SPANS: &str = "asm_agent::spans";
/// What other programs are told about collectors by.
const STANDARD: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// What takes spans.
pub(crate) type Taker = Box<dyn Layer<Registry> + Send + Sync>;

/// Do the standard's variables name a collector?
pub(crate) fn is_named_by_environment() -> bool {
    STANDARD.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// A commit on its way to the targets, from its reading until each of them has ended its pass. Clones share it: what begins
/// after its end is no part of it.
#[derive(Clone, Debug)]
pub(crate) struct Syncing(Arc<Mutex<Span>>);

impl Default for Syncing {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Span::none())))
    }
}

impl Syncing {
    /// It begins.
    pub(crate) fn begin(fleetsync: &str, revision: &str) -> Self {
        let span =
            trace_span!(target: SPANS, parent: None, "sync", fleetsync, revision, targets = Empty, outcome = Empty);
        Self(Arc::new(Mutex::new(span)))
    }

    /// It has come to its end; what is said of one that has ended already counts for nothing.
    pub(crate) fn end(&self, targets: usize, outcome: &'static str) {
        let span = std::mem::replace(&mut *self.span(), Span::none());
        span.record("targets", targets);
        span.record("outcome", outcome);
    }

    fn span(&self) -> MutexGuard<'_, Span> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commit is read.
    pub(crate) fn read(&self) -> Span {
        trace_span!(target: SPANS, parent: &*self.span(), "read", objects = Empty, problems = Empty)
    }

    /// One target is brought to it.
    pub(crate) fn pass(&self, fleetsync: &str, target: &Target, revision: &str, objects: usize) -> Span {
        let target = target.name();
        trace_span!(
            target: SPANS, parent: &*self.span(), "pass", fleetsync, target, revision, objects, problems = Empty,
            outcome = Empty
        )
    }
}

/// Lint judges what is read. Reading that is part of nothing (the page's) makes no trace.
pub(crate) fn lint() -> Span {
    if Span::current().is_disabled() {
        return Span::none();
    }
    trace_span!(target: SPANS, "lint", held = Empty)
}

/// What is to be done on a target is found out.
pub(crate) fn plan() -> Span {
    trace_span!(target: SPANS, "plan", apply = Empty, remove = Empty)
}

/// Objects of one stage are applied, side by side.
pub(crate) fn stage(stage: Stage, objects: usize) -> Span {
    trace_span!(target: SPANS, "stage", stage = ?stage, objects, failed = Empty)
}

/// Objects are removed, and what that waits for is waited for.
pub(crate) fn remove(objects: usize) -> Span {
    trace_span!(target: SPANS, "remove", objects)
}
