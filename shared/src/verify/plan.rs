//! What is to be asked of a gateway, by the files of the fleet.

use crate::asm::{overview, usage};
use crate::fleet::{FleetState, Manifest, Target};
use crate::istio::{Gateway, HttpMatch, Server, StringMatch, VirtualService};
use crate::object::At as _;
use crate::object::kinds::ISTIO_NETWORKING;
use crate::route::{self, Answer, Destination, Options, Request, Sni};
use serde_json::Value;

/// One thing to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Name of the IstioGateway.
    pub gateway: String,
    /// Port of the load balancer.
    pub port: u16,
    /// How far to go.
    pub layer: Layer,
    /// With TLS?
    pub tls: bool,
    /// Host of the request; the address when `None`.
    pub host: Option<String>,
    /// Server name for TLS; none when `None`.
    pub server_name: Option<String>,
    /// Method.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// What must come of it.
    pub expect: Expect,
    /// What it is about, for people.
    pub name: String,
    /// Where that is said: file and line.
    pub source: String,
}

impl Ask {
    /// Host of the request, or something else where it is the address.
    pub fn host_or<'a>(&'a self, other: &'a str) -> &'a str {
        self.host.as_deref().unwrap_or(other)
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// A connection.
    Tcp,
    /// A connection with TLS and a certificate that is trusted.
    Tls,
    /// A request.
    Http,
}

impl Layer {
    /// `tcp`, `tls`, `http`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Http => "http",
        }
    }
}

/// What must come of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    /// Status; when `None`, anything that is no failure.
    pub status: Option<u16>,
    /// Location of a redirect.
    pub location: Option<String>,
    /// Versions and their weights; several answers are needed to tell.
    pub weights: Vec<(String, u32)>,
}

/// Everything that the files say can be asked of a gateway: each open port, each certificate, a request to each host, and
/// the route tests. Ordered by port, layer and host.
pub fn plan(state: &FleetState, gateway: &Manifest) -> Vec<Ask> {
    let mut asks = Vec::new();
    for door in doors(state, gateway) {
        door.asks(&mut asks);
    }
    asks.extend(route_tests(state, gateway, &asks));
    asks.sort_by(|a, b| (a.port, a.layer, &a.host, &a.name).cmp(&(b.port, b.layer, &b.host, &b.name)));
    asks.dedup_by(|a, b| {
        a.name == b.name
            && (a.port, a.layer, &a.host, &a.path, &a.method) == (b.port, b.layer, &b.host, &b.path, &b.method)
    });
    asks
}

/// Adds to requests without an expectation what the routes make of them: the status with which the gateway answers by itself,
/// and with `weights` the shares of several destinations.
pub fn by_routes(state: &FleetState, asks: &mut [Ask], weights: bool) {
    for table in route::compile_all(state, &route::gateways(state), &Options::default()) {
        let front = table.front();
        let own =
            |ask: &&mut Ask| ask.gateway == front.name && ask.layer == Layer::Http && ask.expect == Expect::default();
        for ask in asks.iter_mut().filter(own) {
            let request = request_of(ask);
            let answer = table.lookup(&request).answer;
            match &answer {
                Answer::Redirect { status, .. } | Answer::Direct { status, .. } => ask.expect.status = Some(*status),
                Answer::Forward(forward) if weights && forward.destinations.len() > 1 => {
                    ask.expect.weights =
                        forward.destinations.iter().map(|to| (version(to), parts_of(to.share))).collect();
                }
                _ => {}
            }
        }
    }
}

/// The request as the simulation takes it.
pub fn request_of(ask: &Ask) -> Request {
    /// A host that stands for any.
    const ANY: &str = "any.example";
    Request {
        port: ask.port,
        tls: ask.tls,
        sni: if ask.server_name.is_some() { Sni::Host } else { Sni::Absent },
        client_certificate: false,
        host: ask.host_or(ANY).to_owned(),
        method: ask.method.clone(),
        path: ask.path.clone(),
        headers: ask.headers.clone(),
    }
}

/// By its subset, or by its host where that tells versions apart.
fn version(to: &Destination<'_>) -> String {
    to.subset.clone().unwrap_or_else(|| version_of(&to.host))
}

/// A share in ten thousandths: weights are whole numbers.
fn parts_of(share: f64) -> u32 {
    // Between 0 and 10000, so that nothing is cut off.
    (share * 10_000.0).round() as u32
}

/// One server of a Gateway on the pods of a gateway.
struct Door<'a> {
    gateway: &'a Manifest,
    /// The Gateway (Istio) and the pointer of the server in it.
    manifest: &'a Manifest,
    pointer: String,
    server: Server,
    /// Port of the load balancer.
    port: u16,
    /// VirtualServices bound to the Gateway.
    routes: Vec<(&'a Manifest, VirtualService)>,
}

fn doors<'a>(state: &'a FleetState, gateway: &'a Manifest) -> Vec<Door<'a>> {
    let mut found = Vec::new();
    for using in usage::of(state, gateway).gateways {
        let routes: Vec<(&Manifest, VirtualService)> = state
            .manifests_of(&Target::Mesh)
            .filter(|manifest| manifest.group_kind().is(ISTIO_NETWORKING, "VirtualService"))
            .filter(|route| usage::gateways_of(state, route).iter().any(|bound| bound.id == using.manifest.id))
            .map(|route| (route, VirtualService::read(&route.object)))
            .collect();
        for (index, server) in Gateway::read(&using.manifest.object).servers.into_iter().enumerate() {
            let Some(port) = server.port.and_then(|port| front_port(gateway, port)) else { continue };
            let pointer = format!("/spec/servers/{index}");
            found.push(Door { gateway, manifest: using.manifest, pointer, server, port, routes: routes.clone() });
        }
    }
    found
}

/// The port of the load balancer that leads to a server: its own number, or that whose target it names.
fn front_port(gateway: &Manifest, number: u16) -> Option<u16> {
    let ports = gateway.object.at("/spec/ports").and_then(Value::as_array)?;
    let read = |port: &Value, field: &str| port.get(field).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
    let by =
        |field: &str| ports.iter().find(|port| read(port, field) == Some(number)).and_then(|port| read(port, "port"));
    by("port").or_else(|| by("targetPort"))
}

impl Door<'_> {
    fn ask(&self, layer: Layer, host: Option<String>) -> Ask {
        let tls = layer != Layer::Tcp && self.speaks_tls();
        Ask {
            gateway: self.gateway.id.name.to_string(),
            port: self.port,
            layer,
            tls,
            server_name: host.clone().filter(|_| tls),
            host,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            expect: Expect::default(),
            name: String::new(),
            source: self.manifest.position_of(&self.pointer).to_string(),
        }
    }

    fn speaks_tls(&self) -> bool {
        matches!(self.server.protocol.as_str(), "HTTPS" | "TLS")
    }

    /// A client certificate is needed: nobody here has one.
    fn wants_client_certificate(&self) -> bool {
        self.server.tls_mode.as_deref().is_some_and(|mode| mode.contains("MUTUAL") && mode != "OPTIONAL_MUTUAL")
    }

    fn asks(&self, asks: &mut Vec<Ask>) {
        asks.push(Ask { name: format!("port {}", self.port), ..self.ask(Layer::Tcp, None) });
        if self.wants_client_certificate() {
            return;
        }
        let is_http = match self.server.protocol.as_str() {
            "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => true,
            "HTTPS" => self.server.tls_mode.as_deref() != Some("PASSTHROUGH"),
            _ => false,
        };
        if self.speaks_tls() {
            for host in self.server.hosts.iter().map(|host| without_namespace(host)) {
                let host = concrete(host);
                let name = format!("certificate for {}", host.as_deref().unwrap_or("any name"));
                asks.push(Ask { name, ..self.ask(Layer::Tls, host) });
            }
        }
        if !is_http {
            return;
        }
        if self.server.redirects_to_https {
            for host in self.server.hosts.iter().map(|host| without_namespace(host)) {
                let ask = self.ask(Layer::Http, concrete(host));
                let expect = Expect { status: Some(301), ..Expect::default() };
                asks.push(Ask { name: format!("{host} goes to https"), expect, ..ask });
            }
            return;
        }
        for (manifest, route) in &self.routes {
            for host in self.hosts_of(route) {
                let (path, pointer) = sample(route);
                let name = format!("{} {host}", manifest.id.name);
                let source = manifest.position_of(&pointer).to_string();
                asks.push(Ask { name, path, source, ..self.ask(Layer::Http, concrete(&host)) });
            }
        }
    }

    /// The hosts that server and route have in common, the narrower of each two.
    fn hosts_of(&self, route: &VirtualService) -> Vec<String> {
        let mut found = Vec::new();
        for own in self.server.hosts.iter().map(|host| without_namespace(host)) {
            for host in &route.hosts {
                if covers(own, host) {
                    found.push(host.clone());
                } else if covers(host, own) {
                    found.push(own.to_owned());
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// `ns/host` → `host`.
fn without_namespace(host: &str) -> &str {
    host.rsplit_once('/').map_or(host, |(_, host)| host)
}

fn covers(wide: &str, narrow: &str) -> bool {
    wide == "*"
        || wide.eq_ignore_ascii_case(narrow)
        || wide.strip_prefix('*').is_some_and(|tail| narrow.ends_with(tail))
}

/// A name that a host with a wildcard stands for: none for `*`.
fn concrete(host: &str) -> Option<String> {
    match host.strip_prefix("*.") {
        Some(tail) => Some(format!("asm-verify.{tail}")),
        None => (host != "*").then(|| host.to_owned()),
    }
}

/// A path that a rule of the route takes without further conditions, and where the rule stands.
fn sample(route: &VirtualService) -> (String, String) {
    let plain = |found: &HttpMatch| {
        found.parts.is_empty() && found.headers.is_empty() && found.query.is_empty() && found.others.is_empty()
    };
    for (index, rule) in route.http.iter().enumerate() {
        for found in rule.matches.iter().filter(|found| plain(found)) {
            let path = match &found.uri {
                None => "/",
                Some(StringMatch::Exact(path) | StringMatch::Prefix(path)) if path.starts_with('/') => path,
                Some(_) => continue,
            };
            return (path.to_owned(), format!("/spec/http/{index}"));
        }
    }
    ("/".to_owned(), String::new())
}

/// The cases of route tests that this gateway is to take.
fn route_tests(state: &FleetState, gateway: &Manifest, asks: &[Ask]) -> Vec<Ask> {
    let name = &*gateway.id.name;
    let serves = |port: u16, host: &str| {
        asks.iter().filter(|ask| ask.port == port).any(|ask| match &ask.host {
            None => true,
            Some(own) => own == host || own.strip_prefix("asm-verify").is_some_and(|tail| host.ends_with(tail)),
        })
    };
    let is_only = overview::gateways(state).count() == 1;
    let cases =
        state.route_tests.iter().flat_map(|(test, at)| test.spec.cases.iter().map(move |case| (test, case, at)));
    let mut found = Vec::new();
    for (test, case, at) in cases {
        // What a workload sends goes to no gateway's address.
        let url = Some(&case.request.url).filter(|_| case.request.from.is_none());
        let Some((tls, host, port, path)) = url.and_then(|url| parts(url)) else { continue };
        let is_named = case.request.gateway.as_deref();
        let is_ours = match is_named {
            Some(named) => named == name,
            None => is_only || serves(port, &host),
        };
        // A port that no server opens is somebody else's, or closed on purpose: the simulation tells.
        if !is_ours || !asks.iter().any(|ask| ask.port == port) {
            continue;
        }
        let destinations = &case.expect.destinations;
        let weights = if destinations.len() > 1 || destinations.keys().any(|to| to.contains('/')) {
            destinations.iter().map(|(to, weight)| (version_of(to), *weight)).collect()
        } else {
            Vec::new()
        };
        found.push(Ask {
            gateway: name.to_owned(),
            port,
            layer: Layer::Http,
            tls,
            server_name: tls.then(|| host.clone()),
            host: Some(host),
            method: case.request.method.clone().unwrap_or_else(|| "GET".to_owned()),
            path,
            headers: case.request.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            expect: Expect { status: case.expect.status, location: case.expect.location.clone(), weights },
            name: format!("{}: {}", test.metadata.name, case.name),
            source: at.to_string(),
        });
    }
    found
}

/// `reviews:9080/v2` → `v2`; `reviews-v2.default.svc.cluster.local:9080` → `reviews-v2`.
fn version_of(destination: &str) -> String {
    match destination.rsplit_once('/') {
        Some((_, subset)) => subset.to_owned(),
        None => destination.split(['.', ':']).next().unwrap_or(destination).to_owned(),
    }
}

/// TLS, host, port and path of a URL.
pub(super) fn parts(url: &str) -> Option<(bool, String, u16, String)> {
    let request = Request::from_url(url, None, &[]).ok()?;
    let host = request.name().to_owned();
    Some((request.tls, host, request.port, request.path))
}

/// A request that somebody names by its URL.
pub fn of_url(url: &str, gateway: &str) -> Option<Ask> {
    let (tls, host, port, path) = parts(url)?;
    Some(Ask {
        gateway: gateway.to_owned(),
        port,
        layer: Layer::Http,
        tls,
        server_name: tls.then(|| host.clone()),
        host: Some(host),
        method: "GET".to_owned(),
        path,
        headers: Vec::new(),
        expect: Expect::default(),
        name: url.to_owned(),
        source: "--url".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::MemoryTree;

    const FILES: &[(&str, &str)] = &[
        ("fleet.yaml", "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec:\n  mesh: {context: mesh}\n  clusters:\n    - {name: m1c1, id: c11111111111111111111111111111111}\n"),
        ("mesh/gateway.yaml", "apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: edge, namespace: istio-system}
spec:
  clusterIds: [c11111111111111111111111111111111]
  ports:
    - {name: http, port: 80, targetPort: 8080}
    - {name: https, port: 443, targetPort: 443}
    - {name: tls, port: 15443, targetPort: 15443}
    - {name: mtls, port: 9443, targetPort: 9443}
---
apiVersion: networking.istio.io/v1beta1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: edge}
  servers:
    - {port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}
    - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*.example.com', ops/other.test], tls: {mode: SIMPLE, credentialName: c}}
    - {port: {number: 15443, name: tls, protocol: TLS}, hosts: [db.example.com], tls: {mode: PASSTHROUGH}}
    - {port: {number: 9443, name: mtls, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: c}}
    - {port: {number: 9999, name: none, protocol: HTTP}, hosts: ['*']}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example.com, '*.wide.test']
  gateways: [shop]
  http:
    - match: [{headers: {x: {exact: y}}, uri: {exact: /hidden}}]
      route: [{destination: {host: shop}}]
    - match: [{uri: {regex: '/a.*'}}, {uri: {prefix: /cart}}]
      route: [{destination: {host: shop}}]
"),
        ("tests/shop.yaml", "apiVersion: kubectl-asm.io/v1alpha1
kind: RouteTest
metadata: {name: shop}
spec:
  cases:
    - name: split
      request: {url: 'https://shop.example.com/cart?x=1', headers: {a: b}}
      expect: {destinations: {'shop:80/v1': 90, 'shop:80/v2': 10}}
    - name: one place
      request: {url: 'http://shop.example.com/'}
      expect: {destinations: {'shop:80': 100}}
    - name: elsewhere
      request: {url: 'http://shop.example.com/', gateway: other}
      expect: {status: 404}
    - name: between workloads
      request: {url: 'http://shop.example.com/cart', from: shop/web}
      expect: {destinations: {'shop:80': 100}}
    - name: no such port
      request: {url: 'http://shop.example.com:81/'}
      expect: {status: 404}
"),
    ];

    #[test]
    fn everything_that_can_be_asked() {
        let tree: MemoryTree = FILES.iter().copied().collect();
        let state = FleetState::read(&tree);
        let gateway = overview::gateways(&state).next().unwrap();
        let told: Vec<String> = plan(&state, gateway)
            .iter()
            .map(|ask| {
                format!(
                    "{} {} {} sni={} {} {} {:?} {:?} [{}] {}",
                    ask.port,
                    ask.layer.word(),
                    if ask.tls { "tls" } else { "plain" },
                    ask.server_name.as_deref().unwrap_or("-"),
                    ask.method,
                    ask.host_or("ADDRESS").to_owned() + &ask.path,
                    ask.expect.status,
                    ask.expect.weights,
                    ask.name,
                    ask.source
                )
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn what_routes_say_is_expected() {
        let split = FILES.iter().map(|(path, text)| {
            let text = text.replace(
                "{prefix: /cart}}]\n      route: [{destination: {host: shop}}]",
                "{prefix: /cart}}]\n      route: [{destination: {host: shop, subset: v1}, weight: 90}, {destination: {host: shop-v2}, weight: 10}]",
            );
            (*path, text.replace("hosts: [shop.example.com, '*.wide.test']", "hosts: [shop.example.com]"))
        });
        let expected = |text: &str, weights: bool| {
            let tree: MemoryTree = split.clone().map(|(path, old)| (path, old.replace("route: [{destination: {host: shop, subset: v1}, weight: 90}, {destination: {host: shop-v2}, weight: 10}]", text))).collect();
            let state = FleetState::read(&tree);
            let mut asks = plan(&state, overview::gateways(&state).next().unwrap());
            by_routes(&state, &mut asks, weights);
            asks.into_iter()
                .find(|ask| ask.layer == Layer::Http && ask.port == 80 && ask.path == "/cart")
                .unwrap()
                .expect
        };
        let two =
            "route: [{destination: {host: shop, subset: v1}, weight: 90}, {destination: {host: shop-v2}, weight: 10}]";
        assert_eq!(expected(two, false), Expect::default());
        let weights = vec![("v1".to_owned(), 9000), ("shop-v2".to_owned(), 1000)];
        assert_eq!(expected(two, true), Expect { weights, ..Expect::default() });
        assert_eq!(expected("redirect: {uri: /x, redirectCode: 308}", true).status, Some(308));
        assert_eq!(expected("directResponse: {status: 418}", false).status, Some(418));
        assert_eq!(expected("route: [{destination: {host: shop}}]", true), Expect::default());
    }

    #[test]
    fn urls() {
        assert_eq!(parts("https://a.b:8443/x?y#z"), Some((true, "a.b".to_owned(), 8443, "/x?y".to_owned())));
        assert_eq!(parts("http://[::1]?q"), Some((false, "[::1]".to_owned(), 80, "/?q".to_owned())));
        for wrong in ["a.b/x", "ftp://a/", "http:///x", "http://u@a/", "http://a:b/", "http://[::1", "http://::1/"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
