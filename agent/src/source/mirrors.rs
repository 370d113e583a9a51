//! Copies of a repository: the first that answers, and never one that is behind.

use super::SourceError;
use super::remote::{Head, Request};

/// One place to ask; or why it cannot be asked.
pub(super) type Asked = Result<Request, String>;

/// The first head that can be had, and why earlier places were passed over. The first place is `source.url`; what is wrong
/// there, other than that it cannot be reached, is not covered up by asking another.
pub(super) fn first(
    places: &[Asked],
    ask: impl Fn(&Request) -> Result<Head, SourceError>,
) -> Result<(Head, Vec<String>), SourceError> {
    let mut passed_over: Vec<String> = Vec::new();
    let mut first_error = None;
    for (at, place) in places.iter().enumerate() {
        let error = match place.as_ref().map(&ask) {
            Ok(Ok(head)) => return Ok((head, passed_over)),
            Ok(Err(error)) => error,
            Err(why) => {
                passed_over.push(format!("mirror {at}: {why}"));
                continue;
            }
        };
        let next = match &error {
            SourceError::Unreachable { .. } => true,
            // A mirror that has not caught up, or has been tampered with, is no reason to go back.
            _ => at > 0,
        };
        if !next {
            return Err(error);
        }
        passed_over.push(if at == 0 { error.to_string() } else { format!("mirror {at}: {error}") });
        first_error.get_or_insert(error);
    }
    Err(match first_error {
        Some(SourceError::Unreachable { url, reason }) if passed_over.len() > 1 => {
            let others = passed_over.get(1..).unwrap_or_default().join("; ");
            SourceError::Unreachable { url, reason: format!("{reason}; {others}") }
        }
        Some(error) => error,
        None => SourceError::Keyring { reason: "there is nothing to ask".to_owned() },
    })
}
