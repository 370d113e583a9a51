//! Gateways in two clusters behind one Istio Gateway, from the first command to the retirement of one of them.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{PATIENCE, Story, api};
use asm_lab::{Lab, LabOptions, MESH, wait_for};
use serde_json::{Value, json};

pub(crate) const COMMANDS: &[&[&str]] = &[
    &["init", "shop", "--region", "cn-hangzhou"],
    &["cluster", "add", "m1c1", "--id", "M1C1"],
    &["cluster", "add", "m1c2", "--id", "M1C2"],
    &["gateway", "create", "edge-a", "--cluster", "m1c1", "--replicas", "2"],
    &["gateway", "create", "edge-b", "--cluster", "m1c2", "--address-type", "intranet"],
    &["app", "add", "bookinfo", "--preset", "split"],
    &[
        "gateway",
        "share",
        "--label",
        "key1=value1",
        "edge-a",
        "edge-b",
        "--gateway",
        "bookinfo-gateway",
        "--create-gateway",
        "--port",
        "80",
        "--host",
        "*",
    ],
    &[
        "route",
        "add",
        "bookinfo-vs",
        "--gateway",
        "bookinfo-gateway",
        "--host",
        "*",
        "--match",
        "exact:/productpage",
        "--to",
        "productpage:9080",
    ],
];

async fn mesh_object(story: &Story<'_>, kind: &str, plural: &str, namespace: &str, name: &str) -> Result<Value> {
    let version = if kind == "IstioGateway" { "istio.alibabacloud.com/v1beta1" } else { "networking.istio.io/v1beta1" };
    let api = api(story.lab, MESH, version, kind, plural, Some(namespace))?;
    Ok(serde_json::to_value(api.get(name).await?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_one_and_one_is_retired() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    for command in COMMANDS {
        story.plugin_ok(command)?;
    }
    let first = story.commit_and_push("two gateways that share one")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&first).await?;

    let gateway = mesh_object(&story, "Gateway", "gateways", "default", "bookinfo-gateway").await?;
    assert_eq!(gateway["spec"]["selector"], json!({"key1": "value1"}));
    for (cluster, name) in [("m1c1", "istio-edge-a"), ("m1c2", "istio-edge-b")] {
        let deployments = api(&lab, cluster, "apps/v1", "Deployment", "deployments", Some("istio-system"))?;
        let pods = deployments.get(name).await?.data["spec"]["template"]["metadata"]["labels"].clone();
        assert_eq!(pods["key1"], "value1", "the Gateway does not reach the pods of {name}");
    }
    let listed = story.plugin_ok(&["gateway", "show", "edge-a", "--live"])?;
    let address =
        lab.cloud("m1c1").load_balancer_of("istio-system", "istio-edge-a").context("no load balancer")?.address;
    ensure!(listed.contains(&address), "{listed}");

    story.plugin_ok(&["gateway", "edit", "edge-a", "--replicas", "3"])?;
    let edited = story.commit_and_push("three replicas")?;
    story.wait_ready(&edited).await?;
    let gateway = mesh_object(&story, "IstioGateway", "istiogateways", "istio-system", "edge-a").await?;
    assert_eq!(
        (&gateway["spec"]["replicaCount"], &gateway["spec"]["podLabels"]),
        (&json!(3), &json!({"key1": "value1"}))
    );

    // Retired with its address named by the clusters themselves, the other one is not touched.
    story.plugin_ok(&["gateway", "delete", "edge-b", "--confirm", "edge-b", "--live"])?;
    let retired = story.commit_and_push("retire edge-b")?;
    story.wait_ready(&retired).await?;
    wait_for("the load balancer of edge-b is gone", PATIENCE, || async {
        Ok(lab.cloud("m1c2").load_balancer_of("istio-system", "istio-edge-b").is_none().then_some(()))
    })
    .await?;
    let kept =
        lab.cloud("m1c1").load_balancer_of("istio-system", "istio-edge-a").context("edge-a lost its load balancer")?;
    assert_eq!(kept.address, address);
    Ok(())
}
