//! `import`: what a mesh and its clusters hold becomes files; what cannot be read stops everything.

use crate::api_server::{ApiServer, NOBODY, kubeconfig};
use crate::world::World;
use serde_json::{Value, json};

/// A mesh and two clusters, each with an API server of its own.
struct Live {
    world: World,
    mesh: ApiServer,
    m1c1: ApiServer,
    m1c2: ApiServer,
}

const IMPORT: [&str; 6] = ["import", "shop", "--cluster", "m1c1", "--cluster", "m1c2=m1c2"];

impl Live {
    fn new() -> Self {
        let mut world = World::new();
        let config = world.root().join("../config").to_string_lossy().into_owned();
        world.env.push(("KUBECONFIG".to_owned(), config));
        let live = Self { world, mesh: ApiServer::start(), m1c1: ApiServer::start(), m1c2: ApiServer::start() };
        live.connect(&live.m1c2.url());
        live
    }

    fn connect(&self, m1c2: &str) {
        let servers = [("mesh", self.mesh.url()), ("m1c1", self.m1c1.url()), ("m1c2", m1c2.to_owned())];
        let servers: Vec<_> = servers.iter().map(|(name, url)| (*name, url.as_str())).collect();
        self.world.write("../config", &kubeconfig(&servers));
    }

    /// A gateway in both clusters with its generated Services, a route, an application that is the same in both, one
    /// that is not.
    fn furnished() -> Self {
        let live = Self::new();
        let id = |number: u8| format!("c0123456789abcdef0123456789abcde{number}");
        live.mesh.put(
            "istiogateways",
            json!({
                "apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway",
                "metadata": {"name": "edge", "namespace": "istio-system", "uid": "1", "labels": {"asm-gateway-type": "ingress"}},
                "spec": {"gatewayType": "ingress", "clusterIds": [id(1), id(2)], "cpu": {}, "ports": [{"name": "http", "port": 80}]},
                "status": {"ClusterIdGatewayAddressMap": [
                    {"clusterId": id(1), "ipAddress": "198.51.100.1"}, {"clusterId": id(2), "ipAddress": "198.51.100.2"}
                ]}
            }),
        );
        live.mesh.put("virtualservices", route("default", "web", "web"));
        for (server, address, replicas) in [(&live.m1c1, "198.51.100.1", 1), (&live.m1c2, "198.51.100.2", 2)] {
            let mut generated = service("istio-system", "istio-edge", "LoadBalancer");
            generated["status"] = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
            server.put("services", generated);
            server.put("services", service("shop", "web", "ClusterIP"));
            server.put("services", service("shop", "unrelated", "ClusterIP"));
            server.put("deployments", deployment("shop", "web", replicas));
            server.put(
                "serviceaccounts",
                json!({
                    "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": "shop"},
                    "secrets": [{"name": "web-token-abcde"}]
                }),
            );
        }
        live
    }
}

fn route(namespace: &str, name: &str, to: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "3", "generation": 2},
        "spec": {"hosts": ["*"], "http": [{"route": [{"destination": {"host": to}}]}]}
    })
}

fn service(namespace: &str, name: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": kind, "clusterIP": "10.0.0.9", "selector": {"app": name}, "sessionAffinity": "None",
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30080}]
        }
    })
}

fn deployment(namespace: &str, name: &str, replicas: u8) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "revisionHistoryLimit": 10,
            "template": {"metadata": {"labels": {"app": name}}, "spec": {
                "serviceAccountName": "web", "serviceAccount": "web",
                "containers": [{"name": "web", "image": "web:1", "env": [
                    {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}},
                    {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "modes", "key": "a"}}}
                ]}]
            }}
        }
    })
}

#[test]
fn what_runs_becomes_a_fleet() {
    let live = Live::furnished();
    let run = live.world.ok(&[&IMPORT[..], &["--workloads", "app"]].concat());
    insta::assert_snapshot!("import", run.to_string());
    insta::assert_snapshot!("import-files", live.world.files());
    for server in [&live.mesh, &live.m1c1, &live.m1c2] {
        let requests = server.requests();
        assert!(requests.iter().all(|request| request.starts_with("GET ")), "{requests:?}");
        assert!(!requests.iter().any(|request| request.contains("secrets")), "{requests:?}");
    }

    // Everything is in Git now.
    let before = live.world.files();
    let again = live.world.ok(&["import", "--workloads", "app"]);
    insta::assert_snapshot!("import-again", again.to_string());
    assert_eq!(live.world.files(), before);

    // Only what is new comes, into the file of its application.
    let mut beta = deployment("shop", "web-beta", 1);
    beta["spec"]["template"]["metadata"]["labels"]["app"] = "web".into();
    live.m1c1.put("deployments", beta);
    let run = live.world.ok(&["import", "--workload", "deployment/shop/web-beta", "-o", "name"]);
    assert_eq!(run.stdout.lines().filter(|line| line.starts_with("deployment")).count(), 2, "{run}");
    let file = live.world.read("clusters/m1c1/apps/shop/web.yaml");
    assert!(file.contains("name: web\n") && file.contains("name: web-beta\n"), "{file}");
}

#[test]
fn a_dry_run_writes_nothing_and_says_the_same() {
    let live = Live::furnished();
    let run = live.world.ok(&[&IMPORT[..], &["--workloads", "app", "--dry-run", "-o", "json"]].concat());
    let planned: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(live.world.files(), "");
    // For people, stdout is files and nothing else.
    let run = live.world.ok(&[&IMPORT[..], &["--workloads", "app", "--dry-run"]].concat());
    assert!(!run.stdout.contains("LEFT OUT") && run.stderr.contains("LEFT OUT"), "{run}");
    let run = live.world.ok(&[&IMPORT[..], &["--workloads", "app", "-o", "json"]].concat());
    let mut written: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&planned["dryRun"], &written["dryRun"]), (&json!(true), &json!(false)));
    written["dryRun"] = json!(true);
    assert_eq!(planned, written);
}

#[test]
fn a_cluster_out_of_reach_stops_everything() {
    let live = Live::furnished();
    live.connect(NOBODY);
    let run = live.world.run(&IMPORT);
    assert_eq!((run.code, live.world.files().as_str()), (Some(3), ""), "{run}");
    for told in ["nothing was written: m1c2 could not be read", "kubectl --context m1c2 version"] {
        assert!(run.stderr.contains(told), "{told}: {run}");
    }
    assert!(!live.world.root().join(".git").exists());
}

#[test]
fn a_cluster_that_dies_between_two_pages_stops_everything() {
    let live = Live::furnished();
    for number in 0..1203 {
        live.m1c1.put("services", service("shop", &format!("s{number:04}"), "LoadBalancer"));
    }
    live.m1c1.die_after(1);
    let run = live.world.run(&IMPORT);
    assert_eq!((run.code, live.world.files().as_str()), (Some(3), ""), "{run}");
    assert!(run.stderr.contains("m1c1 (context m1c1): cannot list Service"), "{run}");
}

#[test]
fn a_kind_that_may_not_be_read_stops_everything_unless_it_is_left_out() {
    let live = Live::furnished();
    live.mesh.forbid("/apis/istio.alibabacloud.com");
    live.m1c2.forbid("/api/v1/services");
    let run = live.world.run(&IMPORT);
    assert_eq!((run.code, live.world.files().as_str()), (Some(3), ""), "{run}");
    for told in [
        "mesh (context mesh): cannot list IstioGateway.istio.alibabacloud.com",
        "m1c2 (context m1c2): cannot list Service",
        "--without IstioGateway,Service",
    ] {
        assert!(run.stderr.contains(told), "{told}: {run}");
    }

    // Without IstioGateways nothing tells what ASM makes: better one too few.
    live.m1c1.put("services", service("istio-system", "istio-edge-2", "LoadBalancer"));
    let run = live.world.ok(&["import", "shop", "--cluster", "m1c1", "--without", "IstioGateway"]);
    assert!(run.stdout.contains("Service istio-system/istio-edge-2"), "{run}");
    assert!(run.stderr.contains("IstioGateway.istio.alibabacloud.com of mesh were not read"), "{run}");
    let files = live.world.files();
    assert!(!files.contains("istio-edge-2") && files.contains("== mesh/routes/web.yaml"), "{files}");
}

#[test]
fn a_huge_namespace_is_read_in_pages() {
    let live = Live::new();
    for number in 0..1203 {
        live.m1c1.put("services", service("shop", &format!("s{number:04}"), "ClusterIP"));
    }
    live.m1c1.put("services", service("shop", "door", "LoadBalancer"));
    let run = live.world.ok(&["import", "shop", "--cluster", "m1c1", "-o", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&report["targets"][1]["read"], &report["targets"][1]["imported"]), (&json!(1204), &json!(1)));
    let lists = live.m1c1.requests().into_iter().filter(|request| request == "GET /api/v1/services").count();
    assert_eq!(lists, 3);
}

#[test]
fn names_that_would_lead_elsewhere_and_hostile_text() {
    let live = Live::new();
    for name in ["..", "../../outside", "a\u{1b}[31mb", ".git"] {
        let mut object = route("default", "x", "web");
        object["metadata"]["name"] = name.into();
        // The server says what it likes, at a path that it can have.
        live.mesh.put_at(
            &format!("/apis/networking.istio.io/v1beta1/namespaces/default/virtualservices/{}", name.len()),
            object,
        );
    }
    for name in ["Web", "wEB"] {
        live.mesh.put("virtualservices", route("default", name, "web"));
    }
    let run = live.world.ok(&["import", "shop"]);
    assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{run}");
    let files = live.world.files();
    let written: Vec<_> = files.lines().filter(|line| line.starts_with("== mesh/")).collect();
    assert_eq!(written.len(), 2, "{written:?}");
    assert!(written.iter().all(|line| line.starts_with("== mesh/routes/web-")), "{written:?}");
    assert!(run.stdout.contains("cannot be the name of a file"), "{run}");
    assert!(live.world.ok(&["route", "list"]).stdout.contains("Web"));
}

#[test]
fn credentials_stay_where_they_are() {
    let live = Live::furnished();
    let mut leaky = deployment("shop", "leaky", 1);
    leaky["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "DB_PASSWORD", "value": "hunter2-canary"}]);
    live.m1c1.put("deployments", leaky);
    live.m1c1.put(
        "configmaps",
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "modes", "namespace": "shop"},
            "data": {"url": "https://me:hunter2-canary@example.com"}
        }),
    );
    for format in [&[][..], &["-o", "json"], &["--dry-run"]] {
        let run = live.world.ok(&[&IMPORT[..], &["--workloads", "app", "--config-maps"], format].concat());
        assert!(!run.to_string().contains("hunter2") && !live.world.files().contains("hunter2"), "{run}");
        std::fs::remove_dir_all(live.world.root()).unwrap();
        std::fs::create_dir(live.world.root()).unwrap();
    }
}

#[test]
fn places_where_no_fleet_may_start() {
    let live = Live::furnished();
    live.world.write("thesis.txt", "x");
    let run = live.world.run(&IMPORT);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("is neither a fleet, nor empty, nor a Git repository"), "{run}");

    // A fleet that cannot be read in full may have what would come a second time.
    let live = Live::furnished();
    live.world.ok(&["init", "shop"]);
    live.world.write("mesh/routes/broken.yaml", "kind: [");
    let before = live.world.files();
    let run = live.world.run(&["import"]);
    assert_eq!((run.code, live.world.files()), (Some(2), before), "{run}");
    assert!(run.stderr.contains("mesh/routes/broken.yaml"), "{run}");
}

#[test]
fn a_member_is_no_mesh() {
    let live = Live::furnished();
    live.m1c1.hide("/apis/");
    let run = live.world.run(&["import", "shop", "--mesh-context", "m1c1"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("serves no kind of a mesh") && run.stderr.contains("--mesh-context"), "{run}");
}

#[test]
fn a_workload_that_nobody_has() {
    let live = Live::furnished();
    let run = live.world.run(&[&IMPORT[..], &["--workload", "deploy/shop/wbe"]].concat());
    assert_eq!((run.code, live.world.files().as_str()), (Some(2), ""), "{run}");
    assert!(run.stderr.contains("no cluster of the fleet has the Deployment shop/wbe"), "{run}");
}
