//! The main story, as steps that the demo and the tests share: a fleet authored by plugin commands, pushed, synced by an
//! agent, and written to by somebody at the console.

pub mod changes;
mod compare;
mod expected;
mod under_load;

pub use compare::{Difference, holds};
pub use expected::{AFTER_V3, EXPECTED, Expected};
pub use under_load::UnderLoad;

use crate::product::{AgentProcess, PluginCommand};
use crate::{HOST, Lab, MESH, users, wait_for};
use anyhow::{Context as _, Result, ensure};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// Namespace of the agent.
pub const NAMESPACE: &str = "asm-system";
/// Name of the FleetSync.
pub const FLEET_SYNC: &str = "shop";
/// How long a step may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Field manager of the person at the console.
pub const CONSOLE: &str = "asm-console";

/// The command that leads requests for Bookinfo's pages in by the gateway `ingressgateway`.
pub const WAY_IN: &[&str] = &[
    "route",
    "add",
    "bookinfo",
    "--gateway",
    "bookinfo-gateway",
    "--create-gateway",
    "--selector",
    "istio=ingressgateway",
    "--port",
    "80",
    "--host",
    "*",
    "--match",
    "exact:/productpage",
    "--match",
    "prefix:/static",
    "--match",
    "exact:/login",
    "--match",
    "exact:/logout",
    "--match",
    "prefix:/api/v1/products",
    "--to",
    "productpage:9080",
];

/// The commands that write the fleet, in order. `M1C1` and `M1C2` stand for the clusters' IDs.
pub const AUTHOR: &[&[&str]] = &[
    &["init", "shop", "--region", "cn-hangzhou"],
    &["cluster", "add", "m1c1", "--id", "M1C1", "--region", "cn-hangzhou"],
    &["cluster", "add", "m1c2", "--id", "M1C2", "--region", "cn-hangzhou"],
    &["gateway", "create", "ingressgateway", "--serverless"],
    &["app", "add", "bookinfo", "--preset", "split", "--service-annotation", "productpage:example.com/owner=web-team"],
    WAY_IN,
];

/// The command that sends every request for reviews to v3.
pub const ALL_V3: &[&str] = &["route", "split", "reviews", "--subset", "v1,v2,v3", "--to", "v3=100"];

/// A working copy with its remote, and perhaps an agent.
pub struct Story<'lab> {
    /// The lab.
    pub lab: &'lab Lab,
    work: TempDir,
    url: String,
    /// The agent, when it was started.
    pub agent: Option<AgentProcess>,
}

impl<'lab> Story<'lab> {
    /// An empty folder and an empty repository on the Git server.
    pub fn begin(lab: &'lab Lab) -> Result<Self> {
        let name = format!("fleet-{}", lab.next_number());
        let url = lab.git().create_repo(&name)?;
        Self::begin_at(lab, url)
    }

    /// An empty folder, and a repository that there is already.
    pub fn begin_at(lab: &'lab Lab, url: String) -> Result<Self> {
        Ok(Self { lab, work: tempfile::tempdir()?, url, agent: None })
    }

    /// The working copy.
    pub fn dir(&self) -> &Path {
        self.work.path()
    }

    /// URL of the repository.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a plugin command in the working copy.
    pub fn plugin(&self, args: &[&str]) -> Result<Output> {
        let args = args.iter().map(|arg| match *arg {
            "M1C1" => self.lab.cluster_id("m1c1"),
            "M1C2" => self.lab.cluster_id("m1c2"),
            other => other.to_owned(),
        });
        PluginCommand::new(self.lab, self.dir())?.args(args).output()
    }

    /// Runs a plugin command that must succeed. Gives back what it printed on standard output.
    pub fn plugin_ok(&self, args: &[&str]) -> Result<String> {
        let output = self.plugin(args)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(
            output.status.success(),
            "kubectl asm {} ended with {}:\n{}{}",
            args.join(" "),
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        Ok(text(&output.stdout))
    }

    /// Writes the whole fleet by plugin commands.
    pub fn author(&self) -> Result<()> {
        for command in AUTHOR {
            self.plugin_ok(command)?;
        }
        Ok(())
    }

    /// Runs git in the working copy.
    pub fn git(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new("git");
        command.current_dir(self.dir()).args(args);
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("HOME", self.lab.dir().join("home"));
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Lab Engineer");
            command.env(format!("GIT_{role}_EMAIL"), "engineer@example.com");
        }
        let output = command.output().context("cannot run git")?;
        ensure!(output.status.success(), "git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Commits everything and pushes it. Gives back the commit's ID.
    pub fn commit_and_push(&self, message: &str) -> Result<String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message])?;
        self.git(&["push", "--quiet", &self.url, "HEAD:refs/heads/main"])?;
        self.git(&["rev-parse", "HEAD"])
    }

    /// Writes a file into the working copy.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.dir().join(path);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Installs what the agent needs on the host: CRDs, RBAC, kubeconfig Secrets, the FleetSync.
    pub async fn install(&self, spec: Value) -> Result<()> {
        self.install_crds().await?;
        let file = "install/rbac.yaml";
        self.lab.apply_file(HOST, &manifests().join(file)).await.with_context(|| file.to_owned())?;
        for target in [MESH].into_iter().chain(self.lab.members().iter().map(String::as_str)) {
            let kubeconfig = self.lab.kubeconfig_text(target, users::AGENT)?;
            self.secret(&format!("{target}-kubeconfig"), &kubeconfig).await?;
        }
        self.fleet_sync(spec).await
    }

    /// The agent's own kinds, on the host.
    pub async fn install_crds(&self) -> Result<()> {
        for file in ["crds/fleetsyncs.yaml", "crds/driftreports.yaml"] {
            self.lab.apply_file(HOST, &manifests().join(file)).await.with_context(|| file.to_owned())?;
        }
        Ok(())
    }

    /// Writes the Secret with a kubeconfig.
    pub async fn secret(&self, name: &str, kubeconfig: &str) -> Result<()> {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE},
            "stringData": {"kubeconfig": kubeconfig},
        });
        self.lab.apply_yaml(HOST, &secret.to_string()).await
    }

    /// Writes the FleetSync; `spec` is merged over one that looks at the repository every second and removes at once.
    pub async fn fleet_sync(&self, spec: Value) -> Result<()> {
        let mut sync = json!({
            "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync",
            "metadata": {"name": FLEET_SYNC, "namespace": NAMESPACE},
            "spec": {
                "source": {"url": self.url, "branch": "main", "intervalSeconds": 1, "timeoutSeconds": 10},
                "prune": {"graceSeconds": 0},
            },
        });
        merge(&mut sync["spec"], spec);
        self.lab.apply_yaml(HOST, &sync.to_string()).await
    }

    /// Arguments that every agent of the lab is started with.
    pub fn agent_args(&self) -> Result<Vec<String>> {
        let kubeconfig = self.lab.dir().join("agent-host.kubeconfig");
        std::fs::write(&kubeconfig, self.lab.kubeconfig_text(HOST, users::AGENT_SERVICE_ACCOUNT)?)?;
        let kubeconfig = kubeconfig.to_string_lossy().into_owned();
        let args = ["--kubeconfig", &kubeconfig, "--namespace", NAMESPACE, "--http-address", "127.0.0.1:0"];
        Ok(args.map(str::to_owned).to_vec())
    }

    /// The same for an agent whose Lease is soon over when it is killed.
    pub fn agent_args_with_short_lease(&self) -> Result<Vec<String>> {
        let mut args = self.agent_args()?;
        args.extend(["--lease-duration", "3s", "--lease-renew", "1s"].map(str::to_owned));
        Ok(args)
    }

    /// Starts the agent.
    pub fn start_agent(&mut self) -> Result<()> {
        self.agent = Some(AgentProcess::spawn(self.lab, self.agent_args()?)?);
        Ok(())
    }

    /// The agent's log, for messages of failed steps.
    pub fn log(&self) -> String {
        self.agent.as_ref().map(AgentProcess::log).unwrap_or_default()
    }

    /// The FleetSync as it is.
    pub async fn status(&self) -> Result<Value> {
        let api = api(self.lab, HOST, "kubectl-asm.io/v1alpha1", "FleetSync", "fleetsyncs", Some(NAMESPACE))?;
        Ok(serde_json::to_value(api.get(FLEET_SYNC).await?)?)
    }

    /// Waits until the FleetSync says something.
    pub async fn wait_status(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let waited = wait_for(what, PATIENCE, || async {
            let sync = self.status().await?;
            Ok(condition(&sync).then_some(sync))
        })
        .await;
        if waited.is_err() {
            last = self.status().await.unwrap_or_default();
        }
        waited.with_context(|| format!("status: {:#}\nagent:\n{}", last["status"], tail(&self.log(), 40)))
    }

    /// Waits until every target is ready at a commit.
    pub async fn wait_ready(&self, revision: &str) -> Result<Value> {
        self.wait_status(&format!("every target is ready at {revision}"), |sync| {
            condition(sync, "Ready").is_some_and(|ready| ready["status"] == "True")
                && sync["status"]["source"]["revision"] == revision
                && targets(sync).all(|target| target["revision"] == revision)
        })
        .await
    }

    /// A live object, if there is one.
    pub async fn live(&self, expected: &Expected) -> Result<Option<Value>> {
        let api = self.api_of(expected)?;
        api.get_opt(expected.name()).await?.map(serde_json::to_value).transpose().map_err(Into::into)
    }

    fn api_of(&self, expected: &Expected) -> Result<Api<DynamicObject>> {
        let object = expected.object()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let namespace = text(&object["metadata"]["namespace"]);
        api(self.lab, expected.context, &version, &kind, expected.plural, Some(&namespace))
    }

    /// What of the expected objects is missing or different, field by field.
    pub async fn differences(&self, expected: &[Expected]) -> Result<Vec<Difference>> {
        let mut differences = Vec::new();
        for one in expected {
            let live = self.live(one).await?;
            differences.extend(compare::differences(one, live.as_ref())?);
        }
        Ok(differences)
    }

    /// Three changes by somebody at the console, past Git: a weight, an annotation, a deletion.
    pub async fn console_writes(&self) -> Result<()> {
        let manager = PatchParams { field_manager: Some(CONSOLE.to_owned()), ..PatchParams::default() };
        let mesh = |plural, kind| console(self.lab, MESH, "networking.istio.io/v1beta1", kind, plural);
        let weight = json!([{"op": "add", "path": "/spec/http/0/route/0/weight", "value": 50}]);
        let patch: Patch<Value> = Patch::Json(serde_json::from_value(weight)?);
        mesh("virtualservices", "VirtualService")?.patch("bookinfo", &manager, &patch).await?;
        let annotation = json!({"metadata": {"annotations": {"example.com/owner": "somebody"}}});
        let services = console(self.lab, "m1c2", "v1", "Service", "services")?;
        services.patch("productpage", &manager, &Patch::Merge(annotation)).await?;
        let deployments = console(self.lab, "m1c1", "apps/v1", "Deployment", "deployments")?;
        deployments.delete("reviews-v3", &DeleteParams::background()).await?;
        Ok(())
    }
}

/// The project's `manifests/`.
pub fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

/// A condition of an object.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// The targets in the status of a FleetSync.
pub fn targets(sync: &Value) -> impl Iterator<Item = &Value> {
    sync["status"]["targets"].as_array().into_iter().flatten()
}

/// Objects of one kind as the lab's admin.
pub fn api(
    lab: &Lab,
    context: &str,
    api_version: &str,
    kind: &str,
    plural: &str,
    namespace: Option<&str>,
) -> Result<Api<DynamicObject>> {
    Ok(objects(lab.client(context)?, api_version, kind, plural, namespace))
}

/// Objects of one kind in `default`, as the person at the console.
fn console(lab: &Lab, context: &str, api_version: &str, kind: &str, plural: &str) -> Result<Api<DynamicObject>> {
    Ok(objects(lab.client_as(context, users::CONSOLE)?, api_version, kind, plural, Some("default")))
}

fn objects(
    client: kube::Client,
    api_version: &str,
    kind: &str,
    plural: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// The last lines of a text.
fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
