//! `verify` against servers of this process: what a network, TLS and HTTP can do to a request.

use crate::world::{Run, World};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const FILES: &str = "apiVersion: networking.istio.io/v1beta1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: edge}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}
    - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example.com], tls: {mode: SIMPLE, credentialName: c}}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http:
    - match: [{uri: {prefix: /cart}}]
      route: [{destination: {host: shop}}]
";

fn world() -> World {
    let world = World::with_fleet();
    world.line("gateway create edge --cluster m1c1 --port http=80:80 --port https=443:443");
    world.write("mesh/shop.yaml", FILES);
    world
}

/// A server that does the same with every connection; its port.
fn serve(each: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let each = Arc::new(each);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = each.clone();
            std::thread::spawn(move || each(stream));
        }
    });
    port
}

/// Reads a request up to its empty line; empty when there is none.
fn request(stream: &mut impl Read) -> String {
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.ends_with("\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => text.push(char::from(byte[0])),
            _ => return String::new(),
        }
    }
    text
}

fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> u16 {
    serve(move |mut stream| {
        let text = request(&mut stream);
        if !text.is_empty() {
            let _ = stream.write_all(answer(&text).as_bytes());
        }
    })
}

fn ok(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nserver: istio-envoy\r\nx-envoy-upstream-service-time: 1\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Asks one gateway whose ports 80 and 443 are those of servers here.
fn verify(world: &World, http: u16, https: u16, more: &[&str]) -> Run {
    let (http, https) = (format!(":80:127.0.0.1:{http}"), format!(":443:127.0.0.1:{https}"));
    let mut args = vec!["verify", "edge", "--address", "198.51.100.7", "--timeout", "500ms"];
    args.extend(["--connect-to", &http, "--connect-to", &https]);
    args.extend(more);
    world.run(&args)
}

/// The port of nobody.
const NOBODY: u16 = 1;

/// `check outcome found` of each check of a URL.
fn found(run: &Run) -> Vec<String> {
    let document: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run}"));
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    let items = document["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| format!("{} {}: {}", text(item, "check"), text(item, "outcome"), text(item, "found")))
        .collect()
}

fn url(world: &World, port: u16, url: &str) -> String {
    let run = if url.starts_with("https") {
        verify(world, NOBODY, port, &["--url", url, "-o", "json"])
    } else {
        verify(world, port, NOBODY, &["--url", url, "-o", "json"])
    };
    format!("{} [{}]", found(&run).join("\n"), run.code.unwrap())
}

#[test]
fn what_a_network_does() {
    let world = world();
    let ask = |port: u16| url(&world, port, "http://shop.example.com/cart");
    let hang = serve(|stream| {
        // Kept open and silent until the client has gone.
        let _ = (&stream).read_to_end(&mut Vec::new());
    });
    let cut = serve(|mut stream| {
        request(&mut stream);
    });
    // Closed with something unread: the kernel answers with RST.
    let reset = serve(|stream| {
        let _ = stream.peek(&mut [0; 8]);
    });
    let slow = serve(|mut stream| {
        request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let short = answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it".to_owned());
    let other = answering(|_| "SSH-2.0-OpenSSH_9.9\r\n".to_owned());
    let told: Vec<String> = [
        ("refused", NOBODY),
        ("hang", hang),
        ("cut", cut),
        ("reset", reset),
        ("slow", slow),
        ("short", short),
        ("other", other),
    ]
    .into_iter()
    .map(|(name, port)| format!("{name}: {}", ask(port)))
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_http_says() {
    let world = world();
    let server = answering(|text| {
        let path = text.split(' ').nth(1).unwrap();
        match path {
            "/cart" => ok("", "welcome"),
            "/old" => "HTTP/1.0 200 Whatever\r\n\r\nuntil the end".to_owned(),
            "/moved" => "HTTP/1.1 301 Moved\r\nserver: istio-envoy\r\nlocation: https://shop.example.com/\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "/chunks" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
            "/down" => "HTTP/1.1 503 Unavailable\r\nserver: istio-envoy\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "/broken" => "HTTP/1.1 500 Oops\r\nserver: istio-envoy\r\nx-envoy-upstream-service-time: 2\r\ncontent-length: 0\r\n\r\n".to_owned(),
            _ => "HTTP/1.1 404 Not Found\r\nserver: istio-envoy\r\ncontent-length: 0\r\n\r\n".to_owned(),
        }
    });
    let told: Vec<String> = ["/cart", "/old", "/moved", "/chunks", "/down", "/broken", "/nowhere"]
        .into_iter()
        .map(|path| format!("{path}: {}", url(&world, server, &format!("http://shop.example.com{path}"))))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_request_is_the_one_that_was_asked_for() {
    let (heard, world) = (Arc::new(std::sync::Mutex::new(String::new())), world());
    let shared = heard.clone();
    let server = answering(move |text| {
        *shared.lock().unwrap() = text.to_owned();
        ok("", "")
    });
    let run = verify(
        &world,
        server,
        NOBODY,
        &["--url", "http://shop.example.com/cart?a=b%20c", "-H", "End-User: jason", "-H", "User-Agent: me"],
    );
    assert_eq!(run.code, Some(0), "{run}");
    let heard = heard.lock().unwrap().clone();
    insta::assert_snapshot!(heard.replace('\r', ""));
}

/// An authority and what it signs.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Our own authority");
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// A TLS server that answers every request with 200.
    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> u16 {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let config = Arc::new(config);
        serve(move |stream| {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            let text = request(&mut stream);
            if !text.is_empty() {
                let _ = stream.write_all(ok("", "welcome").as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        })
    }
}

#[test]
fn certificates() {
    let (world, authority) = (world(), Authority::new());
    world.write("../ca.pem", &authority.issuer.pem());
    let ask = |port: u16, trusts: bool| {
        let mut more = vec!["--url", "https://shop.example.com/cart", "-o", "json"];
        if trusts {
            more.extend(["--ca-file", "../ca.pem"]);
        }
        let run = verify(&world, NOBODY, port, &more);
        format!("{} [{}]", found(&run).join("\n"), run.code.unwrap())
    };
    let good = authority.server("shop.example.com", |_| ());
    let told = [
        format!("good: {}", ask(good, true)),
        format!("its authority is not trusted: {}", ask(good, false)),
        format!("wrong name: {}", ask(authority.server("other.example.com", |_| ()), true)),
        format!(
            "expired: {}",
            ask(
                authority.server("shop.example.com", |p| {
                    (p.not_before, p.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 2, 3));
                }),
                true
            )
        ),
        format!(
            "not yet: {}",
            ask(
                authority.server("shop.example.com", |p| {
                    (p.not_before, p.not_after) = (date_time_ymd(2990, 1, 1), date_time_ymd(2999, 1, 1));
                }),
                true
            )
        ),
        format!("no TLS: {}", ask(answering(|_| String::new()), true)),
        format!(
            "plain HTTP: {}",
            ask(
                serve(|mut stream| {
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                    let _ = stream.read_to_end(&mut Vec::new());
                }),
                true
            )
        ),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_whole_gateway() {
    let (world, authority) = (world(), Authority::new());
    world.write("../ca.pem", &authority.issuer.pem());
    world.write(
        "tests/shop.yaml",
        "apiVersion: kubectl-asm.io/v1alpha1\nkind: RouteTest\nmetadata: {name: shop}\nspec:\n  cases:\n    \
        - name: no such page\n      request: {url: 'http://shop.example.com/nothing'}\n      expect: {status: 404}\n",
    );
    let http = answering(|text| {
        if text.contains("/nothing") {
            "HTTP/1.1 404 No\r\nserver: istio-envoy\r\ncontent-length: 0\r\n\r\n".to_owned()
        } else {
            ok("", "")
        }
    });
    let https = authority.server("shop.example.com", |_| ());
    insta::assert_snapshot!("fine", verify(&world, http, https, &["--ca-file", "../ca.pem"]));
    // One port is dead: what is behind it is not asked.
    insta::assert_snapshot!("half", verify(&world, http, NOBODY, &[]));
}

/// Answers by turns: the shares are exact.
fn turns(versions: &'static [&'static str]) -> u16 {
    let turn = AtomicUsize::new(0);
    answering(move |text| {
        // The first request is the check before the many.
        let _ = text;
        let at = turn.fetch_add(1, Ordering::Relaxed);
        ok(&format!("x-version: {}\r\n", versions[at % versions.len()]), "")
    })
}

#[test]
fn spread_over_versions() {
    let world = world();
    let ask = |port: u16, more: &[&str]| {
        let all: Vec<&str> =
            ["--url", "http://shop.example.com/cart", "-o", "json"].iter().chain(more).copied().collect();
        let run = verify(&world, port, NOBODY, &all);
        format!("{} [{}]", found(&run).join("\n"), run.code.unwrap())
    };
    let halves = || turns(&["v1", "v2"]);
    let told = [
        ask(halves(), &["--expect", "v1=50,v2=50", "--requests", "100"]),
        ask(halves(), &["--expect", "v1=90,v2=10", "--requests", "100"]),
        ask(halves(), &["--expect", "v1=100", "--requests", "10"]),
        ask(
            turns(&["reviews-v1-abc-x", "reviews-v2-def-y", "reviews-v3-ghi-z"]),
            &["--expect", "v1=1,v2=1,v3=1", "--requests", "99"],
        ),
        ask(halves(), &["--expect", "v1=50,v2=50", "--requests", "10", "--version-from", "json:/version"]),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

/// Every n-th connection is cut in the middle.
#[test]
fn failures_among_many_requests_are_told() {
    let world = world();
    let count = AtomicUsize::new(0);
    let server = serve(move |mut stream| {
        request(&mut stream);
        if count.fetch_add(1, Ordering::Relaxed) % 5 != 4 {
            let _ = stream.write_all(ok("x-version: v1\r\n", "").as_bytes());
        }
    });
    let more = ["--url", "http://shop.example.com/cart", "--expect", "v1=100", "--requests", "20", "-o", "json"];
    let run = verify(&world, server, NOBODY, &more);
    assert_eq!(run.code, Some(1), "{run}");
    assert_eq!(found(&run)[1], "spread failed: 4 of 20 requests failed: the connection was cut during the answer");
}

/// A kubectl that writes down what it was called with, and answers as the pod's curl would.
#[cfg(unix)]
fn kubectl(world: &mut World, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    world.write("../bin/kubectl", &format!("#!/bin/sh\necho \"$@\" >> \"$HOME/calls\"\n{script}\n"));
    let path = world.root().join("../bin/kubectl");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let own = world.root().join("../bin").to_string_lossy().into_owned();
    world.env.push(("PATH".to_owned(), format!("{own}:/usr/bin:/bin")));
}

#[cfg(unix)]
#[test]
fn from_a_pod() {
    let run = |script: &str| {
        let mut world = world();
        kubectl(&mut world, script);
        let args = [
            "verify",
            "edge",
            "--address",
            "198.51.100.7",
            "--url",
            "http://shop.example.com/cart",
            "--from-pod",
            "m1c1:shop/client/main",
        ];
        let run = world.run(&args);
        (world, run)
    };
    let (world, fine) = run("printf 'HTTP/1.1 200 OK\\r\\nserver: istio-envoy\\r\\n\\r\\nwelcome'");
    insta::assert_snapshot!("fine_from_a_pod", fine);
    insta::assert_snapshot!("called", world.read("../calls"));
    let told: Vec<String> = [
        "echo 'curl: (7) Failed to connect' >&2; exit 7",
        "echo 'curl: (28) Connection timed out after 10001 milliseconds' >&2; exit 28",
        "echo 'curl: (56) Recv failure: Connection reset by peer' >&2; exit 56",
        "echo 'sh: curl: not found' >&2; exit 127",
        "echo 'Error from server (NotFound): pods \"client\" not found' >&2; exit 1",
    ]
    .into_iter()
    .map(|script| run(script).1.to_string())
    .collect();
    insta::assert_snapshot!("from_a_pod_that_fails", told.join("\n"));
}

#[test]
fn wrong_words() {
    let world = world();
    for (args, told) in [
        (&["verify", "edg", "--address", "127.0.0.1"][..], "did you mean"),
        (&["verify", "edge", "--address", "127.0.0.1", "--url", "shop"], "not an absolute URL"),
        (&["verify", "edge", "--address", "127.0.0.1", "--timeout", "0"], "--timeout 0"),
        (&["verify", "edge", "--address", "127.0.0.1", "--ca-file", "fleet.yaml"], "it has no certificate"),
        (&["verify", "--version-from", "cookie"], "write auto, header:NAME"),
        (&["verify", "--confidence", "99"], "is not a share"),
        (&["verify", "--connect-to", "80:x"], "is not HOST:PORT:ADDRESS:PORT"),
        (&["verify", "--from-pod", "m1c9:a/b"], "fleet.yaml has no cluster m1c9"),
        (&["verify", "--from-pod", "m1c1:-a/b"], "is not CLUSTER:NAMESPACE/POD"),
    ] {
        let run = world.run(args);
        assert_eq!(run.code, Some(2), "{args:?} {run}");
        assert!(run.stderr.contains(told), "{run}");
    }
}
