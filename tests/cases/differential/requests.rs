//! Requests that meet what there is, more or less.

use super::{
    judged::Question,
    world::{GatewayPod, Maker, World},
};
use serde_json::Value;
use std::collections::BTreeMap;

const PATHS: [&str; 26] = [
    "/",
    "/api",
    "/api/",
    "/api/v1",
    "/api/v1/users",
    "/apix",
    "/API/v1",
    "/static",
    "/static/a.css",
    "/a%20b",
    "/a%20b/c",
    "/item/1",
    "/Item/1",
    "/item/x",
    "/x.html",
    "/x/../api",
    "/./api/v1",
    "/api//v1",
    "//api",
    "/api%2Fv1",
    "/a%2fb",
    "/%41pi",
    "/api;v=1",
    "/caf%C3%A9",
    "/api/v2?",
    "/elsewhere",
];
const QUERIES: [&str; 11] =
    ["", "", "", "", "q=on", "v=1&q=alice", "q=alice&q=on", "q=a%2Cb", "page[]=alice", "q", "q=&v=a"];

pub(super) fn requests(maker: &mut Maker, world: &World, count: usize) -> Vec<Question> {
    let servers = servers(world);
    let long: String = std::iter::repeat_n("/api", 500).collect();
    (0..count)
        .map(|_| {
            if !maker.callers.is_empty() && maker.chance(50) {
                call(maker, &long)
            } else {
                request(maker, &servers, &long)
            }
        })
        .collect()
}

/// A request that a workload sends.
fn call(maker: &mut Maker, long: &str) -> Question {
    let caller = maker.rng.usize(0..maker.callers.len());
    let GatewayPod { namespace, labels } = maker.callers[caller].clone();
    let known = maker.rng.usize(0..maker.services.len().max(1));
    let known = maker.services.get(known).cloned().unwrap_or(("cart", "default", vec![80]));
    let (service, space, ports) = known;
    let http: Vec<u64> = ports.into_iter().filter(|port| *port != 3306).collect();
    let port = match http.as_slice() {
        [] => 80,
        some => some[maker.rng.usize(0..some.len())],
    };
    let host = match maker.rng.u32(0..12) {
        0 | 1 if space == namespace => service.to_owned(),
        0..=3 => format!("{service}.{space}"),
        4 => format!("{service}.{space}.svc"),
        5 => maker.one::<str>(&["outside.test", "api.example.com", "shop.test", "nobody.org", "a.test"]).to_owned(),
        6 => service.to_owned(),
        _ => format!("{service}.{space}.svc.cluster.local"),
    };
    let port = if maker.chance(5) { *maker.one(&[&80_u16, &9080, &81]) } else { u16::try_from(port).unwrap_or(80) };
    let host = dressed(maker, &host, port);
    Question { sni: None, ..asked(maker, namespace, labels, (port, host, false), long) }.sent_by_a_workload()
}

impl Question {
    fn sent_by_a_workload(mut self) -> Self {
        (self.sidecar, self.mtls) = (true, false);
        self
    }
}

/// Port, whether clients speak TLS there, and the pods that it is open on.
struct Open {
    port: u16,
    tls: bool,
    selector: Value,
}

fn servers(world: &World) -> Vec<Open> {
    let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(80);
    let gateways = world.mesh.iter().filter(|object| object["kind"] == "Gateway");
    let servers = gateways.flat_map(|gateway| {
        let servers = gateway["spec"]["servers"].as_array().into_iter().flatten();
        servers.map(|server| (&server["port"], gateway["spec"]["selector"].clone()))
    });
    servers
        .map(|(of, selector)| Open {
            port: port(&of["number"]),
            tls: of["protocol"] == "HTTPS" || of["protocol"] == "TLS",
            selector,
        })
        .collect()
}

impl Open {
    fn on(&self, pod: &GatewayPod) -> bool {
        self.selector.as_object().is_none_or(|wanted| {
            wanted.iter().all(|(key, value)| pod.labels.get(key).map(String::as_str) == value.as_str())
        })
    }
}

fn request(maker: &mut Maker, servers: &[Open], long: &str) -> Question {
    let pod = maker.rng.usize(0..maker.pods.len());
    let pod = maker.pods[pod].clone();
    let open: Vec<&Open> = servers.iter().filter(|server| server.on(&pod)).collect();
    let GatewayPod { namespace, labels } = pod;
    let (mut port, mut tls) = match open.len() {
        0 => (80, false),
        count => {
            let server = open[maker.rng.usize(0..count)];
            (server.port, server.tls)
        }
    };
    if maker.chance(3) {
        tls = !tls;
    }
    if maker.chance(3) {
        port = 81;
    }
    let bare = bare_host(maker);
    let host = dressed(maker, &bare, port);
    let sni = match maker.rng.u32(0..10) {
        0 if tls => Some(bare_host(maker)),
        1 if tls => Some(String::new()),
        // A name, not an address: those are no server names.
        _ if tls && host.starts_with('[') => Some("a.example.com".to_owned()),
        _ => None,
    };
    Question { sni, ..asked(maker, namespace, labels, (port, host, tls), long) }
}

/// The rest of a request.
fn asked(
    maker: &mut Maker,
    namespace: &str,
    labels: BTreeMap<String, String>,
    (port, host, tls): (u16, String, bool),
    long: &str,
) -> Question {
    let mut path = if maker.chance(1) { long.to_owned() } else { maker.one(&PATHS).to_owned() };
    let query = maker.one(&QUERIES);
    if !query.is_empty() && !path.contains('?') {
        path = format!("{path}?{query}");
    }
    Question {
        gateway: labels,
        namespace: namespace.to_owned(),
        sidecar: false,
        port,
        host,
        path,
        method: maker
            .one::<str>(&["GET", "GET", "GET", "GET", "POST", "HEAD", "PUT", "OPTIONS", "OPTIONS", "DELETE", "PATCH"])
            .to_owned(),
        headers: headers(maker),
        tls,
        sni: None,
        mtls: tls && maker.chance(75),
        times: 0,
        answer: None,
    }
}

/// A host that one of the case's hosts takes, mostly.
fn bare_host(maker: &mut Maker) -> String {
    if maker.chance(8) {
        return maker.one::<str>(&["nobody.org", "example.com", "10.1.2.3", "localhost", "[2001:db8::1]"]).to_owned();
    }
    let host = maker.host();
    match host.strip_prefix('*') {
        Some("") => maker.one::<str>(&["any.org", "a.example.com", "deep.a.example.com"]).to_owned(),
        Some(rest) => {
            let label = maker.one::<str>(&["q", "a", "x", "very.deep"]);
            format!("{label}{rest}")
        }
        None => host.to_lowercase(),
    }
}

/// As clients may write it.
fn dressed(maker: &mut Maker, host: &str, port: u16) -> String {
    let host = match maker.rng.u32(0..12) {
        0 => host.to_uppercase(),
        1 => host.replace('e', "E"),
        _ => host.to_owned(),
    };
    match maker.rng.u32(0..12) {
        0 | 1 => format!("{host}:{port}"),
        2 => format!("{host}:8888"),
        3 if maker.chance(20) => format!("{host}."),
        _ => host,
    }
}

fn headers(maker: &mut Maker) -> BTreeMap<String, Vec<String>> {
    let mut headers = BTreeMap::new();
    let all: [(&str, &[&str]); 8] = [
        ("x-user", &["alice"]),
        ("X-User", &["Alice B"]),
        ("x-user", &["a", "b"]),
        ("x-flag", &["on"]),
        ("x-flag", &[""]),
        ("x-tenant", &["a,b"]),
        ("x-tenant", &["alice", "on"]),
        ("user-agent", &["alice"]),
    ];
    if maker.chance(20) {
        let origin =
            maker.one::<str>(&["https://a.example.com", "https://b.example.com", "https://nobody.org", "null"]);
        headers.insert("origin".to_owned(), vec![origin.to_owned()]);
        if maker.chance(70) {
            let method = maker.one::<str>(&["PUT", "GET"]);
            headers.insert("access-control-request-method".to_owned(), vec![method.to_owned()]);
        }
    }
    if maker.chance(50) {
        for (name, values) in maker.some(&all, 3) {
            // The same name in another case would be the same header twice.
            if !headers.keys().any(|known: &String| known.eq_ignore_ascii_case(name)) {
                headers.insert(name.to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
            }
        }
    }
    headers
}
