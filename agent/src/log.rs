//! Logging to standard error, as text for people or JSON for collectors; and errors as one line.

use std::error::Error;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging. The level is one for all (`info`) or directives (`info,asm_agent=debug`).
pub fn start(level: &str, format: LogFormat) -> Result<(), String> {
    let filter = EnvFilter::try_new(level)
        .map_err(|error| format!("--log-level {level}: {error}; use error, warn, info, debug or trace"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
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
    fn causes_are_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: inner")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(super::chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
        assert_eq!(super::chain(&Outer(std::io::Error::other("deep"))), "outer: inner: deep");
    }
}
