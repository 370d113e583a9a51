//! Logging to standard error, as text for people or JSON for collectors; and errors as one line.

use std::error::Error;

use clap::ValueEnum;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use crate::trace::{SPANS, Taker};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Libraries that log what API servers answer, whatever level is asked for: an answer can quote a Secret. The agent says itself
/// what went wrong, by its own rules.
const QUOTING: [&str; 2] = ["kube_client=error", "kube_runtime=error"];

/// The level is one for all (`info`) or directives (`info,asm_agent=debug`).
fn filter(level: &str) -> Result<EnvFilter, String> {
    let wrong = |error: String| format!("--log-level {level}: {error}; use error, warn, info, debug or trace");
    let filter = EnvFilter::try_new(level).map_err(|error| wrong(error.to_string()))?;
    let spans = format!("{SPANS}=off");
    QUOTING.iter().copied().chain([spans.as_str()]).try_fold(filter, |filter, directive| {
        Ok(filter.add_directive(directive.parse().map_err(|_| wrong(directive.to_owned()))?))
    })
}

/// The lines of the log.
fn lines<S>(format: LogFormat, filter: EnvFilter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(false).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    }
}

/// Starts logging (see [`filter`] for the level), and tracing if there is somebody to take it.
pub(crate) fn start(level: &str, format: LogFormat, traces: Option<Taker>) -> Result<(), String> {
    let filter = filter(level)?;
    let started = match traces {
        Some(traces) => registry().with(traces).with(lines(format, filter)).try_init(),
        None => registry().with(lines(format, filter)).try_init(),
    };
    started.map_err(|error| format!("logging could not be started: {error}"))?;
    // What a panic says may quote what it panicked about, so only the place is told.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{}", broken_at(panic.location()))));
    Ok(())
}

/// What is said of a panic.
fn broken_at(place: Option<&std::panic::Location<'_>>) -> String {
    let place = place.map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    format!("a fault of the agent at {place}; what it worked on is tried again in a minute; please report it")
}

/// Says why the agent ends when logging has not been started, or must not be the only place.
pub fn last_words(message: &str) {
    use std::io::Write as _;
    // Nothing can be done when standard error is closed.
    let _ = writeln!(std::io::stderr(), "asm-agent: {message}");
}

/// An error and its causes on one line, each said once.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    /// The words of a panic are no argument, so no secret in them can be told.
    #[test]
    fn attack_a_panic_tells_its_place_and_none_of_its_words() {
        let here = std::panic::Location::caller();
        let told = super::broken_at(Some(here));
        assert!(told.contains("log.rs:") && told.contains("please report it"), "{told}");
        assert!(super::broken_at(None).contains("an unknown place"));
    }

    #[test]
    fn attack_libraries_that_quote_answers_stay_silent_at_every_level() {
        for level in ["trace", "info", "kube_client=trace", "trace,kube_client=debug,kube_runtime=trace"] {
            let filter = super::filter(level).unwrap().to_string();
            let parts: Vec<&str> = filter.split(',').collect();
            for directive in super::QUOTING {
                let target = directive.split('=').next().unwrap();
                let of_it: Vec<&&str> = parts.iter().filter(|part| part.split('=').next() == Some(target)).collect();
                assert_eq!(of_it, [&directive], "{level}: {filter}");
            }
        }
        assert!(super::filter("a=b=c").is_err());
    }

    #[test]
    fn causes_are_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: inner")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(super::chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
        assert_eq!(super::chain(&Outer(std::io::Error::other("deep"))), "outer: inner: deep");
    }
}
