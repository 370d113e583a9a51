//! A request as a client sends it.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use thiserror::Error;

/// A request as it arrives at a load balancer (or a Service) of a gateway. Nothing in it is normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The port it is sent to: of the load balancer or Service.
    pub port: u16,
    /// The client speaks TLS.
    pub tls: bool,
    /// The server name that it asks for in TLS.
    pub sni: Sni,
    /// The client shows a certificate when asked.
    pub client_certificate: bool,
    /// `Host` header or `:authority`, as sent; may have a port.
    pub host: String,
    /// Method, as sent.
    pub method: String,
    /// Path with query, as sent.
    pub path: String,
    /// Headers, as sent: names in any case, several of one name allowed.
    pub headers: Vec<(String, String)>,
}

/// The server name that a TLS client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sni {
    /// The host of the request, without its port.
    #[default]
    Host,
    /// None.
    Absent,
    /// This one.
    Name(String),
}

/// A URL that is no request.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct RequestError {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: String,
}

impl Request {
    /// The host without its port; an IPv6 address keeps its brackets.
    pub fn name(&self) -> &str {
        split_port(&self.host).0
    }

    /// A request from a URL. Scheme `https` means TLS; without a port it is 80 or 443. The path goes as it stands.
    pub fn from_url(url: &str, method: Option<&str>, headers: &[(String, String)]) -> Result<Self, RequestError> {
        let error = |message: String| RequestError {
            message,
            hint: "Write an absolute URL, as in http://shop.example.com/cart?x=1".to_owned(),
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| error(format!("`{}` has no scheme", brief(url))))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other => {
                return Err(error(format!(
                    "the scheme `{}` of `{}` is neither http nor https",
                    brief(other),
                    brief(url)
                )));
            }
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(error("the URL has a user name before its host".to_owned()));
        }
        address(authority)
            .map_err(|(message, hint)| RequestError { message: format!("`{}` {message}", brief(url)), hint })?;
        let (name, port) = split_port(authority);
        if name.is_empty() {
            return Err(error(format!("`{}` has no host", brief(url))));
        }
        let wrong =
            |text: &str| error(format!("the port `{}` of `{}` is no number from 1 to 65535", brief(text), brief(url)));
        let port = match port {
            None if tls => 443,
            None => 80,
            Some(text) => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| wrong(text))?,
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let host = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        Ok(Self {
            port,
            tls,
            sni: Sni::Host,
            client_certificate: false,
            host: host.map_or_else(|| authority.to_owned(), |(_, value)| value.clone()),
            method: method.unwrap_or("GET").to_owned(),
            path,
            headers: headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")).cloned().collect(),
        })
    }
}

/// What is wrong with the address of an authority, and what would be right. Colons within an IPv6 address are told from the
/// one before a port by its brackets alone.
fn address(authority: &str) -> Result<(), (String, String)> {
    let Some(rest) = authority.strip_prefix('[') else {
        let (name, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
        if name.contains(':') {
            let is_whole = authority.parse::<Ipv6Addr>().is_ok();
            let right = if is_whole { format!("[{authority}]") } else { format!("[{name}]:{port}") };
            return Err((
                "has several colons in its host, and no brackets around it".to_owned(),
                format!("An IPv6 address stands in brackets: http://{}/", brief(&right)),
            ));
        }
        return Ok(());
    };
    let Some((inner, after)) = rest.split_once(']') else {
        return Err((
            "has an opening bracket before its host, and no closing one".to_owned(),
            format!("Close it behind the address: http://[{}]/", brief(rest)),
        ));
    };
    if inner.parse::<Ipv6Addr>().is_err() {
        return Err((
            format!("has `{}` in brackets, which is no IPv6 address", brief(inner)),
            "Write a host name without brackets, or an address as in http://[2001:db8::1]/".to_owned(),
        ));
    }
    if !after.is_empty() && !after.starts_with(':') {
        return Err((
            format!("has `{}` behind the bracket of its host", brief(after)),
            format!("Only a port may follow there: http://[{inner}]:8080/"),
        ));
    }
    Ok(())
}

/// The beginning of a text that may be of any length: messages are to be read.
fn brief(text: &str) -> Cow<'_, str> {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

/// Host and port of an authority; the host keeps the brackets of an IPv6 address.
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[after..].rfind(':') {
        Some(colon) => (&authority[..after + colon], Some(&authority[after + colon + 1..])),
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_requests() {
        for (url, port, tls, host, path) in [
            ("http://shop.example.com", 80, false, "shop.example.com", "/"),
            ("HTTPS://Shop.example.com/a?b=1#c", 443, true, "Shop.example.com", "/a?b=1"),
            ("http://shop.example.com:8080/a", 8080, false, "shop.example.com:8080", "/a"),
            ("http://shop.example.com?x=1", 80, false, "shop.example.com", "/?x=1"),
            ("http://[::1]:81/", 81, false, "[::1]:81", "/"),
            ("http://[::1]", 80, false, "[::1]", "/"),
        ] {
            let request = Request::from_url(url, None, &[]).unwrap();
            let found = (request.port, request.tls, &*request.host, &*request.path, &*request.method);
            assert_eq!(found, (port, tls, host, path, "GET"), "{url}");
        }
    }

    #[test]
    fn a_host_header_replaces_the_host_and_not_the_port() {
        let headers = [("Host".to_owned(), "other".to_owned()), ("X".to_owned(), "1".to_owned())];
        let request = Request::from_url("http://1.2.3.4:8080/", Some("POST"), &headers).unwrap();
        assert_eq!((request.port, &*request.host, &*request.method), (8080, "other", "POST"));
        assert_eq!(request.headers, [("X".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn what_is_no_url_is_told() {
        for (url, word) in [
            ("shop.example.com/a", "no scheme"),
            ("ftp://shop", "neither http nor https"),
            ("http:///a", "no host"),
            ("http://:80/", "no host"),
            ("http://a:b/", "no number"),
            ("http://a:0/", "no number"),
            ("http://a:70000/", "no number"),
            ("http://me@a/", "user name"),
            ("http://a:/", "no number"),
            ("http://[2001:db8::1", "no closing one"),
            ("http://[2001:db8::1/", "no closing one"),
            ("http://[::1:80/a]", "no closing one"),
            ("http://2001:db8::1/", "no brackets"),
            ("http://2001:db8::1:80/", "no brackets"),
            ("http://a:80:90/", "no brackets"),
            ("http://[shop.example.com]/", "no IPv6 address"),
            ("http://[]/", "no IPv6 address"),
            ("http://[::1]80/", "behind the bracket"),
            ("http://[::1]]:80/", "behind the bracket"),
            ("http://[::1]:x/", "no number"),
            ("http://[::1]:/", "no number"),
        ] {
            let error = Request::from_url(url, None, &[]).unwrap_err();
            assert!(error.message.contains(word), "{url}: {}", error.message);
            assert!(error.hint.contains("http://"), "{url}: {}", error.hint);
        }
    }

    #[test]
    fn what_would_be_right_is_told_of_addresses() {
        for (url, right) in [
            ("http://[2001:db8::1", "http://[2001:db8::1]/"),
            ("http://2001:db8::1/a", "http://[2001:db8::1]/"),
            ("http://fe80:0:0:0:0:0:0:1:8080/", "http://[fe80:0:0:0:0:0:0:1]:8080/"),
        ] {
            let error = Request::from_url(url, None, &[]).unwrap_err();
            assert!(error.hint.contains(right), "{url}: {}", error.hint);
        }
    }

    #[test]
    fn a_message_is_short_however_long_the_url_is() {
        let error = Request::from_url(&format!("ftp://shop/{}", "a".repeat(8192)), None, &[]).unwrap_err();
        assert!(error.message.len() < 300, "{}", error.message.len());
    }
}
