//! Every verb of the command line with arguments for each way in which it can end: the data that the tests of this folder
//! go through. A new verb gets a row in [`VERBS`]; `every_verb_is_in_the_table` says which one is missing.

use crate::api_server::{ApiServer, NOBODY, kubeconfig};
use crate::world::World;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::OnceLock;

/// One verb.
pub(crate) struct Verb {
    /// The words after `kubectl asm`.
    pub(crate) path: &'static str,
    /// Its output formats besides that for people.
    pub(crate) formats: &'static [&'static str],
    /// Does the same state give the same output? Not where the time or a new name is told.
    pub(crate) repeatable: bool,
    /// It did its work, nothing to report: 0.
    pub(crate) clean: Case,
    /// It did its work and found something: 1.
    pub(crate) findings: Case,
    /// A file, an object or a name is wrong: 2. (A wrong flag is tried with every verb.)
    pub(crate) input: Case,
    /// Nobody listens at any address of the kubeconfig: 3.
    pub(crate) unreachable: Case,
}

/// How to bring an outcome about. The fleet is that of [`Stage::new`].
pub(crate) enum Case {
    /// With these arguments.
    Args(&'static str),
    /// With these arguments, after something was done to the stage.
    After(fn(&Stage), &'static str),
    /// This verb never ends so; why.
    Never(#[expect(dead_code, reason = "for who reads the table")] &'static str),
}

use Case::{After, Args, Never};

const WRITES: &[&str] = &["json", "yaml", "name"];
const LISTS: &[&str] = &["wide", "json", "yaml", "name"];
const NO_FINDINGS: Case = Never("it reports nothing");
const NO_SERVER: Case = Never("it asks no server");

/// A verb that writes files of the fleet: clean with the first arguments, wrong input with the second.
const fn writing(path: &'static str, clean: &'static str, input: &'static str) -> Verb {
    let (clean, input) = (Args(clean), Args(input));
    Verb { path, formats: WRITES, repeatable: false, clean, findings: NO_FINDINGS, input, unreachable: NO_SERVER }
}

pub(crate) const VERBS: &[Verb] = &[
    writing("init", "shop --dir ../new", "shop"),
    Verb { unreachable: Args(""), ..writing("import", "", "--without Gatway") },
    writing("cluster add", "m1c3 --region cn-hangzhou --group all", "m1c1"),
    Verb {
        path: "cluster list",
        formats: LISTS,
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Args("--repo ../elsewhere"),
        unreachable: NO_SERVER,
    },
    writing("cluster remove", "spare", "m1c9"),
    writing("gateway create", "second --serverless", "ingressgateway --serverless"),
    Verb {
        path: "gateway list",
        formats: LISTS,
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Args("--repo ../elsewhere"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "gateway show",
        formats: WRITES,
        repeatable: true,
        clean: Args("ingressgateway"),
        findings: NO_FINDINGS,
        input: Args("ingresgateway"),
        unreachable: Args("ingressgateway --live"),
    },
    Verb {
        unreachable: Args("edge --address-type internet --allow-address-loss --live"),
        ..writing("gateway edit", "ingressgateway --replicas 3", "ingresgateway --replicas 3")
    },
    Verb {
        unreachable: Args("edge --live --confirm edge"),
        ..writing(
            "gateway delete",
            "edge --address 198.51.100.7 --confirm edge",
            "edg --address 198.51.100.7 --confirm edg",
        )
    },
    writing(
        "gateway share",
        "ingressgateway edge --label team=shop --gateway bookinfo-gateway",
        "ingressgateway nobody --label team=shop --gateway bookinfo-gateway",
    ),
    writing("clb add", "--gateway edge --internet", "--gateway nobody --internet"),
    Verb {
        path: "clb list",
        formats: LISTS,
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Args("--cluster m1c9"),
        unreachable: Args("--live"),
    },
    Verb {
        path: "clb show",
        formats: WRITES,
        repeatable: true,
        clean: Args("istio-edge-2"),
        findings: NO_FINDINGS,
        input: Args("istio-edge-9"),
        unreachable: Args("istio-edge-2 --live"),
    },
    Verb {
        unreachable: Args("istio-edge-2 --live --confirm istio-edge-2"),
        ..writing(
            "clb remove",
            "istio-edge-2 --address 198.51.100.7 --confirm istio-edge-2",
            "istio-edge-9 --address 198.51.100.7 --confirm istio-edge-9",
        )
    },
    Verb {
        unreachable: After(begin_replacement, "istio-edge-2 --finish --live --confirm istio-edge-2"),
        ..writing("clb replace", "istio-edge-2 --internet", "istio-edge-9 --internet")
    },
    writing("app add", "bookinfo --preset single --clusters spare", "bookinfo --preset split --clusters m1c1,m1c9"),
    writing("app place", "reviews-v3=spare", "reviews-v3=m1c9"),
    writing("app move", "reviews-v3 --to spare", "reviews-v9 --to spare"),
    writing("app remove", "reviews-v3", "reviews-v9"),
    Verb {
        path: "route list",
        formats: LISTS,
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Args("--repo ../elsewhere"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "route show",
        formats: WRITES,
        repeatable: true,
        clean: Args("reviews"),
        findings: NO_FINDINGS,
        input: Args("revews"),
        unreachable: NO_SERVER,
    },
    writing("route add", "second --host ratings --to ratings:9080", "reviews --to nobody:9080"),
    writing("route set", "reviews --to reviews@v3", "revews --to reviews@v3"),
    writing("route weight", "reviews v1=90 v2=10", "reviews v1=90 v2=20"),
    writing("route split", "reviews --to v1=10,v2=90", "nobody --to v1=10,v2=90"),
    writing("route mirror", "reviews --to reviews@v3", "reviews --to reviews@v9"),
    writing("route fault", "reviews --delay 5s", "revews --delay 5s"),
    writing(
        "route redirect",
        "details --rule-name old --first --match exact:/books --to-path /productpage",
        "details --rule gamma --to-path /productpage",
    ),
    writing(
        "route rewrite",
        "details --rule alpha --authority shop.internal",
        "details --rule gamma --authority shop.internal",
    ),
    writing("route move", "details beta --first", "details gamma --first"),
    writing("route remove", "details --rule alpha", "details --rule gamma"),
    Verb {
        path: "lint",
        formats: &["json", "yaml", "name", "sarif", "junit", "github", "gitlab", "markdown"],
        repeatable: true,
        clean: Args("--severity warning"),
        findings: After(bind_to_nothing, ""),
        input: Args("--rule no-such-rule"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "route test",
        formats: &["wide", "json", "yaml", "junit"],
        repeatable: true,
        clean: Args("http://shop.example.com/productpage --gateway ingressgateway"),
        findings: Args("http://shop.example.com:81/productpage --gateway ingressgateway"),
        input: Args("shop.example.com/productpage"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "explain",
        formats: LISTS,
        repeatable: true,
        clean: Args("destination-host"),
        findings: NO_FINDINGS,
        input: Args("destination-hots"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "graph",
        formats: &["wide", "json", "yaml", "mermaid", "dot", "svg"],
        repeatable: true,
        clean: Args(""),
        findings: After(change_files, "--base HEAD"),
        input: Args("--gateway nobody"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "diff",
        formats: &["json", "yaml", "name", "markdown", "patch"],
        repeatable: true,
        clean: Args("HEAD"),
        findings: After(change_files, ""),
        input: Args("no-such-branch"),
        unreachable: Args("--live"),
    },
    Verb {
        path: "doctor gateway",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args("ingressgateway"),
        // No Gateway selects its pods.
        findings: Args("edge"),
        input: Args("edg"),
        unreachable: Args("edge --live"),
    },
    Verb {
        path: "doctor route",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args("http://shop.example.com/cart --gateway ingressgateway"),
        findings: Args("http://shop.example.com/cart --gateway edge"),
        input: Args("ftp://shop.example.com/"),
        unreachable: Args("http://shop.example.com/cart --gateway ingressgateway --live"),
    },
    Verb {
        path: "doctor clb-access",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args("edge --offline"),
        findings: After(keep_source_addresses, "edge --offline"),
        input: Args("edg --offline"),
        unreachable: Args("edge"),
    },
    Verb {
        path: "verify",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: After(open_door, "edge --address 127.0.0.1"),
        findings: Args("edge --address 127.0.0.1"),
        input: Args("edg --address 127.0.0.1"),
        unreachable: Args("edge"),
    },
    Verb {
        path: "pr create",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Args("--base no-such-branch"),
        unreachable: Never("it asks no API server; forges that cannot be reached are in pull_requests.rs"),
    },
    Verb {
        path: "rbac",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args(""),
        findings: After(grant_nothing, "--check"),
        input: Args("--target m1c9"),
        unreachable: Args("--check"),
    },
    Verb {
        path: "status",
        formats: LISTS,
        repeatable: true,
        clean: Args("shop"),
        findings: After(hold_back, "shop"),
        input: Args("shopp"),
        unreachable: Args("shop"),
    },
    Verb {
        path: "drift",
        formats: LISTS,
        // The age of a change is told.
        repeatable: false,
        clean: Args("shop"),
        findings: After(report_drift, "shop"),
        input: Args("shop --target m1c9"),
        unreachable: Args("shop"),
    },
    Verb {
        // A clean run has nothing to take over.
        path: "adopt",
        formats: WRITES,
        repeatable: false,
        clean: Args("--all"),
        findings: NO_FINDINGS,
        input: Args("mesh/VirtualService/default/nobody"),
        unreachable: Args("--all"),
    },
    Verb {
        path: "revert",
        formats: WRITES,
        repeatable: false,
        clean: Args("mesh/VirtualService/default/reviews"),
        findings: Args("mesh/IstioGateway/istio-system/held"),
        input: Args("mesh/VirtualService/default/nobody"),
        unreachable: Args("mesh/VirtualService/default/reviews"),
    },
    Verb {
        unreachable: Args("VirtualService/reviews --reason x"),
        ..writing(
            "freeze",
            "mesh/VirtualService/default/reviews --field spec.http[0].timeout --reason slow",
            "VirtualService/revews --field spec.hosts --reason x",
        )
    },
    writing("unfreeze", "VirtualService/details", "VirtualService/reviews"),
    Verb {
        path: "sync",
        formats: WRITES,
        repeatable: false,
        clean: Args("shop"),
        findings: After(hold_back, "shop"),
        input: Args("shopp"),
        unreachable: Args("shop"),
    },
    Verb {
        path: "suspend",
        formats: WRITES,
        repeatable: false,
        clean: Args("shop"),
        findings: NO_FINDINGS,
        input: Args("shopp"),
        unreachable: Args("shop"),
    },
    Verb {
        path: "resume",
        formats: WRITES,
        repeatable: false,
        clean: Args("shop"),
        findings: NO_FINDINGS,
        input: Args("shopp"),
        unreachable: Args("shop"),
    },
    Verb {
        path: "version",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Never("it reads nothing"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "completion",
        formats: &[],
        repeatable: true,
        clean: Args("bash"),
        findings: NO_FINDINGS,
        input: Args("tcsh"),
        unreachable: NO_SERVER,
    },
];

impl Verb {
    /// The words of the verb itself.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        self.path.split_whitespace().collect()
    }

    /// Its definition.
    pub(crate) fn command(&self) -> clap::Command {
        let mut root = kubectl_asm::cli::command("kubectl-asm".as_ref());
        root.build();
        self.words().iter().fold(root, |command, word| {
            command.find_subcommand(word).unwrap_or_else(|| panic!("there is no verb {}", self.path)).clone()
        })
    }

    /// Has it a `--dry-run`?
    pub(crate) fn has_dry_run(&self) -> bool {
        self.command().get_arguments().any(|arg| arg.get_long() == Some("dry-run"))
    }
}

/// The path of every verb that can be run, hidden ones left out.
pub(crate) fn paths_of_the_command_line() -> Vec<String> {
    fn visit(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
            let path = format!("{path} {}", inner.get_name()).trim().to_owned();
            if inner.has_subcommands() { visit(inner, &path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    visit(&kubectl_asm::cli::command("kubectl-asm".as_ref()), "", &mut found);
    found
}

#[test]
fn every_verb_is_in_the_table() {
    let found = paths_of_the_command_line();
    let missing: Vec<_> = found.iter().filter(|path| VERBS.iter().all(|verb| verb.path != path.as_str())).collect();
    let rows: String = missing
        .iter()
        .map(|path| {
            format!(
                "    // if it writes files and asks no server:\n    writing(\"{path}\", \"ARGUMENTS THAT WORK\", \"ARGUMENTS THAT NAME SOMETHING WRONG\"),\n    \
                 // otherwise:\n    Verb {{ path: \"{path}\", formats: LISTS, repeatable: true, clean: Args(\"\"), findings: NO_FINDINGS, input: Args(\"\"), \
                 unreachable: NO_SERVER }},\n"
            )
        })
        .collect();
    assert!(
        missing.is_empty(),
        "add to VERBS in plugin/tests/cli/contract/verbs.rs (the fleet that the arguments meet is that of Stage::new):\n{rows}"
    );
    for verb in VERBS {
        assert!(found.iter().any(|path| path == verb.path), "there is no verb {} any more: remove its row", verb.path);
    }
}

/// A small fleet under Git and the API servers that its kubeconfig names: `host` (current; the agent's), `mesh`, `m1c1`,
/// `m1c2`.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) host: ApiServer,
}

impl Stage {
    /// Clusters m1c1, m1c2 and spare; a serverless gateway ingressgateway, the Gateway bookinfo-gateway; bookinfo in both
    /// clusters; the routes bookinfo and reviews (v1 and v2); the gateway edge in m1c1 with the further CLB istio-edge-2; the
    /// route details with the rules alpha and beta before an unnamed one, the timeout of which is frozen. All of it is
    /// committed, and pushed to origin on GitHub. The agent's FleetSync shop is ready.
    pub(crate) fn new() -> Self {
        static FLEET: OnceLock<World> = OnceLock::new();
        let template = FLEET.get_or_init(make_fleet);
        let mut world = World::new();
        copy(&template.root(), &world.root());
        std::fs::create_dir(world.root().join("../elsewhere")).unwrap();
        let host = ApiServer::reacting(Box::new(|sync| {
            let wish = sync["metadata"]["annotations"]["kubectl-asm.io/reconcile-at"].clone();
            sync["status"]["lastHandledReconcileAt"] = wish;
            answer_revert(sync);
        }));
        host.put("fleetsyncs", fleet_sync("True", "Ready", "1 targets are at 4f1c2aa"));
        let config = world.root().join("../config").to_string_lossy().into_owned();
        world.env.push(("KUBECONFIG".to_owned(), config));
        // `clb replace` commits as who runs it.
        for role in ["AUTHOR", "COMMITTER"] {
            world.env.push((format!("GIT_{role}_NAME"), "An Engineer".to_owned()));
            world.env.push((format!("GIT_{role}_EMAIL"), "engineer@example.com".to_owned()));
        }
        let stage = Self { world, host };
        stage.connect(&stage.host.url());
        stage
    }

    /// Nobody listens any more.
    pub(crate) fn cut_off(&self) {
        self.connect(NOBODY);
    }

    fn connect(&self, url: &str) {
        let servers = ["host", "mesh", "m1c1", "m1c2", "spare"].map(|name| (name, url));
        self.world.write("../config", &kubeconfig(&servers));
    }
}

fn make_fleet() -> World {
    let world = World::with_fleet();
    for line in [
        "cluster add spare",
        "gateway create ingressgateway --serverless",
        "app add bookinfo --preset split",
        "route add bookinfo --gateway bookinfo-gateway --create-gateway --host * --match prefix:/ --to productpage:9080",
        "route split reviews --subset v1,v2,v3 --to v1=50,v2=50",
        "gateway create edge --cluster m1c1 --address-type intranet",
        "clb add istio-edge-2 --gateway edge --cluster m1c1 --internal",
        "route add details --to details:9080",
        "route add details --rule-name beta --first --match header:end-user=exact:b --to details:9080",
        "route add details --rule-name alpha --first --match header:end-user=exact:a --to details:9080",
        "freeze VirtualService/details --field spec.http[2].timeout --reason slow",
    ] {
        world.ok(&line.split(' ').collect::<Vec<_>>());
    }
    for line in [
        "init --quiet -b main",
        "add .",
        "-c user.name=a -c user.email=a@example.com commit --quiet -m fleet",
        // The remote is inside, so that it is copied with the fleet.
        "clone --quiet --bare . .git/forge/fleet.git",
        "remote add origin https://github.com/shop/fleet.git",
        "config url..git/forge/.insteadOf https://github.com/shop/",
        "fetch --quiet",
    ] {
        let mut git = std::process::Command::new("git");
        git.args(line.split(' ')).current_dir(world.root()).env_clear().env("HOME", world.root().join(".."));
        git.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        assert!(git.status().unwrap().success(), "git {line}");
    }
    world
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let (source, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if source.is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&source, &target);
        } else {
            std::fs::copy(&source, &target).unwrap();
        }
    }
}

fn grant_nothing(stage: &Stage) {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "metadata": {}, "spec": {},
        "status": {"resourceRules": [], "nonResourceRules": [], "incomplete": false},
    });
    stage.host.put_at("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review);
}

fn conditions(status: &str, reason: &str, message: &str) -> Value {
    json!([{"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-03-01T11:00:00Z"}])
}

fn fleet_sync(status: &str, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync",
        "metadata": {"name": "shop", "namespace": "asm-system", "generation": 1, "resourceVersion": "7"},
        "spec": {"source": {"url": "https://git.example.com/shop.git"}},
        "status": {
            "observedGeneration": 1, "conditions": conditions(status, reason, message),
            "source": {"revision": "4f1c2aa0000", "subject": "base", "seenAt": "2026-03-01T11:00:00Z"},
            "targets": [{"name": "mesh", "revision": "4f1c2aa0000", "objects": 3, "conditions": conditions(status, reason, message)}]
        }
    })
}

/// Answers a request to put values back as an agent would: by the name of the object.
fn answer_revert(sync: &mut Value) {
    let Some(text) = sync["metadata"]["annotations"]["kubectl-asm.io/revert"].as_str() else { return };
    let request: Value = serde_json::from_str(text).unwrap();
    let results = request["objects"].as_array().unwrap().iter().map(|object| {
        let mut result = object.clone();
        let (outcome, message) = match object["name"].as_str().unwrap() {
            "held" => ("HeldBack", Some("it would lose 198.51.100.7")),
            "nobody" => ("NotInGit", Some("Git has no such object")),
            _ => ("Reverted", None),
        };
        result["outcome"] = outcome.into();
        if let Some(message) = message {
            result["message"] = message.into();
        }
        result
    });
    sync["status"]["lastHandledRevert"] = json!({"id": request["id"], "results": results.collect::<Vec<_>>()});
}

fn hold_back(stage: &Stage) {
    let mut sync = fleet_sync("False", "HeldBack", "m1c1: waits for an approval");
    sync["status"]["heldBack"] = json!(1);
    sync["status"]["targets"][0]["heldBack"] = json!(1);
    sync["status"]["targets"][0]["held"] = json!([{
        "action": "Delete", "kind": "Service", "namespace": "istio-system", "name": "old-clb", "uid": "1",
        "addresses": ["198.51.100.7"], "message": "deleting it loses its address"
    }]);
    stage.host.put("fleetsyncs", sync);
}

fn report_drift(stage: &Stage) {
    stage.host.put(
        "driftreports",
        json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "DriftReport",
            "metadata": {"name": "shop-mesh", "namespace": "asm-system"}, "spec": {"fleetSync": "shop", "target": "mesh"},
            "status": {"revision": "4f1c2aa0000", "total": 1, "objects": [{
                "kind": "VirtualService.networking.istio.io", "namespace": "default", "name": "reviews", "change": "Modified",
                "declaredAt": "mesh/routes/reviews.yaml:1:1", "since": "2026-03-01T11:50:00.000000Z", "moreFields": 0,
                "fields": [{
                    "path": "spec.http[0].route[0].weight", "wanted": 50, "found": 90, "manager": "kubectl-edit",
                    "operation": "Update", "time": "2026-03-01T11:49:59Z"
                }]
            }]}
        }),
    );
}

fn keep_source_addresses(stage: &Stage) {
    stage.world.ok(&["gateway", "edit", "edge", "--external-traffic-policy", "Local"]);
}

/// The API server stands for a gateway: it has a port and speaks HTTP.
fn open_door(stage: &Stage) {
    let url = stage.host.url();
    let port = url.rsplit(':').next().unwrap();
    stage.world.ok(&["gateway", "edit", "edge", "--port", &format!("http={port}:{port}")]);
    stage.world.write(
        "mesh/door.yaml",
        &format!(
            "apiVersion: networking.istio.io/v1beta1\nkind: Gateway\nmetadata: {{name: door, namespace: default}}\nspec:\n  \
             selector: {{istio: edge}}\n  servers:\n    - {{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ['*']}}\n"
        ),
    );
}

fn change_files(stage: &Stage) {
    stage.world.ok(&["route", "weight", "reviews", "v1=90", "v2=10"]);
    stage.world.ok(&["gateway", "create", "second", "--cluster", "m1c1,m1c2"]);
}

/// Objects that are not in Git.
pub(crate) fn run_more(stage: &Stage) {
    stage.host.put(
        "virtualservices",
        json!({
            "apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService",
            "metadata": {"name": "by-hand", "namespace": "default"}, "spec": {"hosts": ["by-hand.example.com"]}
        }),
    );
    stage.host.put(
        "services",
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "istio-edge", "namespace": "istio-system"}, "spec": {"type": "LoadBalancer"}
        }),
    );
    stage.host.put(
        "istiogateways",
        json!({
            "apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway",
            "metadata": {"name": "edge", "namespace": "istio-system"}, "spec": {}
        }),
    );
}

/// The route bookinfo names a Gateway that there is not, and a file cannot be read.
fn bind_to_nothing(stage: &Stage) {
    let (path, text) = ("mesh/routes/bookinfo.yaml", stage.world.read("mesh/routes/bookinfo.yaml"));
    assert!(text.contains("- bookinfo-gateway"));
    stage.world.write(path, &text.replace("- bookinfo-gateway", "- bookinfo-gatewy"));
    stage.world.write("mesh/broken.yaml", "a: [1\n");
}

fn begin_replacement(stage: &Stage) {
    stage.world.ok(&["clb", "replace", "istio-edge-2", "--internet"]);
}
