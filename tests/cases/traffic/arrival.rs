//! A new application and the route to it come, and go, in one commit each: no request fails.

use super::{answered, live};
use anyhow::{Context as _, Result, ensure};
use asm_lab::dataplane::traffic::{Question, Traffic};
use asm_lab::story::{PATIENCE, Story};
use asm_lab::{Lab, LabOptions, MESH, wait_for};
use serde_json::json;

#[test]
fn an_application_comes_and_goes_with_its_route() -> Result<()> {
    live(module_path!(), "an_application_comes_and_goes_with_its_route", case)
}

const HOST: &str = "reviews.example.com";
const ROUTE: &str = "mesh/routes/reviews-at-the-edge.yaml";
const APP: &str = "clusters/m1c1/apps/canary.yaml";

fn route(to: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata:\n  name: reviews-edge\n  namespace: default\nspec:\n  \
         hosts:\n    - {HOST}\n  gateways:\n    - bookinfo-gateway\n  http:\n    - route:\n        - destination:\n            \
         host: {to}\n            port:\n              number: 9080\n"
    )
}

const CANARY: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: canary\n  namespace: default\nspec:\n  ports:\n    \
     - port: 9080\n      name: http\n  selector:\n    app: canary\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  \
     name: canary\n  namespace: default\nspec:\n  replicas: 1\n  selector:\n    matchLabels:\n      app: canary\n  template:\n    \
     metadata:\n      labels:\n        app: canary\n        version: v9\n    spec:\n      containers:\n        - name: canary\n          \
     image: registry.example.com/canary:1\n          ports:\n            - containerPort: 9080\n";

async fn case() -> Result<()> {
    let lab = Lab::start(LabOptions::live()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    story.write(ROUTE, &route("reviews"))?;
    let first = story.commit_and_push("a gateway and Bookinfo in two clusters")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&first).await?;
    let gateway = lab.cloud(MESH).load_balancers();
    let address = &gateway.first().context("the serverless gateway has no address")?.address;
    let question = Question::reviews(address, HOST, "/reviews/1");
    answered(&question).await?;

    let traffic = Traffic::start(std::slice::from_ref(&question));
    story.write(ROUTE, &route("canary"))?;
    story.write(APP, CANARY)?;
    let came = story.commit_and_push("a canary, and all requests to it")?;
    story.wait_ready(&came).await?;
    wait_for("the canary answers", PATIENCE, || async { Ok(question.count(10).await.only("v9").then_some(())) })
        .await?;
    let coming = traffic.stop().await?.remove(0);
    println!("it comes: {coming}");

    let traffic = Traffic::start(std::slice::from_ref(&question));
    story.write(ROUTE, &route("reviews"))?;
    story.git(&["rm", "--quiet", APP])?;
    let went = story.commit_and_push("no canary")?;
    story.wait_ready(&went).await?;
    wait_for("reviews answer", PATIENCE, || async {
        let tally = question.count(10).await;
        Ok((tally.failures.is_empty() && !tally.answers.contains_key("v9")).then_some(()))
    })
    .await?;
    let going = traffic.stop().await?.remove(0);
    println!("it goes: {going}");
    ensure!(coming.failures.is_empty(), "it comes: {coming}");
    ensure!(going.failures.is_empty(), "it goes: {going}");
    Ok(())
}
