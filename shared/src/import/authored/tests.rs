use super::*;
use serde_json::json;

fn entry(manager: &str, operation: &str, subresource: &str, fields: Value) -> Value {
    json!({
        "manager": manager, "operation": operation, "apiVersion": "v1", "subresource": subresource,
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    })
}

/// A Service as an API server gives it back, applied by kubectl.
fn service(applied: Option<Value>, managed: Value) -> Value {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "door", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 1,
            "labels": {"service.beta.kubernetes.io/hash": "x", "app": "web"},
            "annotations": {"team": "edge"}, "finalizers": ["service.k8s.alibaba/resources"],
            "managedFields": managed,
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None", "allocateLoadBalancerNodePorts": true, "selector": {"app": "web"},
            "ports": [
                {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30080},
                {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 8443, "nodePort": 30443}
            ]
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    });
    if let Some(applied) = applied {
        service["metadata"]["annotations"][LAST_APPLIED] = applied.to_string().into();
    }
    service
}

#[test]
fn what_nobody_wrote_goes() {
    let found = authored(&service(None, json!([])));
    assert_eq!(
        found.object,
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "door", "namespace": "shop", "labels": {"app": "web"}, "annotations": {"team": "edge"},
            },
            "spec": {
                "type": "LoadBalancer", "selector": {"app": "web"},
                "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443, "targetPort": 8443}],
            },
        })
    );
}

#[test]
fn what_was_applied_stays_also_where_it_is_a_default() {
    let applied =
        json!({"spec": {"sessionAffinity": "None", "ports": [{"port": 80, "nodePort": 30080, "targetPort": 80}]}});
    let spec = authored(&service(Some(applied), json!([]))).object["spec"].clone();
    assert_eq!(spec["sessionAffinity"], "None");
    assert_eq!(spec["ports"][0], json!({"name": "http", "port": 80, "targetPort": 80, "nodePort": 30080}));
    assert_eq!(spec["ports"][1], json!({"name": "https", "port": 443, "targetPort": 8443}));
    assert_eq!(spec.get("clusterIP"), None);
}

#[test]
fn a_node_port_that_a_manager_owns_was_set_by_somebody() {
    let port = json!({"f:spec": {"f:ports": {"k:{\"port\":443,\"protocol\":\"TCP\"}": {".": {}, "f:nodePort": {}}}}});
    let found = authored(&service(None, json!([entry("kubectl-edit", "Update", "", port)])));
    assert_eq!(found.object["spec"]["ports"][0].get("nodePort"), None);
    assert_eq!(found.object["spec"]["ports"][1]["nodePort"], 30443);
}

#[test]
fn what_was_applied_by_the_server_side_stays() {
    let fields = json!({"f:spec": {"f:internalTrafficPolicy": {}}});
    let found = authored(&service(None, json!([entry("terraform", "Apply", "", fields.clone())])));
    assert_eq!(found.object["spec"]["internalTrafficPolicy"], "Cluster");
    // Whoever creates an object owns its defaults too: that is no wish.
    let found = authored(&service(None, json!([entry("kubectl-create", "Update", "", fields)])));
    assert_eq!(found.object["spec"].get("internalTrafficPolicy"), None);
}

#[test]
fn labels_of_the_cloud_controller_go_whatever_was_applied() {
    let applied = json!({"metadata": {"labels": {"service.beta.kubernetes.io/hash": "x"}, "finalizers": ["y"]}});
    let metadata = authored(&service(Some(applied), json!([]))).object["metadata"].clone();
    assert_eq!((&metadata["labels"], metadata.get("finalizers")), (&json!({"app": "web"}), None));
}

#[test]
fn a_headless_service_stays_headless() {
    let mut live = service(None, json!([]));
    live["spec"]["type"] = "ClusterIP".into();
    live["spec"]["clusterIP"] = "None".into();
    live["spec"]["clusterIPs"] = json!(["None"]);
    let spec = authored(&live).object["spec"].clone();
    assert_eq!((&spec["clusterIP"], spec.get("clusterIPs"), spec.get("type")), (&json!("None"), None, None));
}

fn deployment(managed: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "annotations": {"deployment.kubernetes.io/revision": "3"},
            "managedFields": managed,
        },
        "spec": {
            "replicas": 4, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {
                "metadata": {"creationTimestamp": null, "labels": {"app": "web"}},
                "spec": {
                    "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
                    "terminationGracePeriodSeconds": 30, "securityContext": {},
                    "serviceAccountName": "web", "serviceAccount": "web",
                    "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c", "defaultMode": 420}}],
                    "tolerations": [{"key": "x", "operator": "Exists"}],
                    "containers": [{
                        "name": "web", "image": "web:1", "imagePullPolicy": "IfNotPresent", "resources": {},
                        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                        "readinessProbe": {
                            "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
                            "timeoutSeconds": 1, "periodSeconds": 5, "successThreshold": 1, "failureThreshold": 3
                        },
                        "env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}]
                    }]
                }
            }
        }
    })
}

#[test]
fn a_deployment_becomes_what_a_person_would_have_written() {
    let revision = json!({"f:metadata": {"f:annotations": {".": {}, "f:deployment.kubernetes.io/revision": {}}}});
    let found = authored(&deployment(json!([entry("kube-controller-manager", "Update", "status", revision)])));
    assert!(!found.is_scaled);
    insta::assert_snapshot!(crate::yaml::write(&found.object), @"
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
      namespace: shop
    spec:
      selector:
        matchLabels:
          app: web
      replicas: 4
      template:
        metadata:
          labels:
            app: web
        spec:
          serviceAccountName: web
          containers:
            - name: web
              image: web:1
              ports:
                - containerPort: 80
              env:
                - name: A
                  valueFrom:
                    fieldRef:
                      apiVersion: v1
                      fieldPath: metadata.name
              readinessProbe:
                httpGet:
                  path: /
                  port: 80
                periodSeconds: 5
          volumes:
            - name: tmp
              emptyDir: {}
            - name: c
              configMap:
                name: c
          tolerations:
            - key: x
              operator: Exists
    ");
}

#[test]
fn replicas_of_an_autoscaler_are_left_to_it() {
    let scale = |manager: &str| json!([entry(manager, "Update", "scale", json!({"f:spec": {"f:replicas": {}}}))]);
    let found = authored(&deployment(scale("kube-controller-manager")));
    assert!(found.is_scaled && found.object["spec"].get("replicas").is_none());
    // A person who scales means it.
    let found = authored(&deployment(scale("kubectl")));
    assert!(!found.is_scaled && found.object["spec"]["replicas"] == 4);
}

#[test]
fn inside_lists_that_have_one_owner_everything_stays() {
    let gateway = json!({
        "apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway",
        "metadata": {"name": "edge", "namespace": "istio-system", "labels": {"asm-gateway-type": "ingress"}},
        "spec": {
            "cpu": {}, "memory": {}, "kernel": {"parameters": {}}, "replicaCount": 1,
            "ports": [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}]
        },
        "status": {"Status": "Running"}
    });
    assert_eq!(
        authored(&gateway).object,
        json!({
            "apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway",
            "metadata": {"name": "edge", "namespace": "istio-system"},
            "spec": {
                "replicaCount": 1, "ports": [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}]
            }
        })
    );
    let rule = json!({
        "apiVersion": "networking.istio.io/v1beta1", "kind": "DestinationRule",
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"host": "a", "trafficPolicy": {"outlierDetection": {}, "tls": {"mode": "DISABLE"}}}
    });
    assert_eq!(authored(&rule).object, rule);
}
