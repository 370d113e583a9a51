//! A fleet that people made with kubectl comes into Git, and the agent takes it over without changing anything but labels.

use anyhow::{Context as _, Result, ensure};
use asm_lab::kubectl::{kubectl_apply, kubectl_apply_folder, kubectl_create};
use asm_lab::story::{PATIENCE, Story, api};
use asm_lab::{Lab, LabOptions, MESH, users, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The fleet before it is in Git: written by commands into a folder that nobody commits, applied by hand from there.
/// A serverless gateway, Bookinfo over two clusters, a gateway with several CLBs, two gateways that share one Gateway.
const AUTHOR: &[&[&str]] = &[
    &["init", "shop"],
    &["cluster", "add", "m1c1", "--id", "M1C1"],
    &["cluster", "add", "m1c2", "--id", "M1C2"],
    &["gateway", "create", "ingressgateway", "--serverless"],
    &["app", "add", "bookinfo", "--preset", "split", "--service-annotation", "productpage:example.com/owner=web-team"],
    &[
        "route",
        "add",
        "bookinfo",
        "--gateway",
        "bookinfo-gateway",
        "--create-gateway",
        "--selector",
        "istio=ingressgateway",
        "--host",
        "*",
        "--match",
        "exact:/productpage",
        "--to",
        "productpage:9080",
    ],
    &["route", "split", "reviews", "--subset", "v1,v2,v3", "--to", "v1=30,v2=30,v3=40"],
    &["gateway", "create", "door", "--cluster", "m1c1,m1c2", "--address-type", "internet"],
    &[
        "clb",
        "add",
        "--gateway",
        "door",
        "--cluster",
        "m1c1",
        "--internet",
        "--spec",
        "slb.s1.small",
        "--charge-type",
        "PayBySpec",
        "--port",
        "http-0=80:80:30544",
        "--port",
        "https-2=443:443:30682",
    ],
    &["gateway", "create", "edge-a", "--cluster", "m1c1"],
    &["gateway", "create", "edge-b", "--cluster", "m1c2", "--address-type", "intranet"],
    &[
        "gateway",
        "share",
        "--label",
        "key1=value1",
        "edge-a",
        "edge-b",
        "--gateway",
        "shared",
        "--create-gateway",
        "--port",
        "80",
        "--host",
        "shared.example.com",
    ],
];

/// Kinds whose objects must not change: context, version, kind, plural.
const KINDS: &[(&str, &str, &str, &str)] = &[
    ("mesh", "istio.alibabacloud.com/v1beta1", "IstioGateway", "istiogateways"),
    ("mesh", "networking.istio.io/v1beta1", "Gateway", "gateways"),
    ("mesh", "networking.istio.io/v1beta1", "VirtualService", "virtualservices"),
    ("mesh", "networking.istio.io/v1beta1", "DestinationRule", "destinationrules"),
    ("mesh", "networking.istio.io/v1beta1", "ServiceEntry", "serviceentries"),
    ("mesh", "networking.istio.io/v1alpha3", "EnvoyFilter", "envoyfilters"),
    ("mesh", "security.istio.io/v1beta1", "AuthorizationPolicy", "authorizationpolicies"),
    ("members", "v1", "Service", "services"),
    ("members", "v1", "ServiceAccount", "serviceaccounts"),
    ("members", "v1", "ConfigMap", "configmaps"),
    ("members", "apps/v1", "Deployment", "deployments"),
    ("members", "apps/v1", "StatefulSet", "statefulsets"),
];

/// Every object of those kinds by context, kind, namespace and name.
async fn everything(lab: &Lab) -> Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for (place, version, kind, plural) in KINDS {
        let contexts: &[&str] = if *place == "mesh" { &["mesh"] } else { &["m1c1", "m1c2"] };
        for context in contexts {
            for object in api(lab, context, version, kind, plural, None)?.list(&Default::default()).await? {
                let (namespace, name) = (object.metadata.namespace.clone(), object.metadata.name.clone());
                let key = format!("{context} {kind} {}/{}", namespace.unwrap_or_default(), name.unwrap_or_default());
                found.insert(key, serde_json::to_value(object)?);
            }
        }
    }
    Ok(found)
}

/// An object without what moves at every write: what is left may only gain the agent's label.
fn lasting(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    object.as_object_mut().map(|object| object.remove("status"));
    if let Some(labels) = object["metadata"].get_mut("labels").and_then(Value::as_object_mut) {
        labels.remove("applyset.kubernetes.io/part-of");
        if labels.is_empty()
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.remove("labels");
        }
    }
    object
}

/// What people and their tools made besides.
async fn more(lab: &Lab) -> Result<()> {
    let (mesh, m1c1, m1c2) = (lab.client(MESH)?, lab.client("m1c1")?, lab.client("m1c2")?);
    let istio = |group: &str, kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec,
        })
    };
    for object in [
        istio(
            "networking.istio.io/v1beta1",
            "ServiceEntry",
            "bank",
            json!({
                "hosts": ["bank.example.com"], "location": "MESH_EXTERNAL", "resolution": "DNS",
                "ports": [{"number": 443, "name": "https", "protocol": "TLS"}],
            }),
        ),
        istio(
            "networking.istio.io/v1alpha3",
            "EnvoyFilter",
            "lua",
            json!({"configPatches": [{
                "applyTo": "HTTP_FILTER", "match": {"context": "GATEWAY"},
                "patch": {"operation": "INSERT_BEFORE", "value": {"name": "lua", "typed_config": {
                    "inline": "function envoy_on_request(h)\n  -- 订单 'x' \"y\": #1\nend\n"
                }}},
            }]}),
        ),
    ] {
        kubectl_apply(&mesh, &object).await?;
    }
    // The console writes by Update and leaves no annotation.
    let policy = istio(
        "security.istio.io/v1beta1",
        "AuthorizationPolicy",
        "reviews-viewer",
        json!({"selector": {"matchLabels": {"app": "reviews"}}, "rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}),
    );
    kubectl_create(&mesh, &policy, users::CONSOLE).await?;
    let gateway = json!({
        "apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway",
        "metadata": {"name": "clicked", "namespace": "istio-system"},
        "spec": {
            "gatewayType": "ingress", "clusterIds": [lab.cluster_id("m1c1")], "serviceType": "ClusterIP",
            "replicaCount": 1, "cpu": {}, "memory": {}, "kernel": {"parameters": {}},
            "ports": [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}],
        },
    });
    kubectl_create(&mesh, &gateway, users::CONSOLE).await?;
    let labels = json!({"app": "ledger"});
    let container = json!({
        "name": "ledger", "image": "registry.example.com/ledger", "ports": [{"containerPort": 5432}],
        "readinessProbe": {"tcpSocket": {"port": 5432}},
        "env": [
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "ledger", "key": "password"}}},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "settings", "mountPath": "/settings"}],
    });
    let stateful = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "ledger", "namespace": "default", "labels": labels},
        "spec": {
            "serviceName": "ledger", "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "containers": [container],
                "volumes": [{"name": "settings", "configMap": {"name": "ledger"}}],
            }},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            }}],
        },
    });
    let headless = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "ledger", "namespace": "default"},
        "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 5432, "name": "tcp"}]},
    });
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ledger", "namespace": "default"},
        "data": {"motd": "你好\n  'quoted' \"twice\"\n\n# not a comment: yes\n", "on": "off", "number": "0644"},
    });
    for object in [&settings, &headless] {
        kubectl_apply(&m1c2, object).await?;
    }
    kubectl_create(&m1c2, &stateful, users::CONSOLE).await?;
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "details", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "details-v1"},
            "minReplicas": 1, "maxReplicas": 3,
        },
    });
    kubectl_apply(&m1c2, &scaler).await?;
    // Not ours: Helm's, and a load balancer of the cluster itself.
    let mut helm = settings.clone();
    helm["kind"] = "Service".into();
    helm["metadata"] = json!({
        "name": "charted", "namespace": "default", "annotations": {"meta.helm.sh/release-name": "charted"},
    });
    helm["spec"] = json!({"type": "LoadBalancer", "selector": {"app": "charted"}, "ports": [{"port": 80}]});
    helm.as_object_mut().map(|object| object.remove("data"));
    kubectl_create(&m1c1, &helm, "helm").await?;
    let mut system = helm.clone();
    system["metadata"] = json!({"name": "nginx-ingress-lb", "namespace": "kube-system"});
    kubectl_create(&m1c1, &system, "ack").await?;
    Ok(())
}

/// Waits until nothing moves any more: every load balancer has its address, every workload its pods.
async fn settled(lab: &Lab) -> Result<BTreeMap<String, Value>> {
    wait_for("the fleet is at rest", PATIENCE, || async {
        let all = everything(lab).await?;
        let is_ready = |(key, object): (&String, &Value)| {
            let status = &object["status"];
            if key.contains(" IstioGateway ") {
                status["Status"] == "Running"
            } else if key.contains(" Deployment ") {
                status["availableReplicas"] == object["spec"]["replicas"]
                    && status["observedGeneration"] == object["metadata"]["generation"]
            } else {
                object["spec"]["type"] != "LoadBalancer" || status["loadBalancer"]["ingress"].is_array()
            }
        };
        Ok(all.iter().all(is_ready).then_some(all))
    })
    .await
}

/// What the cloud controller has told of Services, and how often.
async fn cloud_events(lab: &Lab) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for context in ["m1c1", "m1c2"] {
        for event in api(lab, context, "v1", "Event", "events", None)?.list(&Default::default()).await? {
            if event.data["involvedObject"]["kind"] == "Service" {
                told.push(format!("{context} {} {}", event.metadata.name.unwrap_or_default(), event.data["count"]));
            }
        }
    }
    told.sort();
    Ok(told)
}

/// What the plugin asked an API server since a mark.
async fn asked(lab: &Lab, context: &str, mark: asm_lab::AuditMark) -> Result<Vec<String>> {
    let entries = lab.audit_since(context, mark).await?;
    let plugins = entries.iter().filter(|entry| entry.user == users::ADMIN && !entry.user_agent.ends_with("/lab"));
    Ok(plugins.map(|entry| entry.verb.clone()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_fleet_comes_into_git_and_is_taken_over_without_a_change() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let by_hand = Story::begin(&lab)?;
    for command in AUTHOR {
        by_hand.plugin_ok(command)?;
    }
    for (context, folder) in [("mesh", "mesh"), ("m1c1", "clusters/m1c1"), ("m1c2", "clusters/m1c2")] {
        kubectl_apply_folder(&lab.client(context)?, &by_hand.dir().join(folder)).await?;
    }
    more(&lab).await?;
    let before = settled(&lab).await?;
    let syncs = |context: &str| lab.cloud(context).syncs();
    let synced = [syncs("m1c1"), syncs("m1c2")];
    let events = cloud_events(&lab).await?;
    ensure!(!events.is_empty(), "the cloud controller tells of what it does");

    // Into Git, reading only.
    let mut story = Story::begin(&lab)?;
    let mut marks = Vec::new();
    for context in ["mesh", "m1c1", "m1c2"] {
        marks.push((context, lab.audit_mark(context).await?));
    }
    let import = ["import", "shop", "--cluster", "m1c1", "--cluster", "m1c2", "--workloads", "app", "--config-maps"];
    let report: Value = serde_json::from_str(&story.plugin_ok(&[&import[..], &["-o", "json"]].concat())?)?;
    for (context, mark) in marks {
        let verbs = asked(&lab, context, mark).await?;
        ensure!(!verbs.is_empty() && verbs.iter().all(|verb| verb == "list" || verb == "get"), "{context}: {verbs:?}");
    }
    as_expected(&story, &report)?;
    let lint = story.plugin(&["lint", "--severity", "warning"])?;
    ensure!(lint.status.success(), "what was imported is not clean:\n{}", String::from_utf8_lossy(&lint.stdout));
    only_these_namespaces(&lab)?;
    let again = story.plugin_ok(&["import", "--workloads", "app", "--config-maps", "-o", "json"])?;
    let again: Value = serde_json::from_str(&again)?;
    ensure!(again["files"] == json!([]) && again["imported"] == json!([]), "{again:#}");
    let diff = story.plugin(&["diff", "--live"])?;
    ensure!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));

    // Taken over.
    let revision = story.commit_and_push("what runs")?;
    story.install(json!({"drift": "Report"})).await?;
    story.start_agent()?;
    let sync = story.wait_ready(&revision).await?;
    ensure!(sync["status"]["drifted"].as_u64().unwrap_or_default() == 0, "{sync:#}");
    let after = everything(&lab).await?;
    let mut taken_over = 0;
    for (key, old) in &before {
        let new = after.get(key).with_context(|| format!("{key} is gone"))?;
        ensure!(lasting(old) == lasting(new), "{key} has changed:\n{old:#}\n{new:#}");
        taken_over += usize::from(new["metadata"]["labels"]["applyset.kubernetes.io/part-of"].is_string());
    }
    let imported = report["imported"].as_array().into_iter().flatten();
    let imported: usize = imported.map(|object| object["targets"].as_array().map_or(0, Vec::len)).sum();
    ensure!(taken_over == imported, "{taken_over} of {imported} were taken over");
    ensure!(
        [syncs("m1c1"), syncs("m1c2")].iter().map(Vec::len).eq(synced.iter().map(Vec::len)),
        "a load balancer was synchronised anew"
    );

    ensure!(cloud_events(&lab).await? == events, "the cloud controller has something to tell");

    let diff = story.plugin(&["diff", "--live"])?;
    ensure!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
    let again = story.plugin_ok(&["import", "--workloads", "app", "--config-maps", "-o", "json"])?;
    let again: Value = serde_json::from_str(&again)?;
    ensure!(again["leftOut"] == report["leftOut"], "what is in Git is not left out: {:#}", again["leftOut"]);
    ensure!(story.git(&["status", "--porcelain"])?.is_empty(), "the second import wrote something");
    what_leaves_git_goes(&lab, &story).await
}

/// What kubectl once set is Git's now: a field, an element and a label that leave Git go, although kubectl set them too.
async fn what_leaves_git_goes(lab: &Lab, story: &Story<'_>) -> Result<()> {
    let file = "clusters/m1c2/apps/productpage.yaml";
    let text = std::fs::read_to_string(story.dir().join(file))?;
    let fewer =
        text.replace("  annotations:\n    example.com/owner: web-team\n", "").replace("    service: productpage\n", "");
    ensure!(fewer.len() + 60 < text.len(), "{text}");
    story.write(file, &fewer)?;
    let revision = story.commit_and_push("nobody owns productpage")?;
    story.wait_ready(&revision).await?;
    let service = api(lab, "m1c2", "v1", "Service", "services", Some("default"))?.get("productpage").await?;
    let annotations = service.metadata.annotations.unwrap_or_default();
    ensure!(!annotations.contains_key("example.com/owner"), "the annotation is still there");
    ensure!(!service.metadata.labels.unwrap_or_default().contains_key("service"), "the label is still there");
    Ok(())
}

/// With -n nothing else is read. A name that no API server has is no error: it holds nothing.
fn only_these_namespaces(lab: &Lab) -> Result<()> {
    let elsewhere = Story::begin(lab)?;
    let import = ["import", "x", "--cluster", "m1c1", "--workloads", "app", "-n", "default,nowhere", "--dry-run"];
    let report: Value = serde_json::from_str(&elsewhere.plugin_ok(&[&import[..], &["-o", "json"]].concat())?)?;
    let imported = report["imported"].as_array().context("no list of what was imported")?;
    ensure!(imported.len() > 5 && imported.iter().all(|object| object["namespace"] == "default"), "{imported:#?}");
    ensure!(std::fs::read_dir(elsewhere.dir())?.next().is_none(), "a dry run wrote something");
    Ok(())
}

/// The files are those that commands would have written; what is not imported is named.
fn as_expected(story: &Story<'_>, report: &Value) -> Result<()> {
    let fleet = std::fs::read_to_string(story.dir().join("fleet.yaml"))?;
    for cluster in ["m1c1", "m1c2"] {
        let id = story.lab.cluster_id(cluster);
        ensure!(fleet.contains(&id), "the ID of {cluster} was not found:\n{fleet}");
    }
    for file in [
        "mesh/gateways/ingressgateway.yaml",
        "mesh/gateways/door.yaml",
        "mesh/routes/bookinfo.yaml",
        "mesh/routes/reviews.yaml",
        "mesh/envoyfilters/lua.yaml",
        "clusters/m1c1/gateways/istio-door-2.yaml",
        "clusters/m1c2/apps/ledger.yaml",
        "groups/all/apps/ratings.yaml",
    ] {
        ensure!(story.dir().join(file).is_file(), "{file} is missing: {:#}", report["files"]);
    }
    let details = std::fs::read_to_string(story.dir().join("clusters/m1c2/apps/details.yaml"))?;
    ensure!(!details.contains("replicas"), "an autoscaler has them:\n{details}");
    let second = std::fs::read_to_string(story.dir().join("clusters/m1c1/gateways/istio-door-2.yaml"))?;
    ensure!(
        second.contains("nodePort: 30544") && !second.contains("hash") && !second.contains("clusterIP"),
        "{second}"
    );
    let left_out = report["leftOut"].as_array().context("no list of what was left out")?;
    let is_there = |kind: &str, name: &str, reason: &str| {
        left_out.iter().any(|object| object["kind"] == kind && object["name"] == name && object["reason"] == reason)
    };
    for (kind, name, reason) in [
        ("Service", "istio-door", "generated"),
        ("Deployment", "istio-edge-a", "generated"),
        ("Service", "charted", "otherTool"),
        ("Service", "nginx-ingress-lb", "system"),
        ("Secret", "ledger", "secret"),
    ] {
        ensure!(is_there(kind, name, reason), "{kind} {name} is not left out as {reason}: {left_out:#?}");
    }
    Ok(())
}
