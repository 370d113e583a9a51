//! One more load balancer for a gateway: a Service beside the generated one.

use super::annotate::{ADDRESS_TYPE, Annotations, annotations, judge, value};
use super::place::{ClbPlace, Site, free_name, gateway, sites};
use super::ports::{ClbPort, check_node_ports, choose, ports, taken};
use super::view::{LoadBalancerPort, LoadBalancerService, selector};
use super::{NAMESPACE, REPLACES};
use crate::asm::annotations::NLB_CLASS;
use crate::asm::gateway::generated_name;
use crate::authoring::fleet_view::ensure_free;
use crate::authoring::text::{Field, File, Node, field, list};
use crate::authoring::{AddressType, AuthoringError, ExternalTrafficPolicy, FileEdit, Plan};
use crate::fleet::{FleetState, Manifest, Tree};
use serde_json::Value;
use std::collections::BTreeSet;

/// Give a gateway one more load balancer.
#[derive(Clone, Debug)]
pub struct AddClb {
    /// Name of the Service; the first free `istio-<gateway>-2`, `-3`… when absent.
    pub name: Option<String>,
    /// Name of the gateway.
    pub gateway: String,
    /// Where.
    pub place: ClbPlace,
    /// What it is like.
    pub settings: ClbSettings,
}

/// What a load balancer is like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClbSettings {
    /// Public or inside the VPC; the cloud's own default (public) when absent.
    pub network: Option<AddressType>,
    /// Specification of a CLB.
    pub spec: Option<String>,
    /// How a CLB is paid.
    pub charge_type: Option<ChargeType>,
    /// An NLB instead of a CLB.
    pub nlb: bool,
    /// Zones of an NLB, `ZONE:VSWITCH` each.
    pub zones: Vec<String>,
    /// Ports; those of the gateway when empty.
    pub ports: Vec<ClbPort>,
    /// Write a free node port for every port.
    pub node_ports: bool,
    /// What the gateway has when absent.
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,
    /// More annotations, as whole keys.
    pub annotations: Vec<(String, String)>,
}

/// How a CLB is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChargeType {
    /// By its specification.
    PayBySpec,
    /// By use.
    PayByClcu,
}

/// What comes out: the plan, and the name that was chosen.
pub(super) struct Added {
    pub(super) plan: Plan,
    pub(super) name: String,
}

impl AddClb {
    /// The files: `clusters/<cluster>/gateways/<name>.yaml` for each cluster, or one in `groups/<group>/gateways/`.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        self.added(tree, state, None).map(|added| added.plan)
    }

    /// The same; `replaces` is the Service whose place it takes.
    pub(super) fn added(
        &self,
        tree: &dyn Tree,
        state: &FleetState,
        replaces: Option<&str>,
    ) -> Result<Added, AuthoringError> {
        let gateway = gateway(state, &self.gateway)?;
        let sites = sites(state, gateway, &self.place)?;
        let name = free_name(state, &self.gateway, &sites, self.name.as_deref())?;
        let annotations = annotations(&self.settings)?;
        let ports = self.ports(state, gateway, &sites)?;

        let existing = LoadBalancerService::all(state);
        let all_ports: Vec<LoadBalancerPort> = ports.iter().flatten().cloned().collect();
        let mut warnings = judge(&annotations, &self.settings, &sites, &all_ports, &existing)?;
        warnings.extend(self.network_warnings(&name, &annotations, &sites, &existing));
        warnings.extend(node_port_warning(&ports, &sites));

        let mut edits = Vec::new();
        for (site, ports) in sites.iter().zip(&ports) {
            let path = match &self.place {
                ClbPlace::Group(group) => format!("groups/{group}/gateways/{name}.yaml"),
                _ => format!("clusters/{}/gateways/{name}.yaml", site.cluster.name),
            };
            ensure_free(tree, &path)?;
            let mut file = File::default();
            let introduction = self.introduction(&name, replaces);
            let introduction: Vec<&str> = introduction.iter().map(String::as_str).collect();
            file.push(&introduction, &self.object(&name, site, &annotations, ports, replaces));
            edits.push(FileEdit::create(path, file.finish()));
            if matches!(self.place, ClbPlace::Group(_)) {
                break;
            }
        }
        Ok(Added { plan: Plan { edits, warnings }, name })
    }

    /// The ports in each cluster.
    fn ports(
        &self,
        state: &FleetState,
        gateway: &Manifest,
        sites: &[Site<'_>],
    ) -> Result<Vec<Vec<LoadBalancerPort>>, AuthoringError> {
        let mut all = sites
            .iter()
            .map(|site| ports(site, gateway, &self.settings.ports))
            .collect::<Result<Vec<_>, AuthoringError>>()?;
        let taken: Vec<_> = sites.iter().map(|site| taken(state, site)).collect();
        if let ClbPlace::Group(group) = &self.place {
            if let Some(other) = all.iter().position(|ports| Some(ports) != all.first()) {
                return Err(AuthoringError::new(format!(
                    "the gateway {} has other ports in {} than in {}, so one file cannot serve the group {group}",
                    self.gateway, sites[other].cluster.name, sites[0].cluster.name
                ))
                .at(&gateway.position_of("/spec/overrides"))
                .hint("leave --group out and name the clusters: --cluster NAME[,NAME…]"));
            }
            if self.settings.node_ports {
                for ports in &mut all {
                    choose(ports, &taken)?;
                }
            }
        } else if self.settings.node_ports {
            for (ports, taken) in all.iter_mut().zip(&taken) {
                choose(ports, std::slice::from_ref(taken))?;
            }
        }
        for ((site, ports), taken) in sites.iter().zip(&all).zip(&taken) {
            check_node_ports(ports, site, taken)?;
        }
        Ok(all)
    }

    fn network_warnings(
        &self,
        name: &str,
        annotations: &Annotations,
        sites: &[Site<'_>],
        existing: &[LoadBalancerService],
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        let wanted = value(annotations, ADDRESS_TYPE);
        if wanted.is_none() && value(annotations, "loadbalancer-id").is_none() {
            warnings
                .push(format!("the load balancer of {name} will be public (internet); for the VPC only: --internal"));
        }
        let network = wanted.unwrap_or("internet");
        let twin = existing.iter().find(|other| {
            other.gateways.contains(&self.gateway)
                && other.network != network
                && sites.iter().any(|site| site.cluster.name == other.cluster)
        });
        warnings.extend(twin.map(|twin| {
            let (public, inner) = if network == "internet" { (name, &*twin.name) } else { (&*twin.name, name) };
            format!(
                "{public} (internet) and {inner} (intranet) lead to the same pods: routes that are meant for the VPC only \
                 must tell callers apart by host, or answer the internet as well"
            )
        }));
        warnings
    }

    fn introduction(&self, name: &str, replaces: Option<&str>) -> Vec<String> {
        let product = if self.settings.nlb { "NLB" } else { "CLB" };
        let mut lines = vec![
            format!(
                "One more {product} for the gateway {}: it leads to the same pods as the generated Service {}.",
                self.gateway,
                generated_name(&self.gateway)
            ),
            "Without this Service the load balancer and its address are lost for good. To retire it:".to_owned(),
            format!("kubectl asm clb remove {name}"),
        ];
        lines.extend(replaces.map(|old| format!("It takes the place of {old}.")));
        lines
    }

    fn object(
        &self,
        name: &str,
        site: &Site<'_>,
        annotations: &Annotations,
        ports: &[LoadBalancerPort],
        replaces: Option<&str>,
    ) -> Node {
        let selector = selector(&self.gateway);
        let pairs = |keys: &[&str]| -> Vec<Field> {
            selector.iter().filter(|(key, _)| keys.contains(key)).map(|(key, value)| field(*key, &**value)).collect()
        };
        // The generated Service has no label `provider`.
        let mut labels = pairs(&["app", "asm-system", "istio"]);
        labels.extend(replaces.map(|old| field(REPLACES, old)));
        let mut metadata = vec![field("name", name), field("namespace", NAMESPACE), field("labels", labels)];
        if !annotations.is_empty() {
            let written = annotations.iter().map(|(key, value)| field(&**key, &**value));
            metadata.push(field("annotations", written.collect::<Vec<_>>()));
        }
        let mut spec = vec![field("type", "LoadBalancer")];
        if self.settings.nlb {
            spec.push(field("loadBalancerClass", NLB_CLASS).comment("Fixed: a CLB would be another Service."));
        }
        let of_gateway = site.gateway.get("externalTrafficPolicy").and_then(Value::as_str);
        let policy = match self.settings.external_traffic_policy {
            Some(ExternalTrafficPolicy::Cluster) => "Cluster",
            Some(ExternalTrafficPolicy::Local) => "Local",
            None => of_gateway.unwrap_or("Cluster"),
        };
        spec.push(field("externalTrafficPolicy", policy));
        spec.push(field("ports", list(ports.iter().map(port_node))));
        spec.push(field("selector", pairs(&["app", "asm-system", "istio", "provider"])));
        [field("apiVersion", "v1"), field("kind", "Service"), field("metadata", metadata), field("spec", spec)].into()
    }
}

fn port_node(port: &LoadBalancerPort) -> Node {
    let number = |number: u64| i64::try_from(number).unwrap_or_default();
    let mut fields: Vec<Field> = port.name.iter().map(|name| field("name", &**name)).collect();
    fields.push(field("port", number(port.port)));
    fields.extend(port.node_port.map(|node_port| field("nodePort", number(node_port))));
    fields.push(field("protocol", &*port.protocol));
    fields.push(match &port.target_port {
        Value::String(name) => field("targetPort", &**name),
        target => field("targetPort", target.as_i64().unwrap_or_default()),
    });
    fields.into()
}

/// Node ports are given out by each cluster on its own.
fn node_port_warning(ports: &[Vec<LoadBalancerPort>], sites: &[Site<'_>]) -> Option<String> {
    let numbers: BTreeSet<u64> = ports.iter().flatten().filter_map(|port| port.node_port).collect();
    if numbers.is_empty() {
        return None;
    }
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let names: Vec<&str> = sites.iter().map(|site| site.cluster.name.as_str()).collect();
    Some(format!(
        "node port{} {} must be free in {}: each cluster gives them out on its own, and Git knows only those that it sets; one \
         that is taken makes the API server refuse the Service",
        if numbers.len() > 1 { "s" } else { "" },
        numbers.join(", "),
        names.join(" and in ")
    ))
}
