use super::*;
use serde_json::json;

fn violations(object: Value) -> Vec<String> {
    match judge(&object) {
        Verdict::Judged(violations) => {
            violations.into_iter().map(|found| format!("{}: {}", found.pointer, found.message)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_schema_is_taken_by_both_judges() {
    let mut kinds = 0;
    for set in &SETS {
        assert!(set.file().is_some(), "{:?}", set.version);
        let known = set.known();
        for ((group, kind), versions) in &known.kinds {
            assert!(set.has(group), "{group}");
            kinds += 1;
            for (versions, schema) in versions {
                let raw = schema.raw(&known.definitions);
                assert!(structure::Structure::compile(raw).is_some(), "{group} {kind} {versions:?}");
                let compiled = kube_cel::compile_schema(raw);
                assert!(!compiled.has_errors(), "{group} {kind}: {:?}", compiled.compilation_errors());
            }
        }
    }
    assert!(kinds > 100, "{kinds}");
}

#[test]
fn the_version_of_the_mesh_chooses_the_schema() {
    let source = |version| source(edition("networking.istio.io", version).unwrap(), version).unwrap();
    assert!(source(Some("1.22")).0.starts_with("Istio v1.22") && !source(Some("v1.22.6.71-g0a")).1);
    assert!(source(Some("1.23")).0.starts_with("Istio v1.22") && source(Some("1.23")).1);
    assert!(source(Some("1.2")).0.starts_with("Istio v1.20") && source(Some("1.99")).0.starts_with("Istio v1.31"));
    assert!(source(None).0.starts_with("Istio v1.31") && source(Some("latest")).0.starts_with("Istio v1.31"));
    let route = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"},
        "spec": {"hosts": ["a"]}});
    // v1 came with 1.22.
    assert!(matches!(judge_at(&route, Some("1.20")), Verdict::UnknownVersion(_)));
    assert!(matches!(judge_at(&route, Some("1.22")), Verdict::Judged(_)));
}

#[test]
fn the_version_of_a_cluster_chooses_the_schema() {
    let source = |version| source(edition("apps", version).unwrap(), version).unwrap();
    assert!(source(Some("1.28.3-aliyun.1")).0.starts_with("Kubernetes v1.28") && !source(Some("1.28.3-aliyun.1")).1);
    assert!(source(Some("1.24")).0.starts_with("Kubernetes v1.28") && source(Some("1.24")).1);
    assert!(source(None).0.starts_with("Kubernetes v1.34") && source(Some("1.99")).1);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {
        "containers": [{"name": "a", "lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}]}});
    // It came with 1.29.
    let Verdict::Judged(found) = judge_at(&pod, Some("1.28")) else { panic!() };
    assert_eq!(found[0].pointer, "/spec/containers/0/lifecycle/preStop/sleep");
    assert!(matches!(judge_at(&pod, Some("1.29")), Verdict::Judged(found) if found.is_empty()));
}

#[test]
fn routes_of_the_gateway_api_are_judged() {
    let route = |field: &str| {
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "a"},
            "spec": {field: [{"name": "edge"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}})
    };
    assert_eq!(violations(route("parentRefs")), Vec::<String>::new());
    assert!(!violations(route("parentRef")).is_empty());
}

#[test]
fn an_unknown_field_names_the_one_that_is_meant() {
    let object = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "a"},
        "spec": {"servers": [{"hosts": ["*"], "port": {"number": 80, "name": "http", "protcol": "HTTP"}}]},
    });
    let Verdict::Judged(found) = judge(&object) else { panic!() };
    let unknown =
        found.iter().find(|found| found.kind == ViolationKind::UnknownField).unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(
        (unknown.pointer.as_str(), unknown.meant.as_deref()),
        ("/spec/servers/0/port/protcol", Some("protocol"))
    );
    assert!(found.iter().any(|found| found.message == "the field `protocol` is missing"), "{found:?}");
}

#[test]
fn types_and_rules_are_judged_and_good_objects_pass() {
    let service = |port: Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
            "spec": {"ports": [{"port": port, "targetPort": "http"}], "type": "LoadBalancer"}})
    };
    assert_eq!(violations(service(json!(80))), Vec::<String>::new());
    assert_eq!(violations(service(json!("80"))), ["/spec/ports/0/port: it must be an integer, not a string"]);
    let route = |host: &str| {
        json!({"apiVersion": "networking.istio.io/v1beta1", "kind": "ServiceEntry", "metadata": {"name": "a"},
            "spec": {"hosts": [host]}})
    };
    assert_eq!(violations(route("a.example.com")), Vec::<String>::new());
    assert!(!violations(route("*")).is_empty());
}

#[test]
fn unknown_kinds_and_versions_are_said() {
    let of = |api_version: &str| json!({"apiVersion": api_version, "kind": "Gateway"});
    assert!(matches!(judge(&of("example.com/v1")), Verdict::UnknownKind));
    assert!(matches!(judge(&of("networking.istio.io/v9")), Verdict::UnknownVersion(_)));
}
