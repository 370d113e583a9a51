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
    insta::assert_snapshot!(unknown, @"");
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
    insta::assert_snapshot!(world.run(&args), @"");
    insta::assert_snapshot!(world.run(&[&args[..], &["--confirm", "istio-ingressgateway"]].concat()), @"");
    assert!(world.ok(&[&args[..], &["--dry-run"]].concat()).stdout.contains("kind: Approval"));
    assert_eq!(world.files(), before);
    insta::assert_snapshot!(world.run(&[&args[..], &["--confirm", SECOND]].concat()), @"");
    insta::assert_snapshot!(world.read("approvals/delete-m1c1-istio-ingressgateway-2.yaml"), @"");
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
    insta::assert_snapshot!(told, @"");
}

#[test]
fn addresses_from_the_clusters() {
    let mut world = with_second();
    let first = service("istio-ingressgateway", Some("198.51.100.6"));
    let server = connect(&mut world, &[first, service(SECOND, Some("198.51.100.7"))]);
    // A cluster that cannot be reached does not hide the other one.
    let list = world.run(&["clb", "list", "--live"]);
    assert_eq!(list.code, Some(3), "{list}");
    insta::assert_snapshot!(list.stdout, @"");
    assert!(
        list.stderr.starts_with("error: cannot read Service istio-system/istio-ingressgateway (context m1c2)"),
        "{list}"
    );
    let show = world.ok(&["clb", "show", SECOND, "--live"]).stdout;
    assert!(show.contains("Address:            198.51.100.7\n") && show.contains(&format!("lb-{SECOND}")), "{show}");
    // The approval names the address and is for this Service only.
    world.ok(&["clb", "remove", SECOND, "--live", "--confirm", SECOND]);
    insta::assert_snapshot!(world.read("approvals/delete-m1c1-istio-ingressgateway-2.yaml"), @"");
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
    insta::assert_snapshot!(without_id(&run.to_string()), @"");
    insta::assert_snapshot!(git(&world, &["show", "--format=%an%n%B", "--stat"]), @"");
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
    insta::assert_snapshot!(without_id(&run.to_string()), @"");
    insta::assert_snapshot!(git(&world, &["show", "--format=%B", "--stat"]), @"");
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
    assert!(run.code == Some(2) && run.stderr.contains("not committed: clusters/m1c2/note.yaml"), "{run}");
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
