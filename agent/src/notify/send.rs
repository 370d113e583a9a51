//! One message to one receiver: https only, no redirects, within bounds; errors say nothing of the address but its host.

use super::message::{Message, taken};
use super::reach::{Lookup, Reach};
use crate::credentials::NotificationSecret;
use asm_shared::api::NotificationKind;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;

/// How long a receiver may take to answer.
const TIME: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const LONGEST: usize = 64 << 10;

/// Why a message was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Another try may help.
    pub(super) may_pass: bool,
    /// In words, without the address.
    pub(super) why: String,
}

fn for_good(why: impl Into<String>) -> Failure {
    Failure { may_pass: false, why: why.into() }
}

fn for_now(why: impl Into<String>) -> Failure {
    Failure { may_pass: true, why: why.into() }
}

/// The address with the parameters of a message. What is wrong with it is said without it.
fn address(secret: &NotificationSecret, message: &Message, reach: Reach) -> Result<(Uri, String), Failure> {
    let given = secret.url.trim();
    let parsed: Uri = given.parse().map_err(|_| for_good("the Secret's url is no URL"))?;
    if parsed.scheme_str() != Some("https") {
        return Err(for_good("the Secret's url must begin with https://"));
    }
    let authority = parsed.authority().ok_or_else(|| for_good("the Secret's url has no host"))?;
    if authority.as_str().contains('@') {
        return Err(for_good("the Secret's url must not hold a user or password"));
    }
    let host = authority.host().to_owned();
    // A name is looked up and judged by the connector; an address is not looked up.
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
        reach.check(address).map_err(|why| for_good(format!("the Secret's url leads to {host}: {why}")))?;
    }
    let mut full = given.to_owned();
    for (key, value) in &message.query {
        full.push(if full.contains('?') { '&' } else { '?' });
        full.push_str(&format!("{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    }
    let full = full.parse().map_err(|_| for_good("the Secret's url is no URL"))?;
    Ok((full, host))
}

/// Sends it.
pub(super) async fn post(
    secret: &NotificationSecret,
    kind: NotificationKind,
    message: Message,
    reach: Reach,
) -> Result<(), Failure> {
    let (address, host) = address(secret, &message, reach)?;
    let config = crate::source::tls_config(secret.ca.clone()).map_err(for_good)?;
    let mut connector = HttpConnector::new_with_resolver(Lookup(reach));
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(TIME));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().wrap_connector(connector);
    // A connection for a message: they are far apart.
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let mut request = Request::post(address)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .header(USER_AGENT, concat!("asm-agent/", env!("CARGO_PKG_VERSION")));
    if let Some(signature) = &message.signature {
        request = request.header("x-signature", signature);
    }
    let request = request.body(Full::from(message.body)).map_err(|_| for_good("the request could not be made"))?;
    let asked = async {
        let answer = client.request(request).await.map_err(|error| for_now(format!("{host}: {}", reason(&error))))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        judge(&host, kind, head.status, &body)
    };
    tokio::time::timeout(TIME, asked)
        .await
        .unwrap_or_else(|_| Err(for_now(format!("{host} did not answer within {} s", TIME.as_secs()))))
}

/// What an answer means.
fn judge(host: &str, kind: NotificationKind, status: StatusCode, body: &[u8]) -> Result<(), Failure> {
    if status.is_redirection() {
        return Err(for_good(format!(
            "{host} redirects, which is not followed: write the address where it leads into the Secret"
        )));
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
        return Err(for_now(format!("{host} answers {status}")));
    }
    if !status.is_success() {
        return Err(for_good(format!("{host} answers {status}: look at the url and the secret")));
    }
    taken(kind, body).map_err(|why| for_good(format!("{host} does not take it: {why}")))
}

/// The last cause; the errors above it only say that something failed. None of them quotes the address.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
