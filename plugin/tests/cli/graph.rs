//! `kubectl asm graph`: what it shows of fleets that the commands write, and the forms that other programs read.

use crate::world::World;
use serde_json::Value;
use std::process::{Command, Stdio};

/// Bookinfo in two clusters behind two gateways that share one Gateway.
fn shop() -> World {
    let world = World::with_bookinfo();
    for line in [
        "gateway create ingressgateway --cluster m1c1,m1c2 --address-type internet",
        "gateway create edge --serverless",
        "clb add --gateway ingressgateway --cluster m1c1 --internal --spec slb.s1.small",
        "gateway share ingressgateway edge --label team=edge --gateway shop --create-gateway --host *",
        "route add bookinfo --gateway shop --host * --match exact:/productpage --match prefix:/static --to productpage:9080",
        "route split reviews --subset v1,v2,v3 --to v1=90,v3=10",
        "route add public --gateway shop --host reviews.example.com --to reviews:9080@v1=90,reviews:9080@v3=10",
    ] {
        world.line(line);
    }
    world
}

fn commit(world: &World) {
    for line in ["init --quiet -b main", "add .", "-c user.name=a -c user.email=a@example.com commit --quiet -m fleet"]
    {
        let mut git = Command::new("git");
        git.args(line.split(' ')).current_dir(world.root()).env_clear().env("HOME", world.root().join(".."));
        git.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        assert!(git.status().unwrap().success(), "git {line}");
    }
}

#[test]
fn a_fleet_that_the_commands_wrote() {
    let world = shop();
    insta::assert_snapshot!(world.line("graph"));
    insta::assert_snapshot!(world.line("graph --host reviews.example.com --gateway edge --ascii"));
    insta::assert_snapshot!(world.line("graph -o wide --host reviews.example.com --target m1c2"));
}

/// After each command of the main story.
#[test]
fn nothing_that_the_commands_write_is_broken() {
    let world = World::with_fleet();
    for line in [
        "gateway create ingressgateway --serverless",
        "app add bookinfo --preset split",
        "route add bookinfo --gateway bookinfo-gateway --create-gateway --host * --match exact:/productpage --to productpage:9080",
        "route split reviews --subset v1,v2,v3 --to v1=90,v3=10",
        "route fault reviews --delay 2s=10",
        "gateway create second --cluster m1c1,m1c2",
        "clb add --gateway second --all-clusters --internal",
        "gateway share ingressgateway second --label team=edge --gateway bookinfo-gateway",
        "app place reviews-v3=m1c2 details=m1c1",
    ] {
        world.line(line);
        let run = world.line("graph");
        assert!(!run.stdout.contains('✗'), "{line}\n{run}");
    }
}

#[test]
fn what_a_change_does_to_the_way() {
    let world = shop();
    commit(&world);
    assert!(world.line("graph --base HEAD").stderr.contains("0 added, 0 changed, 0 removed"));
    world.line("route weight public v1=50 v3=50");
    world.line("route add ratings --gateway shop --host ratings.example.com --to ratings:9080");
    let told = world.run(&["graph", "--base", "HEAD", "--changed"]).to_string();
    // The commit's ID has the time in it.
    let (before, rest) = told.split_once("since HEAD (").unwrap();
    let (_, after) = rest.split_once(')').unwrap();
    insta::assert_snapshot!(format!("{before}since HEAD (…){after}"));
    let run = world.run(&["graph", "--base", "HEAD", "--at", "HEAD", "--changed"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run}");
    let run = world.run(&["graph", "--base", "main...", "-o", "json"]);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, document["kind"].as_str()), (Some(1), Some("FleetGraph")));
    assert!(document["base"].as_str().unwrap().starts_with("main at the common ancestor ("), "{}", document["base"]);
}

#[test]
fn a_broken_link_has_its_rule_and_the_next_step() {
    let world = shop();
    let file = world.read("mesh/routes/bookinfo.yaml");
    world.write("mesh/routes/bookinfo.yaml", &file.replace("host: productpage", "host: productpag"));
    insta::assert_snapshot!(world.run(&["graph", "--broken"]));
    // What cannot be read is missing: that is said, and comes before what was found.
    world.write("mesh/broken.yaml", "a: [1\n");
    let run = world.run(&["graph"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stdout.contains("destination-host") && run.stderr.contains("mesh/broken.yaml:"), "{run}");
}

#[test]
fn manifests_that_are_in_no_fleet() {
    let world = shop();
    let (mesh, apps) = (world.root().join("../loose/routes"), world.root().join("../loose/apps"));
    for folder in [&mesh, &apps] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::copy(world.root().join("mesh/routes/bookinfo.yaml"), mesh.join("bookinfo.yaml")).unwrap();
    world.write(
        "../loose/routes/gateway.yaml",
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: shop, namespace: default}\nspec:\n  selector: {app: proxy}\n  \
         servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]\n",
    );
    world.write(
        "../loose/apps/proxy.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: proxy, namespace: default}\nspec:\n  type: LoadBalancer\n  selector: {app: proxy}\n  \
         ports: [{name: http, port: 80}]\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: proxy, namespace: default}\nspec:\n  \
         selector: {matchLabels: {app: proxy}}\n  template:\n    metadata: {labels: {app: proxy}, annotations: {inject.istio.io/templates: gateway}}\n    \
         spec: {containers: [{name: istio-proxy, image: auto}]}\n",
    );
    insta::assert_snapshot!(world.run(&["graph", "--manifests", "../loose/routes", "--cluster", "m1c1=../loose/apps"]));
    // Without a cluster there is one, for the workloads.
    let run = world.run(&["graph", "--manifests", "../loose/routes", "--manifests", "../loose/apps"]);
    assert!(run.stdout.contains("pods default/proxy · ×1 · app=proxy · cluster"), "{run}");
}

#[test]
fn names_that_nothing_has() {
    let world = shop();
    let mut told = String::new();
    for args in [
        &["--gateway", "ingresgateway"][..],
        &["--target", "m1c9"],
        &["--cluster", "m1c1"],
        &["--manifests", "."],
        &["--base", "no-such"],
        &["--changed"],
        &["-o", "png"],
    ] {
        let run = world.run(&[&["graph"], args].concat());
        assert_eq!(run.code, Some(2), "{args:?}\n{run}");
        told.push_str(&format!("$ {}\n{}", args.join(" "), run.stderr));
    }
    insta::assert_snapshot!(told);
}

/// Graphviz reads it. Skipped where there is none.
#[test]
fn graphviz_reads_dot() {
    if !Command::new("dot").arg("-V").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        #[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
        {
            eprintln!("skipped: there is no Graphviz (dot) on this machine");
        }
        return;
    }
    let world = shop();
    let text = world.line("graph -o dot").stdout;
    world.write("../graph.dot", &text);
    let file = world.root().join("../graph.dot");
    let output = Command::new("dot").arg("-Tsvg").arg(file).output().unwrap();
    let (svg, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "{said}");
    assert!(svg.contains("productpage.default:9080"));
}
