//! Make before break: the order of writes, read from the API server's audit log.

use anyhow::{Context as _, Result};
use asm_lab::story::{ALL_V3, Story};
use asm_lab::{Lab, LabOptions, MESH, users};
use serde_json::json;

/// Writes of routes and rules since a mark, as `verb kind/name`, in the order in which the API server took them.
async fn writes(lab: &Lab, mark: asm_lab::AuditMark) -> Result<Vec<String>> {
    let mut entries = lab.audit_since(MESH, mark).await?;
    entries.retain(|entry| entry.user == users::AGENT && entry.is_write() && entry.code < 300);
    entries.sort_by_key(|entry| entry.time);
    let line = |entry: asm_lab::AuditEntry| {
        let resource = entry.resource?;
        Some(format!("{} {}/{}", entry.verb, resource.resource, resource.name))
    };
    Ok(entries.into_iter().filter_map(line).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_refers_to_what_is_not_there() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let first = story.commit_and_push("a fleet")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&first).await?;

    // A route to a subset: the rule that defines it first.
    let mark = lab.audit_mark(MESH).await?;
    story.plugin_ok(ALL_V3)?;
    let added = story.commit_and_push("all reviews to v3")?;
    story.wait_ready(&added).await?;
    assert_eq!(writes(&lab, mark).await?, ["patch destinationrules/reviews", "patch virtualservices/reviews"]);

    // One commit takes the subset away that the routes used, and moves them to another one: the rule stands with both
    // while the routes move, and loses the old one only then.
    let mark = lab.audit_mark(MESH).await?;
    let file = std::fs::read_to_string(story.dir().join("mesh/routes/reviews.yaml"))?;
    let moved = file
        .replace(
            "    - name: v3\n      labels:\n        version: v3\n",
            "    - name: red\n      labels:\n        version: v3\n",
        )
        .replace("subset: v3", "subset: red");
    assert_eq!(moved.matches("red").count(), 2, "{moved}");
    story.write("mesh/routes/reviews.yaml", &moved)?;
    let renamed = story.commit_and_push("the subset gets another name")?;
    story.wait_ready(&renamed).await?;
    assert_eq!(
        writes(&lab, mark).await?,
        ["patch destinationrules/reviews", "patch virtualservices/reviews", "patch destinationrules/reviews"]
    );
    let rules = asm_lab::story::api(
        &lab,
        MESH,
        "networking.istio.io/v1beta1",
        "DestinationRule",
        "destinationrules",
        Some("default"),
    )?;
    let subsets = rules.get("reviews").await?.data["spec"]["subsets"].clone();
    assert_eq!(subsets.as_array().map(Vec::len), Some(3), "{subsets}");

    // Removed, the routes go first.
    let mark = lab.audit_mark(MESH).await?;
    story.git(&["rm", "--quiet", "mesh/routes/reviews.yaml"])?;
    let removed = story.commit_and_push("without the split")?;
    story.wait_ready(&removed).await?;
    assert_eq!(writes(&lab, mark).await?, ["delete virtualservices/reviews", "delete destinationrules/reviews"]);

    // The same across API servers: a Service goes after the route to it.
    story.write("mesh/routes/canary.yaml", CANARY_ROUTE)?;
    story.write("clusters/m1c1/apps/canary.yaml", CANARY_SERVICE)?;
    let added = story.commit_and_push("a canary")?;
    story.wait_ready(&added).await?;
    story.git(&["rm", "--quiet", "mesh/routes/canary.yaml", "clusters/m1c1/apps/canary.yaml"])?;
    let removed = story.commit_and_push("without the canary")?;
    story.wait_ready(&removed).await?;
    let route = deleted(&lab, MESH, "virtualservices").await?;
    let service = deleted(&lab, "m1c1", "services").await?;
    assert!(route < service, "the route at {route}, the Service at {service}");
    Ok(())
}

const CANARY_ROUTE: &str = "apiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata:\n  name: canary\n  namespace: \
     default\nspec:\n  hosts:\n    - canary\n  http:\n    - route:\n        - destination:\n            host: canary\n";
const CANARY_SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: canary\n  namespace: default\nspec:\n  ports:\n    \
     - name: http\n      port: 80\n";

/// When the agent deleted the canary's object of a resource.
async fn deleted(lab: &Lab, context: &str, resource: &str) -> Result<jiff::Timestamp> {
    let entries = lab.audit(context).await?;
    let is_it = |entry: &&asm_lab::AuditEntry| {
        let named = entry.resource.as_ref().is_some_and(|r| r.resource == resource && r.name == "canary");
        named && entry.verb == "delete" && entry.user == users::AGENT && entry.code < 300
    };
    let found = entries.iter().find(is_it).map(|entry| entry.time);
    found.with_context(|| format!("{resource}/canary was not deleted on {context}"))
}
