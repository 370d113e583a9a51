//! Retiring and exchanging load balancers: what is lost is named, consented to, and never lost before its successor works.

use super::api_server::{ApiServer, kubeconfig};
use super::clb::with_gateways;
use super::world::World;
use serde_json::json;

const SECOND: &str = "istio-ingressgateway-2";
const FILE: &str = "clusters/m1c1/gateways/istio-ingressgateway-2.yaml";

/// A fleet with a second CLB in m1c1.
fn with_second() -> World {
    let world = with_gateways();
    world.ok(&["clb", "add", "--gateway", "ingressgateway", "--cluster", "m1c1", "--internet"]);
    world
}

fn git(world: &World, args: &[&str]) -> String {
    let mut command = world.command(&[]);
    let mut git = std::process::Command::new("git");
    git.args(args).current_dir(command.get_current_dir().unwrap());
    git.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.env_clear();
    let output = git.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The same, committed.
fn committed() -> World {
    let mut world = with_second();
    for role in ["AUTHOR", "COMMITTER"] {
        world.env.push((format!("GIT_{role}_NAME"), "An Engineer".to_owned()));
        world.env.push((format!("GIT_{role}_EMAIL"), "engineer@example.com".to_owned()));
        world.env.push((format!("GIT_{role}_DATE"), "2026-03-01T12:00:00Z".to_owned()));
    }
    git(&world, &["init", "--quiet", "--initial-branch=main"]);
    git(&world, &["add", "."]);
    git(&world, &["commit", "--quiet", "--message", "base"]);
    world
}

fn service(name: &str, address: Option<&str>) -> serde_json::Value {
    let ingress: Vec<_> = address.into_iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "istio-system", "uid": format!("uid-of-{name}"),
                     "labels": {"service.k8s.alibaba/loadbalancer-id": format!("lb-{name}")}},
        "spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": ingress}},
    })
}

/// m1c1 with these Services; m1c2 cannot be reached.
fn connect(world: &mut World, services: &[serde_json::Value]) -> ApiServer {
    let server = ApiServer::start();
    services.iter().for_each(|service| server.put("services", service.clone()));
    world.write("../config", &kubeconfig(&[("m1c1", &server.url()), ("m1c2", "http://127.0.0.1:9")]));
    let config = world.root().join("../config");
    world.env.push(("KUBECONFIG".to_owned(), config.to_string_lossy().into_owned()));
    server
}

#[test]
fn the_approval_comes_with_the_removal() {
    let world = with_second();
    let unknown = world.run(&["clb", "remove", SECOND, "--confirm", SECOND]);
    insta::assert_snapshot!(unknown, @"
    ! error: clusters/m1c1/gateways/istio-ingressgateway-2.yaml:4:1: the address of istio-ingressgateway-2 in m1c1 is not known, and the consent to lose it must name it
    ! hint: read it from the cluster with --live, or give it with --address
    [2]
    ");
    let args = [
        "clb",
        "remove",
        SECOND,
        "--address",
        "198.51.100.7",
        "--expires",
        "2999-01-01T00:00:00Z",
        "--reason",
        "one is enough",
    ];
    let before = world.files();
    insta::assert_snapshot!(world.run(&args), @"
    ! error: nothing was written: removing istio-ingressgateway-2 wants the name once more
    !   caused by: once this is pushed the CLB of istio-ingressgateway-2 in m1c1 is deleted, and 198.51.100.7 is lost for good
    ! hint: to go on: --confirm istio-ingressgateway-2; to look first: --dry-run
    [2]
    ");
    insta::assert_snapshot!(world.run(&[&args[..], &["--confirm", "istio-ingressgateway"]].concat()), @"
    ! error: nothing was written: `istio-ingressgateway` is not istio-ingressgateway-2
    ! hint: to go on: --confirm istio-ingressgateway-2
    [2]
    ");
    assert!(world.ok(&[&args[..], &["--dry-run"]].concat()).stdout.contains("kind: Approval"));
    assert_eq!(world.files(), before);
    insta::assert_snapshot!(world.run(&[&args[..], &["--confirm", SECOND]].concat()), @"
    deleted clusters/m1c1/gateways/istio-ingressgateway-2.yaml
    created approvals/delete-m1c1-istio-ingressgateway-2.yaml
    ! warning: once this is pushed the CLB of istio-ingressgateway-2 in m1c1 is deleted, and 198.51.100.7 is lost for good
    ! hint: keep it with: git add clusters/m1c1/gateways/istio-ingressgateway-2.yaml approvals/delete-m1c1-istio-ingressgateway-2.yaml && git commit
    ! hint: next: kubectl asm diff; then push both in one commit
    [0]
    ");
    insta::assert_snapshot!(world.read("approvals/delete-m1c1-istio-ingressgateway-2.yaml"), @"
    # Consent to lose the load balancer of istio-ingressgateway-2 in m1c1 with its address. It may go once the Service is gone.
    apiVersion: kubectl-asm.io/v1alpha1
    kind: Approval
    metadata:
      name: delete-m1c1-istio-ingressgateway-2
    spec:
      action: Delete
      target: m1c1
      kind: Service
      namespace: istio-system
      name: istio-ingressgateway-2
      addresses:
        - '198.51.100.7'
      expires: '2999-01-01T00:00:00Z'
      reason: 'one is enough'
    ");
    assert!(!world.root().join(FILE).exists());
    // A later Service of the same name gets an approval of its own.
    world.ok(&["clb", "add", SECOND, "--gateway", "ingressgateway", "--cluster", "m1c1", "--internet"]);
    let again = world.ok(&["clb", "remove", SECOND, "--address", "198.51.100.8", "--confirm", SECOND]);
    assert!(again.stdout.contains("created approvals/delete-m1c1-istio-ingressgateway-2-2.yaml"), "{again}");
}

#[test]
fn other_documents_of_the_file_keep_every_byte() {
    let world = with_second();
    let (head, tail) = (
        "# 网关 – ours\r\nkind:   ConfigMap # odd\r\napiVersion: v1\r\nmetadata: {name: a}\r\n",
        "# below\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: 'b'}\n",
    );
    world.write(FILE, &format!("{head}---\r\n{}---\n{tail}", world.read(FILE)));
    world.ok(&["clb", "remove", SECOND, "--address", "198.51.100.7", "--confirm", SECOND]);
    assert_eq!(world.read(FILE), format!("{head}---\n{tail}"));
}

#[test]
fn refusals() {
    let world = with_second();
    world.ok(&["clb", "add", SECOND, "--gateway", "ingressgateway", "--cluster", "m1c2", "--internet"]);
    let before = world.files();
    let mut told = String::new();
    for args in [
        "istio-ingressgateway --address 198.51.100.7",
        "istio-ingressgateway-3 --address 198.51.100.7",
        "istio-ingressgateway-2 --address 198.51.100.7",
        "istio-ingressgateway-2 --cluster m1c1,m1c2 --address 198.51.100.7",
        "istio-ingressgateway-2 --cluster m1c1 --address m1c2=198.51.100.7",
        "istio-ingressgateway-2 --cluster m1c1 --address door",
        "istio-ingressgateway-2 --cluster m1c9 --address 198.51.100.7",
        "istio-ingressgateway-2 --cluster m1c1 --address 198.51.100.7 --expires 2020-01-01T00:00:00Z",
    ] {
        let run = world.run(&[&["clb", "remove"][..], &args.split(' ').collect::<Vec<_>>()].concat());
        assert_eq!(run.code, Some(2), "{args}\n{run}");
        told.push_str(&format!("{args}\n{}", run.stderr));
    }
    assert_eq!(world.files(), before);
    insta::assert_snapshot!(told, @"
    istio-ingressgateway --address 198.51.100.7
    error: mesh/gateways/ingressgateway.yaml:3:1: istio-ingressgateway is generated by ASM from the gateway ingressgateway: it goes only with the gateway, or with its cluster
    hint: delete the gateway, or take the cluster out of its clusterIds, if that is meant
    istio-ingressgateway-3 --address 198.51.100.7
    error: the fleet has no load balancer istio-ingressgateway-3
    hint: did you mean istio-ingressgateway-2?
    hint: list them with: kubectl asm clb list
    istio-ingressgateway-2 --address 198.51.100.7
    error: istio-ingressgateway-2 stands in m1c1, m1c2
    hint: say from which: --cluster m1c1,m1c2
    istio-ingressgateway-2 --cluster m1c1,m1c2 --address 198.51.100.7
    error: --address 198.51.100.7: of which cluster?
    hint: istio-ingressgateway-2 stands in m1c1, m1c2; write --address CLUSTER=ADDRESS
    istio-ingressgateway-2 --cluster m1c1 --address m1c2=198.51.100.7
    error: --address m1c2=198.51.100.7: istio-ingressgateway-2 is not removed from m1c2
    hint: clusters are: m1c1
    istio-ingressgateway-2 --cluster m1c1 --address door
    error: --address door: neither an IP nor a host name
    istio-ingressgateway-2 --cluster m1c9 --address 198.51.100.7
    error: fleet.yaml has no cluster m1c9
    hint: did you mean m1c1?
    hint: the fleet has m1c1, m1c2
    istio-ingressgateway-2 --cluster m1c1 --address 198.51.100.7 --expires 2020-01-01T00:00:00Z
    error: invalid value '2020-01-01T00:00:00Z' for '--expires <WHEN>': 2020-01-01T00:00:00Z is in the past: it would never count

    For more information, try '--help'.
    ");
}

#[test]
fn addresses_from_the_clusters() {
    let mut world = with_second();
    let first = service("istio-ingressgateway", Some("198.51.100.6"));
    let server = connect(&mut world, &[first, service(SECOND, Some("198.51.100.7"))]);
    // A cluster that cannot be reached does not hide the other one.
    let list = world.run(&["clb", "list", "--live"]);
    assert_eq!(list.code, Some(3), "{list}");
    insta::assert_snapshot!(list.stdout, @"
    NAME                     CLUSTER   GATEWAY          TYPE   NETWORK    PORTS    ADDRESS        IN GIT
    istio-ingressgateway     m1c1      ingressgateway   CLB    internet   80,443   198.51.100.6   yes
    istio-ingressgateway-2   m1c1      ingressgateway   CLB    internet   80,443   198.51.100.7   yes
    istio-ingressgateway     m1c2      ingressgateway   CLB    internet   80,443   <unknown>      yes
    ");
    assert!(list.stderr.starts_with("error: cannot list Services (context m1c2)"), "{list}");
    let show = world.ok(&["clb", "show", SECOND, "--live"]).stdout;
    assert!(show.contains("Address:            198.51.100.7\n") && show.contains(&format!("lb-{SECOND}")), "{show}");
    // The approval names the address and is for this Service only.
    world.ok(&["clb", "remove", SECOND, "--live", "--confirm", SECOND]);
    insta::assert_snapshot!(world.read("approvals/delete-m1c1-istio-ingressgateway-2.yaml"), @"
    # Consent to lose the load balancer of istio-ingressgateway-2 in m1c1 with its address. It may go once the Service is gone.
    apiVersion: kubectl-asm.io/v1alpha1
    kind: Approval
    metadata:
      name: delete-m1c1-istio-ingressgateway-2
    spec:
      action: Delete
      target: m1c1
      kind: Service
      namespace: istio-system
      name: istio-ingressgateway-2
      # This Service, not a later one of its name.
      uid: uid-of-istio-ingressgateway-2
      addresses:
        - '198.51.100.7'
    ");
    assert!(server.requests().iter().all(|request| request.starts_with("GET ")), "{:?}", server.requests());
}

#[test]
fn a_service_that_is_not_there_yet_needs_no_approval() {
    let mut world = with_second();
    let _server = connect(&mut world, &[]);
    let run = world.ok(&["clb", "remove", SECOND, "--live", "--confirm", SECOND]);
    assert!(run.stderr.contains("m1c1 has no Service istio-ingressgateway-2 yet: no consent is needed there"), "{run}");
    assert!(!world.root().join("approvals").exists());
}

#[test]
fn the_new_one_first() {
    let mut world = committed();
    let third = "istio-ingressgateway-3";
    let server = connect(&mut world, &[service(SECOND, Some("198.51.100.7")), service(third, None)]);
    let replace = ["clb", "replace", SECOND, "--cluster", "m1c1"];
    let finish = [&replace[..], &["--finish", "--live", "--confirm", SECOND]].concat();
    let early = world.run(&finish);
    assert!(early.code == Some(2) && early.stderr.contains("nothing in m1c1 takes the place of"), "{early}");

    let begin = [&replace[..], &["--internal"]].concat();
    let run = world.ok(&begin);
    insta::assert_snapshot!(without_id(&run.to_string()), @"
    created clusters/m1c1/gateways/istio-ingressgateway-3.yaml
    ! committed ID on main: clb: istio-ingressgateway-3 beside istio-ingressgateway-2 in m1c1
    ! warning: istio-ingressgateway (internet) and istio-ingressgateway-3 (intranet) lead to the same pods: routes that are meant for the VPC only must tell callers apart by host, or answer the internet as well
    ! Now, in this order:
    !   1. push, and wait for the new address: kubectl asm clb show istio-ingressgateway-3 --live
    !   2. point the DNS records that hold an address of the old one (kubectl asm clb show istio-ingressgateway-2 --live) to the new one, and wait for their TTL
    !   3. kubectl asm clb replace istio-ingressgateway-2 --cluster m1c1 --finish --live --confirm istio-ingressgateway-2
    [0]
    ");
    insta::assert_snapshot!(git(&world, &["show", "--format=%an%n%B", "--stat"]), @"
    An Engineer
    clb: istio-ingressgateway-3 beside istio-ingressgateway-2 in m1c1

    istio-ingressgateway-3 will take the place of istio-ingressgateway-2. Once it has an address and DNS points to it, the old one is retired by

        kubectl asm clb replace istio-ingressgateway-2 --cluster m1c1 --finish --live --confirm istio-ingressgateway-2


     clusters/m1c1/gateways/istio-ingressgateway-3.yaml | 33 ++++++++++++++++++++++
     1 file changed, 33 insertions(+)
    ");
    let new = world.read("clusters/m1c1/gateways/istio-ingressgateway-3.yaml");
    assert!(
        new.contains("kubectl-asm.io/replaces: istio-ingressgateway-2\n") && new.contains("address-type: intranet\n"),
        "{new}"
    );
    let again = world.run(&begin);
    assert!(again.code == Some(2) && again.stderr.contains("is being replaced already"), "{again}");

    // Not before the new one has an address.
    let early = world.run(&finish);
    assert!(
        early.code == Some(2) && early.stderr.contains("has no address yet: without the old one nobody would answer"),
        "{early}"
    );
    server.put("services", service(third, Some("10.0.0.8")));
    let run = world.ok(&finish);
    insta::assert_snapshot!(without_id(&run.to_string()), @"
    deleted clusters/m1c1/gateways/istio-ingressgateway-2.yaml
    created approvals/delete-m1c1-istio-ingressgateway-2.yaml
    configured clusters/m1c1/gateways/istio-ingressgateway-3.yaml
    ! committed ID on main: clb: retire istio-ingressgateway-2 in m1c1
    ! warning: once this is pushed the CLB of istio-ingressgateway-2 in m1c1 is deleted, and 198.51.100.7 is lost for good
    [0]
    ");
    insta::assert_snapshot!(git(&world, &["show", "--format=%B", "--stat"]), @"
    clb: retire istio-ingressgateway-2 in m1c1

    istio-ingressgateway-3 has taken its place. Gives up 198.51.100.7.


     approvals/delete-m1c1-istio-ingressgateway-2.yaml  | 15 +++++++++++
     clusters/m1c1/gateways/istio-ingressgateway-2.yaml | 31 ----------------------
     clusters/m1c1/gateways/istio-ingressgateway-3.yaml |  1 -
     3 files changed, 15 insertions(+), 32 deletions(-)
    ");
    assert!(!world.read("clusters/m1c1/gateways/istio-ingressgateway-3.yaml").contains("kubectl-asm.io/replaces"));
    assert_eq!(git(&world, &["status", "--porcelain"]), "");
}

#[test]
fn a_step_that_cannot_be_committed_leaves_no_trace() {
    let mut world = committed();
    let begin = ["clb", "replace", SECOND, "--cluster", "m1c1", "--internal"];
    // A hook of the user's refuses.
    world.write(".git/hooks/pre-commit", "#!/bin/sh\necho 'not today' >&2\nexit 1\n");
    git(&world, &["config", "core.hooksPath", ".git/hooks"]);
    let hook = world.root().join(".git/hooks/pre-commit");
    #[cfg(unix)]
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let before = world.files();
    let run = world.run(&begin);
    assert!(run.code == Some(2) && run.stderr.contains("not today") && run.stdout.is_empty(), "{run}");
    assert_eq!(world.files(), before);
    assert_eq!(git(&world, &["status", "--porcelain"]), "");
    std::fs::remove_file(hook).unwrap();

    // Nothing else may slip into the commit, and there must be a branch for it.
    world.write("clusters/m1c2/note.yaml", "");
    let run = world.run(&begin);
    assert!(run.code == Some(2) && run.stderr.contains("clusters/m1c2/note.yaml is not committed"), "{run}");
    std::fs::remove_dir_all(world.root().join("clusters/m1c2")).unwrap();
    git(&world, &["checkout", "--quiet", "--detach"]);
    let run = world.run(&begin);
    assert!(run.code == Some(2) && run.stderr.contains("on no branch"), "{run}");
    assert_eq!(world.ok(&[&begin[..], &["--dry-run"]].concat()).code, Some(0));
    world.env.retain(|(key, _)| key != "PATH");
    assert_eq!(world.files(), before);
}

/// Commit IDs depend on the date of Git's own defaults only in theory, but they are noise here.
fn without_id(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once("committed ") {
        Some((start, rest)) => format!("{start}committed ID {}", rest.split_once(' ').unwrap_or_default().1),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
