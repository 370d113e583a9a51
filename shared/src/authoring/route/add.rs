//! A new route.

use super::super::fleet_view::{check_name, ensure_free, fleet};
use super::super::text::File;
use super::super::workspace::Workspace;
use super::super::{AuthoringError, Plan};
use super::known::selects;
use super::objects::{self, NewRule, NewVirtualService};
use super::subsets::{self, with_weights};
use super::{ApiVersion, Destination, MatchSpec, Scope, SubsetSpec};
use crate::fleet::{FleetState, Tree};
use crate::object::At as _;
use serde_json::Value;

/// Add a route: a VirtualService with one rule, the subsets it names, and its Gateway if wanted.
#[derive(Clone, Debug, Default)]
pub struct AddRoute {
    /// Name of the VirtualService.
    pub name: String,
    /// Namespace; when absent the manifests name none, which is `default`.
    pub namespace: Option<String>,
    /// Hosts that requests name; the destination's host when absent (and there is no gateway).
    pub hosts: Vec<String>,
    /// Gateways at which it applies; the sidecars of the mesh when empty.
    pub gateways: Vec<String>,
    /// Make the (one) gateway as well.
    pub new_gateway: Option<NewGateway>,
    /// Name of its rule, if it is to have one.
    pub rule_name: Option<String>,
    /// Requests it is for; all when empty.
    pub matches: Vec<MatchSpec>,
    /// Where requests go.
    pub destinations: Vec<Destination>,
    /// Subsets to declare besides those that the destinations name.
    pub subsets: Vec<SubsetSpec>,
    /// Version of the Istio API to write.
    pub api_version: ApiVersion,
    /// Names that the fleet does not know are allowed.
    pub allow_unknown: bool,
}

/// A Gateway to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGateway {
    /// Labels of the ingress gateway's pods; those of the only IstioGateway of the fleet when empty.
    pub selector: Vec<(String, String)>,
    /// Port that the pods listen on.
    pub port: u16,
}

impl AddRoute {
    /// The file of the route, and the edit of a DestinationRule that lacks a subset.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        fleet(state)?;
        let scope = Scope { state, written: self.namespace.as_deref(), allow_unknown: self.allow_unknown };
        check_name("a route", &self.name, 63)?;
        if let Some(namespace) = &self.namespace {
            check_name("a namespace", namespace, 63)?;
        }
        if let Some(existing) = scope.find("VirtualService", &self.name) {
            return Err(AuthoringError::new(format!("the route (VirtualService) {} exists already", self.name))
                .at(&existing.position)
                .hint(format!("change where it goes with: kubectl asm route set {} --to …", self.name))
                .hint(format!(
                    "add a rule to it with: kubectl asm route add {} --rule-name RULE --match …",
                    self.name
                )));
        }
        let path = super::path(scope, &self.name);
        ensure_free(tree, &path)?;
        let destinations = with_weights(&self.destinations)?;
        let hosts = self.hosts()?;
        let mut warnings = self.competitors(scope, &hosts);
        for destination in &destinations {
            warnings.extend(scope.check_destination(destination)?);
        }

        let mut file = File::default();
        if let Some(gateway) = &self.new_gateway {
            let name = self.new_gateway_name(scope)?;
            let (selector, warning) = selector(scope, gateway)?;
            warnings.extend(warning);
            let about = "Opens a port on the ingress gateway for these hosts.";
            file.push(&[about], &objects::gateway(scope, self.api_version, name, &selector, gateway.port, &hosts));
        } else {
            for gateway in &self.gateways {
                scope.check_gateway(gateway)?;
            }
        }
        let mut workspace = Workspace::new(tree);
        let subsets = subsets::ensure(&mut workspace, scope, self.api_version, &destinations, &self.subsets)?;
        warnings.extend(subsets.warnings);
        for rule in &subsets.new_rules {
            file.push(&["The versions that routes can name."], rule);
        }
        let rule = NewRule {
            name: self.rule_name.as_deref(),
            matches: &self.matches,
            action: vec![objects::routes(&destinations)],
        };
        let new = NewVirtualService { name: &self.name, hosts: &hosts, gateways: &self.gateways, rule: &rule };
        let about = if self.gateways.is_empty() {
            "Where the sidecars of the mesh send requests for these hosts."
        } else {
            "Where requests that come in through the gateway go."
        };
        file.push(&[about], &objects::virtual_service(scope, self.api_version, &new));

        workspace.create(path, file.finish());
        warnings.dedup();
        Ok(Plan { edits: workspace.finish(), warnings })
    }

    fn hosts(&self) -> Result<Vec<String>, AuthoringError> {
        if !self.hosts.is_empty() {
            return Ok(self.hosts.clone());
        }
        let mut hosts: Vec<_> = self.destinations.iter().map(|destination| destination.host.clone()).collect();
        hosts.dedup();
        if self.gateways.is_empty() && hosts.len() == 1 {
            return Ok(hosts);
        }
        Err(AuthoringError::new("the route says no host")
            .hint("name the hosts of the requests with --host, '*' for all"))
    }

    fn new_gateway_name<'a>(&'a self, scope: Scope<'_>) -> Result<&'a str, AuthoringError> {
        let [name] = &self.gateways[..] else {
            return Err(AuthoringError::new(
                "--create-gateway needs exactly one --gateway, the name of the new Gateway",
            ));
        };
        check_name("a Gateway", name, 63)?;
        match scope.find("Gateway", name) {
            Some(existing) => Err(AuthoringError::new(format!("the Gateway {name} exists already"))
                .at(&existing.position)
                .hint("leave --create-gateway out to use it")),
            None => Ok(name),
        }
    }

    /// Sidecars take one VirtualService per host: a second one for the same host is not merged but ignored.
    fn competitors(&self, scope: Scope<'_>, hosts: &[String]) -> Vec<String> {
        if !self.gateways.is_empty() {
            return Vec::new();
        }
        let full: Vec<_> = hosts.iter().map(|host| scope.full_host(host)).collect();
        let same = scope.objects("VirtualService").filter(|route| {
            let hosts = route.object.at("/spec/hosts").and_then(Value::as_array).into_iter().flatten();
            route.object.at("/spec/gateways").is_none()
                && hosts.filter_map(Value::as_str).any(|host| full.contains(&scope.full_host(host)))
        });
        same.map(|route| format!("{} routes the same host: sidecars follow only the older of the two", route.position))
            .collect()
    }
}

/// Labels by key.
type Selector = Vec<(String, String)>;

/// The selector of a new Gateway, and what is strange about it.
fn selector(scope: Scope<'_>, gateway: &NewGateway) -> Result<(Selector, Option<String>), AuthoringError> {
    let proxies = scope.proxies();
    if gateway.selector.is_empty() {
        return match &proxies[..] {
            [(name, _)] => Ok((vec![("istio".to_owned(), (*name).to_owned())], None)),
            _ => {
                let names: Vec<_> = proxies.iter().map(|(name, _)| format!("istio={name}")).collect();
                Err(AuthoringError::new("which ingress gateway is the new Gateway for?").hint(if names.is_empty() {
                    "the fleet has no IstioGateway; make one with: kubectl asm gateway create, or say --selector LABEL=VALUE".to_owned()
                } else {
                    format!("say --selector with one of {}", names.join(", "))
                }))
            }
        };
    }
    let wanted = gateway.selector.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    let matched = proxies.iter().any(|(_, labels)| selects(&wanted, labels));
    let shown: Vec<_> = gateway.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let warning = (!matched && !scope.allow_unknown)
        .then(|| format!("no IstioGateway of the fleet gives its pods the label {}", shown.join(",")));
    Ok((gateway.selector.clone(), warning))
}
