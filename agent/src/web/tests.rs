//! The page as a browser gets it, from views that a supervisor might publish.

use super::views::{Commit, News, TargetView, Views};
use super::{Access, Page};
use asm_shared::api::{FleetSyncSpec, FleetSyncStatus, SourceStatus, TargetStatus};
use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::object::ObjectId;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec: {mesh: {}, clusters: [{name: m1c1, id: c11111111111111111111111111111111}]}
";

/// A gateway with an address, a host and a route.
fn gateway(number: usize) -> String {
    format!(
        "apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {{name: g{number}, namespace: istio-system}}
spec: {{clusterIds: [c11111111111111111111111111111111], ports: [{{name: http, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: g{number}, namespace: shop}}
spec:
  selector: {{istio: g{number}}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [h{number}.example.com]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: v{number}, namespace: shop}}
spec: {{hosts: [h{number}.example.com], gateways: [g{number}], http: [{{route: [{{destination: {{host: backend}}}}]}}]}}
"
    )
}

/// A fleet of so many gateways, published as a supervisor would.
fn publish(views: &Views, gateways: usize, change: impl FnOnce(&mut FleetSyncStatus, &mut [TargetView])) {
    let mut tree = MemoryTree::default();
    tree.insert("fleet.yaml", FLEET);
    for number in 0..gateways {
        tree.insert(&format!("mesh/g{number}.yaml"), gateway(number));
    }
    let problems = FleetState::read(&tree).problems;
    assert!(problems.is_empty(), "{problems:?}");
    let spec: FleetSyncSpec =
        serde_json::from_value(json!({"source": {"url": "https://git.example.com/shop.git"}})).unwrap();
    let ready = |message: &str| Condition {
        type_: "Ready".to_owned(),
        status: "True".to_owned(),
        reason: "Ready".to_owned(),
        message: message.to_owned(),
        observed_generation: None,
        last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH),
    };
    let revision = "0123456789abcdef0123456789abcdef01234567";
    let target = |name: &str| TargetStatus {
        name: name.to_owned(),
        revision: Some(revision.to_owned()),
        conditions: vec![ready("at 01234567")],
        objects: 3,
        ..TargetStatus::default()
    };
    let mut status = FleetSyncStatus {
        conditions: vec![ready("2 targets are at 01234567")],
        source: Some(SourceStatus {
            revision: Some(revision.to_owned()),
            subject: Some("two <b>gateways</b>".to_owned()),
            author: Some("Ann <ann@example.com>".to_owned()),
            ..SourceStatus::default()
        }),
        targets: vec![target("mesh"), target("m1c1")],
        ..FleetSyncStatus::default()
    };
    let view = |name: &str| TargetView { name: name.to_owned(), ..TargetView::default() };
    let mut targets = [view("mesh"), view("m1c1")];
    for number in 0..gateways {
        let id = ObjectId::new("istio.alibabacloud.com", "IstioGateway", Some("istio-system"), &format!("g{number}"));
        targets[0].addresses.insert(id, vec![format!("203.0.{}.{}", number / 256, number % 256)]);
    }
    change(&mut status, &mut targets);
    let commit = Commit::new(&revision.into(), vec!["m1c1".to_owned()], move || Ok(FleetState::read(&tree)));
    views.publish(News {
        name: "shop".to_owned(),
        namespace: "asm-system",
        spec: &spec,
        status: &status,
        targets: targets.to_vec(),
        commit: Some(Arc::new(commit)),
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
    });
}

async fn serve(views: &Views) -> SocketAddr {
    let local: SocketAddr = ([127, 0, 0, 1], 0).into();
    let access = Access::new(local, Vec::new(), None).unwrap();
    let page = Page::bind(local, views, access).await.unwrap().unwrap();
    let address = page.address().unwrap();
    tokio::spawn(page.serve(CancellationToken::new()));
    address
}

/// Asks with the head's lines; gives back the whole answer.
async fn ask(address: SocketAddr, request: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{request} HTTP/1.1\r\nconnection: close\r\n{lines}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn page(address: SocketAddr, path: &str) -> String {
    let answer = ask(address, &format!("GET {path}"), "host: localhost\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    answer
}

/// Drift and a held change, with text that would like to be more than text.
fn trouble(status: &mut FleetSyncStatus, targets: &mut [TargetView]) {
    status.drifted = 1;
    status.held_back = 1;
    targets[1].drift = serde_json::from_value(json!({
        "total": 1,
        "objects": [{
            "kind": "Service", "namespace": "shop", "name": "web<script>", "change": "Modified",
            "declaredAt": "groups/all/web.yaml:3:1", "since": "2026-01-01T00:00:00.000000Z",
            "fields": [{
                "path": "spec.type", "wanted": "ClusterIP", "found": "</pre><img src=x onerror=alert(1)>",
                "manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T00:00:00Z",
            }],
        }],
        "history": [{
            "kind": "Service", "namespace": "shop", "name": "old<b>", "change": "Modified", "outcome": "Adopted",
            "since": "2025-12-31T00:00:00.000000Z", "ended": "2025-12-31T01:00:00.000000Z",
            "field": {"path": "spec.ports", "manager": "kubectl<i>"},
        }],
    }))
    .unwrap();
    targets[0].held = vec![
        serde_json::from_value(json!({
            "action": "Delete", "kind": "IstioGateway.istio.alibabacloud.com", "namespace": "istio-system", "name": "g0",
            "uid": "u1", "addresses": ["203.0.113.9"], "message": "see https://user:canary-secret@git.example.com/x",
        }))
        .unwrap(),
    ];
}

#[tokio::test]
async fn every_page_tells_its_part_and_escapes_what_it_is_given() {
    let views = Views::on();
    publish(&views, 2, trouble);
    let address = serve(&views).await;
    for (path, wanted) in [
        (
            "/fleets/shop",
            &["<h1>shop</h1>", "two &lt;b&gt;gateways&lt;/b&gt;", "Ann &lt;ann@example.com&gt;", "kubectl-edit"][..],
        ),
        ("/fleets/shop/gateways", &["2 of 2 gateways", "istio-system/g0", "203.0.0.1", "h1.example.com"]),
        ("/fleets/shop/gateways?q=h1.example&cluster=m1c1", &["1 of 2 gateways", "g1"]),
        ("/fleets/shop/gateways/istio-system/g1", &["istio-g1", "mesh/g1.yaml:1:1", "backend.shop", "<svg"]),
        (
            "/fleets/shop/drift",
            &[
                "adopted into Git",
                "Service shop/old&lt;b&gt;",
                "spec.type",
                "- &quot;ClusterIP&quot;",
                "&lt;/pre&gt;&lt;img",
                "kubectl asm adopt m1c1/service/web",
            ],
        ),
        ("/fleets/shop/drift?q=nobody", &["Nothing differs"]),
        (
            "/fleets/shop/held",
            &["approvals/delete-mesh-istiogateway-g0.yaml", "kind: Approval", "203.0.113.9", "uid: u1"],
        ),
        ("/fleets/shop/picture?gateway=g1", &["<svg", "h1.example.com"]),
        ("/fleets/shop/history", &["m1c1: Service shop/web&lt;script&gt; changed by kubectl-edit: spec.type"]),
    ] {
        let page = page(address, path).await;
        for text in wanted {
            assert!(page.contains(text), "{path} lacks {text}:\n{page}");
        }
        for text in ["<img", "canary-secret", "<script>", "<b>", "http://", "style="] {
            let page = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!page.contains(text), "{path} has {text}:\n{page}");
        }
        assert!(page.contains("<html lang=\"en\">") && page.contains("<main id=\"main\""), "{page}");
    }
}

#[tokio::test]
async fn nobody_else_gets_in_and_nothing_can_be_changed() {
    let views = Views::on();
    publish(&views, 1, |_, _| {});
    let address = serve(&views).await;
    let local = "host: 127.0.0.1\r\n";
    for (request, lines, wanted) in [
        ("GET /", local.to_owned(), "307"),
        ("HEAD /fleets/shop", local.to_owned(), "200"),
        ("POST /fleets/shop", local.to_owned(), "405"),
        ("DELETE /fleets/shop", local.to_owned(), "405"),
        ("GET /fleets/other", local.to_owned(), "404"),
        ("GET /fleets/shop/gateways/istio-system/none", local.to_owned(), "404"),
        ("GET /..%2f..%2fetc/passwd", local.to_owned(), "404"),
        ("GET /fleets/shop", "host: rebound.example.com\r\n".to_owned(), "421"),
        ("GET /fleets/shop", format!("{local}origin: https://evil.example.com\r\n"), "403"),
        ("GET /fleets/shop", format!("{local}origin: http://127.0.0.1\r\n"), "200"),
        ("GET /live", format!("{local}sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\n"), "403"),
        (
            "GET /",
            format!("{local}sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: iframe\r\n"),
            "403",
        ),
        (
            "GET /fleets/shop",
            format!("{local}sec-fetch-site: cross-site\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n"),
            "200",
        ),
        ("GET /fleets/shop/gateways?page=99999999999999999999", local.to_owned(), "400"),
        ("GET /fleets/shop/gateways?page=99", local.to_owned(), "200"),
    ] {
        let answer = ask(address, request, &lines).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {wanted}")), "{request} {lines}: {answer}");
        let answer = answer.to_ascii_lowercase();
        for policy in [
            "content-security-policy: default-src 'none'; script-src 'self';",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(policy), "{request}: {answer}");
        }
        assert!(!answer.contains("set-cookie"));
    }
}

#[tokio::test]
async fn a_change_is_announced() {
    let views = Views::on();
    publish(&views, 1, |_, _| {});
    let address = serve(&views).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut heard = String::new();
    let mut buffer = [0; 4096];
    for number in 1_u64..=2 {
        let wanted = format!("data: {number}\n");
        while !heard.contains(&wanted) {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        publish(&views, 1, trouble);
    }
    assert!(heard.contains("content-type: text/event-stream") && heard.contains("event: change"), "{heard}");
}

#[tokio::test]
async fn a_replica_that_stands_by_says_who_works() {
    let views = Views::on();
    views.led_by(Some("asm-agent-7d9f_0a1b2c3d"));
    let answer = ask(serve(&views).await, "GET /", "host: localhost\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("port-forward pod/asm-agent-7d9f 8082"), "{answer}");
}

/// Many gateways: no page grows with them.
#[tokio::test]
async fn pages_of_many_gateways_stay_small() {
    let views = Views::on();
    let many = if std::env::var_os("KUBECTL_ASM_FULL").is_some() { 1000 } else { 150 };
    publish(&views, many, |_, _| {});
    let address = serve(&views).await;
    for path in [
        "/fleets/shop",
        "/fleets/shop/gateways",
        "/fleets/shop/gateways",
        "/fleets/shop/gateways?q=h7",
        "/fleets/shop/gateways/istio-system/g77",
        "/fleets/shop/picture",
        "/fleets/shop/picture?host=h7.example.com",
    ] {
        let page = page(address, path).await;
        assert!(page.len() < 128 * 1024, "{path} has {} bytes", page.len());
    }
}
