//! The live page in a real browser: topology, drift that appears by itself, keyboard, names for screen readers, nothing
//! from elsewhere, a fleet of many gateways. With `UPDATE_SCREENSHOTS=1` it also makes the pictures in `docs/`.

use anyhow::{Context as _, Result, ensure};
use asm_lab::browser::{self, Browser};
use asm_lab::product::AgentProcess;
use asm_lab::story::{CONSOLE, NAMESPACE, PATIENCE, Story};
use asm_lab::{HOST, Lab, LabOptions, wait_for};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What whoever looks sees; the browser is asked by these.
const ATTENTION: &str = "document.querySelector('#attention').innerText";

#[tokio::test(flavor = "multi_thread")]
async fn people_see_the_fleet_and_what_happens_to_it() -> Result<()> {
    let Some(program) = browser::find() else {
        // Past what the test runner keeps to itself.
        writeln!(std::io::stderr(), "page skipped: {}", browser::MISSING)?;
        return Ok(());
    };
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let revision = story.commit_and_push("a gateway and Bookinfo in two clusters")?;
    story.install(json!({})).await?;
    let args = [story.agent_args()?, vec!["--web-address".to_owned(), "127.0.0.1:0".to_owned()]].concat();
    story.agent = Some(AgentProcess::spawn(&lab, args)?);
    story.wait_ready(&revision).await?;
    let base = address(&story).await?;
    let mut browser = Browser::start(&program)?;

    topology(&mut browser, &base)?;
    keyboard(&mut browser, &base)?;
    drift_appears_by_itself(&mut browser, &base, &story).await?;
    held_back(&mut browser, &base, &story).await?;
    names(&mut browser, &base)?;
    without_scripts(&mut browser, &base)?;
    many_gateways(&mut browser, &base, &lab).await?;

    ensure!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
    let foreign: Vec<_> =
        browser.requests.iter().filter(|url| !url.starts_with(&base) && *url != "about:blank").collect();
    ensure!(foreign.is_empty() && !browser.requests.is_empty(), "{foreign:#?}");
    Ok(())
}

/// Where the page is, as the log says.
async fn address(story: &Story<'_>) -> Result<String> {
    wait_for("the page has an address", Duration::from_secs(20), || async {
        let log = story.log();
        let line = log.lines().find(|line| line.contains("showing the live page"));
        let address = line.and_then(|line| line.split("address=").nth(1));
        Ok(address.map(|address| format!("http://{}", address.trim().trim_matches('"'))))
    })
    .await
}

/// Every target, the gateway with its address, its hosts and routes, and the picture.
fn topology(browser: &mut Browser, base: &str) -> Result<()> {
    browser.open(&format!("{base}/"))?;
    browser.wait("the stream is open", "document.querySelector('#live').hasAttribute('data-on')")?;
    let targets = browser.text("#targets")?;
    for target in ["mesh", "m1c1", "m1c2"] {
        ensure!(targets.contains(target), "{targets}");
    }
    ensure!(browser.text("#attention")?.contains("nothing"), "{}", browser.text("#attention")?);
    browser.open(&format!("{base}/fleets/shop/gateways"))?;
    let row = browser.text("#gateways tbody tr")?;
    ensure!(row.contains("istio-system/ingressgateway") && row.contains("as in Git"), "{row}");
    ensure!(browser.eval("document.querySelectorAll('#gateways .address').length > 0")? == true, "{row}");
    browser.open(&format!("{base}/fleets/shop/gateways/istio-system/ingressgateway"))?;
    let hosts = browser.text("#hosts")?;
    ensure!(hosts.contains("bookinfo") && hosts.contains("productpage.default:9080"), "{hosts}");
    browser.open(&format!("{base}/fleets/shop/picture?cluster=m1c2"))?;
    ensure!(browser.eval("document.querySelectorAll('#picture svg .node').length > 3")? == true, "no picture");
    // The style of the picture is let through by its hash.
    let fill = "getComputedStyle(document.querySelector('#picture svg .node .detail')).fontSize";
    ensure!(browser.eval(fill)? == "11px", "the picture has no style");
    Ok(())
}

/// The page is open and stays open; somebody writes at the console.
async fn drift_appears_by_itself(browser: &mut Browser, base: &str, story: &Story<'_>) -> Result<()> {
    browser.open(&format!("{base}/fleets/shop"))?;
    browser.wait("the stream is open", "document.querySelector('#live').hasAttribute('data-on')")?;
    browser.eval("window.opened = true; document.querySelector('#tabs a').focus(); true")?;
    story.console_writes().await?;
    browser.wait(
        "three drifts are told",
        &format!("{ATTENTION}.includes({}) && ({ATTENTION}.match(/drift/g) || []).length >= 3", json!(CONSOLE)),
    )?;
    ensure!(browser.eval("window.opened === true")? == true, "the page was loaded again");
    ensure!(browser.eval("document.activeElement.textContent")? == "Overview", "the focus was lost");
    browser.open(&format!("{base}/fleets/shop/drift"))?;
    let drift = browser.text("#drift")?;
    for text in [
        "spec.http[0].route[0].weight",
        CONSOLE,
        "+ 50",
        "metadata.annotations[\"example.com/owner\"]",
        "kubectl asm adopt",
    ] {
        ensure!(drift.contains(text), "{text} is not in\n{drift}");
    }
    screenshot(browser, "page-drift", 1000)
}

/// The gateway leaves Git without consent.
async fn held_back(browser: &mut Browser, base: &str, story: &Story<'_>) -> Result<()> {
    browser.open(&format!("{base}/fleets/shop"))?;
    story.git(&["rm", "-r", "--quiet", "mesh/gateways"])?;
    story.commit_and_push("the gateway is not needed any more")?;
    browser.wait("the held change is told", &format!("{ATTENTION}.includes('How to approve it')"))?;
    browser.wait("the commit is told", "document.querySelector('#head').innerText.includes('not needed any more')")?;
    screenshot(browser, "page", 860)?;
    browser.open(&format!("{base}/fleets/shop/held"))?;
    let held = browser.text("#held")?;
    for text in ["approvals/delete-mesh-istiogateway-ingressgateway.yaml", "kind: Approval", "action: Delete"] {
        ensure!(held.contains(text), "{text} is not in\n{held}");
    }
    screenshot(browser, "page-held", 700)
}

/// Everything that can be reached by keys has a name and shows the focus, in the order of the page.
fn keyboard(browser: &mut Browser, base: &str) -> Result<()> {
    browser.open(&format!("{base}/fleets/shop/gateways"))?;
    let focus = "(() => { const e = document.activeElement; const b = e.getBoundingClientRect(); return [e.labels?.[0]?.textContent.trim() || \
                 e.getAttribute('aria-label') || e.textContent.trim(), getComputedStyle(e).outlineStyle, b.top]; })()";
    let mut walked = Vec::new();
    for _ in 0..14 {
        browser.press("Tab")?;
        let at = browser.eval(focus)?;
        ensure!(at[1] != "none", "no focus is to be seen at {at}");
        walked.push(at[0].as_str().unwrap_or_default().to_owned());
    }
    ensure!(walked.iter().all(|name| !name.is_empty()), "{walked:#?}");
    ensure!(walked.first().is_some_and(|first| first == "Skip to the content"), "{walked:#?}");
    let place = |name: &str| walked.iter().position(|walked| walked.contains(name));
    let order =
        ["asm-agent", "Overview", "History", "Name, host or address", "Cluster", "Show", "istio-system/"].map(place);
    ensure!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?} {walked:#?}");
    ensure!(browser.eval("document.documentElement.lang")? == "en", "no language");
    Ok(())
}

/// Landmarks, and names of everything that can be used, on every page.
fn names(browser: &mut Browser, base: &str) -> Result<()> {
    for path in ["", "/gateways", "/drift", "/held", "/picture", "/history"] {
        browser.open(&format!("{base}/fleets/shop{path}"))?;
        let told = browser.told()?;
        for landmark in ["banner", "main", "contentinfo", "navigation"] {
            ensure!(told.contains_key(landmark), "{path} has no {landmark}: {:?}", told.keys());
        }
        for role in ["link", "button", "searchbox", "combobox", "checkbox", "navigation", "region"] {
            let names = told.get(role).into_iter().flatten();
            ensure!(names.clone().all(|name| !name.is_empty()), "{path}: a {role} has no name: {names:?}");
        }
    }
    Ok(())
}

/// What is to be read can be read.
fn without_scripts(browser: &mut Browser, base: &str) -> Result<()> {
    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true}))?;
    browser.call("Page.navigate", json!({"url": format!("{base}/fleets/shop/drift")}))?;
    // Without scripts the page cannot say when it is there; until then, its document comes and goes.
    let end = Instant::now() + PATIENCE;
    let mut html = String::new();
    while !html.contains("</html>") || !html.contains("as of the last reload") {
        ensure!(Instant::now() < end, "no page without scripts: {html}");
        let root = browser.call("DOM.getDocument", json!({"depth": 0}))?;
        let whole = browser.call("DOM.getOuterHTML", json!({"nodeId": root["root"]["nodeId"]}));
        html = whole.map(|whole| whole["outerHTML"].to_string()).unwrap_or_default();
    }
    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": false}))?;
    ensure!(html.contains("spec.http[0].route[0].weight"), "{html}");
    Ok(())
}

/// Another fleet, with many gateways and nothing applied: lists come in parts, and one gateway is found by its name.
async fn many_gateways(browser: &mut Browser, base: &str, lab: &Lab) -> Result<()> {
    let many: usize = if std::env::var_os("KUBECTL_ASM_FULL").is_some() { 1000 } else { 200 };
    let fleet = Story::begin(lab)?;
    fleet.plugin_ok(&["init", "many", "--region", "cn-hangzhou"])?;
    fleet.plugin_ok(&["cluster", "add", "m1c1", "--id", "M1C1"])?;
    for number in 0..many {
        fleet.write(&format!("mesh/g{number}.yaml"), &gateway(number, &lab.cluster_id("m1c1")))?;
    }
    fleet.commit_and_push("many gateways")?;
    let sync = json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync", "metadata": {"name": "many", "namespace": NAMESPACE},
        "spec": {"source": {"url": fleet.url()}, "suspend": true, "lint": "Off"},
    });
    lab.apply_yaml(HOST, &sync.to_string()).await?;
    let end = Instant::now() + PATIENCE;
    loop {
        browser.open(&format!("{base}/fleets/many/gateways"))?;
        if browser.text("main")?.contains(&format!("{many} of {many} gateways")) {
            break;
        }
        ensure!(Instant::now() < end, "the second fleet is not there: {}", browser.text("main")?);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Until the fleet was there, the page was not.
    browser.complaints.retain(|complaint| !complaint.contains("404"));
    ensure!(browser.eval("document.querySelectorAll('#gateways tbody tr').length")? == 50, "a part has 50");
    browser.eval("setTimeout(() => document.querySelector('.turn a[rel=next]').click(), 0); true")?;
    browser.wait(
        "the second part",
        "document.readyState === 'complete' && document.querySelector('.turn')?.innerText.includes('51–100')",
    )?;
    let wanted = format!("g{}", many - 1);
    browser.eval(&format!(
        "document.querySelector('input[name=q]').value = {}; setTimeout(() => document.querySelector('form').submit(), 0); true",
        json!(wanted)
    ))?;
    browser.wait(
        "one is found",
        &format!("document.querySelector('#gateways')?.innerText.includes('1 of {many} gateways')"),
    )?;
    Ok(())
}

fn gateway(number: usize, cluster: &str) -> String {
    let objects = [
        json!({
            "apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway",
            "metadata": {"name": format!("g{number}"), "namespace": "istio-system"},
            "spec": {"clusterIds": [cluster], "ports": [{"name": "http", "port": 80}]},
        }),
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": format!("g{number}"), "namespace": "shop"},
            "spec": {"selector": {"istio": format!("g{number}")}, "servers": [{
                "port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [format!("h{number}.example.com")],
            }]},
        }),
    ];
    objects.map(|object| object.to_string()).join("\n---\n")
}

/// Light and dark, for the documents; only when asked for.
fn screenshot(browser: &mut Browser, name: &str, height: u32) -> Result<()> {
    if std::env::var_os("UPDATE_SCREENSHOTS").is_none() {
        return Ok(());
    }
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images");
    std::fs::create_dir_all(&folder).context("docs/images")?;
    browser.screenshot(&folder.join(format!("{name}.png")), "light", height)?;
    browser.screenshot(&folder.join(format!("{name}-dark.png")), "dark", height)
}
