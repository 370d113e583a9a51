//! Bookinfo over the clusters of a fleet.

use super::super::bookinfo::{BOOKINFO, PORT, Service, Version, image, is_in_first_cluster_of_split};
use super::super::fleet_view::{self, check_name, cluster, ensure_free, fleet};
use super::super::text::{Field, File, Node, field, list};
use super::super::{AuthoringError, FileEdit, Placement, PlacementRule, Plan, Workload};
use super::missing_namespace;
use crate::fleet::{FleetState, Manifest, Tree};
use crate::object::At as _;
use std::collections::BTreeSet;

/// Add Bookinfo: `clusters/<cluster>/apps/bookinfo.yaml` in every cluster that gets a part of it.
#[derive(Clone, Debug)]
pub struct AddBookinfo {
    /// Where everything runs that no rule speaks of.
    pub placement: Placement,
    /// Where the rest runs. The last rule that speaks of a workload counts.
    pub rules: Vec<PlacementRule>,
    /// Namespace; when absent the manifests name none, which is `default`.
    pub namespace: Option<String>,
    /// Annotations of the Services.
    pub annotations: Vec<ServiceAnnotation>,
}

/// An annotation of one Service, wherever that Service stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAnnotation {
    service: &'static str,
    key: String,
    value: String,
}

impl ServiceAnnotation {
    /// Reads `SERVICE:KEY=VALUE`.
    pub fn parse(text: &str) -> Result<Self, AuthoringError> {
        let parts = text.split_once(':').and_then(|(service, rest)| Some((service, rest.split_once('=')?)));
        let Some((service, (key, value))) = parts.filter(|(_, (key, _))| !key.is_empty()) else {
            return Err(AuthoringError::new(format!("{text:?} is no annotation of a Service"))
                .hint("write SERVICE:KEY=VALUE, for example productpage:example.com/owner=web-team"));
        };
        let Some(service) = BOOKINFO.iter().find(|known| known.name == service) else {
            let known: Vec<&str> = BOOKINFO.iter().map(|known| known.name).collect();
            return Err(AuthoringError::new(format!("bookinfo has no Service {service:?}"))
                .hint(format!("its Services are {}", known.join(", "))));
        };
        Ok(Self { service: service.name, key: key.to_owned(), value: value.to_owned() })
    }
}

/// One version of one service, and the clusters in which it runs.
pub(super) struct Placed {
    pub(super) service: &'static Service,
    pub(super) version: &'static Version,
    pub(super) clusters: Vec<String>,
}

/// Bookinfo as a fleet has it, in files that are as this program writes them: they can be written anew.
pub(super) struct Recognised {
    intent: AddBookinfo,
    pub(super) placed: Vec<Placed>,
}

impl Recognised {
    /// Recognises it, unless somebody has changed one of its files.
    pub(super) fn find(tree: &dyn Tree, state: &FleetState, namespace: Option<&str>) -> Option<Self> {
        let own = |name: &str| format!("clusters/{name}/apps/bookinfo.yaml");
        let in_namespace = |manifest: &&Manifest| fleet_view::namespace(manifest) == namespace.unwrap_or("default");
        let here: Vec<_> = state.manifests.iter().filter(in_namespace).collect();
        let is_own = |manifest: &Manifest| *manifest.position.file == own(manifest.target.name());
        let all = BOOKINFO.iter().flat_map(|service| service.versions.iter().map(move |version| (service, version)));
        let placed = all.map(|(service, version)| {
            let name = format!("{}-{}", service.name, version.name);
            let deployments = here.iter().filter(|m| m.group_kind().is("apps", "Deployment") && *m.id.name == *name);
            let clusters = deployments.filter(|m| is_own(m)).map(|m| m.target.name().to_owned()).collect();
            Placed { service, version, clusters }
        });
        let placed: Vec<_> = placed.collect();
        let mut annotations: Vec<ServiceAnnotation> = Vec::new();
        for service in here.iter().filter(|m| m.group_kind().is("", "Service") && is_own(m)) {
            let Some(known) = BOOKINFO.iter().find(|known| *known.name == *service.id.name) else { continue };
            let found = service.object.at("/metadata/annotations").and_then(serde_json::Value::as_object);
            for (key, value) in found.into_iter().flatten() {
                let value = value.as_str()?.to_owned();
                let annotation = ServiceAnnotation { service: known.name, key: key.clone(), value };
                if !annotations.contains(&annotation) {
                    annotations.push(annotation);
                }
            }
        }
        let namespace = namespace.map(str::to_owned);
        let intent = AddBookinfo { placement: Placement::None, rules: Vec::new(), namespace, annotations };
        let found = Self { intent, placed };
        let clusters = found.clusters();
        let same = |cluster: &String| {
            let text = tree.read(&own(cluster)).ok();
            text.is_some_and(|text| text == found.intent.file(cluster, &found.placed).into_bytes())
        };
        (!clusters.is_empty() && clusters.iter().all(same)).then_some(found)
    }

    /// The clusters in which some of it runs.
    pub(super) fn clusters(&self) -> BTreeSet<String> {
        self.placed.iter().flat_map(|placed| placed.clusters.clone()).collect()
    }

    /// Its versions that a name means.
    pub(super) fn meant<'a>(placed: &'a mut [Placed], workload: &'a Workload) -> impl Iterator<Item = &'a mut Placed> {
        placed.iter_mut().filter(|placed| workload.covers(placed.service, placed.version.name))
    }

    /// Its files with another placement, where they differ.
    pub(super) fn written(&self, tree: &dyn Tree, state: &FleetState, before: &BTreeSet<String>) -> Plan {
        let after = self.clusters();
        let mut plan = Plan { edits: Vec::new(), warnings: lonely_calls(&self.placed) };
        for cluster in before.union(&after) {
            let path = format!("clusters/{cluster}/apps/bookinfo.yaml");
            let old = tree.read(&path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let new = after.contains(cluster).then(|| self.intent.file(cluster, &self.placed));
            if old != new {
                plan.edits.push(FileEdit { path, before: old, after: new });
            }
            if !before.contains(cluster) {
                plan.warnings.extend(missing_namespace(self.intent.namespace.as_deref(), cluster, state));
            }
        }
        plan
    }
}

impl AddBookinfo {
    /// The files of the application.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let fleet = fleet(state)?;
        if let Some(namespace) = &self.namespace {
            check_name("a namespace", namespace, 63)?;
        }
        let placed = self.place();
        let named: BTreeSet<&str> = placed.iter().flat_map(|placed| &placed.clusters).map(String::as_str).collect();
        for name in &named {
            cluster(fleet, name)?;
        }
        if named.is_empty() {
            return Err(AuthoringError::new("nothing of bookinfo is placed anywhere")
                .hint("place it with --preset split, or with --place details=CLUSTER,reviews-v3=CLUSTER"));
        }
        let mut plan = Plan { edits: Vec::new(), warnings: lonely_calls(&placed) };
        for cluster in fleet.spec.clusters.iter().map(|cluster| &*cluster.name).filter(|name| named.contains(name)) {
            let path = format!("clusters/{cluster}/apps/bookinfo.yaml");
            ensure_free(tree, &path)?;
            plan.edits.push(FileEdit::create(path, self.file(cluster, &placed)));
            plan.warnings.extend(missing_namespace(self.namespace.as_deref(), cluster, state));
        }
        Ok(plan)
    }

    fn place(&self) -> Vec<Placed> {
        let all = BOOKINFO.iter().flat_map(|service| service.versions.iter().map(move |version| (service, version)));
        all.map(|(service, version)| {
            let rule = self.rules.iter().rev().find(|rule| rule.workload.covers(service, version.name));
            let clusters = match (rule, &self.placement) {
                (Some(rule), _) => rule.clusters.clone(),
                (None, Placement::All(cluster)) => vec![cluster.clone()],
                (None, Placement::Split(first, second)) => {
                    let first_cluster = is_in_first_cluster_of_split(service, version);
                    vec![if first_cluster { first.clone() } else { second.clone() }]
                }
                (None, Placement::None) => Vec::new(),
            };
            Placed { service, version, clusters }
        })
        .collect()
    }

    fn file(&self, cluster: &str, placed: &[Placed]) -> String {
        let here = |placed: &&Placed| placed.clusters.iter().any(|name| name == cluster);
        let versions_here = |service: &'static Service| {
            let of_service = move |placed: &&Placed| placed.service.name == service.name;
            placed.iter().filter(here).filter(of_service).map(|placed| placed.version)
        };
        let callers_here = |service: &Service| {
            let calls = |placed: &&Placed| placed.version.calls.contains(&service.name);
            placed.iter().filter(here).filter(calls).map(label).collect::<Vec<_>>()
        };
        let (with_pods, without): (Vec<_>, Vec<_>) =
            BOOKINFO.iter().partition(|service| versions_here(service).next().is_some());

        let parts: Vec<_> = placed.iter().filter(here).map(label).collect();
        let mut introduction = vec![format!("Bookinfo in {cluster}: {}.", parts.join(", "))];
        let elsewhere: BTreeSet<_> = placed
            .iter()
            .flat_map(|placed| &placed.clusters)
            .filter(|name| *name != cluster)
            .map(String::as_str)
            .collect();
        if !elsewhere.is_empty() {
            introduction.push(format!(
                "More of it runs in {}; the mesh joins the pods of all clusters behind one Service name.",
                elsewhere.into_iter().collect::<Vec<_>>().join(", ")
            ));
        }
        let mut file = File::new(&introduction);
        for service in with_pods {
            file.push(&[&format!("{}: {}", service.name, service.about)], &self.service(service));
            file.push(&[], &self.service_account(service));
            for version in versions_here(service) {
                let about = if version.about.is_empty() {
                    vec![]
                } else {
                    vec![format!("{}: {}", version.name, version.about)]
                };
                file.push(&about.iter().map(String::as_str).collect::<Vec<_>>(), &self.deployment(service, version));
            }
        }
        for service in without {
            let callers = callers_here(service);
            if callers.is_empty() {
                continue;
            }
            let homes = clusters_of(service, placed).join(", ");
            let homes = if homes.is_empty() { "nowhere yet".to_owned() } else { format!("in {homes}") };
            let comment = format!(
                "{}: no pods here, they run {homes}. {} calls it by this name, which must exist in its own cluster.",
                service.name,
                callers.join(" and ")
            );
            file.push(&[&comment], &self.service(service));
        }
        file.finish()
    }

    fn metadata(&self, name: String, labels: Vec<Field>, annotations: Vec<Field>) -> Field {
        let mut metadata = vec![field("name", name)];
        metadata.extend(self.namespace.as_deref().map(|namespace| field("namespace", namespace)));
        metadata.push(field("labels", labels));
        if !annotations.is_empty() {
            metadata.push(field("annotations", annotations));
        }
        field("metadata", metadata)
    }

    fn service(&self, service: &Service) -> Node {
        let annotations: Vec<Field> = self
            .annotations
            .iter()
            .filter(|annotation| annotation.service == service.name)
            .map(|annotation| field(annotation.key.clone(), annotation.value.clone()))
            .collect();
        let labels = vec![field("app", service.name), field("service", service.name)];
        [
            field("apiVersion", "v1"),
            field("kind", "Service"),
            self.metadata(service.name.to_owned(), labels, annotations),
            field(
                "spec",
                [
                    field("ports", list([[field("port", PORT), field("name", "http")]])),
                    field("selector", [field("app", service.name)]),
                ],
            ),
        ]
        .into()
    }

    fn service_account(&self, service: &Service) -> Node {
        [
            field("apiVersion", "v1"),
            field("kind", "ServiceAccount"),
            self.metadata(account(service), vec![field("account", service.name)], Vec::new()),
        ]
        .into()
    }

    fn deployment(&self, service: &Service, version: &Version) -> Node {
        let labels = || vec![field("app", service.name), field("version", version.name)];
        let container = [
            field("name", service.name),
            field("image", image(service, version)),
            field("imagePullPolicy", "IfNotPresent"),
            field("ports", list([[field("containerPort", PORT)]])),
        ];
        [
            field("apiVersion", "apps/v1"),
            field("kind", "Deployment"),
            self.metadata(format!("{}-{}", service.name, version.name), labels(), Vec::new()),
            field(
                "spec",
                [
                    field("replicas", 1_i64),
                    field("selector", [field("matchLabels", labels())]),
                    field(
                        "template",
                        [
                            field("metadata", [field("labels", labels())]),
                            field(
                                "spec",
                                [field("serviceAccountName", account(service)), field("containers", list([container]))],
                            ),
                        ],
                    ),
                ],
            ),
        ]
        .into()
    }
}

fn account(service: &Service) -> String {
    format!("bookinfo-{}", service.name)
}

/// `reviews v3`, or `details` when there is one version only.
fn label(placed: &Placed) -> String {
    if placed.service.versions.len() > 1 {
        format!("{} {}", placed.service.name, placed.version.name)
    } else {
        placed.service.name.to_owned()
    }
}

fn clusters_of<'a>(service: &Service, placed: &'a [Placed]) -> Vec<&'a str> {
    let of_service = placed.iter().filter(|placed| placed.service.name == service.name);
    let clusters: BTreeSet<_> = of_service.flat_map(|placed| &placed.clusters).map(String::as_str).collect();
    clusters.into_iter().collect()
}

/// Callers that will get errors because nothing runs what they call.
fn lonely_calls(placed: &[Placed]) -> Vec<String> {
    let missing = |service: &&'static Service| clusters_of(service, placed).is_empty();
    let mut warnings = Vec::new();
    for service in BOOKINFO.iter().filter(missing) {
        let calls = |caller: &&Placed| !caller.clusters.is_empty() && caller.version.calls.contains(&service.name);
        let callers: Vec<_> = placed.iter().filter(calls).map(label).collect();
        if !callers.is_empty() {
            warnings.push(format!("{} runs nowhere, and {} calls it", service.name, callers.join(" and ")));
        }
    }
    warnings
}
