//! Ports of a new load balancer: those of the gateway or those that were asked for, and node ports that are free.

use super::place::Site;
use super::view::{LoadBalancerPort, ordinary_gateways, spec_in};
use crate::asm::gateway::cluster_ids;
use crate::authoring::AuthoringError;
use crate::authoring::fleet_view::check_name;
use crate::fleet::{FleetState, Manifest, Position};
use serde_json::Value;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Node ports that an API server gives out unless it is set up otherwise.
const NODE_PORTS: std::ops::RangeInclusive<u64> = 30000..=32767;

/// A port that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClbPort {
    /// Name.
    pub name: String,
    /// Number on the load balancer.
    pub port: u16,
    /// Number on the pods; what the gateway has for this port, else the same.
    pub target: Option<u16>,
    /// Number on every node.
    pub node_port: Option<u16>,
}

impl FromStr for ClbPort {
    type Err = String;

    /// `NAME=PORT[:TARGET[:NODEPORT]]`, for example `http=80`, `https=8443:443` or `http=80:80:30080`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` is not NAME=PORT[:TARGET[:NODEPORT]], for example http=80, https=8443:443 or http=80:80:30080"
            )
        };
        let (name, numbers) = text.split_once('=').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
        let numbers = numbers.split(':').map(number).collect::<Result<Vec<_>, _>>()?;
        let &[port, ref rest @ ..] = numbers.as_slice() else { return Err(wrong()) };
        if rest.len() > 2 {
            return Err(wrong());
        }
        check_name("a port", name, 15).map_err(|error| format!("{error}; {}", error.hints.join("; ")))?;
        Ok(Self { name: name.to_owned(), port, target: rest.first().copied(), node_port: rest.get(1).copied() })
    }
}

/// The ports of the new Service in one cluster.
pub(super) fn ports(
    site: &Site<'_>,
    gateway: &Manifest,
    wanted: &[ClbPort],
) -> Result<Vec<LoadBalancerPort>, AuthoringError> {
    let open = LoadBalancerPort::all(&site.gateway);
    if wanted.is_empty() {
        if open.is_empty() {
            return Err(AuthoringError::new(format!("the gateway {} has no ports to copy", gateway.id.name))
                .at(&gateway.position_of("/spec/ports"))
                .hint("give them with --port NAME=PORT[:TARGET]"));
        }
        // A node port belongs to one Service.
        return Ok(open.into_iter().map(|port| LoadBalancerPort { node_port: None, ..port }).collect());
    }
    for (index, port) in wanted.iter().enumerate() {
        for earlier in &wanted[..index] {
            let what = if earlier.port == port.port {
                format!("port {}", port.port)
            } else if earlier.name == port.name {
                format!("port name {}", port.name)
            } else if port.node_port.is_some() && earlier.node_port == port.node_port {
                format!("node port {}", port.node_port.unwrap_or_default())
            } else {
                continue;
            };
            return Err(AuthoringError::new(format!("{what} is given twice"))
                .hint("a load balancer has one listener per port, and every port its own name"));
        }
    }
    wanted.iter().map(|port| asked_for(port, &open, gateway)).collect()
}

fn asked_for(
    wanted: &ClbPort,
    open: &[LoadBalancerPort],
    gateway: &Manifest,
) -> Result<LoadBalancerPort, AuthoringError> {
    let same = open.iter().find(|port| port.port == u64::from(wanted.port));
    let target = match wanted.target {
        Some(target) => Value::from(target),
        None => same.map_or_else(|| wanted.port.into(), |port| port.target_port.clone()),
    };
    if !open.iter().any(|port| port.target_port == target) {
        let known: Vec<String> = open.iter().map(|port| shown(&port.target_port)).collect();
        return Err(AuthoringError::new(format!(
            "the pods of the gateway {} do not open port {}: connections to port {} would be refused",
            gateway.id.name,
            shown(&target),
            wanted.port
        ))
        .at(&gateway.position_of("/spec/ports"))
        .hint(format!(
            "they open {}; write {}={}:TARGET, or add the port to the gateway first",
            known.join(", "),
            wanted.name,
            wanted.port
        )));
    }
    Ok(LoadBalancerPort {
        name: Some(wanted.name.clone()),
        port: wanted.port.into(),
        target_port: target,
        node_port: wanted.node_port.map(u64::from),
        protocol: "TCP".to_owned(),
    })
}

fn shown(target: &Value) -> String {
    target.as_str().map_or_else(|| target.to_string(), str::to_owned)
}

/// Who uses which node port in one cluster, as far as Git knows.
pub(super) fn taken(state: &FleetState, site: &Site<'_>) -> BTreeMap<u64, (String, Position)> {
    let mut taken = BTreeMap::new();
    let target = site.target();
    for service in state.manifests_of(&target).filter(|manifest| manifest.group_kind().is("", "Service")) {
        let spec = service.object.get("spec").cloned().unwrap_or_default();
        let health = spec.get("healthCheckNodePort").and_then(Value::as_u64);
        let numbers = LoadBalancerPort::all(&spec).into_iter().filter_map(|port| port.node_port).chain(health);
        taken.extend(numbers.map(|number| (number, (service.id.to_string(), service.position.clone()))));
    }
    let id = site.cluster.id.as_deref();
    let here =
        ordinary_gateways(state).filter(|gateway| id.is_some_and(|id| cluster_ids(&gateway.object).contains(&id)));
    for gateway in here {
        let ports = LoadBalancerPort::all(&spec_in(gateway, id));
        let owner = || (format!("IstioGateway {}", gateway.id.name), gateway.position.clone());
        taken.extend(ports.into_iter().filter_map(|port| port.node_port).map(|number| (number, owner())));
    }
    taken
}

/// Gives every port without a node port the lowest one that Git does not use. The lowest ones are those that API servers
/// give out last by themselves.
pub(super) fn choose(
    ports: &mut [LoadBalancerPort],
    taken: &[BTreeMap<u64, (String, Position)>],
) -> Result<(), AuthoringError> {
    for index in 0..ports.len() {
        if ports[index].node_port.is_some() {
            continue;
        }
        let own: Vec<u64> = ports.iter().filter_map(|port| port.node_port).collect();
        let free = NODE_PORTS
            .clone()
            .find(|number| !own.contains(number) && taken.iter().all(|taken| !taken.contains_key(number)));
        ports[index].node_port = Some(free.ok_or_else(|| AuthoringError::new("no node port is free"))?);
    }
    Ok(())
}

/// Node ports must be in the range and free.
pub(super) fn check_node_ports(
    ports: &[LoadBalancerPort],
    site: &Site<'_>,
    taken: &BTreeMap<u64, (String, Position)>,
) -> Result<(), AuthoringError> {
    for number in ports.iter().filter_map(|port| port.node_port) {
        if !NODE_PORTS.contains(&number) {
            return Err(AuthoringError::new(format!("node port {number} is not in the range 30000–32767"))
                .hint("leave it out: the API server then chooses a free one"));
        }
        if let Some((owner, position)) = taken.get(&number) {
            return Err(AuthoringError::new(format!(
                "node port {number} is taken by {owner} in {}",
                site.cluster.name
            ))
            .at(position)
            .hint("leave it out: the API server then chooses a free one"));
        }
    }
    Ok(())
}
