//! `kubectl asm route test`: one request, the fleet's tests, those of others, access logs, two commits.

use super::world::World;
use serde_json::{Value, json};
use std::process::Command;

const ROUTE: &str = "apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example.com]
  gateways: [shop]
  http:
  - name: pages
    match:
    - uri: {prefix: /pages}
    timeout: 5s
    rewrite: {uri: /}
    route:
    - {destination: {host: web, port: {number: 8080}, subset: v1}, weight: 90}
    - {destination: {host: web, port: {number: 8080}, subset: v2}, weight: 10}
  - name: old
    match:
    - uri: {exact: /old}
    redirect: {uri: /pages}
";

const MESH: &str = "apiVersion: networking.istio.io/v1beta1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['shop.example.com']
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: web, namespace: default}
spec:
  host: web
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
";

const WEB: &str = "apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  selector: {app: web}
  ports: [{name: http, port: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-VERSION, namespace: default}
spec:
  selector: {matchLabels: {app: web, version: VERSION}}
  template:
    metadata: {labels: {app: web, version: VERSION}}
    spec: {containers: [{name: web, image: web}]}
";

const TESTS: &str = "apiVersion: kubectl-asm.io/v1alpha1
kind: RouteTest
metadata: {name: shop}
spec:
  cases:
  - name: pages
    request: {url: 'http://shop.example.com/pages'}
    expect:
      destinations: {'web:8080/v1': 90, 'web:8080/v2': 10}
      path: /
      timeout: 5000ms
      clusters: [m1c1, m1c2]
      virtualService: shop
  - name: old addresses
    request: {url: 'http://shop.example.com/old', method: POST}
    expect: {outcome: redirect, status: 301, location: 'http://shop.example.com/pages'}
  - name: nothing else
    request: {url: 'http://shop.example.com/else'}
    expect: {outcome: no-route, status: 404}
";

fn shop() -> World {
    let world = World::with_fleet();
    world.line("gateway create ingressgateway --cluster m1c1,m1c2 --address-type intranet");
    world.write("mesh/shop.yaml", MESH);
    world.write("mesh/route.yaml", ROUTE);
    world.write("clusters/m1c1/web.yaml", &WEB.replace("VERSION", "v1"));
    world.write("clusters/m1c2/web.yaml", &WEB.replace("VERSION", "v2"));
    world
}

fn git(world: &World, line: &str) {
    let mut git = Command::new("git");
    git.args(line.split(' ')).current_dir(world.root()).env_clear().env("HOME", world.root().join(".."));
    git.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    assert!(git.status().unwrap().success(), "git {line}");
}

fn commit(world: &World) {
    git(world, "add .");
    git(world, "-c user.name=a -c user.email=a@example.com commit --quiet -m x");
}

#[test]
fn a_request_is_followed_step_by_step() {
    let world = shop();
    insta::assert_snapshot!(world.run(&["route", "test", "http://shop.example.com/pages?x=1", "-H", "x-user: a"]));
    insta::assert_snapshot!(world.run(&["route", "test", "http://shop.example.com/els", "--from", "m1c2"]));
    insta::assert_snapshot!(world.run(&[
        "route",
        "test",
        "https://shop.example.com/pages",
        "--clb",
        "istio-ingressgateway"
    ]));
}

#[test]
fn the_tests_of_the_fleet() {
    let world = shop();
    world.write("tests/shop.yaml", TESTS);
    let run = world.run(&["route", "test"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.ends_with("\n3 requests: all as expected\n"), "{run}");
    assert_eq!(world.run(&["lint", "--rule", "route-test"]).code, Some(0));

    // v2 gets no pods, and old addresses go elsewhere.
    world.write("clusters/m1c2/web.yaml", &WEB.replace("VERSION", "v3"));
    world.write("mesh/route.yaml", &ROUTE.replace("redirect: {uri: /pages}", "redirect: {uri: /"));
    let run = world.run(&["route", "test"]);
    assert_eq!(run.code, Some(1), "a file that cannot be read decides nothing: {run}");
    assert!(run.stderr.contains("mesh/route.yaml"), "{run}");
    world.write("mesh/route.yaml", &ROUTE.replace("redirect: {uri: /pages}", "redirect: {uri: /new}"));
    insta::assert_snapshot!(world.run(&["route", "test"]));
    insta::assert_snapshot!(world.run(&["route", "test", "-o", "junit"]));
    let run = world.run(&["route", "test", "-o", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &report["kind"]), (Some(1), &json!("RouteTestReport")));
    assert_eq!(report["summary"], json!({"cases": 3, "passed": 1, "failed": 2, "dependOnOrder": 0}));
    let old = &report["cases"][1];
    assert_eq!((&old["file"], &old["passed"], &old["line"]), (&json!("tests/shop.yaml"), &json!(false), &json!(14)));
    assert_eq!(old["answers"][0]["mismatches"][0]["field"], "location");
    // Lint tells the same, at the case.
    let lint = world.run(&["lint", "--rule", "route-test", "-o", "name"]);
    assert_eq!((lint.code, lint.stdout.as_str()), (Some(1), "file/tests/shop.yaml\n"), "{lint}");
}

#[test]
fn what_a_change_does_to_requests() {
    let world = shop();
    world.write("tests/shop.yaml", TESTS);
    git(&world, "init --quiet -b main");
    commit(&world);
    assert_eq!(world.run(&["route", "test", "--base", "HEAD"]).code, Some(0));
    git(&world, "switch --quiet -c feature");
    world.write("mesh/route.yaml", &ROUTE.replace("weight: 90", "weight: 80").replace("weight: 10", "weight: 20"));
    world.write("tests/shop.yaml", &TESTS.replace("/v1': 90, 'web:8080/v2': 10", "/v1': 80, 'web:8080/v2': 20"));
    commit(&world);
    let run = world.run(&["route", "test", "--base", "main..."]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stdout.contains(": 1 of 3 requests comes out differently\n"), "{run}");
    assert!(run.stdout.contains("web:8080/v1 90 %, web:8080/v2 10 % → web:8080/v1 80 %, web:8080/v2 20 %"), "{run}");
    let report: Value =
        serde_json::from_str(&world.run(&["route", "test", "--base", "main", "-o", "json"]).stdout).unwrap();
    assert_eq!((&report["base"]["changed"], &report["base"]["failing"]), (&json!(1), &json!(0)));

    // The same in the diff, in all its formats.
    let run = world.run(&["diff", "main...feature", "--summary"]);
    assert!(run.stdout.contains("\nRoutes: 1 of 3 requests comes out differently\n"), "{run}");
    assert!(run.stdout.contains("  GET http://shop.example.com/pages   at ingressgateway\n"), "{run}");
    let page = world.run(&["diff", "main...feature", "-o", "markdown"]).stdout;
    assert!(
        page.contains(
            "**Requests that come out differently:**\n\n- <code>GET http&#58;//shop.example.com/pages</code>"
        ),
        "{page}"
    );
    let diff: Value = serde_json::from_str(&world.run(&["diff", "main...feature", "-o", "json"]).stdout).unwrap();
    assert_eq!(diff["traffic"]["changes"][0]["after"]["destinations"][1]["percent"], 20.0);
    // A test that does not hold any more is a finding of lint too.
    world.write("tests/shop.yaml", TESTS);
    let run = world.run(&["diff", "--summary"]);
    assert!(run.stdout.contains("Routes: 3 requests, none comes out differently, 1 not as expected\n"), "{run}");
    assert!(run.stdout.contains("  error    route-test   tests/shop.yaml:6:"), "{run}");
}

#[test]
fn an_order_of_creation_that_git_does_not_know() {
    let world = shop();
    let other = ROUTE
        .replace("name: shop, namespace", "name: other, namespace")
        .replace("/pages", "/")
        .replace("prefix: /}", "prefix: /pages}");
    world.write(
        "mesh/other.yaml",
        &other
            .replace("subset: v1}, weight: 90", "subset: v1}, weight: 100")
            .replace("subset: v2}, weight: 10", "subset: v2}, weight: 0"),
    );
    let run = world.run(&["route", "test", "http://shop.example.com/pages"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(
        run.stdout.contains("is older than VirtualService default/") && run.stdout.contains("Git does not say"),
        "{run}"
    );
}

#[test]
fn tests_and_manifests_from_elsewhere() {
    let world = shop();
    world.write("../icv.yaml", "testCases:\n- description: pages\n  wantMatch: true\n  request: {authority: [shop.example.com], method: [GET], uri: [/pages, /pages/x]}\n  route:\n  - {destination: {host: web, subset: v1}, weight: 90}\n  - {destination: {host: web, subset: v2}, weight: 10}\n");
    world.write("../rct.json", r#"{"tests": [{"test_name": "away", "input": {"authority": "shop.example.com", "path": "/old", "internal": true}, "validate": {"code_redirect": 301}}]}"#);
    world.write("../own.yaml", TESTS);
    let run =
        world.run(&["route", "test", "--tests", "../icv.yaml", "--tests", "../rct.json", "--tests", "../own.yaml"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.ends_with("\n6 requests: all as expected\n"), "{run}");
    assert_eq!(run.stderr, "warning: not looked at: ../rct.json: away: internal\n");
    world.write("../odd.yaml", "a: 1\n");
    let run = world.run(&["route", "test", "--tests", "../odd.yaml"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("../odd.yaml: 1:1") && run.stderr.contains("router_check_tool"), "{run}");

    // Manifests of no fleet.
    let bare = World::new();
    bare.write("mesh/gateway.yaml", &world.read("mesh/gateways/ingressgateway.yaml"));
    bare.write("mesh/shop.yaml", MESH);
    bare.write("mesh/route.yaml", ROUTE);
    bare.write("apps/one/web.yaml", &WEB.replace("VERSION", "v1"));
    let run = bare.run(&[
        "route",
        "test",
        "http://shop.example.com/old",
        "--manifests",
        "mesh",
        "--cluster",
        "m1c1=apps/one",
    ]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.contains("301 → http://shop.example.com/pages"), "{run}");
    let fleet = world.root().display().to_string();
    for (args, told) in [
        (&["--manifests", "nowhere"][..], "--manifests takes folders and files"),
        (&["--manifests", "mesh", "--cluster", "mesh=apps/one"], "the mesh's manifests are given with --manifests"),
        (&["--manifests", "mesh", "--cluster", "m1c1="], "--cluster m1c1=: not NAME or NAME=DIR"),
        (&["--manifests", fleet.as_str()], "it is asked by: kubectl asm route test --repo "),
    ] {
        let run = bare.run(&[&["route", "test", "http://a/"], args].concat());
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stderr.contains(told), "{run}");
    }
}

#[test]
fn an_access_log() {
    let world = shop();
    let line = |path: &str, status: u16, cluster: &str| {
        format!(
            "[2026-03-01T12:00:00.000Z] \"GET {path} HTTP/1.1\" {status} - via_upstream - \"-\" 0 1 2 2 \"-\" \"curl\" \"id\" \
             \"shop.example.com\" \"-\" {cluster} - 10.0.0.1:80 10.0.0.2:3 - -\n"
        )
    };
    let log = line("/pages", 200, "outbound|8080|v1|web.default.svc.cluster.local").repeat(3)
        + &line("/gone", 200, "outbound|8080|v1|web.default.svc.cluster.local")
        + &line("/old", 200, "outbound|8080||web.default.svc.cluster.local")
        + "[2026-03-01T12:00:00.000Z] \"- - -\" 0 - - - \"-\" 0 0 1 - \"-\" \"-\" \"-\" \"-\" \"-\" - - - - - -\n";
    world.write("../access.log", &log);
    insta::assert_snapshot!(world.run(&["route", "test", "--access-log", "../access.log"]));
    let report: Value =
        serde_json::from_str(&world.run(&["route", "test", "--access-log", "../access.log", "-o", "json"]).stdout)
            .unwrap();
    assert_eq!(report["outcomes"], json!({"forward": 3, "no-route": 1, "redirect": 1}));
    assert_eq!(report["failing"][0]["request"]["url"], "http://shop.example.com/gone");
    world.write("../access.log", "nothing\n");
    assert_eq!(world.run(&["route", "test", "--access-log", "../access.log"]).code, Some(2));
}

#[test]
fn what_cannot_be_asked() {
    let world = shop();
    for (args, told) in [
        (&["shop.example.com/"][..], "no scheme"),
        (&["ftp://shop.example.com/"], "neither http nor https"),
        (&["http://shop.example.com/", "-H", "x-user"], "not NAME: VALUE"),
        (&["http://shop.example.com/", "--base", "nowhere"], "not in a Git repository"),
        (&["-H", "a: b"], "<URL>"),
        (&[], "there are no route tests"),
    ] {
        let run = world.run(&[&["route", "test"], args].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}\n{run}");
        assert!(run.stderr.contains(told), "{args:?}\n{run}");
    }
    // What the fleet does not have, with what it has.
    for (args, told) in [
        (["--gateway", "ingresgateway"], "there is no gateway ingresgateway"),
        (["--from", "m1c9"], "there is no cluster m1c9"),
        (["--address", "198.51.100.9"], "the address 198.51.100.9"),
        (["--clb", "nobody"], "the Service nobody"),
    ] {
        let run = world.run(&[&["route", "test", "http://shop.example.com/pages"][..], &args].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run}");
        assert!(run.stderr.contains(told) && run.stderr.contains("hint: "), "{run}");
    }
    // Whatever stands in a name stays text.
    let run = world.run(&["route", "test", "http://shop.example.com/\u{1b}[31m"]);
    assert!(!run.to_string().contains('\u{1b}'), "{run}");
}

/// Requests between workloads: the sidecar of the one that calls is asked.
#[test]
fn what_a_workload_sends() {
    let world = World::with_bookinfo();
    world.line("route split reviews --subset v1,v2,v3 --to v1=90,v3=10");
    insta::assert_snapshot!(world.run(&[
        "route",
        "test",
        "http://reviews:9080/reviews/0",
        "--from",
        "default/productpage-v1"
    ]));
    let mut told = String::new();
    for args in [
        &["http://reviews.default:9080/", "--from", "default/productpage-v1@m1c2"][..],
        &["http://details:9080/", "--from", "default/productpage-v1"],
        &["http://reviews/", "--from", "default/productpage-v1"],
        &["http://reviws:9080/", "--from", "default/productpage-v1"],
        &["https://example.com/", "--from", "default/productpage-v1"],
        &["http://reviews:9080/", "--from", "default/productpage"],
        &["http://reviews:9080/", "--from", "default/productpage-v1@m1c1"],
        &["http://reviews:9080/", "--from", "default/productpage-v1@m1c9"],
        &["http://reviews:9080/", "--from", "default/productpage-v1", "--clb", "a"],
    ] {
        let run = world.run(&[&["route", "test"], args].concat());
        told.push_str(&format!("[{}] {}\n", run.code.unwrap_or(-1), args.join(" ")));
        let is_said =
            |line: &&str| ["  !!", "  →", "help: ", "hint: ", "error: "].iter().any(|word| line.contains(word));
        for line in if run.stdout.is_empty() { run.stderr.lines() } else { run.stdout.lines() }.filter(is_said) {
            told.push_str(&format!("    {}\n", line.trim()));
        }
    }
    insta::assert_snapshot!(told);
    // As a test of the fleet; another subset comes out differently.
    world.write(
        "tests/calls.yaml",
        "apiVersion: kubectl-asm.io/v1alpha1\nkind: RouteTest\nmetadata: {name: calls}\nspec:\n  cases:\n  - name: reviews\n    \
         request: {url: 'http://reviews:9080/', from: default/productpage-v1}\n    expect: {destinations: {'reviews:9080/v1': 90, \
         'reviews:9080/v3': 10}, virtualService: reviews}\n",
    );
    let run = world.run(&["route", "test"]);
    assert!(run.code == Some(0) && run.stdout.contains("all as expected"), "{run}");
    world.line("route weight reviews v1=50 v3=50");
    let run = world.run(&["route", "test"]);
    assert!(run.code == Some(1) && run.stdout.contains("expected reviews:9080/v1 90 %"), "{run}");
}

/// Every one is answered as Envoy would answer it, with the step that ends it; none is an error of ours.
#[test]
fn odd_requests_are_answered() {
    let world = shop();
    let route = |name: &str, hosts: &str, rules: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: default}}\n\
             spec:\n{hosts}  http:\n{rules}"
        )
    };
    let to = "route: [{destination: {host: web, subset: v1}}]";
    world.write(
        "mesh/odd.yaml",
        &[
            "apiVersion: networking.istio.io/v1beta1\nkind: Gateway\nmetadata: {name: odd, namespace: default}\nspec:\n  \
             selector: {istio: ingressgateway}\n  servers:\n  - port: {number: 80, name: http, protocol: HTTP}\n    hosts: \
             [odd.example.com, '*.bad.example.com']\n  - port: {number: 443, name: https, protocol: HTTPS}\n    tls: {mode: SIMPLE, credentialName: c}\n    \
             hosts: [odd.example.com]\n"
                .to_owned(),
            route(
                "odd",
                "  hosts: [odd.example.com]\n  gateways: [odd]\n",
                &format!(
                    "  - {{name: zero, match: [{{uri: {{prefix: /zero}}}}], route: [{{destination: {{host: web, subset: v1}}, weight: 0}}, {{destination: {{host: web, subset: v2}}, weight: 100}}]}}\n  \
                     - {{name: header, match: [{{uri: {{prefix: /header}}, headers: {{X-User: {{exact: a}}}}}}], {to}}}\n  \
                     - {{name: encoded, match: [{{uri: {{prefix: '/a%20b'}}}}], {to}}}\n  \
                     - {{name: lost, match: [{{uri: {{prefix: /lost}}}}], delegate: {{name: nobody}}}}\n  \
                     - {{name: circle, match: [{{uri: {{prefix: /circle}}}}], delegate: {{name: round}}}}\n  \
                     - {{name: root, match: [{{uri: {{exact: /}}}}], {to}}}\n"
                ),
            ),
            route("round", "", "  - {name: again, delegate: {name: round}}\n"),
            route(
                "bad",
                "  hosts: [regex.bad.example.com]\n  gateways: [odd]\n",
                &format!("  - {{match: [{{uri: {{regex: '/(?=a)'}}}}], {to}}}\n"),
            ),
        ]
        .concat(),
    );
    let long = format!("http://odd.example.com/{}", "a".repeat(8192));
    let mut told = String::new();
    for args in [
        &["http://nobody.example.com/"][..],
        &["http://odd.example.com:81/"],
        &["https://odd.example.com/", "--sni", ""],
        &["https://odd.example.com/", "--sni", "other.example.com"],
        &["http://regex.bad.example.com/a"],
        &["http://odd.example.com/lost"],
        &["http://odd.example.com/circle"],
        &["http://odd.example.com/zero"],
        &["http://odd.example.com/header", "-H", "x-USER: a"],
        &["http://odd.example.com/a%20b/c"],
        &["http://odd.example.com/%61%20b"],
        &["http://odd.example.com"],
        &["http://odd.example.com?q=1"],
        &["http://odd.example.com/none"],
        &["http://[2001:db8::1]/"],
        &["http://[2001:db8::1"],
        &["http://2001:db8::1/"],
        &["http://odd.example.com/", "-H", "Host: [2001:db8::1"],
        &["http://odd.example.com/", "-X", "BREW"],
        &["http://odd.example.com/", "-H", "Host:"],
        &[long.as_str()],
    ] {
        let run = world.run(&[&["route", "test"], args].concat());
        assert!(matches!(run.code, Some(0..=2)) && !run.stderr.contains("panicked"), "{args:?}\n{run}");
        let shown = args.join(" ").replace(&"a".repeat(8192), "a…8192");
        told.push_str(&format!("[{}] {shown}\n", run.code.unwrap_or(-1)));
        let is_said =
            |line: &&str| ["  !!", "  →", "help: ", "hint: ", "error: "].iter().any(|word| line.contains(word));
        for line in if run.stdout.is_empty() { run.stderr.lines() } else { run.stdout.lines() }.filter(is_said) {
            told.push_str(&format!("    {}\n", line.trim()));
        }
    }
    insta::assert_snapshot!(told);
}
