//! A request as a client sends it.

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
    /// A request from a URL. Scheme `https` means TLS; without a port it is 80 or 443. The path goes as it stands.
    pub fn from_url(url: &str, method: Option<&str>, headers: &[(String, String)]) -> Result<Self, RequestError> {
        let error = |message: String| RequestError {
            message,
            hint: "Write an absolute URL, as in http://shop.example.com/cart?x=1".to_owned(),
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| error(format!("`{url}` has no scheme")))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other => return Err(error(format!("the scheme `{other}` of `{url}` is neither http nor https"))),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(error("the URL has a user name before its host".to_owned()));
        }
        let (name, port) = split_port(authority);
        if name.is_empty() {
            return Err(error(format!("`{url}` has no host")));
        }
        let port = match port {
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(text) => text
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| error(format!("the port `{text}` of `{url}` is no number from 1 to 65535")))?,
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
        ] {
            let error = Request::from_url(url, None, &[]).unwrap_err();
            assert!(error.message.contains(word), "{url}: {}", error.message);
            assert!(error.hint.contains("http://"));
        }
    }
}
