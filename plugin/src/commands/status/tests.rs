//! Whole pages, as people see them.

use super::*;
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn conditions(list: &[(&str, &str, &str, &str)]) -> Value {
    list.iter()
        .map(|(kind, status, reason, message)| {
            json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-03-01T11:00:00Z"})
        })
        .collect()
}

fn sync(spec: Value, status: Value) -> FleetSync {
    serde_json::from_value(json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync",
        "metadata": {"name": "shop", "namespace": "asm-system", "generation": 3},
        "spec": spec, "status": status
    }))
    .unwrap()
}

fn source() -> Value {
    json!({"source": {"url": "https://me:hunter2@git.example.com/shop.git", "branch": "main", "path": ""}})
}

fn read() -> Value {
    json!({
        "revision": "4f1c2aa6d3b1c9f0a5e47b8c6d2e1f3a4b5c6d7e", "subject": "reviews: all to v3",
        "author": "Ann <ann@example.com>", "seenAt": "2026-03-01T11:55:00Z"
    })
}

fn healthy() -> FleetSync {
    let ready = conditions(&[("Ready", "True", "Ready", "12 objects at 4f1c2aa")]);
    sync(
        source(),
        json!({
            "observedGeneration": 3,
            "conditions": conditions(&[("Ready", "True", "Ready", "2 targets are at 4f1c2aa")]),
            "source": read(),
            "targets": [
                {"name": "mesh", "revision": "4f1c2aa6d3b1c9f0a5e47b8c6d2e1f3a4b5c6d7e", "conditions": ready, "objects": 12},
                {"name": "m1c1", "revision": "4f1c2aa6d3b1c9f0a5e47b8c6d2e1f3a4b5c6d7e", "conditions": ready, "objects": 12}
            ]
        }),
    )
}

fn troubled() -> FleetSync {
    let mut spec = source();
    spec["drift"] = json!("Correct");
    sync(
        spec,
        json!({
            "observedGeneration": 3, "drifted": 2, "heldBack": 1, "problemCount": 12,
            "conditions": conditions(&[
                ("Ready", "False", "HeldBack", "m1c1: deleting Service istio-system/clb-2 waits for an approval"),
                ("Synced", "False", "HeldBack", "m1c1 is on the way"),
            ]),
            "source": read(),
            "problems": [{"at": "clusters/m1c1/a.yaml:3:5", "message": "`spec.ports[0].port` is missing"}],
            "targets": [
                {"name": "mesh", "conditions": conditions(&[("Ready", "Unknown", "NotSeen", "not looked at yet")]), "objects": 12},
                {
                    "name": "m1c1", "revision": "11aa22bb33cc44dd55ee66ff77aa88bb99cc00dd", "objects": 9, "drifted": 2, "heldBack": 1,
                    "problemCount": 1,
                    "conditions": conditions(&[("Ready", "False", "HeldBack", "deleting Service istio-system/clb-2 waits for an approval in Git")]),
                    "problems": [{"at": "Service default/x", "message": "spec.ports[0].nodePort: provided port is already allocated"}],
                    "held": [{
                        "action": "Delete", "kind": "Service", "namespace": "istio-system", "name": "clb-2", "uid": "u-1",
                        "addresses": ["198.51.100.7"], "message": "deletes the Service's load balancer and its address"
                    }]
                }
            ]
        }),
    )
}

#[test]
fn everything_is_well() {
    assert!(is_well(&healthy()));
    assert_eq!(next_step(&healthy()), None);
    insta::assert_snapshot!(of(&healthy(), now(), false));
}

#[test]
fn trouble() {
    let sync = troubled();
    assert!(!is_well(&sync));
    assert_eq!(next_step(&sync).as_deref(), Some("write the approval file above, commit it, and the agent goes on"));
    insta::assert_snapshot!(of(&sync, now(), false));
}

#[test]
fn trouble_in_full() {
    insta::assert_snapshot!(of(&troubled(), now(), true));
}

#[test]
fn the_mirror_and_the_signer_are_shown() {
    let mut sync = healthy();
    if let Some(source) = sync.status.as_mut().and_then(|status| status.source.as_mut()) {
        source.signed_by = Some("Ann <ann@example.com> (ssh-ed25519 SHA256:abc)\u{1b}[31m".to_owned());
        source.url = Some("https://me:hunter2@mirror.example.com/shop.git".to_owned());
    }
    insta::assert_snapshot!(of(&sync, now(), false), @r"
    fleetsync.kubectl-asm.io/shop in asm-system
      Source     https://(redacted)@git.example.com/shop.git (main)
      Revision   4f1c2aa  reviews: all to v3
                 Ann <ann@example.com>, seen 5m ago
      Signed by  Ann <ann@example.com> (ssh-ed25519 SHA256:abc)\u{1b}[31m
      Fetched    from https://(redacted)@mirror.example.com/shop.git (a mirror)
      Ready      True: 2 targets are at 4f1c2aa

    TARGET   READY   REVISION   OBJECTS   DRIFTED   HELD   MESSAGE
    mesh     True    4f1c2aa    12        0         0      12 objects at 4f1c2aa
    m1c1     True    4f1c2aa    12        0         0      12 objects at 4f1c2aa
    ");
    // The place that is meant needs no line, but in full.
    if let Some(source) = sync.status.as_mut().and_then(|status| status.source.as_mut()) {
        source.url = Some(sync.spec.source.url.clone());
    }
    assert!(!of(&sync, now(), false).contains("Fetched"));
    assert!(of(&sync, now(), true).contains("Fetched    from https://(redacted)@git.example.com/shop.git\n"));
}

#[test]
fn no_agent_yet_and_suspended() {
    let mut new = healthy();
    new.status = None;
    assert!(!is_well(&new));
    insta::assert_snapshot!(of(&new, now(), false), @"
    fleetsync.kubectl-asm.io/shop in asm-system
      Source     https://(redacted)@git.example.com/shop.git (main)
      Ready      Unknown: no agent has reported yet
    ");
    let mut suspended = healthy();
    suspended.spec.suspend = true;
    suspended.metadata.generation = Some(4);
    assert!(!is_well(&suspended));
    assert_eq!(next_step(&suspended).as_deref(), Some("applying is suspended; go on with: kubectl asm resume shop"));
    let page = of(&suspended, now(), false);
    assert!(page.contains("Suspended  nothing is applied") && page.contains("older spec"), "{page}");
}

#[test]
fn what_lint_holds_back_is_listed_with_rule_and_place() {
    let mut sync = healthy();
    if let Some(status) = &mut sync.status {
        status.held_by_lint = 2;
        status.targets[0].held_by_lint = 2;
        status.targets[0].lint = serde_json::from_value(json!([{
            "kind": "VirtualService.networking.istio.io", "namespace": "shop", "name": "web", "rule": "destination-host",
            "at": "mesh/routes/web.yaml:9:17",
            "message": "VirtualService shop/web is held back: no Service `wbe` in the namespace shop; did you mean `web`?"
        }]))
        .unwrap();
    }
    assert!(!is_well(&sync));
    assert!(next_step(&sync).unwrap().ends_with("kubectl asm lint"));
    insta::assert_snapshot!(of(&sync, now(), false), @"
    fleetsync.kubectl-asm.io/shop in asm-system
      Source     https://(redacted)@git.example.com/shop.git (main)
      Revision   4f1c2aa  reviews: all to v3
                 Ann <ann@example.com>, seen 5m ago
      Ready      True: 2 targets are at 4f1c2aa

    TARGET   READY   REVISION   OBJECTS   DRIFTED   HELD   MESSAGE
    mesh     True    4f1c2aa    12        0         2      12 objects at 4f1c2aa
    m1c1     True    4f1c2aa    12        0         0      12 objects at 4f1c2aa

    Held back by lint until mended in Git (2)
      mesh mesh/routes/web.yaml:9:17: VirtualService shop/web is held back: no Service `wbe` in the namespace shop; did you mean `web`? (destination-host)
      … and 1 more
    ");
}

#[test]
fn what_is_left_alone_is_counted_and_is_no_trouble() {
    let mut sync = healthy();
    if let Some(status) = &mut sync.status {
        status.frozen = 1;
    }
    assert!(is_well(&sync));
    let page = of(&sync, now(), false);
    assert!(
        page.contains("  Frozen     1 field is left alone by fleet.yaml; which and why: kubectl asm drift\n"),
        "{page}"
    );
}
