//! Are the hosts, ports, subsets and gateways of a route names that the fleet knows? A typing mistake in one of them is
//! valid YAML and a 503 (or nothing at all) at run time.

use super::super::suggest::did_you_mean;
use super::super::{AuthoringError, fleet_view};
use super::{Destination, Scope, SubsetSpec};
use crate::fleet::{Manifest, Target};
use crate::istio::gateway_name;
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What a check that stops nobody has to say.
pub(super) type Checked = Result<Option<String>, AuthoringError>;

const OVERRIDE: &str = "if it is right all the same, add --allow-unknown";

impl Scope<'_> {
    /// Service and namespace that a host means; `None` when it is no name of a Service.
    fn service_of<'h>(&'h self, host: &'h str) -> Option<(&'h str, &'h str)> {
        let host = host.strip_suffix(".svc.cluster.local").unwrap_or(host);
        match host.split_once('.') {
            None => Some((host, self.namespace())),
            Some((name, namespace)) if !namespace.contains('.') => Some((name, namespace)),
            Some(_) => None,
        }
    }

    /// The Services of all member clusters.
    fn services(&self) -> impl Iterator<Item = &Manifest> {
        let members = self.state.manifests.iter().filter(|manifest| manifest.target != Target::Mesh);
        members.filter(|manifest| manifest.group_kind().is("", "Service"))
    }

    /// Does a Service of this name exist in some cluster, and has it this port?
    pub(super) fn check_destination(&self, destination: &Destination) -> Checked {
        let host = &destination.host;
        let Some((name, namespace)) = self.service_of(host) else { return Ok(self.check_external(host)) };
        if self.allow_unknown {
            return Ok(None);
        }
        if self.services().next().is_none() {
            return Ok(Some(format!("the fleet has no Services: whether {host} exists was not checked")));
        }
        let in_namespace = || self.services().filter(|service| fleet_view::namespace(service) == namespace);
        let found: Vec<_> = in_namespace().filter(|service| *service.id.name == *name).collect();
        if found.is_empty() {
            return Err(AuthoringError::new(format!(
                "no cluster has a Service {name} in namespace {namespace}, to which {destination} would go"
            ))
            .hints(did_you_mean(name, in_namespace().map(|service| &*service.id.name)))
            .hint(OVERRIDE));
        }
        let Some(port) = destination.port else { return Ok(None) };
        let ports: BTreeSet<_> = found.iter().flat_map(|service| ports(service)).collect();
        if ports.is_empty() || ports.contains(&u64::from(port)) {
            return Ok(None);
        }
        let ports: Vec<_> = ports.iter().map(u64::to_string).collect();
        Err(AuthoringError::new(format!("the Service {name} has no port {port}"))
            .at(&found[0].position)
            .hint(format!("it has {}", ports.join(", ")))
            .hint(OVERRIDE))
    }

    /// A host outside the mesh must be declared by a ServiceEntry, perhaps one that is not in this fleet.
    fn check_external(&self, host: &str) -> Option<String> {
        let declares = |entry: &Manifest| {
            let hosts = entry.object.at("/spec/hosts").and_then(Value::as_array);
            hosts.is_some_and(|hosts| hosts.iter().any(|known| known == host))
        };
        let known = self
            .state
            .manifests
            .iter()
            .any(|manifest| &*manifest.group_kind().kind == "ServiceEntry" && declares(manifest));
        (!known && !self.allow_unknown).then(|| format!("the fleet has no ServiceEntry for the host {host}"))
    }

    /// Do some pods of the host's Service carry the label of a new subset?
    pub(super) fn check_subset(&self, host: &str, subset: &SubsetSpec) -> Checked {
        let Some((name, namespace)) = self.service_of(host).filter(|_| !self.allow_unknown) else { return Ok(None) };
        let selectors: Vec<_> = self
            .services()
            .filter(|service| fleet_view::namespace(service) == namespace && *service.id.name == *name)
            .filter_map(|service| service.object.at("/spec/selector").and_then(Value::as_object))
            .collect();
        let pods: Vec<_> = self
            .state
            .manifests
            .iter()
            .filter(|manifest| manifest.target != Target::Mesh && fleet_view::namespace(manifest) == namespace)
            .filter_map(|manifest| manifest.object.at("/spec/template/metadata/labels").and_then(Value::as_object))
            .filter(|labels| selectors.iter().any(|selector| selects(selector, labels)))
            .collect();
        let (key, value) = &subset.label;
        let values: BTreeSet<_> = pods.iter().filter_map(|labels| labels.get(key)?.as_str()).collect();
        if pods.is_empty() {
            return Ok(Some(format!(
                "the fleet has no pods for {host}: whether any carry {key}={value} was not checked"
            )));
        }
        if values.contains(value.as_str()) {
            return Ok(None);
        }
        let known: Vec<_> = values.iter().copied().collect();
        let carried = if known.is_empty() {
            format!("none of its pods carries the label {key}")
        } else {
            format!("its pods carry {key}={}", known.join(", "))
        };
        Err(AuthoringError::new(format!("no pod of {host} carries {key}={value}, the label of subset {}", subset.name))
            .hints(did_you_mean(value, known))
            .hint(carried)
            .hint(OVERRIDE))
    }

    /// Does a Gateway that a route binds to exist?
    pub(super) fn check_gateway(&self, reference: &str) -> Result<(), AuthoringError> {
        let Some((namespace, name)) = gateway_name(reference, self.namespace()).filter(|_| !self.allow_unknown) else {
            return Ok(());
        };
        let other = Scope { written: Some(namespace), ..*self };
        if other.find("Gateway", name).is_some() {
            return Ok(());
        }
        let names = || other.objects("Gateway").map(|manifest| &*manifest.id.name);
        let error = AuthoringError::new(format!("there is no Gateway {name} in namespace {namespace}"));
        let is_proxy =
            |manifest: &Manifest| manifest.group_kind().is(ASM, "IstioGateway") && *manifest.id.name == *name;
        let error = match self.state.manifests.iter().find(|manifest| is_proxy(manifest)) {
            Some(proxy) => error.hint(format!(
                "{name} is an IstioGateway ({}), the pods; a route binds to a Gateway, which selects them: --gateway {name}-gateway \
                 --create-gateway --selector istio={name}",
                proxy.position
            )),
            None => error
                .hints(did_you_mean(name, names()))
                .hint("make it with --create-gateway --selector istio=GATEWAY --port 80"),
        };
        Err(error.hint(OVERRIDE))
    }

    /// The labels that an IstioGateway's pods get, of every gateway of the fleet, by its name.
    pub(super) fn proxies(&self) -> Vec<(&str, Map<String, Value>)> {
        let gateways = self.state.manifests.iter().filter(|manifest| manifest.group_kind().is(ASM, "IstioGateway"));
        gateways
            .map(|gateway| {
                let name = &*gateway.id.name;
                let own = gateway.object.at("/spec/podLabels").and_then(Value::as_object);
                let mut labels = own.cloned().unwrap_or_default();
                labels.insert("istio".to_owned(), name.into());
                labels.insert("app".to_owned(), format!("istio-{name}").into());
                (name, labels)
            })
            .collect()
    }
}

fn ports(service: &Manifest) -> impl Iterator<Item = u64> + use<'_> {
    let ports = service.object.at("/spec/ports").and_then(Value::as_array);
    ports.into_iter().flatten().filter_map(|port| port.get("port")?.as_u64())
}

/// Does a selector choose pods with these labels?
pub(super) fn selects(selector: &Map<String, Value>, labels: &Map<String, Value>) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
