//! The servers of all Gateways on one gateway's pods, joined as istiod joins them (`mergeGateways`): plain HTTP on one port
//! is one route table; servers for TLS stay apart, by server name; what contradicts an earlier server is dropped.

use super::model::{Model, namespace, text, texts};
use super::outcome::Place;
use super::ports::{self, ServicePort};
use super::select::Selected;
use crate::fleet::Manifest;
use crate::object::At as _;
use indexmap::IndexMap;
use serde_json::Value;
use std::collections::HashMap;

/// A server of a Gateway.
#[derive(Clone, Debug)]
pub(super) struct Server<'s> {
    pub(super) manifest: &'s Manifest,
    /// Its Gateway, by age.
    pub(super) gateway: usize,
    /// `NAMESPACE/NAME` of the Gateway.
    pub(super) gateway_name: String,
    pub(super) index: usize,
    /// Hosts with `./` and `*/` resolved; `NAMESPACE/HOST` stays.
    pub(super) hosts: Vec<String>,
    /// The number that is written.
    pub(super) number: u16,
    /// Lower case.
    pub(super) protocol: String,
    pub(super) tls: Option<Tls>,
    /// Name of its route table; empty for what is not HTTP.
    pub(super) table: String,
}

/// `tls` of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) mode: Mode,
    pub(super) redirects: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Passthrough,
    AutoPassthrough,
    /// `SIMPLE`, and `OPTIONAL_MUTUAL`, which takes clients without a certificate too.
    Simple,
    /// `MUTUAL` and `ISTIO_MUTUAL`: the client must show a certificate.
    Mutual,
}

impl<'s> Server<'s> {
    pub(super) fn place(&self) -> Place<'s> {
        Place { manifest: self.manifest, pointer: format!("/spec/servers/{}", self.index) }
    }

    pub(super) fn is_plain_http(&self) -> bool {
        is_http(&self.protocol)
    }

    pub(super) fn passes_through(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| matches!(tls.mode, Mode::Passthrough | Mode::AutoPassthrough))
    }

    /// HTTPS that ends at the gateway.
    pub(super) fn ends_https(&self) -> bool {
        self.protocol == "https" && self.tls.is_some() && !self.passes_through()
    }

    /// `IsHTTPServer`: a route table belongs to it.
    fn has_table(&self) -> bool {
        self.is_plain_http() || (self.protocol == "https" && !self.passes_through())
    }

    /// `IsTLSServer`.
    fn is_tls(&self) -> bool {
        self.tls.is_some() && !self.is_plain_http()
    }

    pub(super) fn redirects(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.redirects)
    }
}

fn is_http(protocol: &str) -> bool {
    matches!(protocol, "http" | "http2" | "grpc" | "grpc-web" | "http_proxy")
}

/// A server that istiod leaves out.
#[derive(Clone, Debug)]
pub(super) struct Dropped {
    pub(super) server: usize,
    pub(super) port: u16,
    /// The server that it contradicts.
    pub(super) by: Option<usize>,
    pub(super) because: String,
}

/// What is opened.
#[derive(Debug, Default)]
pub(super) struct Merged<'s> {
    pub(super) servers: Vec<Server<'s>>,
    /// Port of the pods and protocol, in their order, with their servers.
    pub(super) ports: IndexMap<(u16, String), Vec<usize>>,
    /// Servers by route table.
    pub(super) tables: IndexMap<String, Vec<usize>>,
    pub(super) dropped: Vec<Dropped>,
    /// Gateways that meet on a port and whose order decides.
    pub(super) contested: Vec<(u16, &'s Manifest, &'s Manifest)>,
}

/// How far the joining has come.
struct Merger<'s, 'm, 'o> {
    model: &'m Model<'s, 'o>,
    merged: Merged<'s>,
    /// First plain-text server by port, with the key of its port.
    plain: HashMap<u16, ((u16, String), usize)>,
    /// Hosts of servers with TLS by port.
    names: HashMap<u16, HashMap<String, usize>>,
    bound: HashMap<u16, bool>,
}

/// Joins the servers of Gateways, which are given oldest first.
pub(super) fn servers<'s>(
    model: &Model<'s, '_>,
    gateways: &[Selected<'s>],
    ports: &[ServicePort],
    unprivileged: bool,
) -> Merged<'s> {
    let mut merger = Merger {
        model,
        merged: Merged::default(),
        plain: HashMap::new(),
        names: HashMap::new(),
        bound: HashMap::new(),
    };
    for (gateway, selected) in gateways.iter().enumerate() {
        let all = selected.manifest.object.at("/spec/servers").and_then(Value::as_array);
        for (index, written) in all.into_iter().flatten().enumerate() {
            let Some(server) = read(selected.manifest, gateway, index, written) else { continue };
            for port in ports::resolve(selected.manifest, server.number, ports) {
                let mut server = server.clone();
                server.table = table(&server, port, written);
                merger.add(server, port, written, unprivileged);
            }
        }
    }
    merger.merged
}

fn read<'s>(manifest: &'s Manifest, gateway: usize, index: usize, written: &Value) -> Option<Server<'s>> {
    let tls = written.get("tls").filter(|tls| tls.is_object()).map(|tls| Tls {
        mode: match text(tls, "/mode") {
            "" | "PASSTHROUGH" => Mode::Passthrough,
            "AUTO_PASSTHROUGH" => Mode::AutoPassthrough,
            "MUTUAL" | "ISTIO_MUTUAL" => Mode::Mutual,
            _ => Mode::Simple,
        },
        redirects: tls.get("httpsRedirect").and_then(Value::as_bool).unwrap_or_default(),
    });
    let own = namespace(manifest);
    let mut hosts = Vec::new();
    for host in texts(written, "/hosts") {
        match host.split_once('/') {
            Some((".", name)) => hosts.push(format!("{own}/{name}")),
            Some(("*", "*")) => {
                hosts = vec!["*".to_owned()];
                break;
            }
            Some(("*", name)) => hosts.push(name.to_owned()),
            _ => hosts.push(host.to_owned()),
        }
    }
    Some(Server {
        manifest,
        gateway,
        gateway_name: format!("{own}/{}", manifest.id.name),
        index,
        hosts,
        number: super::model::port(written, "/port/number")?,
        protocol: text(written, "/port/protocol").to_lowercase(),
        tls,
        table: String::new(),
    })
}

/// Name of the route table, as istiod has it.
fn table(server: &Server<'_>, port: u16, written: &Value) -> String {
    if server.is_plain_http() {
        format!("http.{port}")
    } else if server.protocol == "https" && !server.passes_through() {
        let id = &server.manifest.id;
        let own = namespace(server.manifest);
        format!("https.{}.{}.{}.{own}", server.number, text(written, "/port/name"), id.name)
    } else {
        String::new()
    }
}

impl<'s> Merger<'s, '_, '_> {
    fn add(&mut self, server: Server<'s>, port: u16, written: &Value, unprivileged: bool) {
        let at = self.merged.servers.len();
        self.merged.servers.push(server);
        let bind = text(written, "/bind");
        if !matches!(bind, "" | "0.0.0.0" | "::") {
            return self.drop(at, port, None, format!("it listens on {bind} only, which no Service leads to"));
        }
        if unprivileged && port < 1024 {
            return self.drop(at, port, None, format!("the pods may not bind port {port}"));
        }
        if self.merged.servers[at].tls.is_some() && !self.take_names(at, port) {
            return;
        }
        let key = (port, self.merged.servers[at].protocol.clone());
        let server = &self.merged.servers[at];
        let (table, tls, has_table) = (server.table.clone(), server.is_tls(), server.has_table());
        let first = self.bound.get(&port).copied();
        if first.is_none() {
            // The first server of a port is taken whatever it is.
            self.bound.insert(port, false);
            return self.open(at, key, &table, tls, has_table);
        }
        if let Some((current, by)) = self.plain.get(&port).cloned() {
            let merges = is_http(&key.1) && (is_http(&current.1) || current.1 == key.1);
            if !merges || table.is_empty() {
                let because = format!("port {port} is taken by a server for {}", current.1.to_uppercase());
                return self.drop(at, port, Some(by), because);
            }
            self.merged.ports.entry(current).or_default().push(at);
            self.merged.tables.entry(table).or_default().push(at);
            return;
        }
        if !tls {
            // Before it come only servers with TLS; had this one been first, they would be out.
            let others: Vec<usize> = self
                .merged
                .ports
                .iter()
                .filter(|((number, _), _)| *number == port)
                .flat_map(|(_, all)| all.clone())
                .collect();
            for other in others {
                self.contest(port, at, other);
            }
            return self.open(at, key, &table, tls, has_table);
        }
        if has_table {
            if let Some(by) = self.merged.tables.get(&table).and_then(|all| all.first()).copied() {
                return self.drop(
                    at,
                    port,
                    Some(by),
                    "its Gateway has two servers with this port and port name".to_owned(),
                );
            }
            self.merged.tables.insert(table, vec![at]);
        }
        self.merged.ports.entry(key).or_default().push(at);
    }

    fn open(&mut self, at: usize, key: (u16, String), table: &str, tls: bool, has_table: bool) {
        if !tls {
            self.plain.insert(key.0, (key.clone(), at));
        }
        if has_table {
            self.merged.tables.insert(table.to_owned(), vec![at]);
        }
        self.merged.ports.insert(key, vec![at]);
    }

    /// A host of a server with TLS can be taken once per port; a server with a taken one is out as a whole.
    fn take_names(&mut self, at: usize, port: u16) -> bool {
        let names = self.names.entry(port).or_default();
        let hosts = &self.merged.servers[at].hosts;
        let taken = hosts.iter().find_map(|host| names.get(host).map(|by| (host.clone(), *by)));
        match taken {
            None => {
                for host in hosts {
                    names.insert(host.clone(), at);
                }
                true
            }
            Some((host, by)) => {
                self.drop(at, port, Some(by), format!("port {port} has another server for {host}"));
                false
            }
        }
    }

    fn drop(&mut self, server: usize, port: u16, by: Option<usize>, because: String) {
        if let Some(by) = by {
            self.contest(port, server, by);
        }
        self.merged.dropped.push(Dropped { server, port, by, because });
    }

    fn contest(&mut self, port: u16, a: usize, b: usize) {
        let (Some(a), Some(b)) = (self.merged.servers.get(a), self.merged.servers.get(b)) else { return };
        if self.model.ages.known(a.manifest, b.manifest).is_none() {
            self.merged.contested.push((port, a.manifest, b.manifest));
        }
    }
}
