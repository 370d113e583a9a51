//! VirtualServices: every match and every action, in rules that overlap.

use super::world::{Maker, SERVICES, World};
use serde_json::{Map, Value, json};

const EXACT: [&str; 8] = ["/", "/api", "/api/v1", "/static", "/a%20b", "/Item/1", "/api//v1", "/x.html"];
const PREFIX: [&str; 10] = ["/", "/api", "/api/", "/api/v1", "/static/", "/static", "/a%20", "/item", "/Item", "/x"];
const REGEX: [&str; 8] =
    [".*", "/api/.*", "/item/[0-9]+", "/(api|static)/?", "/api/v[12](/.*)?", "/[a-z]+", "(?i)/ITEM/.*", "/.*\\.html"];
const HEADERS: [&str; 4] = ["x-user", "x-flag", "X-Tenant", "user-agent"];
const VALUES: [&str; 4] = ["alice", "on", "a,b", "Alice B"];
const PARAMETERS: [&str; 3] = ["q", "v", "page[]"];

pub(super) fn virtual_services(maker: &mut Maker, world: &mut World) {
    let gateways: Vec<(String, String)> = named(world, "Gateway");
    let children: Vec<(String, String)> =
        (0..maker.rng.usize(0..3)).map(|number| (format!("child-{number}"), maker.namespace().to_owned())).collect();
    for _ in 0..maker.rng.usize(2..8) {
        let namespace = maker.namespace();
        let name = maker.name(world, "VirtualService", namespace);
        let metadata = maker.metadata(&name, namespace);
        let hosts = hosts(maker);
        let bound: Vec<String> = maker.some(&gateways, 3).iter().map(|g| reference(maker, g, namespace)).collect();
        let mut spec = json!({"hosts": hosts, "gateways": bound});
        maker.export(&mut spec);
        let mut rules: Vec<Value> = (0..maker.rng.usize(1..5)).map(|n| rule(maker, n, &bound, &children)).collect();
        if maker.chance(50) {
            rules.push(json!({"name": "rest", "route": destinations(maker, true)}));
        }
        spec["http"] = json!(rules);
        if maker.chance(50) {
            spec["tls"] = json!([tls_rule(maker, &hosts)]);
        }
        if maker.chance(40) {
            spec["tcp"] = json!([{"route": destinations(maker, false)}]);
        }
        world.mesh.push(object(&metadata, &spec));
    }
    for (name, namespace) in &children {
        let metadata = maker.metadata(name, namespace);
        let rules: Vec<Value> = (0..maker.rng.usize(1..4)).map(|n| rule(maker, n, &[], &[])).collect();
        let mut spec = json!({"http": rules});
        maker.export(&mut spec);
        world.mesh.push(object(&metadata, &spec));
    }
}

/// VirtualServices for requests between workloads: without gateways, or with `mesh` among them.
pub(super) fn between_workloads(maker: &mut Maker, world: &mut World) {
    let gateways: Vec<(String, String)> = named(world, "Gateway");
    for _ in 0..maker.rng.usize(1..6) {
        let namespace = maker.namespace();
        let name = maker.name(world, "VirtualService", namespace);
        let metadata = maker.metadata(&name, namespace);
        let mut hosts: Vec<String> = Vec::new();
        for _ in 0..maker.rng.usize(1..3) {
            let host = called_host(maker);
            let meets = |known: &String| {
                let full = |host: &str| {
                    if host.contains(['.', '*']) {
                        host.to_owned()
                    } else {
                        format!("{host}.{namespace}.svc.cluster.local")
                    }
                };
                let covers =
                    |wide: &str, narrow: &str| wide.strip_prefix('*').is_some_and(|rest| narrow.ends_with(rest));
                let (a, b) = (full(known), full(&host));
                a == b || covers(&a, &b) || covers(&b, &a)
            };
            if !hosts.iter().any(meets) {
                hosts.push(host);
            }
        }
        let mut spec = json!({"hosts": hosts});
        let mut bound = vec!["mesh".to_owned()];
        if maker.chance(35) {
            if maker.chance(50) {
                bound.extend(maker.some(&gateways, 2).iter().map(|it| format!("{}/{}", it.1, it.0)));
            }
            spec["gateways"] = json!(bound);
        }
        maker.export(&mut spec);
        let mut rules: Vec<Value> = (0..maker.rng.usize(1..4)).map(|n| rule(maker, n, &bound, &[])).collect();
        if maker.chance(50) {
            rules.push(json!({"name": "rest", "route": destinations(maker, true)}));
        }
        spec["http"] = json!(rules);
        world.mesh.push(object(&metadata, &spec));
    }
}

/// A host as VirtualServices of the mesh have it.
fn called_host(maker: &mut Maker) -> String {
    let (service, space) = (maker.one(&SERVICES), maker.one::<str>(&["default", "shop"]));
    match maker.rng.u32(0..12) {
        0..=2 => service.to_owned(),
        3 => format!("*.{space}.svc.cluster.local"),
        4 => maker.one::<str>(&["*", "*.cluster.local", "*.test"]).to_owned(),
        5 => maker.one::<str>(&["outside.test", "api.example.com", "Shop.Test"]).to_owned(),
        _ => format!("{service}.{space}.svc.cluster.local"),
    }
}

/// Hosts that do not cover each other: Istio refuses those within one object.
fn hosts(maker: &mut Maker) -> Vec<&'static str> {
    let pool = maker.hosts.clone();
    let mut hosts: Vec<&str> = Vec::new();
    for host in maker.some(&pool, 3) {
        let covers = |wide: &str, narrow: &str| wide.strip_prefix('*').is_some_and(|rest| narrow.ends_with(rest));
        if !hosts.iter().any(|known| covers(known, host) || covers(host, known)) {
            hosts.push(host);
        }
    }
    hosts
}

fn object(metadata: &Value, spec: &Value) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec})
}

/// Names and namespaces of the mesh's objects of a kind.
pub(super) fn named(world: &World, kind: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_kind = world.mesh.iter().filter(|object| object["kind"] == kind);
    of_kind.map(|object| (text(&object["metadata"]["name"]), text(&object["metadata"]["namespace"]))).collect()
}

/// A name as VirtualServices write it: short ones mean their own namespace, rightly or not.
fn reference(maker: &mut Maker, (name, namespace): &(String, String), from: &str) -> String {
    match maker.rng.u32(0..30) {
        0 => "mesh".to_owned(),
        1 => name.clone(),
        2..=8 if namespace == from => name.clone(),
        _ => format!("{namespace}/{name}"),
    }
}

fn rule(maker: &mut Maker, number: usize, bound: &[String], children: &[(String, String)]) -> Value {
    let mut rule = Map::new();
    if maker.chance(60) {
        rule.insert("name".to_owned(), json!(format!("rule-{number}")));
    }
    if maker.chance(92) {
        let count = maker.rng.usize(1..4);
        let matches: Vec<Value> = (0..count).map(|_| one_match(maker, bound)).collect();
        rule.insert("match".to_owned(), json!(matches));
    }
    match maker.rng.u32(0..20) {
        0..=2 => drop(rule.insert("redirect".to_owned(), redirect(maker))),
        3 | 4 => drop(rule.insert("directResponse".to_owned(), direct(maker))),
        // Leaves to others what it does not do.
        5..=8 if !children.is_empty() => {
            let (name, namespace) = &children[maker.rng.usize(0..children.len())];
            rule.insert("delegate".to_owned(), json!({"name": name, "namespace": namespace}));
        }
        _ => {
            rule.insert("route".to_owned(), destinations(maker, true));
            extras(maker, &mut rule);
        }
    }
    if maker.chance(15) && !rule.contains_key("delegate") {
        rule.insert("corsPolicy".to_owned(), cors(maker));
    }
    Value::Object(rule)
}

/// What a rule does besides forwarding.
fn extras(maker: &mut Maker, rule: &mut Map<String, Value>) {
    if maker.chance(25) {
        let rewrite = match maker.rng.u32(0..5) {
            0 => json!({"uri": "/"}),
            1 => json!({"uri": "/new"}),
            2 => json!({"uri": "/new/", "authority": "inner.test"}),
            3 => json!({"authority": "inner.test"}),
            _ => json!({"uriRegexRewrite": {"match": "^/(api|item)/(.*)$", "rewrite": r"/r/\2/\1"}}),
        };
        rule.insert("rewrite".to_owned(), rewrite);
    }
    if maker.chance(10) {
        let percentage = *maker.one(&[&100, &100, &0]);
        let fault = json!({"abort": {"httpStatus": 418, "percentage": {"value": percentage}}});
        rule.insert("fault".to_owned(), fault);
    }
    if maker.chance(8) {
        let percentage = *maker.one(&[&100, &100, &0]);
        rule.entry("fault").or_insert_with(|| json!({}))["delay"] =
            json!({"fixedDelay": "5ms", "percentage": {"value": percentage}});
    }
    if maker.chance(15) {
        rule.insert("timeout".to_owned(), json!(maker.one::<str>(&["5s", "1500ms", "2m"])));
    }
    if maker.chance(12) {
        rule.insert("retries".to_owned(), retries(maker));
    }
    if maker.chance(10) {
        let percentage = json!({"value": maker.one(&[&100, &100, &0, &50])});
        let destination = destination(maker);
        if maker.chance(40) {
            rule.insert("mirror".to_owned(), destination);
            rule.insert("mirrorPercentage".to_owned(), percentage);
        } else {
            let mirror = json!({"destination": destination, "percentage": percentage});
            rule.insert("mirrors".to_owned(), json!([mirror]));
        }
    }
    if maker.chance(20) {
        rule.insert("headers".to_owned(), operations(maker));
    }
}

fn retries(maker: &mut Maker) -> Value {
    let mut retries = json!({"attempts": maker.one(&[&0, &1, &3])});
    if retries["attempts"] != 0 && maker.chance(40) {
        retries["perTryTimeout"] = json!(maker.one::<str>(&["1s", "250ms"]));
    }
    if retries["attempts"] != 0 && maker.chance(50) {
        retries["retryOn"] = json!(maker.one::<str>(&["5xx", "gateway-error,connect-failure", "503"]));
    }
    retries
}

/// What browsers may ask from where.
fn cors(maker: &mut Maker) -> Value {
    let origin = maker
        .one(&[
            &json!({"exact": "https://a.example.com"}),
            &json!({"exact": "*"}),
            &json!({"prefix": "https://a."}),
            &json!({"regex": "https://.*\\.example\\.com"}),
            &json!({"regex": ".*"}),
        ])
        .clone();
    let mut cors = json!({"allowOrigins": [origin], "allowMethods": ["GET", "POST"]});
    if maker.chance(30) {
        cors["maxAge"] = json!("24h");
        cors["allowHeaders"] = json!(["x-user"]);
    }
    if maker.chance(30) {
        cors["unmatchedPreflights"] = json!(maker.one::<str>(&["FORWARD", "IGNORE"]));
    }
    cors
}

fn operations(maker: &mut Maker) -> Value {
    let mut headers = json!({});
    if maker.chance(50) {
        headers["request"]["set"] = json!({"x-set": "1"});
    }
    if maker.chance(40) {
        headers["request"]["add"] = json!({"x-user": "added"});
    }
    if maker.chance(40) {
        headers["request"]["remove"] = json!(["x-flag"]);
    }
    if maker.chance(30) {
        headers["response"]["set"] = json!({"x-by": "mesh"});
    }
    headers
}

fn redirect(maker: &mut Maker) -> Value {
    let mut redirect = json!({});
    if maker.chance(60) {
        redirect["uri"] = json!(maker.one::<str>(&["/elsewhere", "/elsewhere/?x=1", "/"]));
    }
    if maker.chance(50) {
        redirect["authority"] = json!(maker.one::<str>(&["www.example.com", "www.example.com:8080"]));
    }
    if maker.chance(30) {
        redirect["redirectCode"] = json!(maker.one(&[&302, &303, &307, &308]));
    }
    if maker.chance(30) {
        redirect["scheme"] = json!(maker.one::<str>(&["https", "http"]));
    }
    if maker.chance(20) {
        redirect["port"] = json!(maker.one(&[&8443, &443, &80]));
    } else if maker.chance(20) {
        redirect["derivePort"] = json!(maker.one::<str>(&["FROM_REQUEST_PORT", "FROM_PROTOCOL_DEFAULT"]));
    }
    if redirect.as_object().is_some_and(Map::is_empty) {
        redirect["uri"] = json!("/elsewhere");
    }
    redirect
}

fn direct(maker: &mut Maker) -> Value {
    let mut direct = json!({"status": maker.one(&[&200, &410, &503])});
    if maker.chance(60) {
        direct["body"] = json!({"string": "gone"});
    }
    direct
}

fn tls_rule(maker: &mut Maker, hosts: &[&str]) -> Value {
    let host = hosts[maker.rng.usize(0..hosts.len())];
    let sni = if host == "*" { "*.example.com" } else { host };
    json!({"match": [{"port": maker.one(&[&443, &8443]), "sniHosts": [sni]}], "route": destinations(maker, false)})
}

/// One destination, or several with weights.
fn destinations(maker: &mut Maker, http: bool) -> Value {
    let count = if maker.chance(70) { 1 } else { maker.rng.usize(2..4) };
    let mut list: Vec<Value> = (0..count).map(|_| json!({"destination": destination(maker)})).collect();
    if count > 1 {
        for entry in &mut list {
            entry["weight"] = json!(maker.one(&[&0, &50, &30]));
        }
        list[0]["weight"] = json!(20);
    }
    if http && maker.chance(10) {
        list[0]["headers"] = operations(maker);
    }
    json!(list)
}

fn destination(maker: &mut Maker) -> Value {
    let known = maker.rng.usize(0..maker.services.len().max(1));
    let (service, namespace, ports) = match maker.services.get(known).cloned() {
        Some(known) if maker.chance(90) => known,
        _ => (maker.one(&SERVICES), "default", vec![80]),
    };
    let host = match maker.rng.u32(0..40) {
        0 => "nowhere.default.svc.cluster.local".to_owned(),
        1 | 6 => "outside.test".to_owned(),
        2..=4 => service.to_owned(),
        5 => format!("{service}.{namespace}"),
        _ => format!("{service}.{namespace}.svc.cluster.local"),
    };
    let mut destination = json!({"host": host});
    if ports.len() > 1 || maker.chance(50) {
        let port = if maker.chance(95) { ports[maker.rng.usize(0..ports.len())] } else { 80 };
        destination["port"] = json!({"number": port});
    }
    if maker.chance(30) {
        destination["subset"] = json!(maker.one::<str>(&["v1", "v1", "v2", "v3", "v9"]));
    }
    destination
}

fn one_match(maker: &mut Maker, bound: &[String]) -> Value {
    let mut fields = Map::new();
    if maker.chance(75) {
        fields.insert("uri".to_owned(), path(maker));
        if maker.chance(15) {
            fields.insert("ignoreUriCase".to_owned(), json!(true));
        }
    }
    if maker.chance(20) {
        fields.insert("headers".to_owned(), values(maker, &HEADERS));
    }
    if maker.chance(12) {
        fields.insert("withoutHeaders".to_owned(), values(maker, &HEADERS));
    }
    if maker.chance(15) {
        fields.insert("queryParams".to_owned(), values(maker, &PARAMETERS));
    }
    if maker.chance(10) {
        let method =
            maker.one(&[&json!({"exact": "GET"}), &json!({"exact": "POST"}), &json!({"regex": "GET|HEAD"})]).clone();
        fields.insert("method".to_owned(), method);
    }
    if maker.chance(10) {
        let authority = maker
            .one(&[
                &json!({"exact": "a.example.com"}),
                &json!({"prefix": "a."}),
                &json!({"regex": ".*\\.example\\.com"}),
            ])
            .clone();
        fields.insert("authority".to_owned(), authority);
    }
    if maker.chance(6) {
        let scheme = maker.one::<str>(&["http", "https"]);
        fields.insert("scheme".to_owned(), json!({"exact": scheme}));
    }
    surroundings(maker, &mut fields, bound);
    if fields.is_empty() {
        fields.insert("uri".to_owned(), path(maker));
    }
    Value::Object(fields)
}

/// Matches of where a request comes in.
fn surroundings(maker: &mut Maker, fields: &mut Map<String, Value>, bound: &[String]) {
    if maker.chance(8) {
        fields.insert("port".to_owned(), json!(maker.one(&[&80, &443, &8080, &9000])));
    }
    if bound.is_empty() {
        return;
    }
    if maker.chance(6) {
        let gateway = &bound[maker.rng.usize(0..bound.len())];
        fields.insert("gateways".to_owned(), json!([gateway]));
    }
    if maker.chance(6) {
        let labels = maker.one(&[&json!({"app": "ingress"}), &json!({"istio": "ingressgateway"})]).clone();
        fields.insert("sourceLabels".to_owned(), labels);
    }
    if maker.chance(4) {
        fields.insert("sourceNamespace".to_owned(), json!(maker.namespace()));
    }
}

fn path(maker: &mut Maker) -> Value {
    match maker.rng.u32(0..10) {
        0..=2 => json!({"exact": maker.one(&EXACT)}),
        3..=7 => json!({"prefix": maker.one(&PREFIX)}),
        _ => json!({"regex": maker.one(&REGEX)}),
    }
}

/// Matches of one or two names.
fn values(maker: &mut Maker, names: &[&str]) -> Value {
    let mut fields = Map::new();
    for name in maker.some(names, 2) {
        let wanted = match maker.rng.u32(0..8) {
            0 | 1 => json!({}),
            2 => json!({"prefix": "a"}),
            3 => json!({"regex": "[aA].*"}),
            4 => json!({"regex": ".*"}),
            _ => json!({"exact": maker.one(&VALUES)}),
        };
        fields.insert(name.to_owned(), wanted);
    }
    Value::Object(fields)
}
