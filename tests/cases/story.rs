//! The main story: a fleet in Git, synced into three API servers, drift reported with its author, corrected, routed on.

use anyhow::{Result, ensure};
use asm_lab::story::{AFTER_V3, ALL_V3, CONSOLE, EXPECTED, Story};
use asm_lab::{Lab, LabOptions};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn started(lab: &Lab) -> Result<(Story<'_>, String)> {
    let mut story = Story::begin(lab)?;
    story.author()?;
    let revision = story.commit_and_push("a gateway and Bookinfo in two clusters")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&revision).await?;
    Ok((story, revision))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_directory_to_a_fleet_that_knows_who_changed_it() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let (story, _) = started(&lab).await?;

    let differences = story.differences(EXPECTED).await?;
    assert!(differences.is_empty(), "{differences:#?}");

    let (code, text) = diff_live(&story)?;
    assert_eq!(code, Some(0), "straight after a sync nothing differs: {text}");

    story.console_writes().await?;
    let written = Instant::now();
    let report = loop {
        let output = story.plugin(&["drift", "--context", "host", "-o", "json"])?;
        let report: Value = serde_json::from_slice(&output.stdout)?;
        if drifted(&report).len() == 3 {
            assert_eq!(output.status.code(), Some(1));
            break report;
        }
        ensure!(written.elapsed() < Duration::from_secs(10), "after 10 s only: {report:#}\n{}", story.log());
    };
    assert_eq!(
        drifted(&report),
        [
            ("VirtualService.networking.istio.io bookinfo".to_owned(), vec!["spec.http[0].route[0].weight".to_owned()]),
            ("Deployment.apps reviews-v3".to_owned(), vec![]),
            ("Service productpage".to_owned(), vec![r#"metadata.annotations["example.com/owner"]"#.to_owned()]),
        ]
    );
    let fields: Vec<&Value> =
        objects(&report).flat_map(|object| object["fields"].as_array().into_iter().flatten()).collect();
    for field in &fields {
        assert_eq!((&field["manager"], &field["operation"]), (&json!(CONSOLE), &json!("Update")));
        assert!(field["time"].is_string(), "{field}");
    }

    let (code, text) = diff_live(&story)?;
    assert_eq!(code, Some(1), "{text}");
    for line in
        ["~ VirtualService default/bookinfo", "+ Deployment default/reviews-v3", "~ Service default/productpage"]
    {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }

    story.fleet_sync(json!({"drift": "Correct"})).await?;
    story.wait_status("the drift is healed", |sync| sync["status"]["drifted"] == 0).await?;
    let differences = story.differences(EXPECTED).await?;
    assert!(differences.is_empty(), "{differences:#?}");

    story.plugin_ok(ALL_V3)?;
    let revision = story.commit_and_push("all reviews to v3")?;
    story.wait_ready(&revision).await?;
    assert!(story.differences(AFTER_V3).await?.is_empty());
    Ok(())
}

/// `kubectl asm diff --live`: exit code and output.
fn diff_live(story: &Story<'_>) -> Result<(Option<i32>, String)> {
    let output = story.plugin(&["diff", "--live"])?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr))))
}

/// The objects of all reports.
fn objects(reports: &Value) -> impl Iterator<Item = &Value> {
    let items = reports["items"].as_array().into_iter().flatten();
    items.flat_map(|report| report["status"]["objects"].as_array().into_iter().flatten())
}

/// Kind, name and paths of what drifted.
fn drifted(reports: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = |object: &Value| object["fields"].as_array().into_iter().flatten().map(|f| text(&f["path"])).collect();
    objects(reports)
        .map(|object| (format!("{} {}", text(&object["kind"]), text(&object["name"])), fields(object)))
        .collect()
}
