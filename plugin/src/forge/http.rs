//! Calls to the API of a forge: one host, one token, a deadline, and no redirect that would take the token elsewhere.

use super::secret::{Redactor, Secret};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use ureq::http::{self, HeaderMap, StatusCode, Uri, header};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

/// How long an answer may take when `--request-timeout` does not say.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Answers larger than this are not read.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;
/// Redirects on the same host that are followed.
const MAX_REDIRECTS: usize = 3;
/// Longest text of a forge that is shown.
const MAX_TOLD: usize = 300;

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// The HTTP method.
    pub(crate) method: &'static str,
    /// After the API's address, with the query.
    pub(crate) path: String,
    /// A JSON body.
    pub(crate) body: Option<Value>,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), body: None }
    }

    pub(crate) fn with(method: &'static str, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), body: Some(body) }
    }
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// No connection.
    Connect(String),
    /// No answer in time.
    Timeout(Duration),
    /// Sent elsewhere: where.
    Redirect(String),
    /// A status that is no success, what the forge said about it, and for how long it wants to be left alone.
    Status { code: u16, told: String, retry_after: Option<String> },
    /// An answer that is none of the API's.
    Unreadable(String),
}

/// Something that answers calls.
pub(crate) trait Transport {
    fn send(&self, request: &Request) -> Result<Value, ApiError>;
}

/// The header that lets us in.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    pub(crate) header: &'static str,
    pub(crate) value: Secret,
}

/// The API of a forge.
#[derive(Debug)]
pub(crate) struct Api {
    agent: ureq::Agent,
    base: String,
    authorization: Option<Authorization>,
    timeout: Duration,
    redactor: Arc<Redactor>,
}

impl Api {
    /// `base` is the address that the paths of calls are added to.
    pub(crate) fn new(
        base: &str,
        authorization: Option<Authorization>,
        timeout: Option<Duration>,
        redactor: Arc<Redactor>,
    ) -> Self {
        let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
        // One provider for the whole program: see kube's in Cargo.toml.
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout))
            .user_agent(concat!("kubectl-asm/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { agent, base: base.trim_end_matches('/').to_owned(), authorization, timeout, redactor }
    }

    fn once(&self, method: &str, url: &str, body: Option<&Value>) -> Result<(StatusCode, HeaderMap, String), ApiError> {
        let unreadable = |error: &dyn std::fmt::Display| ApiError::Unreadable(self.redactor.clean(&error.to_string()));
        let mut request = http::Request::builder().method(method).uri(url).header(header::ACCEPT, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(authorization.header, authorization.value.expose());
        }
        let answer = match body {
            Some(body) => {
                let request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
                self.agent
                    .run(request.map_err(|_| ApiError::Unreadable("the address or the token is malformed".into()))?)
            }
            None => self.agent.run(
                request.body(()).map_err(|_| ApiError::Unreadable("the address or the token is malformed".into()))?,
            ),
        };
        let mut answer = answer.map_err(|error| self.failed(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => unreadable(&"the answer is too long"),
            error => self.failed(&error),
        })?;
        Ok((status, headers, String::from_utf8_lossy(&text).into_owned()))
    }

    fn failed(&self, error: &ureq::Error) -> ApiError {
        match error {
            ureq::Error::Timeout(_) => ApiError::Timeout(self.timeout),
            error => ApiError::Connect(self.redactor.clean(&error.to_string())),
        }
    }

    /// What the forge said, in the words of any of them, on one line.
    fn told(&self, text: &str) -> String {
        let told = serde_json::from_str::<Value>(text).ok().map(|answer| words(&answer)).unwrap_or_default();
        let told = asm_shared::pull_request::plain(told.replace(['\n', '\r', '\t'], " ").trim());
        asm_shared::pull_request::cut(&self.redactor.clean(&told), MAX_TOLD)
    }
}

impl Transport for Api {
    fn send(&self, request: &Request) -> Result<Value, ApiError> {
        let mut url = format!("{}{}", self.base, request.path);
        for _ in 0..=MAX_REDIRECTS {
            let (status, headers, text) = self.once(request.method, &url, request.body.as_ref())?;
            if status.is_redirection() {
                url = redirected(request.method, status, &url, &headers)
                    .map_err(|to| ApiError::Redirect(self.redactor.clean(&to)))?;
                continue;
            }
            if !status.is_success() {
                return Err(ApiError::Status {
                    code: effective_code(status, &headers),
                    told: self.told(&text),
                    retry_after: text_of(&headers, "retry-after"),
                });
            }
            if text.trim().is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_str(&text).map_err(|_| {
                let kind = text_of(&headers, "content-type").unwrap_or_else(|| "no content type".to_owned());
                ApiError::Unreadable(format!("it answers {status} with something that is not JSON ({kind})"))
            });
        }
        Err(ApiError::Redirect(self.redactor.clean(&url)))
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(asm_shared::pull_request::plain)
}

/// GitHub says 403 where it means 429.
fn effective_code(status: StatusCode, headers: &HeaderMap) -> u16 {
    let spent = text_of(headers, "x-ratelimit-remaining").is_some_and(|left| left == "0");
    let limited = status == StatusCode::FORBIDDEN && (spent || headers.contains_key("retry-after"));
    if limited { 429 } else { status.as_u16() }
}

/// Where to go on, if that is the same host and the method stays; otherwise where the forge wanted us to go.
fn redirected(method: &str, status: StatusCode, from: &str, headers: &HeaderMap) -> Result<String, String> {
    let Some(location) = text_of(headers, "location") else { return Err("nowhere".to_owned()) };
    let keeps_method = method == "GET" || matches!(status.as_u16(), 307 | 308);
    let target = match (location.parse::<Uri>(), from.parse::<Uri>()) {
        (Ok(to), Ok(from)) if to.authority().is_none() && location.starts_with('/') && !location.starts_with("//") => {
            let scheme = from.scheme_str().unwrap_or("https");
            let host = from.authority().map(ToString::to_string).unwrap_or_default();
            Some(format!("{scheme}://{host}{location}"))
        }
        (Ok(to), Ok(from)) if to.scheme() == from.scheme() && to.authority() == from.authority() => {
            Some(location.clone())
        }
        _ => None,
    };
    target.filter(|_| keeps_method).ok_or(location)
}

/// The message in an answer, whichever forge wrote it.
fn words(answer: &Value) -> String {
    fn all(value: &Value) -> Vec<String> {
        match value {
            Value::String(text) => vec![text.clone()],
            Value::Array(list) => list.iter().flat_map(all).collect(),
            Value::Object(map) => map
                .iter()
                .filter(|(key, _)| !matches!(key.as_str(), "documentation_url" | "url" | "resource" | "code" | "field"))
                .flat_map(|(key, value)| {
                    let told = all(value);
                    if key == "message" || key == "messages" {
                        told
                    } else {
                        told.into_iter().map(|text| format!("{key} {text}")).collect()
                    }
                })
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
        }
    }
    ["message", "messages", "errorMessage", "error_description", "error", "errors"]
        .iter()
        .filter_map(|key| answer.get(key))
        .flat_map(all)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Calls that are only written down; for `--dry-run`.
#[derive(Debug, Default)]
pub(crate) struct Rehearsal {
    pub(crate) calls: Mutex<Vec<Request>>,
}

impl Transport for Rehearsal {
    fn send(&self, request: &Request) -> Result<Value, ApiError> {
        if let Ok(mut calls) = self.calls.lock() {
            calls.push(request.clone());
        }
        // Nothing is there yet: an empty list for who looks, an object without number for who makes one.
        let is_user = request.path.starts_with("/users");
        Ok(match request.method {
            "GET" if is_user => json!([{ "id": 0 }]),
            "GET" if request.path.contains('?') => json!([]),
            _ => json!({}),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_forge() {
        for (answer, expected) in [
            (
                json!({"message": "Validation Failed", "errors": [{"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for shop:x."}], "documentation_url": "https://x"}),
                "Validation Failed; A pull request already exists for shop:x.",
            ),
            (
                json!({"message": ["Another open merge request already exists: !7"]}),
                "Another open merge request already exists: !7",
            ),
            (json!({"message": {"base": ["is wrong"]}}), "base is wrong"),
            (json!({"error": "insufficient_scope", "error_description": "needs api"}), "needs api; insufficient_scope"),
            (json!({"errorCode": "Forbidden", "errorMessage": "no permission"}), "no permission"),
            (json!({"message": "user does not exist", "url": "http://x/api/swagger"}), "user does not exist"),
            (json!([1]), ""),
        ] {
            assert_eq!(words(&answer), expected);
        }
    }

    #[test]
    fn github_says_403_for_429() {
        let code = |status, headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            effective_code(StatusCode::from_u16(status).unwrap(), &HeaderMap::from_iter(headers))
        };
        assert_eq!(code(403, &[("x-ratelimit-remaining", "0")]), 429);
        assert_eq!(code(403, &[("retry-after", "60")]), 429);
        assert_eq!(code(403, &[("x-ratelimit-remaining", "7")]), 403);
        assert_eq!(code(500, &[("retry-after", "60")]), 500);
    }

    #[test]
    fn a_redirect_keeps_host_and_method() {
        let go = |method, status: u16, to: &str| {
            let headers = HeaderMap::from_iter([(header::LOCATION, to.parse().unwrap())]);
            redirected(method, StatusCode::from_u16(status).unwrap(), "https://api.h:8/a", &headers)
        };
        assert_eq!(go("GET", 301, "/b?c"), Ok("https://api.h:8/b?c".to_owned()));
        assert_eq!(go("POST", 307, "https://api.h:8/b"), Ok("https://api.h:8/b".to_owned()));
        for (method, status, to) in [
            ("POST", 301, "/b"),
            ("GET", 302, "https://elsewhere/a"),
            ("GET", 302, "http://api.h:8/a"),
            ("GET", 302, "https://api.h/a"),
            ("GET", 302, "//elsewhere/a"),
        ] {
            assert_eq!(go(method, status, to), Err(to.to_owned()));
        }
    }
}
