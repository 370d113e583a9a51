//! `kubectl asm pr create`: what the body says of requests and of lint, and that it stays as short as each forge wants it.

use crate::forge_server::{FLAVORS, Flavor};
use crate::pull_requests::Scene;

const GATEWAY: &str = "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*.example.com']
";

/// A host with a route and a workload of its own.
fn app(number: usize) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: app-{number}, namespace: shop}}\nspec:\n  \
         hosts: [app-{number}.example.com]\n  gateways: [shop]\n  http:\n  - name: all\n    route:\n    - destination: {{host: one, \
         port: {{number: 80}}}}\n"
    )
}

const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec:
  selector: {app: NAME}
  ports: [{name: http, port: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: shop}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {containers: [{name: web, image: web}]}
";

/// So many routes behind one gateway, each with a request that is tested; all is pushed.
fn scene(flavor: &'static Flavor, routes: usize) -> Scene {
    let scene = Scene::new(flavor);
    scene.git(&["checkout", "-q", "mesh/route.yaml"]);
    scene.world.line("gateway create ingressgateway --cluster m1c1,m1c2 --address-type intranet");
    scene.world.write("mesh/gateway.yaml", GATEWAY);
    for name in ["one", "two"] {
        scene.world.write(&format!("clusters/m1c1/{name}.yaml"), &SERVICE.replace("NAME", name));
    }
    let mut tests =
        "apiVersion: kubectl-asm.io/v1alpha1\nkind: RouteTest\nmetadata: {name: shop}\nspec:\n  cases:\n".to_owned();
    for number in 0..routes {
        scene.world.write(&format!("mesh/apps/{number}.yaml"), &app(number));
        tests.push_str(&format!(
            "  - name: app {number}\n    request: {{url: 'http://app-{number}.example.com/'}}\n    expect: {{destinations: {{'one:80': \
             100}}}}\n"
        ));
    }
    scene.world.write("tests/shop.yaml", &tests);
    scene.git(&["add", "."]);
    scene.git(&["commit", "-qm", "routes"]);
    scene.git(&["push", "-q", "origin", "main"]);
    scene
}

#[test]
fn what_becomes_of_requests_stands_in_the_body() {
    for flavor in FLAVORS {
        let scene = scene(flavor, 2);
        scene.world.write("mesh/apps/1.yaml", &app(1).replace("host: one", "host: two"));
        let run = scene.create(&[]);
        assert_eq!(run.code, Some(0), "{run}");
        let body = scene.forge.request(1).body;
        for part in [
            "Routes: 1 of 2 requests comes out differently, 1 not as expected.\n",
            "**Requests that come out differently:**\n\n- <code>GET http&#58;//app-1.example.com/</code> at \
             <code>ingressgateway</code>: <code>one.shop&#58;80 → two.shop&#58;80</code>\n",
            "Lint: 1 new error, ",
            "### asm lint",
            "`tests/shop.yaml:",
        ] {
            assert!(body.contains(part), "{} {part}\n{body}", flavor.word);
        }
        // The test follows: nothing is wrong any more, and the request still comes out differently.
        let tests = scene.world.read("tests/shop.yaml");
        let (first, second) = tests.split_at(tests.find("app 1").unwrap());
        scene.world.write("tests/shop.yaml", &format!("{first}{}", second.replace("one:80", "two:80")));
        let run = scene.create(&[]);
        assert_eq!(run.code, Some(0), "{run}");
        let body = scene.forge.request(1).body.replace("\r\n", "\n");
        assert!(body.contains("Routes: 1 of 2 requests comes out differently.\n"), "{body}");
        assert!(body.contains("Lint: nothing new, "), "{body}");
    }
}

#[test]
fn objects_requests_and_findings_share_what_room_there_is() {
    const ROUTES: usize = 250;
    // Gitea and Gitee take as much as GitHub.
    for flavor in FLAVORS.iter().filter(|flavor| !matches!(flavor.word, "gitea" | "gitee")) {
        let scene = scene(flavor, ROUTES);
        for number in 0..ROUTES {
            // Elsewhere, not as its test expects, and to nobody.
            scene.world.write(&format!("mesh/apps/{number}.yaml"), &app(number).replace("host: one", "host: nobody"));
        }
        let run = scene.create(&[]);
        assert_eq!(run.code, Some(0), "{run}");
        let body = scene.forge.request(1).body;
        let limit = flavor.limits[1];
        assert!(body.len() <= limit && body.ends_with("<!-- kubectl-asm:end -->"), "{} {}", flavor.word, body.len());
        for part in [
            &*format!("Routes: {ROUTES} of {ROUTES} requests come out differently, {ROUTES} not as expected.\n"),
            "app-0.example.com",
            "<details><summary>~ <code>VirtualService shop/app-0</code>",
            "### asm lint",
            "❌ error **new**",
        ] {
            assert!(body.contains(part), "{} {part}\n{body}", flavor.word);
        }
        if limit < 1_000_000 {
            let note = body.split_once("**Left out here, for lack of room:** ").unwrap_or_else(|| panic!("{body}")).1;
            let note = note.lines().next().unwrap();
            for part in [" objects on <code>mesh</code> (", " requests that come out differently. All of it: "] {
                assert!(note.contains(part), "{} {note}", flavor.word);
            }
            assert!(body.contains(" more are left out\n"), "{body}");
        } else {
            assert!(!body.contains("eft out"), "{}", flavor.word);
        }
    }
}

#[test]
fn no_value_of_a_secret_is_in_a_pull_request() {
    let scene = Scene::new(&FLAVORS[0]);
    let secret = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: login, namespace: shop}}\nstringData: {{password: {value}}}\ndata: \
             {{token: Y2FuYXJ5LTQ3MTE=}}\n"
        )
    };
    scene.world.write("clusters/m1c1/secret.yaml", &secret("first"));
    scene.git(&["add", "clusters"]);
    scene.git(&["commit", "-qm", "secret"]);
    scene.git(&["push", "-q", "origin", "main"]);
    scene.world.write("clusters/m1c1/secret.yaml", &secret("canary-4712"));
    let dry = scene.create(&["--dry-run", "-o", "json"]);
    let run = scene.create(&[]);
    assert_eq!((dry.code, run.code), (Some(0), Some(0)), "{dry}{run}");
    let request = scene.forge.request(1);
    assert!(request.body.contains("Secret shop/login"), "{}", request.body);
    let told = [&request.title, &request.body, &request.head, &scene.git(&["log", "-1", "--format=%B"])];
    let told = told.map(String::as_str).join("\n") + &run.to_string() + &dry.to_string();
    assert!(!told.contains("canary-47") && !told.contains("Y2FuYXJ5"), "{told}");
}
