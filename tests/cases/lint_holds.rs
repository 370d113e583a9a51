//! Lint inside the agent: what it finds an error in stays as it runs, everything else goes on.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{EXPECTED, FLEET_SYNC, NAMESPACE, PATIENCE, Story, api, condition, targets};
use asm_lab::{HOST, Lab, LabOptions, MESH, wait_for};
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};

const ROUTES: &str = "mesh/routes/bookinfo.yaml";

fn routes(lab: &Lab) -> Result<Api<DynamicObject>> {
    api(lab, MESH, "networking.istio.io/v1beta1", "VirtualService", "virtualservices", Some("default"))
}

/// The first destination of a live VirtualService.
async fn host(lab: &Lab, name: &str) -> Result<Option<String>> {
    let live = routes(lab)?.get_opt(name).await?;
    let host =
        |live: DynamicObject| Some(live.data.pointer("/spec/http/0/route/0/destination/host")?.as_str()?.to_owned());
    Ok(live.and_then(host))
}

fn good(name: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec:\n  hosts: \
         [{name}.example.com]\n  http:\n    - route:\n        - destination: {{host: reviews, port: {{number: 9080}}}}\n"
    )
}

fn is_held(sync: &Value, revision: &str) -> bool {
    let held = condition(sync, "HeldBack").is_some_and(|c| c["status"] == "True" && c["reason"] == "LintErrors");
    held && sync["status"]["source"]["revision"] == revision
        && condition(sync, "Synced").is_some_and(|c| c["reason"] == "HeldBack")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_route_stays_as_it_runs_and_the_others_go_on() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    story.write("clusters/m1c1/leaves.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: leaves}\n")?;
    let first = story.commit_and_push("a fleet")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&first).await?;
    let leaves = api(&lab, "m1c1", "v1", "ConfigMap", "configmaps", Some("default"))?;

    // One commit: a route to a host that is not there, a right one, a wrong one that is new, and something leaves Git.
    let right = std::fs::read_to_string(story.dir().join(ROUTES))?;
    let wrong = right.replace("host: productpage", "host: productpag");
    ensure!(wrong != right, "{right}");
    story.write(ROUTES, &wrong)?;
    story.write("mesh/routes/good.yaml", &good("good"))?;
    story.write("mesh/routes/new.yaml", &good("new").replace("host: reviews", "host: nobody"))?;
    story.git(&["rm", "--quiet", "clusters/m1c1/leaves.yaml"])?;
    let bad = story.commit_and_push("one wrong, one right")?;
    let sync = story.wait_status("lint holds the wrong routes back", |sync| is_held(sync, &bad)).await?;
    told(&lab, &sync).await?;
    stands(&lab).await?;
    ensure!(leaves.get_opt("leaves").await?.is_some(), "something was removed while a route is held back");

    // Somebody writes to the one that is held back, and the agent starts anew: still held, and the change is told.
    let weight = json!([{"op": "add", "path": "/spec/http/0/timeout", "value": "3s"}]);
    let patch = kube::api::Patch::<Value>::Json(serde_json::from_value(weight)?);
    let console = kube::api::PatchParams { field_manager: Some("console".to_owned()), ..Default::default() };
    routes(&lab)?.patch("bookinfo", &console, &patch).await?;
    story.agent.as_mut().context("the agent runs")?.terminate()?;
    story.write("mesh/routes/better.yaml", &good("better"))?;
    let bad = story.commit_and_push("another right one")?;
    story.start_agent()?;
    story
        .wait_status("it is still held back, and its drift is told", |sync| {
            is_held(sync, &bad) && sync["status"]["drifted"] == 1
        })
        .await?;
    stands(&lab).await?;
    ensure!(host(&lab, "better").await?.is_some());
    let reports = api(&lab, HOST, "kubectl-asm.io/v1alpha1", "DriftReport", "driftreports", Some(NAMESPACE))?;
    let report = reports.get(&format!("{FLEET_SYNC}-mesh")).await?;
    let drifted = &report.data["status"]["objects"][0];
    assert_eq!(drifted["name"], "bookinfo", "{drifted}");
    let note = drifted["note"].as_str().unwrap_or_default();
    ensure!(note.contains("by console while lint holds it back"), "{drifted}");

    // The next commit mends it.
    story.write(ROUTES, &format!("# mended\n{}", right.replace("exact: /login", "exact: /signin")))?;
    story.git(&["rm", "--quiet", "mesh/routes/new.yaml"])?;
    let mended = story.commit_and_push("mended")?;
    let sync = story.wait_ready(&mended).await?;
    assert_eq!((&sync["status"]["drifted"], &sync["status"]["heldByLint"]), (&json!(0), &json!(0)), "{sync:#}");
    let live = routes(&lab)?.get("bookinfo").await?;
    ensure!(live.data.to_string().contains("/signin"), "{:#}", live.data);
    ensure!(leaves.get_opt("leaves").await?.is_none(), "what has left Git is still there");
    consent_goes_before_lint(&lab, &story).await
}

/// A gateway leaves Git and the Gateway that it serves stays: that is an error, and caused by what is to be removed. Nothing goes
/// until somebody consents to it by name; then that goes, and nothing else.
async fn consent_goes_before_lint(lab: &Lab, story: &Story<'_>) -> Result<()> {
    std::fs::remove_file(story.dir().join("mesh/gateways/ingressgateway.yaml"))?;
    story.git(&["rm", "--quiet", "mesh/routes/better.yaml"])?;
    let gone = story.commit_and_push("the gateway leaves, its routes stay")?;
    let is_told = |sync: &Value, revision: &str, waiting: u64| {
        let errors = targets(sync)
            .next()
            .and_then(|mesh| mesh["lint"].as_array())
            .is_some_and(|lint| lint.iter().any(|held| held["rule"] == "gateway-selector"));
        errors && sync["status"]["heldBack"] == waiting && sync["status"]["source"]["revision"] == revision
    };
    let sync = story.wait_status("the removal waits", |sync| is_told(sync, &gone, 1)).await?;
    let held = targets(&sync).find_map(|target| target["held"].get(0)).cloned().unwrap_or_default();
    let address = held["addresses"][0].as_str().unwrap_or_default();
    ensure!(!address.is_empty() && story.live(&EXPECTED[0]).await?.is_some(), "{held:#}");
    story.write(
        "approvals/retire.yaml",
        &format!(
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Approval\nmetadata: {{name: retire}}\nspec:\n  action: Delete\n  \
             target: mesh\n  kind: IstioGateway.istio.alibabacloud.com\n  namespace: istio-system\n  name: ingressgateway\n  \
             addresses: [{address}]\n"
        ),
    )?;
    let approved = story.commit_and_push("approved")?;
    let removed = || async { anyhow::Ok(story.live(&EXPECTED[0]).await?.is_none().then_some(())) };
    wait_for("the approved removal", PATIENCE, removed).await?;
    story.wait_status("the error is told all the same", |sync| is_told(sync, &approved, 0)).await?;
    ensure!(host(lab, "better").await?.is_some(), "something was removed that nobody consented to");
    Ok(())
}

/// Status, Event and `kubectl asm status` say what, where and why.
async fn told(lab: &Lab, sync: &Value) -> Result<()> {
    let mesh = targets(sync).next().context("no target")?;
    let first = &mesh["lint"][0];
    assert_eq!((&first["rule"], &first["name"]), (&json!("destination-host"), &json!("bookinfo")), "{mesh:#}");
    let at = first["at"].as_str().unwrap_or_default();
    ensure!(at.starts_with("mesh/routes/bookinfo.yaml:"), "{first}");
    assert_eq!((&mesh["heldByLint"], &sync["status"]["heldByLint"]), (&json!(2), &json!(2)), "{mesh:#}");
    ensure!(sync["status"]["drifted"] == 0, "held back is not drifted: {:#}", sync["status"]);
    let message = condition(sync, "Ready").map(|ready| ready["message"].to_string()).unwrap_or_default();
    ensure!(message.contains(at) && message.contains("destination-host"), "{message}");
    let events = api(lab, HOST, "v1", "Event", "events", Some(NAMESPACE))?.list(&Default::default()).await?;
    let told = events.items.iter().filter(|event| event.data["reason"] == "LintErrors");
    let told: Vec<String> = told.map(|event| event.data["message"].to_string()).collect();
    ensure!(
        told.iter().any(|note| note.contains(at) && note.contains("kubectl asm explain destination-host")),
        "{told:?}"
    );
    Ok(())
}

/// The wrong ones stand as before, the right one is there.
async fn stands(lab: &Lab) -> Result<()> {
    assert_eq!(host(lab, "bookinfo").await?.as_deref(), Some("productpage"));
    assert_eq!(host(lab, "good").await?.as_deref(), Some("reviews"));
    assert_eq!(host(lab, "new").await?, None);
    Ok(())
}
