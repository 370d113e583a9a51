use crate::diff::{FieldChange, between, missing_from};
use serde_json::{Value, json};

/// `path  before → after`, one line per change.
fn lines(changes: &[FieldChange]) -> String {
    let show = |value: &Option<Value>| value.as_ref().map_or_else(|| "·".to_owned(), Value::to_string);
    let lines: Vec<String> =
        changes.iter().map(|c| format!("{}  {} → {}", c.path, show(&c.before), show(&c.after))).collect();
    lines.join("\n")
}

fn route(spec: Value) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a", "namespace": "b"}, "spec": spec})
}

fn deployment(pod: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec": pod}}})
}

fn service(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec})
}

fn gateway(spec: Value) -> Value {
    json!({"apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway", "metadata": {"name": "a"}, "spec": spec})
}

#[test]
fn inner_path_of_an_atomic_list() {
    let to = |weights: [u32; 2]| {
        let route: Vec<Value> = weights.iter().map(|w| json!({"destination": {"host": "x"}, "weight": w})).collect();
        json!({"http": [{"route": route}]})
    };
    let (git, live) = (route(to([90, 10])), route(to([50, 50])));
    insta::assert_snapshot!(lines(&missing_from(&git, &live)), @"
    spec.http[0].route[0].weight  90 → 50
    spec.http[0].route[1].weight  10 → 50
    ");
    let mut mirrored = git.clone();
    mirrored["spec"]["http"][0]["mirror"] = json!({"host": "spy"});
    insta::assert_snapshot!(lines(&missing_from(&git, &mirrored)), @r#"spec.http[0].mirror  · → {"host":"spy"}"#);
}

#[test]
fn an_inserted_route_is_one_change() {
    let http = |hosts: &[&str]| -> Value {
        hosts.iter().map(|host| json!({"match": [{"uri": {"prefix": format!("/{host}")}}], "route": [{"destination": {"host": host}}]})).collect()
    };
    let before = route(json!({"http": http(&["a", "b", "c"])}));
    let after = route(json!({"http": http(&["a", "new", "b", "c"])}));
    insta::assert_snapshot!(lines(&between(&before, &after)), @r#"spec.http[1]  · → {"match":[{"uri":{"prefix":"/new"}}],"route":[{"destination":{"host":"new"}}]}"#);
    // Together with a changed neighbour the alignment still finds the smallest story.
    let mut after = after;
    after["spec"]["http"][2]["timeout"] = json!("3s");
    after["spec"]["http"][2]["route"][0]["weight"] = json!(100);
    insta::assert_snapshot!(lines(&between(&before, &after)), @r#"
    spec.http[1]  · → {"match":[{"uri":{"prefix":"/new"}}],"route":[{"destination":{"host":"new"}}]}
    spec.http[2].timeout  · → "3s"
    "#);
}

#[test]
fn same_meaning_is_no_difference() {
    let same = |a: Value, b: Value| assert_eq!(lines(&between(&a, &b)), "");
    same(
        route(
            json!({"hosts": ["a", "b"], "gateways": ["x", "mesh"], "http": [{"timeout": "1s", "route": [{"destination": {"host": "x"}}]}]}),
        ),
        route(
            json!({"hosts": ["b", "a"], "gateways": ["mesh", "x"], "http": [{"timeout": "1000ms", "route": [{"destination": {"host": "x"}, "weight": 100}]}]}),
        ),
    );
    same(
        gateway(
            json!({"resources": {"limits": {"cpu": 2, "memory": "2G"}}, "ports": [{"name": "http", "port": 80}], "clusterIds": ["a", "b"]}),
        ),
        gateway(json!({
            "resources": {"limits": {"cpu": "2000m", "memory": "2000M"}},
            "ports": [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP", "nodePort": 0}], "clusterIds": ["b", "a"],
            "cpu": {}, "kernel": {"parameters": {}}, "replicaCount": 0, "autoscaleEnabled": false, "readinessProbe": {"periodSeconds": 0}
        })),
    );
    same(
        service(json!({"ports": [{"port": 80}, {"port": 443}]})),
        service(
            json!({"ports": [{"port": 443, "protocol": "TCP"}, {"port": 80, "targetPort": 80}], "type": "ClusterIP"}),
        )
        .pointer_mut("/spec/ports")
        .map(|ports| {
            ports.as_array_mut().unwrap().reverse();
            service(json!({"ports": ports, "type": "ClusterIP"}))
        })
        .unwrap(),
    );
    let subset = |names: &[&str]| -> Value {
        json!({
            "apiVersion": "networking.istio.io/v1alpha3", "kind": "DestinationRule", "metadata": {"name": "a"},
            "spec": {"subsets": names.iter().map(|name| json!({"name": name})).collect::<Value>()}
        })
    };
    same(subset(&["v1", "v2"]), subset(&["v2", "v1"]));
}

#[test]
fn pointers_to_false_and_empty_maps_of_istio_say_something() {
    let before = gateway(json!({}));
    insta::assert_snapshot!(lines(&between(&before, &gateway(json!({"runAsRoot": false})))), @"spec.runAsRoot  · → false");
    let rule = |policy: Value| json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "a"}, "spec": {"trafficPolicy": policy}});
    insta::assert_snapshot!(lines(&between(&rule(json!({"outlierDetection": {}})), &rule(json!({})))), @"spec.trafficPolicy.outlierDetection  {} → ·");
}

#[test]
fn others_work_beside_ours_is_no_drift() {
    let git = deployment(json!({"containers": [{"name": "app", "image": "x", "env": [{"name": "A", "value": "1"}]}]}));
    let live = deployment(json!({
        "containers": [
            {"name": "istio-proxy", "image": "y"},
            {"name": "app", "image": "x", "imagePullPolicy": "Always", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
        ],
        "restartPolicy": "Always"
    }));
    assert_eq!(lines(&missing_from(&git, &live)), "");
    let mut git = service(json!({"ports": [{"port": 80}]}));
    let live = service(
        json!({"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30001}, {"port": 443}], "clusterIP": "1.2.3.4"}),
    );
    assert_eq!(lines(&missing_from(&git, &live)), "");
    // A selector has one owner as a whole: an added key is somebody's change of our value.
    git["spec"]["selector"] = json!({"app": "x"});
    let mut narrowed = live.clone();
    narrowed["spec"]["selector"] = json!({"app": "x", "version": "v2"});
    insta::assert_snapshot!(lines(&missing_from(&git, &narrowed)), @r#"spec.selector.version  · → "v2""#);
}

#[test]
fn keyed_elements_are_told_by_name() {
    let git = deployment(
        json!({"containers": [{"name": "details", "image": "x:1", "ports": [{"containerPort": 9080}]}], "volumes": [{"name": "tmp", "emptyDir": {}}]}),
    );
    let live = deployment(json!({"containers": [{"name": "details", "image": "x:2"}]}));
    insta::assert_snapshot!(lines(&missing_from(&git, &live)), @r#"
    spec.template.spec.containers[details].image  "x:1" → "x:2"
    spec.template.spec.containers[details].ports  [{"containerPort":9080}] → ·
    spec.template.spec.volumes  [{"emptyDir":{},"name":"tmp"}] → ·
    "#);
    let (git, live) = (service(json!({"ports": [{"port": 9090}]})), service(json!({"ports": [{"port": 9191}]})));
    insta::assert_snapshot!(lines(&missing_from(&git, &live)), @r#"spec.ports[port=9090,protocol=TCP]  {"port":9090} → ·"#);
}

#[test]
fn another_order_of_keyed_elements_is_one_change() {
    let with = |names: &[&str]| {
        let env: Value = names.iter().map(|name| json!({"name": name, "value": "1"})).collect();
        deployment(json!({"containers": [{"name": "app", "env": env}]}))
    };
    insta::assert_snapshot!(
        lines(&missing_from(&with(&["A", "B"]), &with(&["B", "X", "A"]))),
        @r#"spec.template.spec.containers[app].env  ["A","B"] → ["B","A"]"#
    );
}

#[test]
fn another_order_is_told_beside_changed_elements_where_it_means_something() {
    let with = |list: &str, elements: &[(&str, &str)]| {
        let elements: Value = elements.iter().map(|(name, image)| json!({"name": name, "image": image})).collect();
        deployment(json!({list: elements}))
    };
    let (before, after) =
        ([("one", "x:1"), ("two", "x:1"), ("old", "x:1")], [("two", "x:2"), ("new", "x:1"), ("one", "x:1")]);
    insta::assert_snapshot!(lines(&between(&with("initContainers", &before), &with("initContainers", &after))), @r#"
    spec.template.spec.initContainers[two].image  "x:1" → "x:2"
    spec.template.spec.initContainers[old]  {"image":"x:1","name":"old"} → ·
    spec.template.spec.initContainers[new]  · → {"image":"x:1","name":"new"}
    spec.template.spec.initContainers  ["one","two"] → ["two","one"]
    "#);
    // Containers start side by side.
    let (before, after) = ([("one", "x:1"), ("two", "x:1")], [("two", "x:2"), ("one", "x:1")]);
    insta::assert_snapshot!(
        lines(&between(&with("containers", &before), &with("containers", &after))),
        @r#"spec.template.spec.containers[two].image  "x:1" → "x:2""#
    );
    // Applied, it is what was announced.
    let kind = crate::object::GroupKind::new("apps", "Deployment");
    let (before, after) = (with("initContainers", &before), with("initContainers", &after));
    assert_eq!(crate::diff::apply(&kind, &before, &between(&before, &after)), after);
}

#[test]
fn maps_with_free_keys_are_told_key_by_key() {
    let git = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"a/b": "1", "c": "2"}}, "data": {"k": "v"}});
    let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "x"}});
    insta::assert_snapshot!(lines(&missing_from(&git, &live)), @r#"
    data.k  "v" → ·
    metadata.labels["a/b"]  "1" → ·
    metadata.labels.c  "2" → ·
    "#);
}

#[test]
fn secrets_written_as_string_data_are_compared_as_data() {
    let git =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"a": "x", "b": "y"}});
    let live =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "eA==", "b": "eg=="}});
    insta::assert_snapshot!(lines(&missing_from(&git, &live)), @r#"data.b  "eQ==" → "eg==""#);
}

#[test]
fn one_value_of_a_set_comes_and_another_goes() {
    let (before, after) = (route(json!({"hosts": ["a", "b"]})), route(json!({"hosts": ["c", "a"]})));
    insta::assert_snapshot!(lines(&between(&before, &after)), @r#"
    spec.hosts[1]  "b" → ·
    spec.hosts[0]  · → "c"
    "#);
}

#[test]
fn defaults_beside_our_fields_inside_atomic_lists_are_no_drift() {
    let set = |template: Value| json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a"}, "spec": {"volumeClaimTemplates": [template]}});
    let git = set(json!({"metadata": {"name": "d"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}));
    let live = set(json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "d", "creationTimestamp": null},
        "spec": {"resources": {"requests": {"storage": "1024Mi"}}, "volumeMode": "Filesystem"}, "status": {"phase": "Pending"}
    }));
    assert_eq!(lines(&missing_from(&git, &live)), "");
}

#[test]
fn zeroes_that_go_drops_are_no_drift_but_pointers_are() {
    let container = |value: Value| deployment(json!({"hostNetwork": false, "containers": [value]}));
    let git = container(json!({
        "name": "app", "env": [{"name": "A", "value": ""}], "readinessProbe": {"initialDelaySeconds": 0},
        "securityContext": {"allowPrivilegeEscalation": false}
    }));
    let mut live = deployment(
        json!({"containers": [{"name": "app", "env": [{"name": "A"}], "readinessProbe": {"periodSeconds": 10}, "securityContext": {}}]}),
    );
    live["spec"]["template"]["spec"]["serviceAccount"] = json!("x");
    insta::assert_snapshot!(
        lines(&missing_from(&git, &live)),
        @"spec.template.spec.containers[app].securityContext.allowPrivilegeEscalation  false → ·"
    );
}

/// What is compared by what it means, one row each: kind, two texts of the same, one that is something else.
#[test]
fn values_are_compared_by_their_type() {
    let rule = |connect: Value| json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "a"}, "spec": {"trafficPolicy": {"connectionPool": {"tcp": {"connectTimeout": connect}}}}});
    let entry = |hosts: Value| json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "a"}, "spec": {"hosts": hosts}});
    let memory =
        |amount: Value| deployment(json!({"containers": [{"name": "a", "resources": {"limits": {"memory": amount}}}]}));
    let target = |port: Value| service(json!({"ports": [{"port": 80, "targetPort": port}]}));
    let probe = |port: Value| {
        deployment(json!({"containers": [{"name": "a", "readinessProbe": {"httpGet": {"path": "/", "port": port}}}]}))
    };
    let routes = |hosts: [&str; 2]| {
        route(json!({"http": hosts.map(|host| json!({"route": [{"destination": {"host": host}}]}))}))
    };
    let rows: [(&str, Value, Value, Value); 8] = [
        ("quantity", memory(json!("2Gi")), memory(json!("2048Mi")), memory(json!("2G"))),
        ("quantity as a number", memory(json!("1k")), memory(json!(1000)), memory(json!(1024))),
        ("duration", rule(json!("1m30s")), rule(json!("90s")), rule(json!("90ms"))),
        ("int-or-string", target(json!(80)), target(json!(80.0)), target(json!("80"))),
        ("int-or-string of a probe", probe(json!("http")), probe(json!("http")), probe(json!(80))),
        ("hosts as a set", entry(json!(["a", "b"])), entry(json!(["b", "a"])), entry(json!(["a", "c"]))),
        ("default", target(json!(80)), service(json!({"ports": [{"port": 80, "protocol": "TCP"}]})), target(json!(81))),
        ("routes as an ordered list", routes(["a", "b"]), routes(["a", "b"]), routes(["b", "a"])),
    ];
    for (what, value, same, other) in rows {
        assert_eq!(lines(&between(&value, &same)), "", "{what}");
        assert_eq!(lines(&missing_from(&value, &same)), "", "{what}");
        assert_ne!(lines(&between(&value, &other)), "", "{what}");
        assert_ne!(lines(&missing_from(&value, &other)), "", "{what}");
    }
}

#[test]
fn a_port_is_known_by_its_name_and_by_its_number() {
    let ports = |ports: Value| service(json!({"ports": ports}));
    let before = ports(json!([{"name": "http", "port": 9080}, {"name": "admin", "port": 15000}]));
    let moved = ports(json!([{"name": "admin", "port": 15000}, {"name": "http", "port": 9090}]));
    insta::assert_snapshot!(lines(&between(&before, &moved)), @"spec.ports[http].port  9080 → 9090");
    let renamed = ports(json!([{"name": "web", "port": 9080}, {"name": "admin", "port": 15000}]));
    insta::assert_snapshot!(lines(&between(&before, &renamed)), @r#"spec.ports[port=9080,protocol=TCP].name  "http" → "web""#);
    // A live port of another number is another port: applying adds ours beside it.
    insta::assert_snapshot!(lines(&missing_from(&before, &moved)), @r#"spec.ports[port=9080,protocol=TCP]  {"name":"http","port":9080} → ·"#);
}
