//! Errors of API servers, sorted by what a caller does about them and worded for people.
//!
//! kube's own `Display` prints a debug dump; nothing of it may reach a user.

use asm_shared::object::redact_text;
use kube::core::Status;
use std::error::Error as StdError;
use std::fmt;

/// Why a request to an API server failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterError {
    /// What a caller has to know to go on.
    pub kind: ErrorKind,
    /// One sentence without a full stop. Holds no credentials.
    pub message: String,
}

/// What kind of failure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No answer: name not found, connection refused, TLS refused.
    Unreachable,
    /// The API server does not know who we are, or no credentials could be had.
    Unauthorized,
    /// It knows and does not let us.
    Forbidden,
    /// No such object, or no such kind on this API server.
    NotFound,
    /// The object exists already (create).
    AlreadyExists,
    /// Another writer is in the way: the fields of another manager (server-side apply), or a newer resourceVersion (then
    /// the list is empty).
    Conflict(Vec<FieldConflict>),
    /// The API server refuses the object as it is.
    Invalid(Vec<Cause>),
    /// A watch or a page is too old: list again.
    Expired,
    /// Too many requests; seconds to wait if the API server says.
    Throttled(Option<u32>),
    /// The API server (or a webhook of it) failed.
    Server,
    /// No answer in time.
    Timeout,
    /// Something else.
    Other,
}

/// A field that another manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    /// Field manager.
    pub manager: String,
    /// Subresource it writes through.
    pub subresource: Option<String>,
    /// Field as the API server names it (`.spec.replicas`).
    pub field: String,
}

/// One reason why an object is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Field as the API server names it (`spec.ports[0].nodePort`); empty when it names none.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl ClusterError {
    /// An error of our own.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// No answer within this time.
    pub fn timeout(what: &str, after: std::time::Duration) -> Self {
        Self::new(ErrorKind::Timeout, format!("{what}: no answer within {} s", after.as_secs()))
    }

    /// From the answer of an API server.
    pub fn from_status(status: &Status) -> Self {
        let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
        let kind = match (status.reason.as_str(), status.code) {
            ("Unauthorized", _) | (_, 401) => ErrorKind::Unauthorized,
            ("Forbidden", _) | (_, 403) => ErrorKind::Forbidden,
            ("NotFound", _) | (_, 404) => ErrorKind::NotFound,
            ("AlreadyExists", _) => ErrorKind::AlreadyExists,
            ("Conflict", _) | (_, 409) => ErrorKind::Conflict(causes.iter().filter_map(field_conflict).collect()),
            ("Invalid" | "BadRequest", _) | (_, 400 | 422) => ErrorKind::Invalid(
                causes
                    .iter()
                    .map(|cause| Cause { field: cause.field.clone(), message: redact_text(&cause.message) })
                    .collect(),
            ),
            ("Gone" | "Expired", _) | (_, 410) => ErrorKind::Expired,
            ("TooManyRequests", _) | (_, 429) => ErrorKind::Throttled(
                status.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0),
            ),
            ("Timeout" | "ServerTimeout", _) | (_, 504) => ErrorKind::Timeout,
            (_, 500..) => ErrorKind::Server,
            _ => ErrorKind::Other,
        };
        Self { message: status_message(status, &kind), kind }
    }

    /// Is it about the connection, not about the request? Then every other request would fail in the same way.
    pub fn is_about_connection(&self) -> bool {
        matches!(self.kind, ErrorKind::Unreachable | ErrorKind::Unauthorized | ErrorKind::Timeout)
    }

    /// Is the object (or its kind) not there?
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }

    /// May the same request succeed later without anybody doing anything?
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unreachable
                | ErrorKind::Timeout
                | ErrorKind::Server
                | ErrorKind::Throttled(_)
                | ErrorKind::Expired
        )
    }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ClusterError {}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) => Self::from_status(status),
            kube::Error::Auth(auth) => Self::new(ErrorKind::Unauthorized, credentials(auth)),
            kube::Error::Service(inner) => connection(inner.as_ref()),
            kube::Error::HyperError(inner) => connection(inner),
            kube::Error::ReadEvents(inner) => connection(inner),
            // An answer that was cut, or another one's in its place: the next one may be whole.
            kube::Error::FromUtf8(_) => {
                Self::new(ErrorKind::Server, "the answer of the API server is no text".to_owned())
            }
            kube::Error::SerdeError(inner) => {
                Self::new(ErrorKind::Server, format!("the answer of the API server is not what was asked for: {inner}"))
            }
            kube::Error::RustlsTls(inner) => {
                Self::new(ErrorKind::Unreachable, format!("TLS could not be set up: {}", deepest(inner)))
            }
            kube::Error::InferConfig(inner) => {
                Self::new(ErrorKind::Unauthorized, format!("no cluster is configured: {}", deepest(inner)))
            }
            kube::Error::InferKubeconfig(inner) => {
                Self::new(ErrorKind::Unauthorized, format!("the kubeconfig can not be used: {}", deepest(inner)))
            }
            kube::Error::Discovery(_) => {
                Self::new(ErrorKind::NotFound, "the API server does not serve this kind".to_owned())
            }
            other => Self::new(ErrorKind::Other, deepest(other)),
        }
    }
}

/// What the API server said, without the noise around it.
fn status_message(status: &Status, kind: &ErrorKind) -> String {
    if let ErrorKind::Conflict(conflicts) = kind
        && !conflicts.is_empty()
    {
        let parts: Vec<String> =
            conflicts.iter().map(|conflict| format!("{} is owned by {}", conflict.field, conflict.manager)).collect();
        return parts.join(", ");
    }
    let message = redact_text(status.message.trim().trim_end_matches('.'));
    if message.is_empty() { format!("the API server answered {} {}", status.code, status.reason) } else { message }
}

/// `conflict with "kubectl-edit" with subresource "scale" using apps/v1 at …`
fn field_conflict(cause: &kube::core::response::StatusCause) -> Option<FieldConflict> {
    if cause.reason != "FieldManagerConflict" {
        return None;
    }
    let (_, rest) = cause.message.split_once("conflict with \"")?;
    let (manager, rest) = rest.split_once('"')?;
    let subresource = rest.split_once("subresource \"").and_then(|(_, rest)| rest.split_once('"'));
    Some(FieldConflict {
        manager: manager.to_owned(),
        subresource: subresource.map(|(name, _)| name.to_owned()),
        field: cause.field.clone(),
    })
}

/// Transport errors wrap each other several times; the innermost one says what happened.
fn connection(error: &(dyn StdError + 'static)) -> ClusterError {
    let mut current = Some(error);
    while let Some(inner) = current {
        if let Some(kube::Error::Api(status)) = inner.downcast_ref::<kube::Error>() {
            return ClusterError::from_status(status);
        }
        if let Some(auth) = inner.downcast_ref::<kube::client::AuthError>() {
            return ClusterError::new(ErrorKind::Unauthorized, credentials(auth));
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::TimedOut
        {
            return ClusterError::new(ErrorKind::Timeout, "the API server did not answer in time");
        }
        current = inner.source();
    }
    ClusterError::new(ErrorKind::Unreachable, format!("no connection to the API server: {}", deepest(error)))
}

fn credentials(error: &kube::client::AuthError) -> String {
    format!("no credentials for the API server: {}", deepest(error))
}

/// The innermost cause. Credentials in URLs are hidden.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut current = error;
    while let Some(inner) = current.source() {
        // io::Error shows its inner error and then gives it again as a source without its own words.
        if inner.to_string().is_empty() {
            break;
        }
        current = inner;
    }
    redact_text(current.to_string().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(json: serde_json::Value) -> ClusterError {
        let status: Status = serde_json::from_value(json).unwrap();
        kube::Error::Api(Box::new(status)).into()
    }

    #[test]
    fn conflicts_name_the_other_manager_and_the_field() {
        let error = status(serde_json::json!({
            "status": "Failure", "reason": "Conflict", "code": 409,
            "message": "Apply failed with 1 conflict: conflict with \"hpa\" with subresource \"scale\": .spec.replicas",
            "details": {"causes": [{
                "reason": "FieldManagerConflict", "field": ".spec.replicas",
                "message": "conflict with \"hpa\" with subresource \"scale\" using apps/v1 at 2026-01-01T00:00:00Z"
            }]}
        }));
        let expected = FieldConflict {
            manager: "hpa".to_owned(),
            subresource: Some("scale".to_owned()),
            field: ".spec.replicas".to_owned(),
        };
        assert_eq!(error.kind, ErrorKind::Conflict(vec![expected]));
        assert_eq!(error.to_string(), ".spec.replicas is owned by hpa");
    }

    #[test]
    fn refusals_keep_the_words_of_the_api_server() {
        let error = status(serde_json::json!({
            "status": "Failure", "reason": "Invalid", "code": 422,
            "message": "Service \"x\" is invalid: spec.ports[0].nodePort: Invalid value: 30544: provided port is already allocated",
            "details": {"causes": [{
                "reason": "FieldValueInvalid", "field": "spec.ports[0].nodePort",
                "message": "Invalid value: 30544: provided port is already allocated"
            }]}
        }));
        assert!(matches!(&error.kind, ErrorKind::Invalid(causes) if causes[0].field == "spec.ports[0].nodePort"));
        assert!(error.to_string().starts_with("Service \"x\" is invalid"));
        assert!(!error.to_string().contains("Status {"), "kube's debug dump must not show");
        let forbidden = status(serde_json::json!({"reason": "Forbidden", "code": 403, "message": "no"}));
        assert_eq!(forbidden.kind, ErrorKind::Forbidden);
        let empty = status(serde_json::json!({"reason": "", "code": 503}));
        assert_eq!((empty.kind.clone(), empty.is_transient()), (ErrorKind::Server, true));
        assert_eq!(empty.to_string(), "the API server answered 503 ");
    }

    #[test]
    fn transport_errors_say_what_happened() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "Connection refused (os error 111)");
        let error: ClusterError = kube::Error::Service(Box::new(io)).into();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert_eq!(error.to_string(), "no connection to the API server: Connection refused (os error 111)");
        assert!(error.is_about_connection());
    }

    #[test]
    fn an_answer_that_was_cut_may_be_whole_the_next_time() {
        let cut = serde_json::from_str::<serde_json::Value>("{\"kind\": \"Serv").unwrap_err();
        let error: ClusterError = kube::Error::SerdeError(cut).into();
        assert!(error.is_transient() && error.message.contains("not what was asked for"), "{error:?}");
    }
}
