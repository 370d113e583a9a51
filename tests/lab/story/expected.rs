//! What the main story must bring about: one serverless gateway, Bookinfo split over two clusters, its routes.
//!
//! The vendor's document on serverless gateways over several clusters shows these objects; `tests/cases/documents.rs`
//! compares this list with it where the document is at hand.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// One expected object.
#[derive(Clone, Copy)]
pub struct Expected {
    /// Context of the API server.
    pub context: &'static str,
    /// Plural name of its kind.
    pub plural: &'static str,
    make: fn() -> Value,
}

impl Expected {
    /// The object.
    pub fn object(&self) -> Result<Value> {
        let object = (self.make)();
        object["metadata"]["name"].as_str().context("an expected object has a name")?;
        Ok(object)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        // Names are literals in this file; the leak is a few bytes per test.
        let object = (self.make)();
        Box::leak(object["metadata"]["name"].as_str().unwrap_or_default().to_owned().into_boxed_str())
    }
}

macro_rules! expected {
    ($($context:literal $plural:literal $make:expr),* $(,)?) => {
        &[$(Expected { context: $context, plural: $plural, make: || $make }),*]
    };
}

/// After the first sync.
pub const EXPECTED: &[Expected] = expected![
    "mesh" "istiogateways" istio_gateway(),
    "mesh" "gateways" gateway(),
    "mesh" "virtualservices" bookinfo_routes(),
    "m1c2" "services" service("details"),
    "m1c2" "services" service("ratings"),
    "m1c2" "services" service("reviews"),
    "m1c2" "services" service("productpage"),
    "m1c2" "serviceaccounts" account("details"),
    "m1c2" "serviceaccounts" account("ratings"),
    "m1c2" "serviceaccounts" account("reviews"),
    "m1c2" "serviceaccounts" account("productpage"),
    "m1c2" "deployments" deployment("details", "v1"),
    "m1c2" "deployments" deployment("ratings", "v1"),
    "m1c2" "deployments" deployment("reviews", "v1"),
    "m1c2" "deployments" deployment("reviews", "v2"),
    "m1c2" "deployments" deployment("productpage", "v1"),
    "m1c1" "services" service("reviews"),
    "m1c1" "services" service("ratings"),
    "m1c1" "serviceaccounts" account("reviews"),
    "m1c1" "deployments" deployment("reviews", "v3"),
];

/// What the step "all reviews to v3" adds.
pub const AFTER_V3: &[Expected] = expected![
    "mesh" "destinationrules" reviews_rule(),
    "mesh" "virtualservices" reviews_routes(),
];

fn istio_gateway() -> Value {
    json!({
        "apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway",
        "metadata": {
            "name": "ingressgateway", "namespace": "istio-system",
            "annotations": {"asm.alibabacloud.com/managed-by-asm": "true"},
        },
        "spec": {
            "gatewayType": "ingress", "dnsPolicy": "ClusterFirst", "externalTrafficPolicy": "Local", "hostNetwork": false,
            "ports": [
                {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80},
                {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 443},
            ],
            "replicaCount": 1,
            "resources": {"limits": {"cpu": "2", "memory": "2G"}, "requests": {"cpu": "200m", "memory": "256Mi"}},
            "rollingMaxSurge": "100%", "rollingMaxUnavailable": "25%", "runAsRoot": true, "serviceType": "LoadBalancer",
        },
    })
}

fn istio(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1beta1", "kind": kind,
        "metadata": {"name": name, "namespace": "default"}, "spec": spec,
    })
}

fn gateway() -> Value {
    istio(
        "Gateway",
        "bookinfo-gateway",
        json!({
            "selector": {"istio": "ingressgateway"},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}],
        }),
    )
}

fn bookinfo_routes() -> Value {
    istio(
        "VirtualService",
        "bookinfo",
        json!({
            "hosts": ["*"], "gateways": ["bookinfo-gateway"],
            "http": [{
                "match": [
                    {"uri": {"exact": "/productpage"}}, {"uri": {"prefix": "/static"}}, {"uri": {"exact": "/login"}},
                    {"uri": {"exact": "/logout"}}, {"uri": {"prefix": "/api/v1/products"}},
                ],
                "route": [{"destination": {"host": "productpage", "port": {"number": 9080}}}],
            }],
        }),
    )
}

fn reviews_rule() -> Value {
    let subset = |version: &str| json!({"name": version, "labels": {"version": version}});
    istio(
        "DestinationRule",
        "reviews",
        json!({"host": "reviews", "subsets": [subset("v1"), subset("v2"), subset("v3")]}),
    )
}

fn reviews_routes() -> Value {
    let route = json!([{"route": [{"destination": {"host": "reviews", "subset": "v3"}}]}]);
    istio("VirtualService", "reviews", json!({"hosts": ["reviews"], "http": route}))
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name, "service": name}},
        "spec": {"ports": [{"port": 9080, "name": "http"}], "selector": {"app": name}},
    })
}

fn account(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": format!("bookinfo-{name}"), "namespace": "default", "labels": {"account": name}},
    })
}

fn deployment(name: &str, version: &str) -> Value {
    let labels = json!({"app": name, "version": version});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": format!("{name}-{version}"), "namespace": "default", "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": format!("bookinfo-{name}"),
                    "containers": [{
                        "name": name,
                        "image": format!("docker.io/istio/examples-bookinfo-{name}-{version}:1.15.0"),
                        "imagePullPolicy": "IfNotPresent",
                        "ports": [{"containerPort": 9080}],
                    }],
                },
            },
        },
    })
}
