//! Ports: each number and name once, nodePorts free.

use super::Subject;
use crate::asm::gateway;
use crate::fleet::Target;
use crate::object::kinds::ASM;
use serde_json::Value;

/// The range of nodePorts that a cluster has unless its API server was told otherwise.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;

impl Subject<'_> {
    pub(super) fn service_ports(&mut self) {
        for (base, cluster, part) in self.parts() {
            let Some(ports) = part.get("ports") else { continue };
            let pointer = format!("{base}/ports");
            let ports: Vec<Value> = ports.as_array().cloned().unwrap_or_default();
            if ports.is_empty() {
                self.error(pointer, "a gateway needs at least one port", &["add one with --port http=80"]);
                continue;
            }
            for (index, port) in ports.iter().enumerate() {
                let pointer = format!("{pointer}/{index}");
                self.port(&pointer, port, &ports[..index]);
                if let Some(number) = port.get("nodePort").and_then(Value::as_i64).filter(|number| *number != 0) {
                    self.node_port(&pointer, number, &ports[..index], cluster);
                }
            }
        }
    }

    fn port(&mut self, pointer: &str, port: &Value, earlier: &[Value]) {
        let number = port.get("port").and_then(Value::as_i64);
        if !number.is_some_and(|number| (1..=65535).contains(&number)) {
            return self.error(pointer, format!("the port {} has no number from 1 to 65535", told(port)), &[]);
        }
        let protocol = |port: &Value| port.get("protocol").and_then(Value::as_str).unwrap_or("TCP").to_owned();
        // ASM's words for ports that are TCP in the Service.
        let wire = |port: &Value| match protocol(port).as_str() {
            "UDP" => "UDP",
            "SCTP" => "SCTP",
            _ => "TCP",
        };
        for other in earlier {
            let same_number = other.get("port") == port.get("port") && wire(other) == wire(port);
            let same_name = other.get("name").is_some() && other.get("name") == port.get("name");
            if same_number || same_name {
                let message = format!("the ports {} and {} have the same name or number", told(other), told(port));
                self.error(pointer, message, &[]);
            }
        }
    }

    fn node_port(&mut self, pointer: &str, number: i64, earlier: &[Value], cluster: Option<&str>) {
        if !NODE_PORTS.contains(&number) {
            let message = format!("the nodePort {number} is out of range");
            let hint =
                format!("a nodePort is {} to {}; leave it out to get a free one", NODE_PORTS.start(), NODE_PORTS.end());
            return self.error(pointer, message, &[&hint]);
        }
        if earlier.iter().any(|other| other.get("nodePort").and_then(Value::as_i64) == Some(number)) {
            return self.error(pointer, format!("the nodePort {number} is used twice"), &[]);
        }
        let ids = gateway::cluster_ids(self.object);
        let here = |id: &str| ids.contains(&id) && cluster.is_none_or(|cluster| cluster == id);
        let members: Vec<_> =
            self.clusters().into_iter().filter(|member| member.id.as_deref().is_some_and(here)).collect();
        let mut taken = Vec::new();
        for member in &members {
            let target = Target::Cluster(member.name.as_str().into());
            let services = self.state.manifests_of(&target).filter(|manifest| manifest.group_kind().is("", "Service"));
            let services = services.filter(|service| has_node_port(service.object.get("spec"), number));
            taken.extend(services.map(|service| format!("{} ({}) in {}", service.id, service.position, member.name)));
        }
        let others = self.state.manifests_of(&Target::Mesh).filter(|manifest| {
            manifest.group_kind().is(ASM, "IstioGateway")
                && *manifest.id.name != *self.name
                && gateway::cluster_ids(&manifest.object).into_iter().any(here)
                && has_node_port(manifest.object.get("spec"), number)
        });
        taken.extend(others.map(|other| format!("{} ({})", other.id, other.position)));
        for owner in taken {
            let hint = "leave the nodePort out to get a free one";
            self.error(pointer, format!("the nodePort {number} is taken by {owner}"), &[hint]);
        }
    }
}

fn has_node_port(spec: Option<&Value>, number: i64) -> bool {
    let ports = spec.and_then(|spec| spec.get("ports")).and_then(Value::as_array);
    ports.into_iter().flatten().any(|port| port.get("nodePort").and_then(Value::as_i64) == Some(number))
}

/// `http=80`, as on the command line.
fn told(port: &Value) -> String {
    let name = port.get("name").and_then(Value::as_str).unwrap_or_default();
    let number = port.get("port").map(Value::to_string).unwrap_or_default();
    let target = port.get("targetPort").filter(|target| Some(*target) != port.get("port"));
    let target = target.map(|target| format!(":{}", target.as_str().map_or_else(|| target.to_string(), str::to_owned)));
    format!("{name}={number}{}", target.unwrap_or_default())
}
