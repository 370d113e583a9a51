//! Who may look, and what every answer forbids the browser.
//!
//! The page has no session, no cookie and nothing that changes anything. What is left to fear: a stranger on the network (a
//! token, and an address of this machine only without one), another website that makes a browser fetch the page (origin and
//! fetch metadata), a name that is made to point here (hosts), and text from Git or a cluster that wants to be a script
//! (everything is escaped, and the policy lets no script run but the page's own file).

use super::pages;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use subtle::ConstantTimeEq as _;

/// Letters that a token has at least: it is asked over the network, as often as somebody likes.
const SHORTEST: usize = 16;
/// Bytes of a token's file that are read.
const LONGEST: u64 = 4096;

/// Who may look.
#[derive(Debug)]
pub struct Access {
    /// Names by which the page may be asked, besides addresses and `localhost`.
    hosts: Vec<String>,
    /// File with the token. Read at each request, so that another token counts at once.
    token: Option<PathBuf>,
}

/// Why the page cannot be shown like this.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Everybody could look.
    #[error(
        "--web-address {0} can be reached over the network, and nothing asks who looks: give --web-token-file FILE, or take \
         127.0.0.1 and look through kubectl port-forward"
    )]
    Open(SocketAddr),
    /// The file cannot be read.
    #[error("--web-token-file {}: {reason}", file.display())]
    Token {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Access {
    /// Checks what the command line says.
    pub fn new(address: SocketAddr, hosts: Vec<String>, token: Option<PathBuf>) -> Result<Self, AccessError> {
        match &token {
            Some(file) => {
                read_token(file).map_err(|reason| AccessError::Token { file: file.clone(), reason })?;
            }
            None if !address.ip().is_loopback() => return Err(AccessError::Open(address)),
            None => {}
        }
        let hosts = hosts.iter().map(|host| host.trim_end_matches('.').to_ascii_lowercase()).collect();
        Ok(Self { hosts, token })
    }

    /// May a browser have meant this page? A name that is not ours may be anybody's that was made to point here.
    fn knows(&self, host: &str) -> bool {
        let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || bare.parse::<IpAddr>().is_ok() || self.hosts.contains(&name)
    }

    /// Is the token right? Without one, whoever gets here may look.
    async fn admits(&self, headers: &HeaderMap) -> Result<bool, String> {
        let Some(file) = self.token.clone() else { return Ok(true) };
        let token =
            tokio::task::spawn_blocking(move || read_token(&file)).await.map_err(|error| error.to_string())??;
        let Some(given) = headers.get(header::AUTHORIZATION).and_then(given) else { return Ok(false) };
        // Hashes are of one length, so that nothing is to be learned from how long a comparison takes.
        Ok(Sha256::digest(token.as_bytes()).ct_eq(&Sha256::digest(given.as_bytes())).into())
    }
}

fn read_token(file: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    let mut text = String::new();
    opened.take(LONGEST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let token = text.trim();
    if token.len() < SHORTEST {
        return Err(format!("the token has {} characters, it needs {SHORTEST}", token.len()));
    }
    Ok(token.to_owned())
}

/// The token of `Authorization: Bearer TOKEN`, or the password of `Basic`, whatever the user is.
fn given(value: &HeaderValue) -> Option<String> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an IPv6 address are inside brackets.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// Lets a request through, or not, and puts the policy on whatever is answered.
pub(super) async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let answer = match refused(&access, &head.method, &head.headers).await {
        Some(refusal) => refusal,
        None => next.run(Request::from_parts(head, body)).await,
    };
    with_policy(answer)
}

async fn refused(access: &Access, method: &Method, headers: &HeaderMap) -> Option<Response> {
    let plain = |status: StatusCode, text: &'static str| Some((status, text).into_response());
    if !matches!(*method, Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return Some((StatusCode::METHOD_NOT_ALLOWED, allow, "this page can only be read\n").into_response());
    }
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).unwrap_or_default();
    if !access.knows(host) {
        return plain(
            StatusCode::MISDIRECTED_REQUEST,
            "this host name is not known here: ask by an address or as localhost, or start the agent with --web-host NAME\n",
        );
    }
    let ours = |origin: &str| origin.split_once("://").is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(host));
    if text(header::ORIGIN).is_some_and(|origin| !ours(origin)) || is_foreign(headers) {
        return plain(StatusCode::FORBIDDEN, "another website asks for this page\n");
    }
    match access.admits(headers).await {
        Ok(true) => None,
        Ok(false) => {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"asm-agent\", charset=\"UTF-8\"")];
            let text = "a token is needed: as the password, or as Authorization: Bearer TOKEN\n";
            Some((StatusCode::UNAUTHORIZED, challenge, text).into_response())
        }
        Err(why) => {
            tracing::warn!("the page's token cannot be read: {why}");
            plain(StatusCode::SERVICE_UNAVAILABLE, "the token cannot be read; see the agent's log\n")
        }
    }
}

/// Does another website ask, other than by a link that somebody followed?
fn is_foreign(headers: &HeaderMap) -> bool {
    let is = |name: &str, wanted: &str| headers.get(name).is_some_and(|value| value == wanted);
    let from_elsewhere = is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site");
    from_elsewhere && !(is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document"))
}

/// The picture brings its style along; this is the hash by which the policy knows it.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(pages::style_of_pictures().as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-{style}'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

fn with_policy(mut answer: Response<Body>) -> Response<Body> {
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    for (name, value) in [
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(hosts: &[&str]) -> Access {
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        Access::new(([127, 0, 0, 1], 0).into(), hosts, None).unwrap()
    }

    #[test]
    fn only_addresses_and_known_names_are_hosts() {
        let access = access(&["Mesh.Example.com"]);
        for known in ["127.0.0.1:8082", "localhost", "LOCALHOST:9", "[::1]:8082", "10.0.0.7", "mesh.example.com.:443"] {
            assert!(access.knows(known), "{known}");
        }
        for unknown in
            ["", "evil.example.com", "evil.example.com:8082", "mesh.example.com.evil.com", "127.0.0.1.evil.com"]
        {
            assert!(!access.knows(unknown), "{unknown}");
        }
    }

    #[test]
    fn a_page_on_the_network_needs_a_token() {
        let network: SocketAddr = ([0, 0, 0, 0], 8082).into();
        let error = Access::new(network, Vec::new(), None).unwrap_err().to_string();
        assert!(error.contains("--web-token-file"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "short\n").unwrap();
        let error = Access::new(network, Vec::new(), Some(file.clone())).unwrap_err().to_string();
        assert!(error.contains("5 characters") && !error.contains("short\n"), "{error}");
        std::fs::write(&file, "a-token-of-enough-length\n").unwrap();
        assert!(Access::new(network, Vec::new(), Some(file)).is_ok());
    }

    #[tokio::test]
    async fn the_token_is_the_bearer_or_the_password_and_may_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "a-token-of-enough-length\n").unwrap();
        let access = Access::new(([0, 0, 0, 0], 0).into(), Vec::new(), Some(file.clone())).unwrap();
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        let ask = async |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            access.admits(&headers).await.unwrap()
        };
        assert!(ask("Bearer a-token-of-enough-length").await);
        assert!(ask(&basic("anybody:a-token-of-enough-length")).await);
        for wrong in [
            "Bearer a-token-of-enough-lengt",
            "a-token-of-enough-length",
            "Basic !",
            &basic("a-token-of-enough-length"),
        ] {
            assert!(!ask(wrong).await, "{wrong}");
        }
        assert!(!access.admits(&HeaderMap::new()).await.unwrap());
        std::fs::write(&file, "another-token-of-some-length").unwrap();
        assert!(!ask("Bearer a-token-of-enough-length").await);
        assert!(ask("Bearer another-token-of-some-length").await);
        std::fs::remove_file(&file).unwrap();
        assert!(access.admits(&HeaderMap::new()).await.is_err(), "without its file nobody gets in");
    }
}
