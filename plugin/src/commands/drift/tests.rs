//! Whole tables, as people see them.

use super::*;
use serde_json::{Value, json};

fn report(target: &str, status: Value) -> DriftReport {
    serde_json::from_value(json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "DriftReport",
        "metadata": {"name": format!("shop-{target}"), "namespace": "asm-system"},
        "spec": {"fleetSync": "shop", "target": target}, "status": status
    }))
    .unwrap()
}

fn sync(revision: &str) -> FleetSync {
    serde_json::from_value(json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync", "metadata": {"name": "shop", "namespace": "asm-system"},
        "spec": {"source": {"url": "https://git.example.com/shop.git"}},
        "status": {"source": {"revision": revision}, "targets": [{"name": "mesh"}, {"name": "m1c1"}]}
    }))
    .unwrap()
}

fn reports() -> Vec<DriftReport> {
    vec![
        report(
            "mesh",
            json!({"revision": "4f1c2aa0000", "total": 1, "objects": [{
                "kind": "VirtualService.networking.istio.io", "namespace": "default", "name": "bookinfo", "change": "Modified",
                "declaredAt": "mesh/routes.yaml:12:3", "since": "2026-03-01T11:50:00.000000Z", "moreFields": 2,
                "fields": [
                    {
                        "path": "spec.http[0].route[1].weight", "wanted": 10, "found": 50, "manager": "kubectl-edit",
                        "author": "Human", "operation": "Update", "time": "2026-03-01T11:49:58Z"
                    },
                    {"path": "metadata.labels[\"team\"]", "wanted": "shop", "note": "author not recorded: the API server keeps none for a removed field"}
                ]
            }]}),
        ),
        report(
            "m1c1",
            json!({"revision": "11aa22b0000", "total": 3, "objects": [
                {
                    "kind": "Service", "namespace": "istio-system", "name": "clb-2", "change": "Deleted",
                    "declaredAt": "clusters/m1c1/clb.yaml:1:1", "since": "2026-03-01T09:00:00.000000Z"
                },
                {
                    "kind": "Deployment.apps", "namespace": "default", "name": "details", "change": "Modified",
                    "declaredAt": "groups/all/details.yaml:1:1", "since": "2026-02-27T12:00:00.000000Z",
                    "fields": [{
                        "path": "spec.replicas", "wanted": 2, "found": 5, "manager": "kube-controller-manager",
                        "author": "Controller", "operation": "Update", "subresource": "scale"
                    }]
                }
            ]}),
        ),
    ]
}

#[test]
fn a_table_with_authors() {
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    insta::assert_snapshot!(rows::table(&reports(), now, false).render(false));
    insta::assert_snapshot!(rows::table(&reports(), now, true).render(false));
    insta::assert_snapshot!(rows::notes(&reports()).join("\n"), @"
    mesh VirtualService default/bookinfo: 2 more fields differ
    m1c1 Service istio-system/clb-2: the Kubernetes API keeps no author of a deletion
    m1c1: 1 more objects differ
    ");
    insta::assert_snapshot!(rows::names(&reports()), @"
    mesh/default/virtualservice.networking.istio.io/bookinfo
    m1c1/istio-system/service/clb-2
    m1c1/default/deployment.apps/details
    ");
}

#[test]
fn a_table_fits_a_narrow_terminal_and_names_users_before_managers() {
    let mut table = rows::table(&reports(), "2026-03-01T12:00:00Z".parse().unwrap(), false);
    table.fit(100, rows::LEAST, rows::LONG);
    let text = table.render(false);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("kubectl-edit") && text.contains("not recorded"), "{text}");
    let seen = report(
        "mesh",
        json!({"total": 2, "objects": [
            {
                "kind": "ConfigMap", "namespace": "shop", "name": "web", "change": "Modified", "declaredAt": "a.yaml:1:1",
                "since": "2026-03-01T11:50:00.000000Z", "fields": [
                    {"path": "data.a", "wanted": "1", "user": "alice"},
                    {"path": "data.b", "wanted": "1", "found": "2", "user": "bob", "manager": "kubectl-edit"}
                ]
            },
            {
                "kind": "ConfigMap", "namespace": "shop", "name": "gone", "change": "Deleted", "declaredAt": "a.yaml:1:1",
                "since": "2026-03-01T11:50:00.000000Z", "user": "carol"
            }
        ]}),
    );
    let text = rows::table(&[seen], "2026-03-01T12:00:00Z".parse().unwrap(), false).render(false);
    let found = ["alice", "bob (kubectl-edit)", "carol"].iter().all(|name| text.contains(name));
    assert!(found && !text.contains("not recorded"), "{text}");
}

#[test]
fn old_reports_are_told() {
    assert_eq!(
        warnings(&sync("4f1c2aa0000"), &reports()),
        ["m1c1: compared with 11aa22b, but the agent has read 4f1c2aa by now"]
    );
}

#[test]
fn a_target_that_nobody_knows_is_an_error() {
    let error = check_targets(&sync("x"), &reports(), &["m1c2".to_owned()]).unwrap_err();
    assert_eq!(error.message, "FleetSync shop has no target m1c2");
    assert!(check_targets(&sync("x"), &reports(), &["m1c1".to_owned()]).is_ok());
}
