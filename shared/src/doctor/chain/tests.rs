//! Every link can be the first that does not hold.

use super::*;
use crate::fleet::{FleetState, MemoryTree};
use crate::route::{self, Options, Request};
use serde_json::json;

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  mesh: {context: mesh}
  clusters:
    - {name: m1c1, id: c11111111111111111111111111111111}
";
const MESH: &str = "apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: edge, namespace: istio-system}
spec:
  clusterIds: [c11111111111111111111111111111111]
  ports:
    - {name: http, port: 80, targetPort: 80}
    - {name: https, port: 443, targetPort: 443}
---
apiVersion: networking.istio.io/v1beta1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: edge}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http:
    - match: [{uri: {prefix: /cart}}]
      route: [{destination: {host: shop, subset: v1}}]
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop
  subsets: [{name: v1, labels: {version: v1}}]
";
const APP: &str = "apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec:
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop-v1, namespace: default}
spec:
  selector: {matchLabels: {app: shop, version: v1}}
  template:
    metadata: {labels: {app: shop, version: v1}}
    spec: {containers: [{name: shop, image: 'shop:1'}]}
";

/// What runs when everything does.
fn running() -> Live {
    Live {
        door: Some(LiveDoor {
            exists: true,
            addresses: vec!["198.51.100.7".to_owned()],
            ports: vec![80, 443],
            pods: 2,
            ready: 2,
            complaints: Vec::new(),
        }),
        addresses: Vec::new(),
        backends: [(backend(), LiveBackend { exists: true, pods: 1, ready: 1 })].into_iter().collect(),
    }
}

fn backend() -> (String, String, String, String) {
    ("m1c1".to_owned(), "default".to_owned(), "shop".to_owned(), "v1".to_owned())
}

fn walked(mesh: &str, app: &str, url: &str, live: Option<Live>) -> Chain {
    let tree: MemoryTree =
        [("fleet.yaml", FLEET), ("mesh/shop.yaml", mesh), ("clusters/m1c1/shop.yaml", app)].into_iter().collect();
    let state = FleetState::read(&tree);
    assert!(state.problems.is_empty(), "{:?}", state.problems);
    let fronts = route::gateways(&state);
    let table = route::compile(&state, &fronts[0], &Options::default());
    let request = Request::from_url(url, None, &[]).unwrap();
    let trace = table.explain(&request);
    walk(&fronts[0], fronts[0].doors.first(), &request, &trace, live.as_ref())
}

fn said(what: &str, chain: &Chain) -> String {
    let link = chain.links.last().unwrap();
    let places = link.places.join(", ");
    let fix = link.fix.as_deref().unwrap_or("-");
    format!("{what}: {:?} {:?} {} | {places} | {fix} | {}", chain.broken, link.state, link.text, chain.ends)
}

const URL: &str = "http://shop.example.com/cart";

#[test]
fn everything_holds() {
    let by_files = walked(MESH, APP, URL, None);
    assert_eq!((by_files.broken, by_files.is_certain(), by_files.links.len()), (None, false, 8));
    let live = walked(MESH, APP, URL, Some(running()));
    assert_eq!((live.broken, live.is_certain(), live.links.len()), (None, true, 8));
    insta::assert_snapshot!(serde_json::to_string_pretty(&json!([by_files, live])).unwrap());
}

#[test]
fn each_link_can_be_the_one() {
    let with = |change: fn(&mut Live)| {
        let mut live = running();
        change(&mut live);
        Some(live)
    };
    let door = |change: fn(&mut LiveDoor)| {
        let mut live = running();
        live.door.as_mut().into_iter().for_each(change);
        Some(live)
    };
    let files = |from: &str, to: &str| {
        assert!(MESH.contains(from), "{from}");
        MESH.replace(from, to)
    };
    let complaint = json!({
        "involvedObject": {"kind": "Service"}, "type": "Warning", "reason": "SyncLoadBalancerFailed",
        "message": "PAY.INSUFFICIENT_BALANCE", "lastTimestamp": "2026-03-01T10:00:00Z"
    });
    let broke = LiveDoor::of(Some(&json!({"spec": {"ports": [{"port": 80}]}})), &[], &[complaint]);
    let cases = [
        (1, "no Service", walked(MESH, APP, URL, door(|door| *door = LiveDoor::default()))),
        (1, "no address", walked(MESH, APP, URL, door(|door| door.addresses.clear()))),
        (1, "no address, and why", walked(MESH, APP, URL, Some(Live { door: Some(broke), ..running() }))),
        (2, "port not opened", walked(MESH, APP, "http://shop.example.com:8080/cart", None)),
        (2, "port not there yet", walked(MESH, APP, URL, door(|door| door.ports = vec![443]))),
        (3, "no pods", walked(MESH, APP, URL, door(|door| (door.pods, door.ready) = (0, 0)))),
        (3, "no ready pod", walked(MESH, APP, URL, door(|door| door.ready = 0))),
        (4, "selector", walked(&files("selector: {istio: edge}", "selector: {istio: edgy}"), APP, URL, None)),
        (5, "server on another port", walked(&files("number: 80", "number: 443"), APP, URL, None)),
        (5, "TLS where there is none", walked(MESH, APP, "https://shop.example.com:80/cart", None)),
        (6, "host", walked(MESH, APP, "http://other.example.com/cart", None)),
        (6, "path", walked(MESH, APP, "http://shop.example.com/", None)),
        (6, "not bound", walked(&files("gateways: [shop]", "gateways: [shoppe]"), APP, URL, None)),
        (7, "no such Service", walked(&files("host: shop, subset: v1", "host: shopp"), APP, URL, None)),
        (7, "no such subset", walked(&files("subsets: [{name: v1", "subsets: [{name: v2"), APP, URL, None)),
        (
            7,
            "Service not there",
            walked(
                MESH,
                APP,
                URL,
                with(|live| {
                    live.backends.insert(backend(), LiveBackend::default());
                }),
            ),
        ),
        (8, "no pod by the files", walked(MESH, &APP.replace("version: v1", "version: v9"), URL, None)),
        (
            8,
            "no pod",
            walked(
                MESH,
                APP,
                URL,
                with(|live| {
                    live.backends.insert(backend(), LiveBackend { exists: true, pods: 0, ready: 0 });
                }),
            ),
        ),
        (
            8,
            "no ready pod",
            walked(
                MESH,
                APP,
                URL,
                with(|live| {
                    live.backends.insert(backend(), LiveBackend { exists: true, pods: 3, ready: 0 });
                }),
            ),
        ),
    ];
    let mut told = Vec::new();
    for (number, what, chain) in &cases {
        assert_eq!(chain.broken, Some(*number), "{what}: {chain:#?}");
        assert_eq!(chain.links.len(), usize::from(*number), "{what} stops there");
        told.push(said(what, chain));
    }
    insta::assert_snapshot!(told.join("\n"));
}

/// What runs counts more than what the files say runs.
#[test]
fn pods_that_no_file_makes_count() {
    let elsewhere = APP.split("---").next().unwrap();
    assert_eq!(walked(MESH, elsewhere, URL, Some(running())).broken, None);
    let wrong = APP.replace("version: v1", "version: v9");
    assert_eq!(walked(MESH, &wrong, URL, Some(running())).broken, None);
}

#[test]
fn the_gateway_may_answer_by_itself() {
    let redirect = MESH.replace("route: [{destination: {host: shop, subset: v1}}]", "redirect: {uri: /new}");
    let chain = walked(&redirect, APP, URL, Some(running()));
    assert_eq!((chain.broken, chain.links.len()), (None, 6));
    assert!(chain.ends.starts_with("301 to "), "{}", chain.ends);
}

/// ASM runs the pods and the load balancer: neither nodes nor Services of the clusters have a part in it.
#[test]
fn a_serverless_gateway_has_nothing_in_the_clusters() {
    let mesh = MESH
        .replace(
            "{name: edge, namespace: istio-system}",
            "{name: edge, namespace: istio-system, annotations: {asm.alibabacloud.com/managed-by-asm: 'true'}}",
        )
        .replace("  clusterIds: [c11111111111111111111111111111111]\n", "  externalTrafficPolicy: Local\n");
    let asked = |addresses: &[&str]| Live {
        door: None,
        addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
        backends: running().backends,
    };
    let all = [
        ("files", walked(&mesh, APP, URL, None)),
        ("live", walked(&mesh, APP, URL, Some(asked(&["198.51.100.7"])))),
        ("no address", walked(&mesh, APP, URL, Some(asked(&[])))),
        ("no port", walked(&mesh, APP, "http://shop.example.com:81/cart", None)),
    ];
    let lines = all.iter().flat_map(|(what, chain)| {
        let links = chain.links.iter().map(move |link| {
            format!("{what} {} {:?}: {} | {}", link.number, link.state, link.text, link.fix.as_deref().unwrap_or("-"))
        });
        links.chain([format!("{what}: {} {:?} {}", chain.cluster, chain.service, chain.ends)])
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}
