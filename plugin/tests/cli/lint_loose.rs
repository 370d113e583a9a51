//! `lint --manifests`: files that are in no fleet, with clusters of their own or none.

use crate::world::World;
use serde_json::Value;

const ROUTE: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http:
    - route:
        - destination: {host: wbe, port: {number: 80}}
";

fn service(port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: shop}}\nspec:\n  selector: {{app: web}}\n  ports: \
         [{{name: http, port: {port}, targetPort: 8080}}]\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, \
         namespace: shop}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: \
         web}}}}\n    spec: {{containers: [{{name: web, image: web}}]}}\n"
    )
}

/// A route, and the same Service in two clusters with different ports. No fleet around.
fn world() -> World {
    let world = World::new();
    world.write("routes/web.yaml", ROUTE);
    world.write("one/web.yaml", &service(80));
    world.write("two/web.yaml", &service(81));
    world
}

const ALL: [&str; 6] = ["--manifests", "routes", "--cluster", "m1c1=one", "--cluster", "m1c2=two"];

fn lint(world: &World, args: &[&str]) -> crate::world::Run {
    world.run(&[&["lint"], args].concat())
}

#[test]
fn clusters_are_judged_together() {
    let world = world();
    insta::assert_snapshot!(lint(&world, &ALL), @"
    error[destination-host]: there is no Service and no ServiceEntry wbe.shop.svc.cluster.local: requests answer 503
     --> routes/web.yaml:8:11
      |
    8 |         - destination: {host: wbe, port: {number: 80}}
      |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = note: VirtualService shop/web, spec.http[0].route[0].destination; for mesh
      = help: Did you mean web.shop.svc.cluster.local?
      = help: in a fleet, --fix --unsafe-fixes would send them to web.shop.svc.cluster.local

    warning[service-differs]: its ports in m1c2 are not what m1c1 has
     --> two/web.yaml:6:3
      |
    6 |   ports: [{name: http, port: 81, targetPort: 8080}]
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
     ::: one/web.yaml:6:3
      |
    6 |   ports: [{name: http, port: 80, targetPort: 8080}]
      |   ------------------------------------------------- what m1c1 has
      |
      = note: Service shop/web, spec.ports; for m1c1, m1c2
      = help: Make them the same
      = help: in a fleet, --fix --unsafe-fixes would make it as in m1c1

    1 error, 1 warning in 2 files
    ! hint: why it is bad: kubectl asm explain destination-host
    [1]
    ");
    // Mended: nothing is left to say.
    world.write("routes/web.yaml", &ROUTE.replace("wbe", "web"));
    world.write("two/web.yaml", &service(80));
    let run = lint(&world, &ALL);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run}");
    // One file, one cluster without a name.
    world.write("all.yaml", &format!("{ROUTE}---\n{}", service(80)));
    let run = lint(&world, &["--manifests", "all.yaml", "-o", "name"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), "virtualservice.networking.istio.io/web\n"), "{run}");
}

#[test]
fn every_format_ends_alike_and_names_the_files() {
    let world = world();
    for format in ["json", "yaml", "sarif", "junit", "github", "gitlab", "markdown"] {
        let run = lint(&world, &[&ALL[..], &["-o", format]].concat());
        assert_eq!(run.code, Some(1), "{format}: {run}");
        assert!(run.stdout.contains("routes/web.yaml") && run.stdout.contains("two/web.yaml"), "{format}: {run}");
        assert!(format == "sarif" || !run.stdout.contains("--fix"), "{format}: {run}");
    }
    let run = lint(&world, &[&ALL[..], &["-o", "json", "--target", "m1c2", "--severity", "warning"]].concat());
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let rules: Vec<&str> =
        report["findings"].as_array().unwrap().iter().filter_map(|found| found["rule"].as_str()).collect();
    assert_eq!(rules, ["service-differs"], "{run}");
}

#[test]
fn comments_ignore_here_too() {
    let world = world();
    let ignored = ROUTE
        .replace("        - dest", "        # asm-lint: ignore[destination-host] made by an operator\n        - dest");
    world.write("routes/web.yaml", &ignored);
    let run = lint(&world, &["--manifests", "routes", "--cluster", "m1c1=one"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.contains("1 ignored"), "{run}");
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_judged() {
    let world = world();
    world.write("one/broken.yaml", "a: [1\n");
    let run = lint(&world, &[&ALL[..], &["-o", "name"]].concat());
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stdout.contains("file/one/broken.yaml") && run.stdout.contains("virtualservice"), "{run}");
    let fleet = World::with_fleet();
    fleet.write("../routes/web.yaml", ROUTE);
    for wrong in [
        &["--manifests", "none"][..],
        &["--manifests", "."],
        &["--cluster", "m1c1"],
        &["--cluster", "mesh=../routes"],
        &["--manifests", "../routes", "--fix"],
        &["--manifests", "../routes", "--base", "HEAD"],
        &["--manifests", "../routes", "mesh"],
        &["--manifests", "../routes", "--target", "m1c9"],
    ] {
        let run = lint(&fleet, wrong);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{wrong:?}: {run}");
    }
}
