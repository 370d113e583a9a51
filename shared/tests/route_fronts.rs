//! The gateways of a fleet, what stands in front of them, and what load balancers do before a gateway sees a request.

use asm_shared::fleet::{FleetState, MemoryTree, Target};
use asm_shared::object::ObjectId;
use asm_shared::route::{Answer, Closed, Front, Listener, Options, Request, compile, gateways};

const FLEET: &str = "\
apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: f}
spec:
  mesh: {}
  clusters:
  - {name: m1c1, id: c11111111111111111111111111111111}
  - {name: m1c2, id: c22222222222222222222222222222222}
";
const GATEWAYS: &str = "\
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: edge, namespace: istio-system}
spec:
  clusterIds: [c11111111111111111111111111111111, c22222222222222222222222222222222]
  podLabels: {tier: outer}
  serviceAnnotations:
    service.beta.kubernetes.io/alibaba-cloud-loadbalancer-protocol-port: https:443,http:80
    service.beta.kubernetes.io/alibaba-cloud-loadbalancer-forward-port: 80:443
  ports: [{name: http, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8080}]
  overrides:
    c22222222222222222222222222222222: {serviceAnnotations: {}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: managed, namespace: istio-system, annotations: {asm.alibabacloud.com/managed-by-asm: 'true'}}
spec: {ports: [{name: http, port: 80, targetPort: 80}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  selector: {istio: edge}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: own, namespace: shop}
spec: {selector: {app: own-gateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: shop}
spec: {hosts: ['*'], gateways: [web], http: [{name: b, match: [{uri: {prefix: /b}}], route: [{destination: {host: elsewhere.other.svc.cluster.local}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: shop}
spec: {hosts: ['*'], gateways: [web], http: [{name: a, match: [{uri: {prefix: /}}], directResponse: {status: 204}}, {name: never, directResponse: {status: 205}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: c, namespace: shop}
spec: {hosts: ['*'], gateways: [web], http: [{name: c, match: [{uri: {prefix: /b/c}}], directResponse: {status: 206}}]}
";
const MORE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: second
  namespace: istio-system
  annotations: {service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id: lb-1}
spec: {type: LoadBalancer, selector: {istio: edge, tier: outer}, ports: [{name: http, port: 8081, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: other-pods, namespace: istio-system}
spec: {selector: {istio: edge, tier: inner}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: own-gateway, namespace: shop}
spec:
  selector: {matchLabels: {app: own-gateway}}
  template: {metadata: {labels: {app: own-gateway}}, spec: {containers: [{name: istio-proxy, image: auto}]}}
";

fn state() -> FleetState {
    let files = [("fleet.yaml", FLEET), ("mesh/a.yaml", GATEWAYS), ("clusters/m1c1/more.yaml", MORE)];
    let state = FleetState::read(&files.into_iter().collect::<MemoryTree>());
    assert!(state.problems.is_empty(), "{:?}", state.problems);
    state
}

fn cluster(name: &str) -> Target {
    Target::Cluster(name.into())
}

fn front<'s>(state: &'s FleetState, name: &str) -> Front<'s> {
    gateways(state).into_iter().find(|front| front.name == name).unwrap()
}

#[test]
fn every_gateway_is_found_with_its_services() {
    let state = state();
    let names: Vec<String> = gateways(&state).into_iter().map(|front| front.name).collect();
    assert_eq!(names, ["edge", "managed", "own-gateway"]);
    let edge = front(&state, "edge");
    assert_eq!(edge.clusters, [cluster("m1c1"), cluster("m1c2")]);
    assert_eq!(edge.labels["tier"], "outer");
    let doors: Vec<String> = edge.doors.iter().map(|door| format!("{} {}", door.cluster, door.name)).collect();
    assert_eq!(doors, ["m1c1 istio-edge", "m1c1 second", "m1c2 istio-edge"]);
    assert!(edge.doors[0].generated && !edge.doors[1].generated);
    assert_eq!(edge.doors[1].load_balancer, Some("lb-1"));
    assert_eq!(edge.doors[0].ports[0].listener, Listener::Redirect(443));
    assert_eq!(edge.doors[0].ports[1].listener, Listener::Https);
    let of_second: Vec<(u16, Listener)> = edge.doors[2].ports.iter().map(|it| (it.port, it.listener)).collect();
    assert_eq!(of_second, [(80, Listener::Tcp)]);
    let managed = front(&state, "managed");
    assert!(managed.serverless);
    assert_eq!(managed.clusters, [Target::Mesh]);
    assert_eq!(front(&state, "own-gateway").clusters, [cluster("m1c1")]);
}

#[test]
fn a_load_balancer_answers_before_the_gateway() {
    let state = state();
    let table = compile(&state, &front(&state, "edge"), &Options::default());
    let ask = |url: &str| Request::from_url(url, None, &[]).unwrap();
    let plain = ask("http://shop.example.com/x?y");
    let outcome = table.lookup(&plain);
    let Answer::Redirect { status: 301, location } = &outcome.answer else { panic!("{:?}", outcome.answer) };
    assert_eq!(location, "https://shop.example.com/x?y");
    // The other cluster's load balancer passes it on.
    assert_eq!(outcome.elsewhere.len(), 1);
    assert!(matches!(outcome.elsewhere[0].1, Answer::Direct { status: 204, .. }));
    let secure = ask("https://shop.example.com/x");
    assert!(matches!(table.lookup(&secure).answer, Answer::Direct { status: 204, .. }));
    let wrong = ask("http://shop.example.com:443/x");
    assert!(matches!(table.lookup(&wrong).answer, Answer::Closed(Closed::PlaintextOnTls)));
    let second = ask("http://shop.example.com:8081/x");
    let through = table.lookup(&second);
    assert_eq!(through.through[0].service, "second");
    assert!(through.through[0].load_balancer);
    let only = Options { cluster: Some(cluster("m1c2")), ..Options::default() };
    let table = compile(&state, &front(&state, "edge"), &only);
    assert!(matches!(table.lookup(&plain).answer, Answer::Direct { status: 204, .. }));
    assert!(matches!(table.lookup(&secure).answer, Answer::NoListener));
}

#[test]
fn ages_that_are_known_decide() {
    let state = state();
    let edge = front(&state, "edge");
    let request = Request::from_url("http://x:8081/b/c", None, &[]).unwrap();
    let rule = |options: &Options| {
        let table = compile(&state, &edge, options);
        let outcome = table.lookup(&request);
        let others: Vec<String> = outcome.alternatives.iter().map(|it| it.rule.unwrap().name.clone()).collect();
        (outcome.rule.unwrap().name.clone(), others.join(" "))
    };
    // The rule for everything comes last whatever its age.
    assert_eq!(rule(&Options::default()), ("b".to_owned(), "c".to_owned()));
    assert_eq!(rule(&Options { same_age: true, ..Options::default() }), ("b".to_owned(), String::new()));
    let at = |name: &str, time: &str| {
        (ObjectId::new("networking.istio.io", "VirtualService", Some("shop"), name), time.parse().unwrap())
    };
    let created = [at("b", "2026-02-01T00:00:00Z"), at("c", "2026-01-01T00:00:00Z")];
    let known = Options { created: created.clone().into_iter().collect(), ..Options::default() };
    assert_eq!(rule(&known), ("c".to_owned(), String::new()));
    let half = Options { created: created.into_iter().take(1).collect(), ..Options::default() };
    assert_eq!(rule(&half), ("c".to_owned(), "b".to_owned()));
}

#[test]
fn what_no_file_knows_is_taken_as_existing_or_not() {
    let state = state();
    let edge = front(&state, "edge");
    let request = Request::from_url("http://x:8081/b", None, &[]).unwrap();
    let word = |options: &Options| compile(&state, &edge, options).lookup(&request).answer.word().to_owned();
    assert_eq!(word(&Options::default()), "forward");
    assert_eq!(word(&Options { missing: asm_shared::route::Missing::Absent, ..Options::default() }), "no-cluster");
}
