//! `Gateway`: ports that are opened on the pods of a gateway.

use super::{items, port, text, texts};
use crate::object::At as _;
use serde_json::{Map, Value};

/// A Gateway.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gateway {
    /// Labels of the pods; those of every gateway when empty.
    pub selector: Map<String, Value>,
    /// What is opened.
    pub servers: Vec<Server>,
}

/// One server of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Port number, as the Service has it.
    pub port: Option<u16>,
    /// Protocol, in upper case.
    pub protocol: String,
    /// Hosts, as written: `*`, `shop.example.com`, `ns/*.example.com`.
    pub hosts: Vec<String>,
    /// `tls.mode`, when it has TLS.
    pub tls_mode: Option<String>,
    /// Plain HTTP is answered with a redirect to HTTPS.
    pub redirects_to_https: bool,
}

impl Gateway {
    /// Reads an object.
    pub fn read(object: &Value) -> Self {
        let servers = items(object, "/spec/servers").iter().map(|server| Server {
            port: port(server, "/port/number"),
            protocol: text(server, "/port/protocol").unwrap_or_default().to_uppercase(),
            hosts: texts(server, "/hosts"),
            tls_mode: text(server, "/tls/mode"),
            redirects_to_https: server.at("/tls/httpsRedirect").and_then(Value::as_bool).unwrap_or_default(),
        });
        let selector = object.at("/spec/selector").and_then(Value::as_object).cloned().unwrap_or_default();
        Self { selector, servers: servers.collect() }
    }
}

/// A Secret that a server names for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Name of the Secret.
    pub secret: String,
    /// JSON pointer of what names it.
    pub pointer: String,
    /// A certificate with its key is wanted of it.
    pub pair: bool,
    /// What clients' certificates are checked with is wanted of it.
    pub authority: bool,
}

/// The Secrets that the servers of a Gateway name. What passes TLS on without ending it reads none.
pub fn credentials(object: &Value) -> Vec<Credential> {
    let mut found = Vec::new();
    for (index, server) in items(object, "/spec/servers").iter().enumerate() {
        let mode = text(server, "/tls/mode").unwrap_or_default();
        let mutual = matches!(mode.as_str(), "MUTUAL" | "OPTIONAL_MUTUAL");
        if !mutual && mode != "SIMPLE" {
            continue;
        }
        let apart = text(server, "/tls/caCertCredentialName").filter(|name| !name.is_empty());
        let tls = format!("/spec/servers/{index}/tls");
        let one = text(server, "/tls/credentialName").map(|name| (name, format!("{tls}/credentialName")));
        let many = texts(server, "/tls/credentialNames").into_iter().enumerate();
        let pairs = one.into_iter().chain(many.map(|(at, name)| (name, format!("{tls}/credentialNames/{at}"))));
        for (name, pointer) in pairs {
            let Some(secret) = secret_of(&name).map(str::to_owned) else { continue };
            found.push(Credential { secret, pointer, pair: true, authority: mutual && apart.is_none() });
        }
        if let Some(secret) = apart.as_deref().and_then(secret_of).filter(|_| mutual) {
            let pointer = format!("{tls}/caCertCredentialName");
            found.push(Credential { secret: secret.to_owned(), pointer, pair: false, authority: true });
        }
    }
    found
}

/// The name of the Secret that a `credentialName` means; `None` when it is no Secret.
pub fn secret_of(name: &str) -> Option<&str> {
    match name.strip_prefix("kubernetes://") {
        Some(name) => Some(name),
        None if name.contains("://") || name.is_empty() => None,
        None => Some(name),
    }
}

impl Server {
    /// Does it end TLS, so that HTTP rules see what comes in encrypted?
    pub fn terminates_tls(&self) -> bool {
        self.protocol == "HTTPS"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_those_of_servers_that_end_tls() {
        let of = |tls: Value| {
            let named = credentials(&json!({"spec": {"servers": [{"tls": tls}]}}));
            named.iter().map(|it| (it.secret.clone(), it.pair, it.authority)).collect::<Vec<_>>()
        };
        let pair = |name: &str, authority| (name.to_owned(), true, authority);
        for (tls, expected) in [
            (json!({"mode": "SIMPLE", "credentialName": "a"}), vec![pair("a", false)]),
            (json!({"mode": "SIMPLE", "credentialName": "kubernetes://a"}), vec![pair("a", false)]),
            (json!({"mode": "SIMPLE", "credentialName": "builtin://"}), vec![]),
            (json!({"mode": "SIMPLE", "credentialNames": ["a", "b"]}), vec![pair("a", false), pair("b", false)]),
            (json!({"mode": "MUTUAL", "credentialName": "a"}), vec![pair("a", true)]),
            (
                json!({"mode": "OPTIONAL_MUTUAL", "credentialName": "a", "caCertCredentialName": "b"}),
                vec![pair("a", false), ("b".to_owned(), false, true)],
            ),
            (json!({"credentialName": "a"}), vec![]),
            (json!({"mode": "PASSTHROUGH", "credentialName": "a"}), vec![]),
            (json!({"mode": "ISTIO_MUTUAL", "credentialName": "a"}), vec![]),
        ] {
            assert_eq!(of(tls.clone()), expected, "{tls}");
        }
    }
}
