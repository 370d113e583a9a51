//! What the verbs of the table meet: a fleet under Git and API servers, and what can be done to them before a run.

use crate::api_server::{ApiServer, NOBODY, kubeconfig};
use crate::world::World;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::OnceLock;

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

pub(super) fn hold_back(stage: &Stage) {
    let mut sync = fleet_sync("False", "HeldBack", "m1c1: waits for an approval");
    sync["status"]["heldBack"] = json!(1);
    sync["status"]["targets"][0]["heldBack"] = json!(1);
    sync["status"]["targets"][0]["held"] = json!([{
        "action": "Delete", "kind": "Service", "namespace": "istio-system", "name": "old-clb", "uid": "1",
        "addresses": ["198.51.100.7"], "message": "deleting it loses its address"
    }]);
    stage.host.put("fleetsyncs", sync);
}

pub(super) fn report_drift(stage: &Stage) {
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

pub(super) fn keep_source_addresses(stage: &Stage) {
    stage.world.ok(&["gateway", "edit", "edge", "--external-traffic-policy", "Local"]);
}

/// The API server stands for a gateway: it has a port and speaks HTTP.
pub(super) fn open_door(stage: &Stage) {
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

pub(super) fn change_files(stage: &Stage) {
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
pub(super) fn bind_to_nothing(stage: &Stage) {
    let (path, text) = ("mesh/routes/bookinfo.yaml", stage.world.read("mesh/routes/bookinfo.yaml"));
    assert!(text.contains("- bookinfo-gateway"));
    stage.world.write(path, &text.replace("- bookinfo-gateway", "- bookinfo-gatewy"));
    stage.world.write("mesh/broken.yaml", "a: [1\n");
}

pub(super) fn begin_replacement(stage: &Stage) {
    stage.world.ok(&["clb", "replace", "istio-edge-2", "--internet"]);
}

pub(super) fn grant_nothing(stage: &Stage) {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "metadata": {}, "spec": {},
        "status": {"resourceRules": [], "nonResourceRules": [], "incomplete": false},
    });
    stage.host.put_at("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review);
}
