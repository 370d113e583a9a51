//! Formats of others, logs, and expectations.

use super::access_log;
use super::*;
use crate::fleet::{FleetState, MemoryTree, RouteTestExpectation, RouteTestRequest};
use crate::yaml;
use std::collections::BTreeMap;

fn foreign(text: &str) -> Foreign {
    let documents = yaml::read(text.as_bytes(), &yaml::Limits::default()).unwrap();
    read_foreign(&documents[0], &"tests.yaml".into()).unwrap()
}

#[test]
fn every_combination_of_istio_config_validator_is_a_request() {
    let read = foreign(
        "testCases:
- description: the frontend
  wantMatch: true
  request:
    authority: [a.example.com, b.example.com]
    method: [GET, POST]
    uri: [/x]
    headers: {x-user: a}
  route:
  - destination: {host: web.shop.svc.cluster.local, port: {number: 80}, subset: v1}
    weight: 90
  - destination: {host: web.shop.svc.cluster.local, subset: v2}
    weight: 10
  rewrite: {uri: /y}
- description: nobody
  wantMatch: false
  request: {authority: [c.example.com], method: [GET], uri: [/]}
",
    );
    let told: Vec<String> = read.cases.iter().map(Case::told).collect();
    assert_eq!(
        told,
        [
            "GET http://a.example.com/x  x-user: a",
            "POST http://a.example.com/x  x-user: a",
            "GET http://b.example.com/x  x-user: a",
            "POST http://b.example.com/x  x-user: a",
            "GET http://c.example.com/",
        ]
    );
    let expect = read.cases[3].expect.as_ref().unwrap();
    let wanted = [("web.shop.svc.cluster.local/v2", 10), ("web.shop.svc.cluster.local:80/v1", 90)];
    assert_eq!(expect.destinations, wanted.map(|(name, percent)| (name.to_owned(), percent)).into());
    assert_eq!(expect.path.as_deref(), Some("/y"));
    assert_eq!(read.cases[4].expect.as_ref().unwrap().status, Some(404));
    assert_eq!(read.cases[4].position.as_ref().unwrap().line, 15);
}

#[test]
fn tests_of_envoys_router_check_tool() {
    let read = foreign(
        r#"{"tests": [
  {"test_name": "to reviews", "input": {"authority": "a.example.com", "path": "/r?x=1", "method": "PUT", "ssl": true,
     "additional_request_headers": [{"key": "x-user", "value": "a"}]},
   "validate": {"cluster_name": "outbound|9080|v1|reviews.default.svc.cluster.local", "path_rewrite": "/", "virtual_cluster_name": "x"}},
  {"test_name": "away", "input": {"authority": "a.example.com", "path": "/"}, "validate": {"path_redirect": "https://b.example.com/"}}
]}"#,
    );
    assert_eq!(read.cases[0].told(), "PUT https://a.example.com/r?x=1  x-user: a");
    let expect = read.cases[0].expect.clone().unwrap();
    assert_eq!(expect.destinations, BTreeMap::from([("reviews.default.svc.cluster.local:9080/v1".to_owned(), 100)]));
    assert_eq!(read.cases[1].expect.clone().unwrap().location.as_deref(), Some("https://b.example.com/"));
    assert_eq!(read.ignored, ["to reviews: virtual_cluster_name"]);
}

#[test]
fn lines_of_access_logs() {
    let line = r#"[2026-03-01T12:00:00.000Z] "GET /productpage?u=x HTTP/1.1" 200 - via_upstream - "-" 0 5183 28 27 "10.0.0.1" "curl/8 (a b)" "id-1" "shop.example.com" "10.1.0.5:9080" outbound|9080||productpage.default.svc.cluster.local 10.1.0.4:1 10.1.0.4:8080 10.0.0.1:2 - -"#;
    let read = access_log::read(line).unwrap();
    assert_eq!(read.request.url, "http://shop.example.com/productpage?u=x");
    assert_eq!((read.status, read.flags), (200, None));
    assert_eq!(read.cluster.as_deref(), Some("outbound|9080||productpage.default.svc.cluster.local"));
    let tls = line.replace(" - -", " shop.example.com default").replace(" 200 -", " 404 NR").replace("GET", "POST");
    let read = access_log::read(&tls).unwrap();
    assert_eq!((read.request.method.as_deref(), read.request.sni.as_deref()), (Some("POST"), Some("shop.example.com")));
    assert!(read.request.url.starts_with("https://") && read.flags.as_deref() == Some("NR"));
    let json = r#"{"method":"GET","path":"/a","authority":"b.example.com","response_code":503,"response_flags":"UH","upstream_cluster":null}"#;
    let read = access_log::read(json).unwrap();
    assert_eq!((read.request.url.as_str(), read.status, read.cluster), ("http://b.example.com/a", 503, None));
    for odd in
        ["", "x", "[", "\"", "{", "{\"method\":1}", "[t] \"- - -\" 0 NR", "[t] \"GET / HTTP/1.1\" 200", "[t] \"GET /"]
    {
        assert_eq!(access_log::read(odd), None, "{odd}");
    }
}

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec: {mesh: {}, clusters: [{name: m1c1, id: c11111111111111111111111111111111}]}
";

const GATEWAY: &str = "apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: ingressgateway, namespace: istio-system}
spec:
  clusterIds: [c11111111111111111111111111111111]
  ports: [{name: http, port: 80, targetPort: 80}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
";

fn route(name: &str, status: u16) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  hosts: \
         [shop.example.com]\n  gateways: [shop]\n  http:\n  - directResponse: {{status: {status}}}\n"
    )
}

fn state(routes: &[(&str, u16)]) -> FleetState {
    let mut tree: MemoryTree = [("fleet.yaml", FLEET), ("mesh/gateway.yaml", GATEWAY)].into_iter().collect();
    for (name, status) in routes {
        tree.insert(&format!("mesh/{name}.yaml"), route(name, *status));
    }
    let state = FleetState::read(&tree);
    assert_eq!(state.problems, vec![]);
    state
}

fn case(expect: RouteTestExpectation) -> Case {
    let url = "http://shop.example.com/".to_owned();
    let request = RouteTestRequest { url, ..RouteTestRequest::default() };
    Case { expect: Some(expect), ..Case::asked(request) }
}

/// An expectation that holds for one order of creation only does not hold.
#[test]
fn what_depends_on_the_order_of_creation_is_not_as_expected() {
    let status = |status| RouteTestExpectation { status: Some(status), ..RouteTestExpectation::default() };
    let (one, two) = (state(&[("a", 201)]), state(&[("a", 201), ("b", 202)]));
    let ask = |state: &FleetState| {
        let cases = [case(status(201))];
        Simulator::of(state, &cases).ask(&cases[0], false).unwrap().remove(0).seen
    };
    assert_eq!(mismatches(&status(201), &ask(&one)), vec![]);
    let seen = ask(&two);
    assert_eq!(seen.alternatives.len(), 1, "{seen:?}");
    let found = mismatches(&status(201), &seen);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].found.contains("if VirtualService shop/"), "{found:?}");
    // And a change that brings the dependence in is one.
    let cases = [case(status(201))];
    let changed = compare(&one, &two, &cases);
    assert_eq!((changed.asked, changed.requests, changed.failing), (1, 1, 1));
    assert_eq!(compare(&two, &two, &cases).requests, 0);
}

#[test]
fn requests_that_cannot_be_asked_say_why() {
    let state = state(&[("a", 201)]);
    let ask = |change: &dyn Fn(&mut RouteTestRequest)| {
        let mut case = case(RouteTestExpectation::default());
        change(&mut case.request);
        let cases = [case];
        Simulator::of(&state, &cases).ask(&cases[0], false).unwrap_err().message
    };
    assert!(ask(&|it| it.url = "shop.example.com".to_owned()).contains("no scheme"));
    assert_eq!(ask(&|it| it.gateway = Some("nobody".to_owned())), "there is no gateway nobody");
    assert_eq!(ask(&|it| it.cluster = Some("m1c9".to_owned())), "there is no cluster m1c9 in fleet.yaml");
    assert!(ask(&|it| it.address = Some("198.51.100.9".to_owned())).contains("the address 198.51.100.9"));
}
