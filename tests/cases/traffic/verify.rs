//! `kubectl asm verify` against gateways that answer: it finds what is right right, and what is wrong wrong.

use super::{answered, live};
use anyhow::{Context as _, Result, ensure};
use asm_lab::dataplane::traffic::Question;
use asm_lab::story::{ALL_V3, PATIENCE, Story};
use asm_lab::{Lab, LabOptions, MESH, wait_for};
use serde_json::json;

const PAGE: &str = "http://shop.example.com/productpage";
const SECURE_HOST: &str = "secure.example.com";
const SECURE: &str = "https://secure.example.com/productpage";
const THIRDS: &str = "v1=1,v2=1,v3=1";

#[test]
fn it_says_how_requests_come_out() -> Result<()> {
    live(module_path!(), "it_says_how_requests_come_out", case)
}

/// Exit code and output of a run that asks Bookinfo's page.
fn verify(story: &Story<'_>, args: &[&str]) -> Result<(Option<i32>, String)> {
    // A fair spread must not look unfair in one run of a hundred.
    let base = ["verify", "--version-from", "json:/reviews/version", "--timeout", "3s", "--confidence", "0.99999"];
    let output = story.plugin(&[&base, args].concat())?;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    println!("$ kubectl asm verify {}\n{text}{}", args.join(" "), output.status);
    Ok((output.status.code(), text))
}

async fn case() -> Result<()> {
    let lab = Lab::start(LabOptions::live()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    secure(&story).await?;
    let first = story.commit_and_push("a gateway and Bookinfo in two clusters")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&first).await?;
    let gateway = lab.cloud(MESH).load_balancers();
    let address = &gateway.first().context("the serverless gateway has no address")?.address;
    let page = Question::reviews(address, "shop.example.com", "/productpage");
    answered(&page).await?;

    // The addresses come from the clusters, the answers from both of them.
    let (code, text) = verify(&story, &["ingressgateway", "--url", PAGE, "--expect", THIRDS])?;
    ensure!(code == Some(0) && text.contains(address), "{text}");
    let (code, text) = verify(&story, &["ingressgateway", "--url", PAGE, "--expect", "v3=100"])?;
    ensure!(code == Some(1), "one version alone does not answer: {text}");

    story.plugin_ok(ALL_V3)?;
    let second = story.commit_and_push("all reviews to v3")?;
    story.wait_ready(&second).await?;
    wait_for("only v3 answers", PATIENCE, || async { Ok(page.count(10).await.only("v3").then_some(())) }).await?;
    let (code, text) = verify(&story, &["ingressgateway", "--url", PAGE, "--expect", "v3=100"])?;
    ensure!(code == Some(0), "{text}");
    let (code, text) = verify(&story, &["ingressgateway", "--url", PAGE, "--expect", THIRDS])?;
    ensure!(code == Some(1), "{text}");

    // Nobody has this address.
    let (code, text) = verify(&story, &["ingressgateway", "--url", PAGE, "--address", "198.51.100.250"])?;
    ensure!(code == Some(1) && text.contains("198.51.100.250"), "{text}");

    // The certificate is the Secret's in the gateway's cluster, and only who trusts its authority takes it.
    let ca = lab.dir().join("ca.crt").to_string_lossy().into_owned();
    let trusting = ["edge", "--url", SECURE, "--ca-file", &ca];
    wait_for("the gateway has its certificate", PATIENCE, || async {
        Ok((verify(&story, &trusting)?.0 == Some(0)).then_some(()))
    })
    .await?;
    let (code, text) = verify(&story, &["edge", "--url", SECURE])?;
    ensure!(code == Some(1), "{text}");
    Ok(())
}

/// A Gateway with a certificate, for an ordinary gateway.
async fn secure(story: &Story<'_>) -> Result<()> {
    let cert = story.lab.pki().cert_for(&[SECURE_HOST])?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "shop-cert", "namespace": "istio-system"},
        "stringData": {"tls.crt": cert.cert_pem, "tls.key": cert.key_pem},
    });
    story.lab.apply_yaml("m1c1", &secret.to_string()).await?;
    story.plugin_ok(&["gateway", "create", "edge", "--cluster", "m1c1"])?;
    story.write(
        "mesh/routes/secure.yaml",
        "apiVersion: networking.istio.io/v1beta1\nkind: Gateway\nmetadata:\n  name: secure\n  namespace: default\nspec:\n  \
         selector:\n    istio: edge\n  servers:\n    - hosts:\n        - secure.example.com\n      port:\n        name: https\n        \
         number: 443\n        protocol: HTTPS\n      tls:\n        mode: SIMPLE\n        credentialName: shop-cert\n---\n\
         apiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata:\n  name: secure\n  namespace: default\nspec:\n  \
         hosts:\n    - secure.example.com\n  gateways:\n    - secure\n  http:\n    - route:\n        - destination:\n            \
         host: productpage\n            port:\n              number: 9080\n",
    )
}
