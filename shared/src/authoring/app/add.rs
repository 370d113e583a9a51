//! An application of the fleet's owners: a Deployment and a Service per cluster.

use super::super::fleet_view::{check_name, cluster, fleet};
use super::super::text::{Field, File, Node, field, list};
use super::super::workspace::Workspace;
use super::super::{AuthoringError, Plan};
use super::missing_namespace;
use super::view::View;
use crate::fleet::{FleetState, Target, Tree};
use crate::object::At as _;
use std::collections::BTreeSet;

/// Add an application: `clusters/<cluster>/apps/<name>.yaml` in every cluster that runs or calls it.
#[derive(Clone, Debug)]
pub struct AddApp {
    /// Name of the Service, and label `app` of its pods.
    pub name: String,
    /// Label `version` of its pods; the Deployment is `<name>-<version>`.
    pub version: String,
    /// Container image.
    pub image: String,
    /// Port of the Service and of the container.
    pub port: u16,
    /// Protocol: the name of the Service's port, by which the mesh knows what it carries.
    pub protocol: String,
    /// Where it runs.
    pub clusters: Vec<String>,
    /// Pods in each cluster.
    pub replicas: u32,
    /// With a ServiceAccount of its own, named like it.
    pub service_account: bool,
    /// Environment of the container.
    pub env: Vec<(String, String)>,
    /// Namespace; when absent the manifests name none, which is `default`.
    pub namespace: Option<String>,
    /// Applications that call it: its Service stands wherever they run.
    pub called_by: Vec<String>,
    /// More clusters in which its Service stands.
    pub also_in: Vec<String>,
}

/// Prefixes of port names that Istio knows.
const PROTOCOLS: [&str; 10] = ["http", "http2", "https", "grpc", "grpc-web", "tcp", "tls", "mongo", "mysql", "redis"];

impl AddApp {
    /// The files of the application.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let fleet = fleet(state)?;
        self.check()?;
        for name in self.clusters.iter().chain(&self.also_in) {
            cluster(fleet, name)?;
        }
        let view = View::new(state, self.namespace.as_deref());
        let mut callers: Vec<(String, &str)> = Vec::new();
        for caller in &self.called_by {
            callers
                .extend(view.find(caller)?.into_iter().map(|workload| (workload.target.name().to_owned(), &**caller)));
        }
        let (mut workspace, mut warnings) = (Workspace::new(tree), Vec::new());
        let homes: BTreeSet<&str> = self.clusters.iter().map(String::as_str).collect();
        let named: BTreeSet<&str> =
            self.also_in.iter().map(String::as_str).chain(callers.iter().map(|(name, _)| &**name)).collect();
        for cluster in fleet.spec.clusters.iter().map(|cluster| cluster.name.as_str()) {
            let (runs, named) = (homes.contains(cluster), named.contains(cluster));
            if !runs && !named {
                continue;
            }
            let target = Target::Cluster(cluster.into());
            let deployment = format!("{}-{}", self.name, self.version);
            let taken = view.workloads.iter().find(|w| w.target == target && *w.id.name == *deployment);
            if let Some(taken) = taken.filter(|_| runs) {
                return Err(AuthoringError::new(format!("{cluster} runs {deployment} already"))
                    .at(&taken.position)
                    .hint("choose another --version, or edit that file"));
            }
            let there = view.service(&self.name, &target);
            if let Some(service) = there.filter(|_| runs)
                && !self.is_served_by(&service.object)
            {
                return Err(AuthoringError::new(format!(
                    "the Service {} of {cluster} does not choose pods with app={} on port {}",
                    self.name, self.name, self.port
                ))
                .at(&service.position)
                .hint("choose another name or port, or edit that Service"));
            }
            let who: BTreeSet<_> =
                callers.iter().filter(|(name, _)| name == cluster).map(|(_, caller)| *caller).collect();
            let text = self.file(&view, &target, runs, there.is_none(), &who.into_iter().collect::<Vec<_>>());
            if !text.is_empty() {
                workspace.add(&format!("clusters/{cluster}/apps/{}.yaml", self.name), &text)?;
            }
            warnings.extend(missing_namespace(self.namespace.as_deref(), cluster, state));
        }
        Ok(Plan { edits: workspace.finish(), warnings })
    }

    fn check(&self) -> Result<(), AuthoringError> {
        check_name("an application", &self.name, 63)?;
        check_name("a version", &self.version, 63)?;
        check_name("a Deployment", &format!("{}-{}", self.name, self.version), 63)?;
        if self.name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(AuthoringError::new(format!("`{}` cannot be the name of a Service", self.name))
                .hint("it begins with a letter"));
        }
        if let Some(namespace) = &self.namespace {
            check_name("a namespace", namespace, 63)?;
        }
        if self.clusters.is_empty() {
            return Err(AuthoringError::new(format!("{} is placed nowhere", self.name)).hint("say --place CLUSTER"));
        }
        if self.image.is_empty() || self.image.contains(char::is_whitespace) {
            return Err(AuthoringError::new(format!("`{}` is no image", self.image))
                .hint("write it as for kubectl: [REGISTRY/]NAME[:TAG]"));
        }
        if !PROTOCOLS.contains(&self.protocol.as_str()) {
            return Err(AuthoringError::new(format!("`{}` is no protocol that the mesh knows", self.protocol))
                .hints(super::super::did_you_mean(&self.protocol, PROTOCOLS))
                .hint(format!("it knows {}", PROTOCOLS.join(", "))));
        }
        for (index, (key, _)) in self.env.iter().enumerate() {
            if self.env[..index].iter().any(|(other, _)| other == key) {
                return Err(AuthoringError::new(format!("the variable {key} is set twice")));
            }
        }
        Ok(())
    }

    /// Would this Service choose its pods, at its port?
    fn is_served_by(&self, service: &serde_json::Value) -> bool {
        let selector = service.at("/spec/selector").and_then(serde_json::Value::as_object);
        let ports = service.at("/spec/ports").and_then(serde_json::Value::as_array).into_iter().flatten();
        let labels = [("app", self.name.as_str()), ("version", self.version.as_str())];
        let is_label = |key: &str, value: &serde_json::Value| {
            labels.iter().any(|(known, own)| *known == key && value.as_str() == Some(own))
        };
        selector.is_some_and(|selector| selector.iter().all(|(key, value)| is_label(key, value)))
            && ports
                .into_iter()
                .any(|port| port.get("port").and_then(serde_json::Value::as_u64) == Some(self.port.into()))
    }

    fn file(&self, view: &View<'_>, target: &Target, runs: bool, new_service: bool, callers: &[&str]) -> String {
        let mut file = File::default();
        if new_service {
            let about = if runs {
                format!("{}: its pods in all clusters, behind one name.", self.name)
            } else {
                let callers = if callers.is_empty() { "What runs here".to_owned() } else { callers.join(" and ") };
                format!(
                    "{}: no pods here, they run in {}. {callers} calls it by this name, which must exist in its own cluster.",
                    self.name,
                    self.clusters.join(", ")
                )
            };
            file.push(&[&about], &self.service());
        }
        if runs {
            let account = view.workloads.iter().any(|workload| {
                let name = workload.object.at("/spec/template/spec/serviceAccountName");
                workload.target == *target && name.and_then(serde_json::Value::as_str) == Some(&*self.name)
            });
            if self.service_account && !account {
                file.push(&[], &self.account());
            }
            file.push(&[], &self.deployment());
        }
        file.finish()
    }

    fn metadata(&self, name: &str, labels: Vec<Field>) -> Field {
        let mut metadata = vec![field("name", name)];
        metadata.extend(self.namespace.as_deref().map(|namespace| field("namespace", namespace)));
        metadata.push(field("labels", labels));
        field("metadata", metadata)
    }

    fn service(&self) -> Node {
        let name = self.name.as_str();
        let ports = list([[field("port", self.port), field("name", &*self.protocol)]]);
        [
            field("apiVersion", "v1"),
            field("kind", "Service"),
            self.metadata(name, vec![field("app", name), field("service", name)]),
            field("spec", [field("ports", ports), field("selector", [field("app", name)])]),
        ]
        .into()
    }

    fn account(&self) -> Node {
        [
            field("apiVersion", "v1"),
            field("kind", "ServiceAccount"),
            self.metadata(&self.name, vec![field("account", &*self.name)]),
        ]
        .into()
    }

    fn deployment(&self) -> Node {
        let labels = || vec![field("app", &*self.name), field("version", &*self.version)];
        let mut container = vec![
            field("name", &*self.name),
            field("image", &*self.image),
            field("ports", list([[field("containerPort", self.port)]])),
        ];
        if !self.env.is_empty() {
            let variable = |(name, value): &(String, String)| [field("name", &**name), field("value", &**value)];
            container.push(field("env", list(self.env.iter().map(variable))));
        }
        let mut pod = Vec::new();
        if self.service_account {
            pod.push(field("serviceAccountName", &*self.name));
        }
        pod.push(field("containers", list([container])));
        [
            field("apiVersion", "apps/v1"),
            field("kind", "Deployment"),
            self.metadata(&format!("{}-{}", self.name, self.version), labels()),
            field(
                "spec",
                [
                    field("replicas", self.replicas),
                    field("selector", [field("matchLabels", labels())]),
                    field("template", [field("metadata", [field("labels", labels())]), field("spec", pod)]),
                ],
            ),
        ]
        .into()
    }
}
