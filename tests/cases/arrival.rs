//! Ready means that requests arrive: a certificate that is missing, expired or gone, and a subset without a ready pod in any
//! cluster, are told with what, where and what to do, and are over when they are mended.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{Story, api, condition};
use asm_lab::{Lab, LabOptions};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

const COMMANDS: &[&[&str]] = &[
    &["init", "shop", "--region", "cn-hangzhou"],
    &["cluster", "add", "m1c1", "--id", "M1C1"],
    &["cluster", "add", "m1c2", "--id", "M1C2"],
    &["gateway", "create", "edge", "--cluster", "m1c2"],
    &["app", "add", "bookinfo", "--preset", "split"],
    &["route", "split", "reviews", "--subset", "v1,v2,v3", "--to", "v1=50,v3=50"],
];
const GATEWAY: &str = "apiVersion: networking.istio.io/v1beta1\nkind: Gateway\nmetadata: {name: edge, namespace: default}\nspec:\n  \
                       selector: {istio: edge}\n  servers:\n    - port: {number: 443, name: https, protocol: HTTPS}\n      hosts: \
                       [shop.example.com]\n      tls: {mode: SIMPLE, credentialName: shop-tls}\n";

#[tokio::test(flavor = "multi_thread")]
async fn ready_means_that_requests_arrive() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    for command in COMMANDS {
        story.plugin_ok(command)?;
    }
    story.write("mesh/edge.yaml", GATEWAY)?;
    let revision = story.commit_and_push("a gateway with TLS, and a split over two clusters")?;
    story.install(json!({})).await?;
    story.start_agent()?;

    // Everything is applied and every pod runs; the certificate is nowhere.
    let secret = "Secret istio-system/shop-tls";
    let place = "Gateway default/edge (mesh/edge.yaml:9:";
    let missing = sick(&story, &[secret, "is not there", place, "create secret tls shop-tls", "(since 2"]).await?;
    ensure!(missing["targets"][2]["name"] == "m1c2", "{missing}");
    ensure!(told(&missing["targets"][2]).contains(secret), "{missing}");
    put(&lab, &certificate(0)?).await?;
    sick(&story, &[secret, "holds a certificate that expired at 2024-01-02T00:00:00Z", place]).await?;
    put(&lab, &certificate(3650)?).await?;
    story.wait_ready(&revision).await?;

    // About to end: told, and still ready.
    put(&lab, &certificate(-3)?).await?;
    let sync = story.wait_status("the end is told", |sync| condition(sync, "CertificatesValid").is_some()).await?;
    let ending = condition(&sync, "CertificatesValid").context("it was there")?;
    ensure!(
        ending["status"] == "False" && ending["message"].as_str().is_some_and(|it| it.contains(secret)),
        "{ending}"
    );
    put(&lab, &certificate(3650)?).await?;
    story.wait_status("it is renewed", |sync| condition(sync, "CertificatesValid").is_none()).await?;
    story.wait_ready(&revision).await?;

    // The only pods of v3 are in m1c1: when they are not ready, half of the requests fail, though no manifest is wrong.
    let pods = api(&lab, "m1c1", "v1", "Pod", "pods", Some("default"))?;
    let list = pods.list(&ListParams::default().labels("app=reviews,version=v3")).await?;
    let names: Vec<String> = list.items.into_iter().filter_map(|pod| pod.metadata.name).collect();
    ensure!(!names.is_empty(), "v3 runs nowhere");
    for name in &names {
        ready(&lab, name, "false").await?;
    }
    let dead =
        sick(&story, &["VirtualService default/reviews", "subset v3 of reviews.default", "in any cluster", "(since 2"])
            .await?;
    ensure!(told(&dead["targets"][0]).contains("version=v3"), "{dead}");
    for name in &names {
        ready(&lab, name, "true").await?;
    }
    story.wait_ready(&revision).await?;

    // Somebody takes the certificate away.
    let secrets = api(&lab, "m1c2", "v1", "Secret", "secrets", Some("istio-system"))?;
    secrets.delete("shop-tls", &DeleteParams::default()).await?;
    sick(&story, &[secret, "is not there"]).await?;
    ensure!(!story.log().contains("PRIVATE KEY"), "a key is in the log");
    Ok(())
}

/// Waits until the fleet is not ready because of all of this.
async fn sick(story: &Story<'_>, words: &[&str]) -> Result<Value> {
    let sync = story
        .wait_status(&format!("not ready: {words:?}"), |sync| {
            let has = |kind: &str| {
                condition(sync, kind).is_some_and(|it| {
                    let text = it["message"].as_str().unwrap_or_default();
                    it["status"] == "False" && words.iter().all(|word| text.contains(word))
                })
            };
            has("Ready") && has("Healthy")
        })
        .await?;
    Ok(sync["status"].clone())
}

/// Why a target is not healthy.
fn told(target: &Value) -> String {
    let conditions = target["conditions"].as_array().into_iter().flatten();
    let healthy = conditions.filter(|it| it["type"] == "Healthy").map(|it| it["message"].to_string());
    healthy.collect()
}

async fn put(lab: &Lab, secret: &Value) -> Result<()> {
    lab.apply_yaml("m1c2", &secret.to_string()).await
}

/// A certificate: of 2024 for 0 days, good for so many days from now, or for ten years that are over in as many days as
/// are below nothing.
fn certificate(days: i64) -> Result<Value> {
    let mut params = rcgen::CertificateParams::new(vec!["shop.example.com".to_owned()])?;
    let (from, until) = match days {
        0 => ((2024, 1, 1), (2024, 1, 2)),
        1.. => (day(-1)?, day(days)?),
        _ => (day(-3650)?, day(-days)?),
    };
    params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
    params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
    let key = rcgen::KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "shop-tls", "namespace": "istio-system"},
        "stringData": {"tls.crt": pem, "tls.key": key.serialize_pem()},
    }))
}

/// A day that is so many days from today.
fn day(days: i64) -> Result<(i32, u8, u8)> {
    let then = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(24 * days))?;
    let date = then.to_zoned(jiff::tz::TimeZone::UTC);
    Ok((date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs()))
}

/// Whether the lab's kubelet says that a pod is ready.
async fn ready(lab: &Lab, name: &str, word: &str) -> Result<()> {
    let pods = api(lab, "m1c1", "v1", "Pod", "pods", Some("default"))?;
    let patch = json!({"metadata": {"annotations": {"lab.kubectl-asm.io/ready": word}}});
    pods.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}
