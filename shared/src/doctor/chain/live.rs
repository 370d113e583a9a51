//! What clusters say about the links.

use crate::asm::addresses;
use crate::doctor::clb_access::{EventMeaning, complaints};
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the clusters say about one way.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The Service of the load balancer; `None` for a serverless gateway, which no cluster has.
    pub door: Option<LiveDoor>,
    /// Addresses of a serverless gateway.
    pub addresses: Vec<String>,
    /// Services that rules lead to, by cluster, namespace, name and subset (empty for none). What could not be asked is
    /// not here.
    pub backends: BTreeMap<(String, String, String, String), LiveBackend>,
}

/// The Service of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveDoor {
    /// Is it there?
    pub exists: bool,
    /// IPs and host names.
    pub addresses: Vec<String>,
    /// Its ports.
    pub ports: Vec<u16>,
    /// Pods that it selects.
    pub pods: usize,
    /// Those that are ready.
    pub ready: usize,
    /// What the cloud controller complains about now.
    pub complaints: Vec<EventMeaning>,
}

impl LiveDoor {
    /// By the objects of the cluster.
    pub fn of(service: Option<&Value>, pods: &[Value], events: &[Value]) -> Self {
        let Some(service) = service else { return Self::default() };
        let ports = service.at("/spec/ports").and_then(Value::as_array).into_iter().flatten();
        let number =
            |port: &Value| port.get("port").and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok());
        Self {
            exists: true,
            addresses: addresses::of_service(service),
            ports: ports.filter_map(number).collect(),
            pods: pods.len(),
            ready: pods.iter().filter(|pod| is_ready(pod)).count(),
            complaints: complaints(events, service),
        }
    }
}

/// A Service behind a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveBackend {
    /// Is it there?
    pub exists: bool,
    /// Pods that it selects, with the labels of the subset.
    pub pods: usize,
    /// Those that are ready.
    pub ready: usize,
}

impl LiveBackend {
    /// By the pods that it selects.
    pub fn of(pods: &[Value]) -> Self {
        Self { exists: true, pods: pods.len(), ready: pods.iter().filter(|pod| is_ready(pod)).count() }
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.at("/status/conditions").and_then(Value::as_array);
    pod.at("/metadata/deletionTimestamp").is_none()
        && conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
