//! `Gateway`: ports that are opened on the pods of a gateway.

use super::{items, port, text, texts};
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
            redirects_to_https: server.pointer("/tls/httpsRedirect").and_then(Value::as_bool).unwrap_or_default(),
        });
        let selector = object.pointer("/spec/selector").and_then(Value::as_object).cloned().unwrap_or_default();
        Self { selector, servers: servers.collect() }
    }
}

impl Server {
    /// Does it end TLS, so that HTTP rules see what comes in encrypted?
    pub fn terminates_tls(&self) -> bool {
        self.protocol == "HTTPS"
    }
}
