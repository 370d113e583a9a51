//! A route as the commands show it.

use crate::output::Document;
use asm_shared::fleet::{FleetState, Manifest, Position, Target};
use asm_shared::istio::{HttpAction, HttpRule, VirtualService};
use asm_shared::object::kinds::ISTIO_NETWORKING;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A route (VirtualService): its rules in the order in which they are tried.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Route {
    /// Name.
    pub(super) name: String,
    /// Namespace; `default` when Git does not say it.
    pub(super) namespace: String,
    #[serde(flatten)]
    pub(super) position: Position,
    /// File of the patch that changes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) patched_by: Option<String>,
    /// Hosts that it is for.
    pub(super) hosts: Vec<String>,
    /// Gateways (Istio) that it is bound to.
    pub(super) gateways: Vec<String>,
    /// The first one that matches a request decides.
    pub(super) rules: Vec<Rule>,
}

/// A rule.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    /// From 1.
    pub(super) number: usize,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(flatten)]
    pub(super) position: Position,
    /// Requests that it is for, one of these; all when there is none.
    pub(super) matches: Vec<String>,
    /// Where the requests go.
    pub(super) destinations: Vec<Destination>,
    /// The action of a rule without destinations, `redirect`, `directResponse` or `delegate`, and what the rule does
    /// besides: `mirror`, `fault`, `timeout`, …
    pub(super) settings: serde_json::Map<String, Value>,
}

/// A destination.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Destination {
    /// Host of the service.
    pub(super) host: String,
    /// Port of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    /// Subset of a DestinationRule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subset: Option<String>,
    /// Percent of the requests; what is not written is said.
    pub(super) weight: u32,
    #[serde(skip)]
    pub(super) shown: String,
}

/// Routes of the fleet.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RouteList<'a> {
    /// Those of one namespace, or of all.
    pub(super) items: &'a [Route],
}

impl Document for Route {
    const KIND: &'static str = "Route";
}

impl Document for RouteList<'_> {
    const KIND: &'static str = "RouteList";
}

/// The VirtualServices of the fleet.
pub(super) fn routes(state: &FleetState) -> impl Iterator<Item = &Manifest> {
    let mesh = state.manifests.iter().filter(|manifest| manifest.target == Target::Mesh);
    mesh.filter(|manifest| manifest.group_kind().is(ISTIO_NETWORKING, "VirtualService"))
}

/// The namespace of an object; what Git does not say is `default`.
pub(super) fn namespace(manifest: &Manifest) -> &str {
    manifest.id.namespace.as_deref().unwrap_or("default")
}

impl Route {
    pub(super) fn read(manifest: &Manifest) -> Self {
        let view = VirtualService::read(&manifest.object);
        let values = manifest.object.pointer("/spec/http").and_then(Value::as_array).into_iter().flatten();
        let rules = view.http.iter().zip(values).enumerate();
        Self {
            name: manifest.id.name.to_string(),
            namespace: namespace(manifest).to_owned(),
            position: manifest.position.clone(),
            patched_by: manifest.patched_by.as_deref().map(str::to_owned),
            rules: rules.map(|(index, (rule, value))| Rule::read(manifest, index, rule, value)).collect(),
            hosts: view.hosts,
            gateways: view.gateways,
        }
    }

    /// Every destination once, with its subset.
    pub(super) fn destinations(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for destination in self.rules.iter().flat_map(|rule| &rule.destinations) {
            if !all.contains(&destination.shown) {
                all.push(destination.shown.clone());
            }
        }
        all
    }
}

impl Rule {
    fn read(manifest: &Manifest, index: usize, rule: &HttpRule, value: &Value) -> Self {
        let destinations = match &rule.action {
            HttpAction::Route(to) => to.as_slice(),
            _ => &[],
        };
        let only = destinations.len() == 1;
        let settings = value.as_object().into_iter().flatten();
        let settings = settings.filter(|(name, _)| !matches!(name.as_str(), "name" | "match" | "route"));
        Self {
            number: index + 1,
            name: rule.name.clone(),
            position: manifest.position_of(&format!("/spec/http/{index}")),
            matches: rule.matches.iter().map(ToString::to_string).collect(),
            destinations: destinations
                .iter()
                .map(|to| Destination {
                    host: to.host.clone(),
                    port: to.port,
                    subset: to.subset.clone(),
                    weight: if only { 100 } else { to.weight.unwrap_or_default() },
                    shown: to.to_string(),
                })
                .collect(),
            settings: settings.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}
