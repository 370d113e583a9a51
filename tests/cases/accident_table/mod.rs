//! Accidents, as a table on one lab: whatever somebody does to the repository, the FleetSync, a Secret or an API server, no load
//! balancer is lost and nothing is removed that nobody meant to remove, and the status says what, where and what to do.
//!
//! Lint is off: the guard must hold by itself.

mod files;
mod lives;
mod surroundings;

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{EXPECTED, Expected, FLEET_SYNC, NAMESPACE, Story, api, condition, targets};
use asm_lab::{AuditMark, HOST, Lab, LabOptions, users, wait_for};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a status may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The API servers that hold something.
const TARGETS: [&str; 3] = ["mesh", "m1c1", "m1c2"];

/// What the status must come to.
enum End {
    /// Something waits, or is refused: Ready is False, and the status says all of this.
    Says(Vec<String>),
    /// Nothing is wrong.
    Ready,
}

/// What the status must say. `ADDRESS` words are put in by the caller.
fn says<const N: usize>(words: [&str; N]) -> End {
    End::Says(words.iter().map(|word| (*word).to_owned()).collect())
}

/// The lab with a fleet in it, as it must stay.
struct Scene<'lab> {
    story: Story<'lab>,
    /// The commit that is right.
    base: String,
    /// UIDs of everything that must stay, by target and object.
    uids: BTreeMap<String, String>,
    /// Addresses by name of the Service, in the cluster that counts.
    addresses: BTreeMap<&'static str, String>,
    marks: Vec<(&'static str, AuditMark)>,
    told: Vec<(String, Duration)>,
    failures: Vec<String>,
}

/// A Service with a load balancer.
fn balancer(name: &str, namespace: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: {namespace}\n{more}spec:\n  type: LoadBalancer\n  \
         ports:\n    - name: http\n      port: 80\n      targetPort: 9080\n  selector:\n    app: reviews\n"
    )
}

/// Context, apiVersion, kind, plural, namespace, name.
type Object = (&'static str, &'static str, &'static str, &'static str, Option<&'static str>, &'static str);

/// Objects besides those of the story.
const MORE: &[Object] = &[
    ("mesh", "istio.alibabacloud.com/v1beta1", "IstioGateway", "istiogateways", Some("istio-system"), "edge"),
    ("m1c1", "v1", "Service", "services", Some("istio-system"), "istio-edge"),
    ("m1c2", "v1", "Service", "services", Some("istio-system"), "istio-edge"),
    ("m1c1", "v1", "Service", "services", Some("default"), "door"),
    ("m1c1", "v1", "Service", "services", Some("default"), "porch"),
    ("m1c1", "v1", "Service", "services", Some("default"), "reused"),
    ("m1c2", "v1", "Namespace", "namespaces", None, "shop"),
    ("m1c2", "v1", "Service", "services", Some("shop"), "till"),
];

impl<'lab> Scene<'lab> {
    async fn set(lab: &'lab Lab) -> Result<Self> {
        let mut story = Story::begin(lab)?;
        story.author()?;
        story.plugin_ok(&["gateway", "create", "edge", "--cluster", "m1c1,m1c2", "--address-type", "internet"])?;
        let fleet = std::fs::read_to_string(story.dir().join("fleet.yaml"))?;
        story.write("fleet.yaml", &format!("{fleet}  groups:\n    - name: edge\n      clusters: [m1c1]\n"))?;
        story.write("clusters/m1c1/door.yaml", &balancer("door", "default", ""))?;
        story.write("groups/edge/porch.yaml", &balancer("porch", "default", ""))?;
        let id = lab.cloud("m1c1").create_load_balancer("internet").id;
        let reuse = format!("  annotations:\n    service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id: {id}\n");
        story.write("clusters/m1c1/reused.yaml", &balancer("reused", "default", &reuse))?;
        let shop = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n";
        story.write(
            "clusters/m1c2/shop.yaml",
            &format!("{shop}---\n{}", balancer("till", "shop", "").replace("  selector:\n    app: reviews\n", "")),
        )?;
        for n in 0..6 {
            let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map-{n}\n");
            story.write(&format!("clusters/m1c1/maps/{n}.yaml"), &map)?;
        }
        let base = story.commit_and_push("a fleet with doors")?;
        story.install(spec()).await?;
        story.start_agent()?;
        story.wait_ready(&base).await?;
        let address = |cluster: &str, namespace: &str, name: &str| -> Result<String> {
            let found = lab.cloud(cluster).load_balancer_of(namespace, name);
            Ok(found.with_context(|| format!("{namespace}/{name} has no load balancer in {cluster}"))?.address)
        };
        let addresses = [
            ("door", address("m1c1", "default", "door")?),
            ("porch", address("m1c1", "default", "porch")?),
            ("till", address("m1c2", "shop", "till")?),
            ("edge in m1c1", address("m1c1", "istio-system", "istio-edge")?),
            ("edge in m1c2", address("m1c2", "istio-system", "istio-edge")?),
            ("reused", id),
        ];
        let mut scene = Self {
            story,
            base,
            uids: BTreeMap::new(),
            addresses: addresses.into(),
            marks: Vec::new(),
            told: Vec::new(),
            failures: Vec::new(),
        };
        scene.uids = scene.all_uids().await?;
        ensure!(scene.uids.len() == EXPECTED.len() + MORE.len(), "something is missing: {:?}", scene.uids.keys());
        for target in TARGETS {
            scene.marks.push((target, lab.audit_mark(target).await?));
        }
        Ok(scene)
    }

    fn lab(&self) -> &'lab Lab {
        self.story.lab
    }

    fn address(&self, name: &str) -> String {
        self.addresses.get(name).cloned().unwrap_or_default()
    }

    async fn all_uids(&self) -> Result<BTreeMap<String, String>> {
        let mut uids = BTreeMap::new();
        for expected in EXPECTED {
            if let Some(live) = self.story.live(expected).await? {
                let key = format!("{} {}/{}", expected.context, expected.plural, Expected::name(expected));
                uids.insert(key, live["metadata"]["uid"].to_string());
            }
        }
        for (context, version, kind, plural, namespace, name) in MORE {
            let objects = api(self.lab(), context, version, kind, plural, *namespace)?;
            if let Some(live) = objects.get_opt(name).await? {
                uids.insert(format!("{context} {plural}/{name}"), live.metadata.uid.unwrap_or_default());
            }
        }
        Ok(uids)
    }

    /// Makes the right tree again, changes it, and pushes that as the next commit.
    fn commit(&self, what: &str, change: impl FnOnce(&Story<'_>) -> Result<()>) -> Result<String> {
        self.restore()?;
        change(&self.story)?;
        self.story.commit_and_push(what)
    }

    fn restore(&self) -> Result<()> {
        self.story.git(&["rm", "-r", "-f", "--quiet", "--ignore-unmatch", "."])?;
        self.story.git(&["checkout", "--quiet", &self.base, "--", "."])?;
        Ok(())
    }

    /// Says that there is something new, as a webhook would.
    async fn hint(&self) -> Result<()> {
        let syncs = api(self.lab(), HOST, "kubectl-asm.io/v1alpha1", "FleetSync", "fleetsyncs", Some(NAMESPACE))?;
        let now = jiff::Timestamp::now().to_string();
        let patch = json!({"metadata": {"annotations": {"kubectl-asm.io/hint-at": now}}});
        syncs.patch(FLEET_SYNC, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// An accident of the repository.
    async fn files(&mut self, what: &str, end: End, change: impl FnOnce(&Story<'_>) -> Result<()>) -> Result<()> {
        let revision = self.commit(what, change)?;
        self.hint().await?;
        self.come_to(what, end, Some(&revision)).await
    }

    /// All is well again.
    async fn well(&self) -> Result<()> {
        self.story.fleet_sync(spec()).await?;
        let back = self.commit("all is well", |_| Ok(()))?;
        self.hint().await?;
        self.story.wait_ready(&back).await.map(drop)
    }

    /// Waits for the end of an accident, and looks whether anything is lost.
    async fn come_to(&mut self, what: &str, end: End, revision: Option<&str>) -> Result<()> {
        let began = Instant::now();
        if let Err(error) = self.told(what, &end, revision).await {
            // The others are worth knowing, too.
            self.failures.push(format!("{what}: {error:#}"));
        }
        self.nothing_is_lost(what).await?;
        self.told.push((what.to_owned(), began.elapsed()));
        Ok(())
    }

    /// Waits until the status says what it must.
    async fn told(&self, what: &str, end: &End, revision: Option<&str>) -> Result<()> {
        let words = match end {
            End::Says(words) => words,
            End::Ready => return self.story.wait_ready(revision.unwrap_or(&self.base)).await.map(drop),
        };
        let sync = self.wait_for_words(what, words, revision).await?;
        let ready = condition(&sync, "Ready").cloned().unwrap_or_default();
        ensure!(ready["status"] == "False", "it is ready: {ready}");
        ensure!(ready["lastTransitionTime"].is_string(), "since when? {ready}");
        Ok(())
    }

    async fn wait_for_words(&self, what: &str, words: &[String], revision: Option<&str>) -> Result<Value> {
        let mut last = String::new();
        let waited = wait_for(format!("{what}: {words:?}"), PATIENCE, || async {
            let sync = self.story.status().await?;
            let text = text(&sync);
            let here = revision.is_none_or(|revision| sync["status"]["source"]["revision"] == *revision);
            Ok((here && words.iter().all(|word| text.contains(word.as_str()))).then_some(sync))
        })
        .await;
        if waited.is_err() {
            last = text(&self.story.status().await?);
        }
        waited.with_context(|| format!("the status says:\n{last}"))
    }

    async fn nothing_is_lost(&self, what: &str) -> Result<()> {
        for cluster in TARGETS {
            let lost = self.lab().cloud(cluster).deleted();
            ensure!(lost.is_empty(), "{what}: {cluster} lost {lost:?}");
        }
        let now = self.all_uids().await?;
        ensure!(now == self.uids, "{what}: objects were replaced or removed:\n{now:#?}\nbefore:\n{:#?}", self.uids);
        Ok(())
    }

    /// The deletes that the agent has asked for since the fleet stood.
    async fn deletes(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for (target, mark) in &self.marks {
            for entry in self.lab().audit_since(target, *mark).await? {
                let is_delete = matches!(entry.verb.as_str(), "delete" | "deletecollection");
                if is_delete && entry.user == users::AGENT {
                    found.push(format!("{target} {}", entry.uri));
                }
            }
        }
        Ok(found)
    }
}

/// The FleetSync's spec.
fn spec() -> Value {
    json!({"lint": "Off"})
}

/// Everything that a status says, in one text.
fn text(sync: &Value) -> String {
    let mut lines = Vec::new();
    let conditions = |of: &Value| of["conditions"].as_array().cloned().unwrap_or_default();
    let all = targets(sync).flat_map(conditions).chain(conditions(&sync["status"]));
    lines.extend(all.map(|one| format!("{} {} {}: {}", one["type"], one["status"], one["reason"], one["message"])));
    for target in targets(sync) {
        for list in ["held", "problems"] {
            let entries = target[list].as_array().into_iter().flatten();
            lines.extend(entries.map(|entry| format!("{}: {} {}", target["name"], entry["at"], entry["message"])));
        }
    }
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_no_load_balancer_is_lost() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut scene = Scene::set(&lab).await?;
    let outcome = async {
        files::all(&mut scene).await?;
        surroundings::all(&mut scene).await?;
        lives::all(&mut scene).await
    }
    .await;
    outcome.with_context(|| scene.story.log())?;
    ensure!(scene.failures.is_empty(), "{}", scene.failures.join("\n\n"));
    let mut deletes = scene.deletes().await?;
    // What a scene adds by a commit leaves with the commit that takes it back.
    let taken_back = ["/configmaps/new?", "/configmaps/renamed?", "/widgets/w?"];
    deletes.retain(|delete| !taken_back.iter().any(|name| delete.contains(name)));
    ensure!(deletes.is_empty(), "the agent has deleted {deletes:?}");
    let total: Duration = scene.told.iter().map(|(_, took)| *took).sum();
    let times: Vec<String> =
        scene.told.iter().map(|(what, took)| format!("{:.1} s {what}", took.as_secs_f64())).collect();
    tracing::info!("{} accidents in {total:?}: {}", scene.told.len(), times.join("; "));
    ensure!(scene.told.len() >= 30, "only {} accidents", scene.told.len());
    Ok(())
}
