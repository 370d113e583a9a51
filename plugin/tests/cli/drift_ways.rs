//! What to do about drift: adopt, revert, freeze.

use super::api_server::{ApiServer, kubeconfig};
use super::forge_server::{FLAVORS, ForgeServer};
use super::world::World;
use serde_json::{Value, json};
use std::process::Command;

const FLEET: &str = "\
# The shop.
apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata:
  name: shop
spec:
  mesh:
    context: host
  clusters:
    - name: m1c1
      context: host
";

const ROUTE: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  namespace: default
spec:
  hosts: [reviews] # all of them
  http:
    - route:
        - destination: {host: reviews, subset: v1}
          weight: 50
        - destination: {host: reviews, subset: v2}
          weight: 50
";

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: door, namespace: default}\nstringData: {key: from-git}\n";

fn live_route(weight: u32) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {
            "name": "reviews", "namespace": "default", "uid": "1", "resourceVersion": "9",
            "managedFields": [
                {"manager": "asm-agent", "operation": "Apply", "fieldsV1": {"f:spec": {"f:hosts": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-03-01T11:49:59Z", "fieldsV1": {"f:spec": {"f:http": {}}}}
            ]
        },
        "spec": {"hosts": ["reviews"], "http": [{"route": [
            {"destination": {"host": "reviews", "subset": "v1"}, "weight": weight},
            {"destination": {"host": "reviews", "subset": "v2"}, "weight": 100 - weight}
        ]}]}
    })
}

fn drifted(target: &str, kind: &str, name: &str, change: &str, fields: &[&str]) -> Value {
    let fields: Vec<Value> = fields.iter().map(|path| json!({"path": path})).collect();
    json!({
        "kind": kind, "namespace": "default", "name": name, "change": change, "declaredAt": "x:1:1",
        "since": "2026-03-01T11:50:00.000000Z", "moreFields": 0, "fields": fields, "target": target
    })
}

fn report(host: &ApiServer, objects: &[Value], frozen: Value) {
    for target in ["mesh", "m1c1"] {
        let own: Vec<Value> = objects.iter().filter(|object| object["target"] == target).cloned().collect();
        host.put(
            "driftreports",
            json!({
                "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "DriftReport",
                "metadata": {"name": format!("shop-{target}"), "namespace": "asm-system"},
                "spec": {"fleetSync": "shop", "target": target},
                "status": {"total": own.len(), "objects": own, "frozenTotal": frozen.as_array().map(Vec::len), "frozen": frozen}
            }),
        );
    }
}

/// A fleet under Git, an agent's cluster that reports these objects, and what runs.
fn world(host: &ApiServer) -> World {
    let mut world = World::new();
    world.write("../config", &kubeconfig(&[("host", &host.url())]));
    world.env.push(("KUBECONFIG".to_owned(), world.root().join("../config").to_string_lossy().into_owned()));
    for role in ["AUTHOR", "COMMITTER"] {
        world.env.push((format!("GIT_{role}_NAME"), "An Engineer".to_owned()));
        world.env.push((format!("GIT_{role}_EMAIL"), "engineer@example.com".to_owned()));
        world.env.push((format!("GIT_{role}_DATE"), "2026-03-01T12:00:00Z".to_owned()));
    }
    world.write("fleet.yaml", FLEET);
    world.write("mesh/reviews.yaml", ROUTE);
    world.write("clusters/m1c1/door.yaml", SECRET);
    host.put(
        "fleetsyncs",
        json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync",
            "metadata": {"name": "shop", "namespace": "asm-system", "generation": 1, "resourceVersion": "7"},
            "spec": {"source": {"url": "https://git.example.com/shop.git"}},
            "status": {"targets": [{"name": "mesh"}, {"name": "m1c1"}]}
        }),
    );
    git(&world, "init --quiet -b main");
    git(&world, "add .");
    git(&world, "commit --quiet -m fleet");
    world
}

fn git(world: &World, line: &str) -> String {
    let mut git = Command::new("git");
    git.args(line.split(' ')).current_dir(world.root()).env_clear().env("HOME", world.root().join(".."));
    git.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(world.env.iter().map(|(k, v)| (k, v)));
    let output = git.output().unwrap();
    assert!(output.status.success(), "git {line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const WEIGHTS: [&str; 2] = ["spec.http[0].route[0].weight", "spec.http[0].route[1].weight"];

fn weights() -> Value {
    drifted("mesh", "VirtualService.networking.istio.io", "reviews", "Modified", &WEIGHTS)
}

#[test]
fn a_weight_becomes_a_commit_that_says_who() {
    let host = ApiServer::start();
    let world = world(&host);
    host.put("virtualservices", live_route(90));
    report(&host, &[weights()], json!([]));
    insta::assert_snapshot!(world.run(&["adopt", "vs/reviews", "--field", "spec.http[0].route[0]", "--dry-run"]), @"
    --- a/mesh/reviews.yaml
    +++ b/mesh/reviews.yaml
    @@ -8,6 +8,6 @@
       http:
         - route:
             - destination: {host: reviews, subset: v1}
    -          weight: 50
    +          weight: 90
             - destination: {host: reviews, subset: v2}
               weight: 50
    ! VirtualService default/reviews on mesh: spec.http[0].route[0].weight: 50 -> 90, by kubectl-edit (Update) at 2026-03-01T11:49:59Z
    ! configured mesh/reviews.yaml (dry run)
    [0]
    ");
    assert_eq!(git(&world, "status --porcelain"), "");
    insta::assert_snapshot!(world.run(&["adopt", "vs/reviews", "--commit", "--branch", "adopt-weights"]).to_string().split_once(' ').unwrap().1, @"
    adopt VirtualService default/reviews on mesh (2 fields)
    ! VirtualService default/reviews on mesh: spec.http[0].route[0].weight: 50 -> 90, by kubectl-edit (Update) at 2026-03-01T11:49:59Z
    ! VirtualService default/reviews on mesh: spec.http[0].route[1].weight: 50 -> 10, by kubectl-edit (Update) at 2026-03-01T11:49:59Z
    ! hint: next: git push REMOTE adopt-weights
    [0]
    ");
    insta::assert_snapshot!(git(&world, "log -1 --format=%B"), @"
    adopt VirtualService default/reviews on mesh (2 fields)

    Taken over from what runs:

    VirtualService default/reviews on mesh
    - spec.http[0].route[0].weight: 50 -> 90, by kubectl-edit (Update) at 2026-03-01T11:49:59Z
    - spec.http[0].route[1].weight: 50 -> 10, by kubectl-edit (Update) at 2026-03-01T11:49:59Z
    ");
    assert_eq!(world.read("mesh/reviews.yaml"), ROUTE.replacen("50", "90", 1).replacen("50", "10", 1));
    assert_eq!(git(&world, "branch --show-current"), "adopt-weights\n");
    // The same again: the files say so already.
    insta::assert_snapshot!(world.run(&["adopt", "--all"]), @"
    ! mesh/VirtualService/default/reviews is as the files say: nothing to take over
    [0]
    ");
}

/// Three kinds of drift (a weight, an annotation, an added rule) become one pull request that holds exactly that.
#[test]
fn what_was_adopted_becomes_a_pull_request() {
    let host = ApiServer::start();
    let mut world = world(&host);
    let pages = ROUTE.replace("name: reviews", "name: pages").replace(" # all of them", "");
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: default\n  annotations:\n    example.com/owner: web-team # ask them\nspec:\n  selector: {app: web}\n  ports: [{name: http, port: 80}]\n";
    world.write("mesh/pages.yaml", &pages);
    world.write("clusters/m1c1/web.yaml", service);
    git(&world, "add .");
    git(&world, "commit --quiet -m more");
    // A forge, and a repository behind it.
    let flavor = FLAVORS.iter().find(|flavor| flavor.word == "gitea").unwrap();
    let forge = ForgeServer::start(flavor, "canary-token");
    let bare = world.root().join("../remote/shop/fleet.git");
    git(&world, &format!("init --quiet --bare -b main {}", bare.display()));
    git(&world, &format!("config url.{}/.insteadOf https://forge.example/shop/", bare.parent().unwrap().display()));
    git(&world, "remote add origin https://forge.example/shop/fleet.git");
    git(&world, "push --quiet origin main");
    git(&world, "config asm.forge gitea");
    git(&world, &format!("config asm.forge-url {}", forge.url()));
    world.env.push((flavor.variable.to_owned(), "canary-token".to_owned()));

    host.put("virtualservices", live_route(90));
    let mut live = live_route(50);
    live["metadata"]["name"] = json!("pages");
    let added = json!({"match": [{"uri": {"prefix": "/new"}}], "route": [{"destination": {"host": "new"}}]});
    live["spec"]["http"].as_array_mut().unwrap().insert(0, added);
    host.put("virtualservices", live);
    host.put(
        "services",
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "default", "annotations": {"example.com/owner": "somebody"}},
            "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]}
        }),
    );
    let kind = "VirtualService.networking.istio.io";
    let owner = drifted("m1c1", "Service", "web", "Modified", &["metadata.annotations[\"example.com/owner\"]"]);
    report(&host, &[weights(), drifted("mesh", kind, "pages", "Modified", &["spec.http[0]"]), owner], json!([]));

    world.ok(&["adopt", "--all"]);
    let run = world.ok(&["pr", "create"]);
    assert_eq!(run.stdout, format!("{}\n", forge.page(1)), "{run}");
    assert!(!run.to_string().contains("canary"), "{run}");
    let diff = git(&world, "diff --unified=0 origin/main HEAD");
    let changed: Vec<&str> = diff.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    insta::assert_snapshot!(changed.join("\n"));
    let request = forge.request(1);
    for name in ["default/reviews", "default/pages", "default/web"] {
        assert!(request.body.contains(name), "{name}: {}", request.body);
    }
    assert!(request.body.contains("3 to change on 2 targets") && !request.body.contains("canary"), "{}", request.body);
    assert_eq!(world.run(&["adopt", "--all"]).code, Some(0), "the files say so now");
    assert_eq!(git(&world, "status --porcelain"), "");
}

#[test]
fn what_cannot_be_adopted_is_said() {
    let host = ApiServer::start();
    let world = world(&host);
    host.put("virtualservices", live_route(90));
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "door", "namespace": "default"}, "data": {"key": "aHVudGVyMg=="}
    });
    host.put("secrets", secret);
    report(&host, &[weights(), drifted("m1c1", "Secret", "door", "Modified", &["data.key"])], json!([]));
    insta::assert_snapshot!(world.run(&["adopt", "--all"]), @"
    ! error: clusters/m1c1/door.yaml:1:1: data.key of Secret default/door is secret: it is not taken into Git, where it would stand in clear in every clone
    ! hint: put Git's value back with kubectl asm revert, or leave the field alone with kubectl asm freeze
    ! hint: take the other fields over by naming them with --field
    [2]
    ");
    insta::assert_snapshot!(world.run(&["adopt", "vs/reviews", "--field", "spec.hosts"]), @"
    ! error: mesh/VirtualService/default/reviews: spec.hosts has not drifted
    ! hint: drifted are: spec.http[0].route[0].weight, spec.http[0].route[1].weight
    [2]
    ");
    insta::assert_snapshot!(world.run(&["adopt", "vs/revews"]), @"
    ! error: there is no vs/revews in the files, and none that drifted
    ! hint: see: kubectl asm drift -o name
    [2]
    ");
    insta::assert_snapshot!(world.run(&["adopt", "m1c9/vs/default/reviews"]), @"
    ! error: `m1c9/vs/default/reviews` names no object: there is no target m1c9
    ! hint: write [TARGET/]KIND/[NAMESPACE/]NAME, for example mesh/VirtualService/default/bookinfo
    ! hint: did you mean m1c1?
    ! hint: targets are: mesh, m1c1
    [2]
    ");
    world.write("mesh/other.yaml", "# not committed\n");
    insta::assert_snapshot!(world.run(&["adopt", "vs/reviews", "--commit"]), @"
    ! error: mesh/other.yaml is not committed: nothing was written, because what is written becomes a commit of its own
    ! hint: commit or stash that first
    ! hint: or leave --commit out to change the files only
    [2]
    ");
    assert_eq!(world.read("mesh/reviews.yaml"), ROUTE);
}

#[test]
fn a_deleted_object_leaves_git() {
    let host = ApiServer::start();
    let world = world(&host);
    // The API server knows the kind by another object.
    let mut other = live_route(50);
    other["metadata"]["name"] = json!("other");
    host.put("virtualservices", other);
    report(&host, &[drifted("mesh", "VirtualService.networking.istio.io", "reviews", "Deleted", &[])], json!([]));
    insta::assert_snapshot!(world.run(&["adopt", "mesh/default/virtualservice.networking.istio.io/reviews"]), @"
    deleted mesh/reviews.yaml
    ! VirtualService default/reviews on mesh: deleted; the Kubernetes API keeps no author of a deletion
    ! hint: --commit writes who made the change, and when, into the commit's message
    ! hint: keep it with: git add mesh/reviews.yaml && git commit
    [0]
    ");
    assert!(!world.root().join("mesh").exists());
}

#[test]
fn a_commit_that_a_hook_refuses_leaves_no_branch() {
    let host = ApiServer::start();
    let world = world(&host);
    host.put("virtualservices", live_route(90));
    report(&host, &[weights()], json!([]));
    world.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 1\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let hook = world.root().join(".git/hooks/pre-commit");
        std::fs::set_permissions(hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        let run = world.run(&["adopt", "--all", "--commit", "--branch", "adopted"]);
        assert_eq!(run.code, Some(2), "{run}");
        assert_eq!(git(&world, "branch --format=%(refname:short)"), "main\n");
        assert_eq!(
            (git(&world, "status --porcelain"), world.read("mesh/reviews.yaml")),
            (String::new(), ROUTE.to_owned())
        );
    }
}

#[test]
fn what_drifted_is_frozen_and_looked_after_again() {
    let host = ApiServer::start();
    let world = world(&host);
    report(&host, &[weights()], json!([]));
    insta::assert_snapshot!(world.run(&["freeze", "vs/reviews", "--reason", "by hand", "--until", "2999-01-01"]), @"
    configured fleet.yaml
    ! hint: keep it with: git add fleet.yaml && git commit
    [0]
    ");
    insta::assert_snapshot!(git(&world, "diff --unified=0 fleet.yaml"), @"
    diff --git a/fleet.yaml b/fleet.yaml
    index 3e6d41c..adf2075 100644
    --- a/fleet.yaml
    +++ b/fleet.yaml
    @@ -11,0 +12,11 @@ spec:
    +  ignoreDifferences:
    +    - name: reviews
    +      namespace: default
    +      kind: VirtualService.networking.istio.io
    +      fields:
    +        - 'spec.http[0].route[0].weight'
    +        - 'spec.http[0].route[1].weight'
    +      reason: by hand
    +      targets:
    +        - mesh
    +      until: '2999-01-01T23:59:59Z'
    ");
    // It is no difference any more, although it runs otherwise.
    let mut live = live_route(90);
    live["metadata"]["labels"] = json!({"applyset.kubernetes.io/part-of": "set"});
    host.put("virtualservices", live);
    let diff = world.run(&["diff", "--live", "--target", "mesh"]);
    assert_eq!(diff.code, Some(0), "{diff}");
    world.ok(&["unfreeze", "vs/reviews"]);
    assert_eq!(world.read("fleet.yaml"), FLEET);
    assert_eq!(world.run(&["diff", "--live", "--target", "mesh"]).code, Some(1));
    insta::assert_snapshot!(world.run(&["unfreeze", "vs/reviews"]), @"
    ! error: no such field of VirtualService default/reviews is left alone
    ! hint: see what is left alone: kubectl asm drift
    [2]
    ");
    insta::assert_snapshot!(world.run(&["freeze", "vs/reviews", "--field", "metadata.uid", "--reason", "x"]), @"
    ! error: `metadata.uid` belongs to the API server
    ! hint: Remove it: Git and the agent never write this field
    [2]
    ");
    assert_eq!(world.run(&["freeze", "vs/reviews", "--reason", "x", "--until", "2020-01-01"]).code, Some(2));
}

#[test]
fn drift_and_status_say_what_is_frozen() {
    let host = ApiServer::start();
    let world = world(&host);
    let frozen = json!([{
        "kind": "VirtualService.networking.istio.io", "namespace": "default", "name": "reviews", "path": "spec.http[0].timeout",
        "reason": "by \u{1b}[31mhand", "declaredAt": "fleet.yaml:12:7"
    }]);
    report(&host, &[], frozen);
    insta::assert_snapshot!(world.run(&["drift", "--target", "mesh"]), @r"
    ! mesh VirtualService default/reviews: spec.http[0].timeout is left alone (by \u{1b}[31mhand; fleet.yaml:12:7)
    ! no drift in 1 target
    [0]
    ");
}

#[test]
fn revert_asks_the_agent_and_waits() {
    let host = ApiServer::reacting(Box::new(|sync| {
        let Some(text) = sync["metadata"]["annotations"]["kubectl-asm.io/revert"].as_str() else { return };
        let request: Value = serde_json::from_str(text).unwrap();
        let answers = request["objects"].as_array().unwrap().iter().map(|object| {
            let mut answer = object.clone();
            let (outcome, message) = match (object["target"].as_str().unwrap(), object["name"].as_str().unwrap()) {
                (_, "door") => ("HeldBack", "it would lose 198.51.100.7"),
                ("m1c1", _) => ("NotInGit", "Git has no such object for m1c1"),
                _ => ("NotDrifted", ""),
            };
            answer["outcome"] = outcome.into();
            answer["message"] = message.into();
            answer
        });
        sync["status"]["lastHandledRevert"] = json!({"id": request["id"], "results": answers.collect::<Vec<_>>()});
    }));
    let world = world(&host);
    report(&host, &[drifted("m1c1", "Service", "door", "Modified", &["spec.type"])], json!([]));
    // Of a name without drift every target is asked; those that have no such object are not told.
    insta::assert_snapshot!(world.run(&["revert", "vs/reviews", "svc/door"]), @"
    TARGET   OBJECT                   OUTCOME       MESSAGE
    mesh     VirtualService reviews   not drifted   <none>
    m1c1     Service default/door     held back     it would lose 198.51.100.7
    ! hint: the approval to write: kubectl asm status shop
    [1]
    ");
    insta::assert_snapshot!(world.run(&["revert", "vs/default/reviews", "--no-wait"]), @"
    mesh/VirtualService/default/reviews asked for
    m1c1/VirtualService/default/reviews asked for
    [0]
    ");
    insta::assert_snapshot!(world.run(&["revert", "m1c1/vs/default/nobody"]), @"
    TARGET   OBJECT                          OUTCOME      MESSAGE
    m1c1     VirtualService default/nobody   not in Git   Git has no such object for m1c1
    ! error: Git has nothing to put back
    !   caused by: VirtualService default/nobody on m1c1: Git has no such object for m1c1
    ! hint: see what drifted: kubectl asm drift -o name
    [2]
    ");
}

#[test]
fn revert_without_an_agent_ends_with_the_time() {
    let host = ApiServer::start();
    let world = world(&host);
    let run = world.run(&["revert", "mesh/vs/default/reviews", "--timeout", "1s"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("no answer within 1s") && run.stderr.contains("is the agent running?"), "{run}");
    report(&host, &[], json!([]));
    insta::assert_snapshot!(world.run(&["revert", "--all"]), @"
    ! nothing has drifted: there is nothing to put back
    [0]
    ");
}
