//! Which port of the pods a server of a Gateway opens: its number is one of a Service, and istiod binds the port that the
//! Service leads it to; a number that no Service has is bound as it is (`resolvePorts`).

use super::front::Front;
use super::model::{Model, items, port, text};
use crate::fleet::{Manifest, Target};
use crate::object::At as _;
use serde_json::Value;

/// Label by which a Service keeps out of this.
const NO_TRANSLATION: &str = "experimental.istio.io~1disable-gateway-port-translation";
/// Annotation by which the control plane binds a Gateway to Services instead of pods.
const BOUND_TO: &str = "/metadata/annotations/internal.istio.io~1gateway-service";

/// A port of a Service in front of the pods.
#[derive(Clone, Debug)]
pub(super) struct ServicePort {
    host: String,
    namespace: String,
    number: u16,
    target: u16,
    translates: bool,
}

impl ServicePort {
    /// Port of the Service, port of the pods.
    pub(super) fn pair(&self) -> (u16, u16) {
        (self.number, self.target)
    }
}

/// The ports that lead to the pods of a gateway in one cluster, in the order of istiod.
pub(super) fn of(model: &Model<'_, '_>, front: &Front<'_>, cluster: Option<&Target>) -> Vec<ServicePort> {
    let mut found = Vec::new();
    for door in front.doors.iter().filter(|door| cluster.is_none_or(|cluster| door.cluster == *cluster)) {
        let mut seen: Vec<(u16, &str)> = Vec::new();
        for it in &door.ports {
            let Some(target) = it.target else { continue };
            // Of several ports that lead to one with one protocol, istiod keeps the first.
            let key = (target, protocol(it.protocol == "UDP", it.app_protocol, it.name.unwrap_or_default(), it.port));
            if seen.contains(&key) {
                continue;
            }
            seen.push(key);
            found.push(ServicePort {
                host: format!("{}.{}.svc.cluster.local", door.name, front.namespace),
                namespace: front.namespace.clone(),
                number: it.port,
                target,
                translates: translates(door.manifest),
            });
        }
    }
    // ServiceEntries name addresses, and most gateways have none that is known.
    let entries = model.services.entries().filter(|_| !front.addresses.is_empty());
    for service in entries {
        for entry in &service.manifests {
            let named = items(&entry.object, "/spec/endpoints").iter();
            let own = named.filter(|it| front.addresses.iter().any(|address| address == text(it, "/address")));
            for endpoint in own {
                found.extend(items(&entry.object, "/spec/ports").iter().filter_map(|it| {
                    let number = port(it, "/number")?;
                    let own =
                        endpoint.get("ports").and_then(|ports| ports.get(text(it, "/name"))).and_then(Value::as_u64);
                    let own = own.and_then(|port| u16::try_from(port).ok());
                    Some(ServicePort {
                        host: service.host.clone(),
                        namespace: service.namespace.to_owned(),
                        number,
                        target: own.or_else(|| port(it, "/targetPort")).unwrap_or(number),
                        translates: translates(entry),
                    })
                }));
            }
        }
    }
    found
}

fn translates(service: &Manifest) -> bool {
    service.object.at(&format!("/metadata/labels/{NO_TRANSLATION}")).is_none()
}

/// The ports that a server of a Gateway opens.
pub(super) fn resolve(gateway: &Manifest, number: u16, ports: &[ServicePort]) -> Vec<u16> {
    let of_number = ports.iter().filter(|port| port.number == number);
    let Some(bound) = bound_to(gateway) else {
        let first = of_number.into_iter().find(|port| port.translates);
        return vec![first.map_or(number, |port| port.target)];
    };
    let space = gateway.id.namespace.as_deref().unwrap_or("default");
    let mine = of_number.filter(|port| port.namespace == space && bound.contains(&port.host.as_str()));
    let mut targets: Vec<u16> = mine.map(|port| port.target).collect();
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// Has the control plane bound it to Services?
pub(super) fn is_bound(gateway: &Manifest) -> bool {
    bound_to(gateway).is_some()
}

/// Does a Gateway that is bound to Services apply to pods behind these?
pub(super) fn applies(gateway: &Manifest, ports: &[ServicePort]) -> Option<bool> {
    let bound = bound_to(gateway)?;
    let space = gateway.id.namespace.as_deref().unwrap_or("default");
    Some(ports.iter().any(|port| port.namespace == space && bound.contains(&port.host.as_str())))
}

fn bound_to(gateway: &Manifest) -> Option<Vec<&str>> {
    Some(gateway.object.at(BOUND_TO)?.as_str()?.split(',').collect())
}

/// What istiod takes a port of a Service for: `appProtocol`, else the first word of its name. Empty when neither says it.
pub(super) fn protocol(udp: bool, app_protocol: Option<&str>, name: &str, number: u16) -> &'static str {
    const KNOWN: [&str; 12] =
        ["grpc-web", "http", "http2", "https", "grpc", "tcp", "tls", "udp", "mongo", "redis", "mysql", "hbone"];
    if udp {
        return "udp";
    }
    let find = |word: &str| KNOWN.into_iter().find(|known| word.eq_ignore_ascii_case(known));
    if let Some(word) = app_protocol {
        return match word {
            "kubernetes.io/h2c" => "http2",
            "kubernetes.io/ws" => "http",
            "kubernetes.io/wss" => "https",
            word => find(word).unwrap_or(""),
        };
    }
    if name == "grpc-web" || name.starts_with("grpc-web-") {
        return "grpc-web";
    }
    let by_number = match number {
        25 | 53 | 3306 | 27017 => "tcp",
        _ => "",
    };
    find(name.split('-').next().unwrap_or_default()).unwrap_or(by_number)
}
