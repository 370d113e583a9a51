//! Several CLBs on one gateway: a second one is added, both have an address, and the second one goes again by consent only,
//! without harm to the first.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{PATIENCE, Story, api, condition};
use asm_lab::{Lab, LabOptions, wait_for};
use serde_json::{Value, json};

pub(crate) const SECOND: &str = "istio-ingressgateway-2";
const NAMESPACE: &str = "istio-system";

/// The fleet, by plugin commands only.
pub(crate) const AUTHOR: &[&[&str]] = &[
    &["init", "shop"],
    &["cluster", "add", "m1c1", "--id", "M1C1"],
    &["cluster", "add", "m1c2", "--id", "M1C2"],
    &["gateway", "create", "ingressgateway", "--cluster", "m1c1,m1c2", "--address-type", "internet"],
    &["app", "add", "bookinfo", "--preset", "split"],
    &[
        "clb",
        "add",
        "--gateway",
        "ingressgateway",
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
];

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_comes_and_goes() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    for command in AUTHOR {
        story.plugin_ok(command)?;
    }
    let revision = story.commit_and_push("a gateway with two CLBs in m1c1")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&revision).await?;

    // Two addresses on two Services, as the cloud and the plugin say.
    let cloud = lab.cloud("m1c1");
    let first = cloud.load_balancer_of(NAMESPACE, "istio-ingressgateway").context("the first CLB is missing")?;
    let second = cloud.load_balancer_of(NAMESPACE, SECOND).context("the second CLB is missing")?;
    ensure!(first.address != second.address, "both have {}", first.address);
    ensure!(second.attributes["spec"] == "slb.s1.small" && second.address_type() == "internet", "{second:?}");
    let listed = listed(&story)?;
    ensure!(
        listed
            == [
                ("istio-ingressgateway".to_owned(), "m1c1".to_owned(), first.address.clone()),
                (SECOND.to_owned(), "m1c1".to_owned(), second.address.clone()),
                (
                    "istio-ingressgateway".to_owned(),
                    "m1c2".to_owned(),
                    lab.cloud("m1c2").load_balancers()[0].address.clone()
                ),
            ],
        "{listed:?}"
    );
    as_documented(&lab).await?;

    // Without an approval it is held back.
    let file = format!("clusters/m1c1/gateways/{SECOND}.yaml");
    story.git(&["rm", "--quiet", &file])?;
    story.commit_and_push("without the second CLB")?;
    let sync = story
        .wait_status("the removal is held back", |sync| {
            condition(sync, "HeldBack").is_some_and(|c| c["status"] == "True")
        })
        .await?;
    let told = condition(&sync, "HeldBack").and_then(|c| c["message"].as_str()).unwrap_or_default().to_owned();
    ensure!(told.contains(SECOND) && told.contains(&second.address), "{told}");
    // Which of the two was made first is the cloud's business.
    let kept = cloud.load_balancers();
    ensure!(kept.len() == 2 && kept.contains(&first) && kept.contains(&second), "{kept:?}");
    story.git(&["revert", "--no-edit", "HEAD"])?;
    let revision = story.commit_and_push("with it again")?;
    story.wait_ready(&revision).await?;

    // With one it goes, and the first one is not touched.
    let syncs = || cloud.syncs().iter().filter(|sync| sync.load_balancer.as_ref() == Some(&first.id)).count();
    let before = syncs();
    story.plugin_ok(&["clb", "remove", SECOND, "--live", "--expires", "1h", "--confirm", SECOND])?;
    let changed = story.git(&["status", "--porcelain", "--untracked-files=all"])?;
    ensure!(changed.contains(&file) && changed.contains(&format!("approvals/delete-m1c1-{SECOND}.yaml")), "{changed}");
    let revision = story.commit_and_push("the second CLB is retired")?;
    wait_for("the second CLB is gone", PATIENCE, || async {
        Ok(cloud.load_balancer_of(NAMESPACE, SECOND).is_none().then_some(()))
    })
    .await
    .with_context(|| story.log())?;
    story.wait_ready(&revision).await?;
    let gone: Vec<String> = cloud.deleted().into_iter().map(|deleted| deleted.load_balancer.address).collect();
    ensure!(gone == [second.address.clone()], "{gone:?}");
    ensure!(cloud.load_balancers() == [first.clone()], "{:?}", cloud.load_balancers());
    ensure!(syncs() == before, "the first CLB was synchronised anew");
    Ok(())
}

/// Name, cluster and address of every load balancer, as the plugin lists them.
fn listed(story: &Story<'_>) -> Result<Vec<(String, String, String)>> {
    let list: Value = serde_json::from_str(&story.plugin_ok(&["clb", "list", "--live", "-o", "json"])?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().into_iter().flatten();
    Ok(items.map(|item| (text(&item["name"]), text(&item["cluster"]), text(&item["live"]["addresses"][0]))).collect())
}

/// The live Service is the one of ASM's documentation.
async fn as_documented(lab: &Lab) -> Result<()> {
    let live = api(lab, "m1c1", "v1", "Service", "services", Some(NAMESPACE))?.get(SECOND).await?;
    let wanted = json!({
        "externalTrafficPolicy": "Cluster",
        "ports": [
            {"name": "http-0", "nodePort": 30544, "port": 80, "protocol": "TCP", "targetPort": 80},
            {"name": "https-2", "nodePort": 30682, "port": 443, "protocol": "TCP", "targetPort": 443},
        ],
        "selector": {"app": "istio-ingressgateway", "asm-system": "true", "istio": "ingressgateway", "provider": "asm"},
        "sessionAffinity": "None",
        "type": "LoadBalancer",
    });
    for (field, value) in wanted.as_object().into_iter().flatten() {
        ensure!(live.data["spec"][field] == *value, "{field}: {}", live.data["spec"][field]);
    }
    let labels = live.metadata.labels.unwrap_or_default();
    for (key, value) in [("app", "istio-ingressgateway"), ("asm-system", "true"), ("istio", "ingressgateway")] {
        ensure!(labels.get(key).map(String::as_str) == Some(value), "label {key}: {labels:?}");
    }
    Ok(())
}
