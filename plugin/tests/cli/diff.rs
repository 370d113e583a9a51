//! `kubectl asm diff`: revisions, working tree, API servers.

use super::api_server::{ApiServer, NOBODY, kubeconfig};
use super::world::World;
use serde_json::{Value, json};

const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec:
  selector: {app: reviews}
  ports:
  - {name: http, port: 9080}
";

const ROUTE: &str = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
";

fn git(world: &World, args: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(args)
        .current_dir(world.root())
        .env("GIT_AUTHOR_DATE", "2026-03-01T12:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-03-01T12:00:00Z")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn committed() -> World {
    let world = World::with_fleet();
    world.write("mesh/route.yaml", ROUTE);
    world.write("clusters/m1c1/reviews.yaml", SERVICE);
    world.write("clusters/m1c2/reviews.yaml", SERVICE);
    git(&world, &["init", "-q"]);
    git(&world, &["add", "."]);
    git(&world, &["commit", "-qm", "base"]);
    world
}

/// Commit IDs differ with the version of Git only in theory, but their text is noise here.
fn without_ids(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('(') {
        let (before, after) = rest.split_at(start + 1);
        shown.push_str(before);
        let id = after.chars().take_while(char::is_ascii_hexdigit).count();
        if id >= 7 && after[id..].starts_with(')') {
            shown.push_str("COMMIT");
            rest = &after[id..];
        } else {
            rest = after;
        }
    }
    shown + rest
}

#[test]
fn the_working_tree_against_head() {
    let world = committed();
    assert_eq!(world.run(&["diff"]).code, Some(0));
    // What means the same is no difference.
    world.write("mesh/route.yaml", &ROUTE.replace("networking.istio.io/v1", "networking.istio.io/v1beta1"));
    assert_eq!(world.run(&["diff"]).code, Some(0));
    world.write("mesh/route.yaml", &ROUTE.replace("90", "80").replace("10}", "20}"));
    let port = SERVICE.replace("9080", "9090");
    world.write("clusters/m1c1/reviews.yaml", &port);
    world.write("clusters/m1c2/reviews.yaml", &port);
    insta::assert_snapshot!(without_ids(&world.run(&["diff"]).to_string()), @"
    Comparing HEAD (COMMIT) → working tree · mesh and 2 clusters
                 add  change  replace  destroy
    mesh           0       1        0        0
    m1c1, m1c2     0       1        0        0

    ── mesh ────────────────────────────────────────────────────────────────────────────────────────────
    ~ VirtualService default/reviews                            mesh/route.yaml:8
        ~ spec.http[0].route[reviews v1].weight   90 → 80
        ~ spec.http[0].route[reviews v2].weight   10 → 20

    ── m1c1, m1c2 (same change) ────────────────────────────────────────────────────────────────────────
    ~ Service default/reviews                                   clusters/m1c1/reviews.yaml:7 (and 1 more)
        ~ spec.ports[http].port   9080 → 9090
        ! port 9080 is closed: its clients are cut off

    3 to change on 3 targets
    Lint: nothing new, 2 unchanged
    ! Next: git add --all && git commit   (then kubectl asm diff --live)
    [1]
    ");
    let json: Value = serde_json::from_str(&world.run(&["diff", "-o", "json", "--target", "m1c2"]).stdout).unwrap();
    assert_eq!((json["kind"].as_str(), json["changes"][0]["targets"].clone()), (Some("FleetDiff"), json!(["m1c2"])));
}

#[test]
fn revisions() {
    let world = committed();
    git(&world, &["checkout", "-qb", "feature"]);
    world.write("mesh/route.yaml", &ROUTE.replace("90", "80").replace("10}", "20}"));
    git(&world, &["commit", "-qam", "weights"]);
    git(&world, &["checkout", "-q", "main"]);
    std::fs::remove_file(world.root().join("clusters/m1c2/reviews.yaml")).unwrap();
    git(&world, &["commit", "-qam", "less"]);
    let names = |range: &str| world.run(&["diff", range, "-o", "name"]);
    assert_eq!(names("main...feature").stdout, "mesh/default/virtualservice.networking.istio.io/reviews\n");
    assert_eq!(
        names("main..feature").stdout,
        "mesh/default/virtualservice.networking.istio.io/reviews\nm1c2/default/service/reviews\n"
    );
    assert_eq!(names("main").code, Some(0));
    assert_eq!(names("feature").code, Some(1));
    let wrong = names("no-such-branch");
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""));
    assert!(wrong.stderr.contains("no-such-branch"), "{wrong}");
    assert_eq!(world.run(&["diff", "--live", "a..b"]).code, Some(2));
}

#[test]
fn a_broken_file_destroys_nothing_and_is_an_input_error() {
    let world = committed();
    world.write("mesh/route.yaml", "a: b: c\n");
    let run = world.run(&["diff"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(!run.stdout.contains("destroy on"), "{run}");
    assert!(run.stdout.contains("Not compared") && run.stderr.contains("mesh/route.yaml:1"), "{run}");
}

#[test]
fn a_fleet_without_history() {
    let world = World::with_fleet();
    world.write("mesh/route.yaml", ROUTE);
    let outside = world.run(&["diff"]);
    assert_eq!(outside.code, Some(2), "{outside}");
    assert!(outside.stderr.contains("not in a Git repository"), "{outside}");
    git(&world, &["init", "-q"]);
    let run = world.run(&["diff"]);
    assert!(run.code == Some(1) && run.stdout.contains("+ VirtualService default/reviews"), "{run}");
}

fn live_service(set: Option<&str>, port: u16) -> Value {
    let labels = set.map(|set| json!({"applyset.kubernetes.io/part-of": set}));
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "reviews", "namespace": "default", "uid": "u", "labels": labels},
        "spec": {
            "type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app": "reviews"},
            "ports": [{"name": "http", "port": port, "targetPort": port, "protocol": "TCP"}]
        }
    })
}

fn live_route() -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "default", "labels": {"applyset.kubernetes.io/part-of": "ours"}},
        "spec": {"hosts": ["reviews"], "http": [{"route": [
            {"destination": {"host": "reviews", "subset": "v1"}, "weight": 50},
            {"destination": {"host": "reviews", "subset": "v2"}, "weight": 50}
        ]}]}
    })
}

#[test]
fn against_api_servers() {
    let world = committed();
    let (mesh, m1c1) = (ApiServer::start(), ApiServer::start());
    mesh.put("virtualservices", live_route());
    m1c1.put("services", live_service(Some("ours"), 9080));
    let orphan = |name: &str, set: &str| {
        let mut service = live_service(Some(set), 80);
        service["metadata"]["name"] = json!(name);
        service["spec"]["type"] = json!("LoadBalancer");
        service["status"] = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}});
        service
    };
    m1c1.put("services", orphan("old-clb", "ours"));
    m1c1.put("services", orphan("of-another-fleet", "theirs"));
    world.write("../config", &kubeconfig(&[("mesh", &mesh.url()), ("m1c1", &m1c1.url()), ("m1c2", NOBODY)]));
    let config = world.root().join("../config");
    let flag = format!("--kubeconfig={}", config.display());

    let run = world.run(&["diff", "--live", &flag]);
    insta::assert_snapshot!(run);
    let one = world.run(&["diff", "--live", &flag, "--context", "m1c1", "-o", "name"]);
    assert_eq!((one.code, one.stdout.as_str()), (Some(1), "m1c1/default/service/old-clb\n"), "{one}");
    assert_eq!(world.run(&["diff", "--live", &flag, "--target", "m1c3"]).code, Some(2));
    assert!(m1c1.requests().iter().all(|request| request.starts_with("GET ")), "diff writes nothing");
}

#[test]
fn what_may_not_be_read_is_neither_there_nor_missing() {
    let world = World::with_fleet();
    world.write("clusters/m1c1/reviews.yaml", SERVICE);
    world.write(
        "clusters/m1c1/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: default}\nstringData: {a: hunter2}\n",
    );
    let m1c1 = ApiServer::start();
    m1c1.put("services", live_service(None, 9080));
    m1c1.forbid("/api/v1/namespaces/default/secrets");
    m1c1.forbid("/api/v1/secrets");
    world.write("../config", &kubeconfig(&[("m1c1", &m1c1.url())]));
    let config = world.root().join("../config");
    let run = world.run(&["diff", "--live", "--target=m1c1", "--kubeconfig", config.to_str().unwrap()]);
    insta::assert_snapshot!(run, @r#"
    Comparing live → working tree · 1 cluster

    Not compared (one side cannot be read)
      Secret default/login on m1c1   clusters/m1c1/secret.yaml:1
    ! warning: could not be compared: m1c1: Secret default/login: User "me" cannot do this
    ! error: some objects could not be compared
    ! hint: the warnings above say why
    [2]
    "#);
}

#[test]
fn bases_that_cannot_be_had() {
    let world = committed();
    for number in 0..3 {
        world.write("clusters/m1c1/reviews.yaml", &SERVICE.replace("9080", &format!("909{number}")));
        git(&world, &["commit", "-qam", "more"]);
    }
    git(&world, &["branch", "feature", "HEAD~2"]);
    let origin = format!("file://{}", world.root().display());
    let clone = |name: &str, args: &[&str]| {
        git(&world, &[&["clone", "-q"], args, &[&origin, &format!("../{name}")]].concat());
        world.root().join("..").join(name).display().to_string()
    };
    // A branch that only the remote has.
    let whole = clone("whole", &[]);
    let run = world.run(&["diff", "feature", "--repo", &whole]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(run.stderr, @"
    error: the revision `feature` is unknown in this repository
    hint: a remote has it: origin/feature
    ");
    // The hint works.
    assert_eq!(world.run(&["diff", "origin/feature", "--repo", &whole]).code, Some(1));
    insta::assert_snapshot!(world.run(&["diff", "no-such-base", "--repo", &whole]).stderr, @"
    error: the revision `no-such-base` is unknown in this repository
    hint: list what there is with: git branch --all; get what is new with: git fetch
    ");

    // A shallow clone, as pipelines make it: no common ancestor, no older commit.
    let shallow = clone("shallow", &["--depth=1", "--no-single-branch"]);
    let run = world.run(&["diff", "origin/feature...HEAD", "--repo", &shallow]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    let ids: String = run.stderr.replace(|c: char| c.is_ascii_hexdigit(), "x");
    assert!(ids.contains("xxxxxxx xnx xxxxxxx hxvx no xommit in xommon"), "{run}");
    assert!(run.stderr.contains("hint: this clone is shallow: git fetch --unshallow"), "{run}");
    assert!(world.run(&["diff", "HEAD~1", "--repo", &shallow]).stderr.contains("git fetch --unshallow"));
    git(&world, &["-C", &shallow, "fetch", "-q", "--unshallow"]);
    assert_eq!(world.run(&["diff", "origin/feature...HEAD", "--repo", &shallow]).code, Some(1), "the hint works");

    // No branch at all.
    git(&world, &["-C", &whole, "checkout", "-q", "--detach", "HEAD~1"]);
    let run = world.run(&["diff", "main...HEAD", "--repo", &whole]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(world.run(&["diff", "HEAD..main", "--repo", &whole]).code, Some(1));
    assert_eq!(world.run(&["diff", "--repo", &whole]).code, Some(0));
    // The next step works: without a branch it needs the name of one.
    let route = ROUTE.replace("weight: 90", "weight: 80").replace("weight: 10", "weight: 20");
    std::fs::write(format!("{whole}/mesh/route.yaml"), route).unwrap();
    assert_eq!(world.run(&["diff", "--repo", &whole]).stderr, "Next: kubectl asm pr create --branch NAME\n");
}

#[test]
fn a_server_that_goes_away_in_the_middle() {
    let world = committed();
    let (mesh, m1c1) = (ApiServer::start(), ApiServer::start());
    mesh.put("virtualservices", live_route());
    m1c1.put("services", live_service(Some("ours"), 9080));
    m1c1.die_after(6);
    world.write("../config", &kubeconfig(&[("mesh", &mesh.url()), ("m1c1", &m1c1.url())]));
    let config = world.root().join("../config").display().to_string();
    let run = world.run(&["diff", "--live", "--kubeconfig", &config, "--target=mesh", "--target=m1c1"]);
    assert_eq!(run.code, Some(3), "{run}");
    assert!(run.stdout.contains("~ VirtualService default/reviews"), "what could be read is shown: {run}");
    assert!(run.stdout.contains("m1c1     ?       ?        ?        ?   not reached"), "{run}");
    assert_eq!(run.stderr.matches("error: ").count(), 1, "{run}");
    assert!(run.stderr.contains("hint: is the cluster up and the network open? try: kubectl --context m1c1 version"));
    assert!(!run.stdout.contains("\n~ Service"), "half of a target is told: {run}");
}

#[test]
fn loose_manifests() {
    let world = committed();
    world.write("../new/route.yaml", &ROUTE.replace("90", "80").replace("10}", "20}"));
    world.write("../new/apps.yaml", SERVICE);
    world.write("../old/all.yaml", &format!("{ROUTE}---\n{SERVICE}---\n{}", SERVICE.replace("reviews", "ratings")));
    // Between two folders, nobody has to name a cluster, and what is gone is destroyed.
    let run = world.run(&["diff", "--manifests", "../new", "--against", "../old"]);
    insta::assert_snapshot!(run, @"
    Comparing ../old → ../new · mesh and 1 cluster
              add  change  replace  destroy
    mesh        0       1        0        0
    cluster     0       0        0        1

    ── mesh ────────────────────────────────────────────────────────────────────────────────────────────
    ~ VirtualService default/reviews                            ../new/route.yaml:8
        ~ spec.http[0].route[reviews v1].weight   90 → 80
        ~ spec.http[0].route[reviews v2].weight   10 → 20

    ── cluster ─────────────────────────────────────────────────────────────────────────────────────────
    - Service default/ratings                                   ../old/all.yaml:19
        ! the name ratings is resolved no more: who calls it, and routes to it, fail

    1 to change, 1 to destroy on 2 targets
    [1]
    ");
    // Against a revision of the fleet: only what the manifests name.
    let run = world.run(&["diff", "--manifests", "../new", "--cluster", "m1c1", "--against", "HEAD", "-o", "name"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), "mesh/default/virtualservice.networking.istio.io/reviews\n"));
    // Against what runs, with the fleet's contexts.
    let (mesh, m1c1) = (ApiServer::start(), ApiServer::start());
    mesh.put("virtualservices", live_route());
    m1c1.put("services", live_service(Some("ours"), 9090));
    let mut other = live_service(Some("ours"), 80);
    other["metadata"]["name"] = json!("not-ours-to-delete");
    m1c1.put("services", other);
    world.write("../config", &kubeconfig(&[("mesh", &mesh.url()), ("m1c1", &m1c1.url()), ("m1c2", NOBODY)]));
    world.write("../apps/service.yaml", SERVICE);
    let config = world.root().join("../config").display().to_string();
    let live = |args: &[&str]| world.run(&[&["diff", "--kubeconfig", &config, "-o", "name"], args].concat());
    let run = live(&["--manifests", "../new/route.yaml", "--cluster", "m1c1=../apps"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(1), "mesh/default/virtualservice.networking.istio.io/reviews\nm1c1/default/service/reviews\n"),
        "{run}"
    );
    let run = live(&["--cluster", "m1c1=../apps"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), "m1c1/default/service/reviews\n"), "{run}");
    // Without a fleet around, too.
    let alone = World::new();
    alone.write("k8s/service.yaml", SERVICE);
    let run = alone.run(&["diff", "--cluster", "m1c1=k8s", "--kubeconfig", &config, "-o", "name"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), "m1c1/default/service/reviews\n"), "{run}");
    // What is wrong.
    let run = live(&["--manifests", "../new"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(
        run.stderr.contains("belongs to a member cluster, and none is named") && run.stderr.contains("--cluster NAME")
    );
    for wrong in [
        &["--against", "HEAD"][..],
        &["--manifests", "../none"],
        &["--manifests", "."],
        &["--cluster", "=x"],
        &["--manifests", "../new", "HEAD"],
        &["--manifests", "../new", "--cluster", "m1c1", "--against", "no-such"],
    ] {
        let run = live(wrong);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run}");
    }
}
