//! What the agent says and is told: status, drift, sync, suspend, resume.

use super::api_server::{ApiServer, NOBODY, kubeconfig};
use super::world::World;
use serde_json::{Value, json};

fn ready(status: &str, reason: &str, message: &str) -> Value {
    json!([{"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-03-01T11:00:00Z"}])
}

fn fleet_sync() -> Value {
    json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync",
        "metadata": {"name": "shop", "namespace": "asm-system", "generation": 1, "resourceVersion": "7", "managedFields": [{"manager": "x"}]},
        "spec": {"source": {"url": "https://me:hunter2@git.example.com/shop.git"}},
        "status": {
            "observedGeneration": 1, "conditions": ready("True", "Ready", "1 targets are at 4f1c2aa"),
            "source": {"revision": "4f1c2aa0000", "subject": "base"},
            "targets": [{"name": "mesh", "revision": "4f1c2aa0000", "objects": 3, "conditions": ready("True", "Ready", "3 objects at 4f1c2aa")}]
        }
    })
}

fn drift_report() -> Value {
    json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "DriftReport",
        "metadata": {"name": "shop-mesh", "namespace": "asm-system"}, "spec": {"fleetSync": "shop", "target": "mesh"},
        "status": {"revision": "4f1c2aa0000", "total": 1, "objects": [{
            "kind": "VirtualService.networking.istio.io", "namespace": "default", "name": "a", "change": "Deleted",
            "declaredAt": "mesh/a.yaml:1:1", "since": "2026-03-01T11:50:00.000000Z", "moreFields": 0
        }]}
    })
}

fn world(host: &ApiServer) -> World {
    let mut world = World::new();
    world.write("../config", &kubeconfig(&[("host", &host.url())]));
    let config = world.root().join("../config");
    world.env.push(("KUBECONFIG".to_owned(), config.to_string_lossy().into_owned()));
    world
}

#[test]
fn status_of_the_current_context() {
    let host = ApiServer::start();
    host.put("fleetsyncs", fleet_sync());
    let world = world(&host);
    insta::assert_snapshot!(world.run(&["status"]), @"
    fleetsync.kubectl-asm.io/shop in asm-system
      Source     https://(redacted)@git.example.com/shop.git (main)
      Revision   4f1c2aa  base
      Ready      True: 1 targets are at 4f1c2aa

    TARGET   READY   REVISION   OBJECTS   DRIFTED   HELD   MESSAGE
    mesh     True    4f1c2aa    3         0         0      3 objects at 4f1c2aa
    [0]
    ");
    let json = world.run(&["status", "shop", "-o", "json"]);
    assert_eq!(json.code, Some(0));
    assert!(!json.stdout.contains("hunter2") && !json.stdout.contains("managedFields"), "{json}");
    assert_eq!(world.run(&["status", "-o", "name"]).stdout, "fleetsync.kubectl-asm.io/shop\n");
    assert_eq!(world.run(&["status", "shopp"]).code, Some(2));
    assert_eq!(world.run(&["status", "-n", "elsewhere"]).code, Some(2));
    assert_eq!(world.run(&["status", "--context", "elsewhere"]).code, Some(2));
}

#[test]
fn nobody_answers() {
    let mut world = World::new();
    world.write("../config", &kubeconfig(&[("host", NOBODY)]));
    world.env.push(("KUBECONFIG".to_owned(), world.root().join("../config").to_string_lossy().into_owned()));
    for command in ["status", "drift", "sync", "suspend", "resume"] {
        let run = world.run(&[command]);
        assert_eq!(run.code, Some(3), "{command}\n{run}");
        assert!(run.stderr.contains("Connection refused") && !run.stderr.contains("Status {"), "{run}");
    }
}

#[test]
fn drift_with_and_without() {
    let host = ApiServer::start();
    host.put("fleetsyncs", fleet_sync());
    let world = world(&host);
    insta::assert_snapshot!(world.run(&["drift"]), @"
    ! no drift in 1 target
    [0]
    ");
    host.put("driftreports", drift_report());
    let run = world.run(&["drift"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(
        run.stdout.contains("VirtualService default/a   deleted") && run.stdout.contains("author not recorded"),
        "{run}"
    );
    assert!(run.stderr.contains("keeps no author of a deletion"), "{run}");
    assert_eq!(world.run(&["drift", "-o", "name"]).stdout, "mesh/default/virtualservice.networking.istio.io/a\n");
    assert_eq!(world.run(&["drift", "--target", "m1c9"]).code, Some(2));
}

#[test]
fn sync_waits_for_the_agent() {
    let host = ApiServer::reacting(Box::new(|sync| {
        let wish = sync["metadata"]["annotations"]["kubectl-asm.io/reconcile-at"].clone();
        sync["status"]["lastHandledReconcileAt"] = wish;
    }));
    host.put("fleetsyncs", fleet_sync());
    let world = world(&host);
    insta::assert_snapshot!(world.run(&["sync"]), @"
    TARGET   READY   REVISION   MESSAGE
    mesh     True    4f1c2aa    3 objects at 4f1c2aa
    fleetsync.kubectl-asm.io/shop synced
    [0]
    ");
    assert_eq!(world.run(&["sync", "--no-wait"]).to_string(), "fleetsync.kubectl-asm.io/shop asked to sync\n[0]");
    assert_eq!(world.run(&["sync", "--timeout", "soon"]).code, Some(2));
}

#[test]
fn sync_without_an_agent_ends_with_the_time() {
    let host = ApiServer::start();
    host.put("fleetsyncs", fleet_sync());
    let world = world(&host);
    let run = world.run(&["sync", "--timeout", "1s"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(
        run.stdout.ends_with("not handled by the agent yet\n") && run.stderr.contains("is the agent running?"),
        "{run}"
    );
}

#[test]
fn suspend_and_resume() {
    let host = ApiServer::start();
    host.put("fleetsyncs", fleet_sync());
    let world = world(&host);
    assert_eq!(world.run(&["suspend"]).to_string(), "fleetsync.kubectl-asm.io/shop suspended\n[0]");
    assert_eq!(world.run(&["suspend", "shop"]).to_string(), "fleetsync.kubectl-asm.io/shop suspended (unchanged)\n[0]");
    let status = world.run(&["status"]);
    assert!(status.stderr.contains("kubectl asm resume shop"), "{status}");
    let sync = world.run(&["sync"]);
    assert_eq!(sync.code, Some(2), "{sync}");
    assert_eq!(world.run(&["resume"]).to_string(), "fleetsync.kubectl-asm.io/shop resumed\n[0]");
    let writes: Vec<String> = host.requests().into_iter().filter(|request| !request.starts_with("GET")).collect();
    assert_eq!(writes.len(), 2, "{writes:?}");
}
