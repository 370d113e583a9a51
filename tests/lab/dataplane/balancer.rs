//! Load balancers that carry traffic: each address of the cloud is an address of the lab's network, each listener a TCP
//! forwarder to the pods behind it, in turn.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use k8s_openapi::{
    api::core::v1::{Pod, Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, Client, ResourceExt as _, runtime::watcher};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::unbounded_channel,
    task::AbortHandle,
};

use super::network::{Address, LOOPBACK};
use crate::controllers::{
    Cloud, LoadBalancer, LoadBalancerKind,
    follow::{Change, follow},
};

/// Address → port → where its connections go.
pub(super) type Wanted = BTreeMap<Ipv4Addr, BTreeMap<u16, Vec<SocketAddr>>>;

/// The addresses and listeners that exist.
#[derive(Default)]
pub(super) struct Forwarders {
    addresses: BTreeMap<Ipv4Addr, (Address, BTreeMap<u16, Listener>)>,
}

struct Listener {
    backends: Arc<Mutex<Vec<SocketAddr>>>,
    task: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Forwarders {
    /// Makes what is wanted, takes away what is not.
    pub(super) async fn set(&mut self, wanted: Wanted) -> Result<()> {
        self.addresses.retain(|ip, _| wanted.contains_key(ip));
        for (ip, ports) in wanted {
            let (_, listeners) = match self.addresses.entry(ip) {
                std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => {
                    new.insert((Address::add(ip, LOOPBACK)?, BTreeMap::new()))
                }
            };
            listeners.retain(|port, _| ports.contains_key(port));
            for (port, backends) in ports {
                if let Some(listener) = listeners.get(&port) {
                    *listener.backends.lock().unwrap_or_else(PoisonError::into_inner) = backends;
                } else {
                    listeners.insert(port, Listener::start(ip, port, backends).await?);
                }
            }
        }
        Ok(())
    }
}

impl Listener {
    async fn start(ip: Ipv4Addr, port: u16, backends: Vec<SocketAddr>) -> Result<Self> {
        let listener = TcpListener::bind((ip, port)).await?;
        let backends = Arc::new(Mutex::new(backends));
        let task = tokio::spawn(accept(listener, Arc::clone(&backends))).abort_handle();
        Ok(Self { backends, task })
    }
}

async fn accept(listener: TcpListener, backends: Arc<Mutex<Vec<SocketAddr>>>) {
    let turn = AtomicUsize::new(0);
    while let Ok((client, _)) = listener.accept().await {
        let backend = {
            let backends = backends.lock().unwrap_or_else(PoisonError::into_inner);
            let next = turn.fetch_add(1, Ordering::Relaxed).checked_rem(backends.len());
            next.and_then(|n| backends.get(n).copied())
        };
        // Without a healthy back end the connection is closed, as by a real one.
        if let Some(backend) = backend {
            tokio::spawn(forward(client, backend));
        }
    }
}

async fn forward(mut client: TcpStream, backend: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(backend).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // It ends when either side does; whose fault that is, the client sees.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

enum Message {
    Service(Change<Service>),
    Pod(Change<Pod>),
}

/// Keeps the load balancers of one cluster's Services. Works for ever.
pub(super) async fn run(client: Client, cloud: Cloud) {
    let (to, mut messages) = unbounded_channel();
    let services =
        follow(Api::<Service>::all(client.clone()), watcher::Config::default(), to.clone(), Message::Service);
    let pods = follow(Api::<Pod>::all(client), watcher::Config::default(), to, Message::Pod);
    let work = async {
        let mut changes = cloud.changes();
        let (mut services, mut pods) = (HashMap::new(), HashMap::new());
        let mut forwarders = Forwarders::default();
        loop {
            let wanted = wanted(&cloud.load_balancers(), services.values(), pods.values());
            if let Err(error) = forwarders.set(wanted).await {
                tracing::warn!(%error, "load balancers");
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                message = messages.recv() => match message {
                    None => return,
                    Some(Message::Service(change)) => note(&mut services, change),
                    Some(Message::Pod(change)) => note(&mut pods, change),
                },
            }
        }
    };
    tokio::join!(services, pods, work);
}

fn note<K: kube::Resource>(known: &mut HashMap<String, Box<K>>, change: Change<K>) {
    match change {
        Change::Set(object) => drop(known.insert(object.meta().uid.clone().unwrap_or_default(), object)),
        Change::Gone(object) => drop(known.remove(object.meta().uid.as_deref().unwrap_or_default())),
    }
}

/// An NLB has a name, and there is no DNS here: none is made for it.
fn wanted<'a>(
    load_balancers: &[LoadBalancer],
    services: impl Iterator<Item = &'a Box<Service>> + Clone,
    pods: impl Iterator<Item = &'a Box<Pod>> + Clone,
) -> Wanted {
    let mut wanted = Wanted::new();
    for lb in load_balancers.iter().filter(|lb| lb.kind == LoadBalancerKind::Clb) {
        let Ok(ip) = lb.address.parse() else { continue };
        let ports: &mut BTreeMap<u16, Vec<SocketAddr>> = wanted.entry(ip).or_default();
        for owner in lb.owner.iter().chain(&lb.reused_by) {
            let Some(service) = services.clone().find(|s| s.uid().as_deref() == Some(&owner.uid)) else { continue };
            for port in service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()) {
                let Ok(number) = u16::try_from(port.port) else { continue };
                if lb.listeners.contains(&format!("{number}/TCP")) {
                    ports.insert(number, backends(service, port, pods.clone()));
                }
            }
        }
    }
    wanted
}

fn backends<'a>(service: &Service, port: &ServicePort, pods: impl Iterator<Item = &'a Box<Pod>>) -> Vec<SocketAddr> {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref()).filter(|s| !s.is_empty());
    let Some(selector) = selector else { return Vec::new() };
    let behind = pods.filter(|pod| {
        pod.namespace() == service.namespace()
            && selector.iter().all(|(key, value)| pod.labels().get(key) == Some(value))
            && takes_requests(pod)
    });
    let mut backends: Vec<SocketAddr> = behind.filter_map(|pod| endpoint(pod, port)).collect();
    backends.sort_unstable();
    backends
}

fn takes_requests(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    pod.metadata.deletion_timestamp.is_none() && ready.any(|condition| condition.status == "True")
}

fn endpoint(pod: &Pod, port: &ServicePort) -> Option<SocketAddr> {
    let ip: Ipv4Addr = pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()?;
    let number = match &port.target_port {
        None => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => {
            let mut ports = pod.spec.iter().flat_map(|spec| &spec.containers).flat_map(|c| c.ports.iter().flatten());
            ports.find(|port| port.name.as_ref() == Some(name))?.container_port
        }
    };
    Some(SocketAddr::from((ip, u16::try_from(number).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(name: &str, ip: &str, ready: bool, extra: Value) -> Box<Pod> {
        let mut pod = json!({
            "metadata": {"name": name, "namespace": "istio-system", "uid": name, "labels": {"istio": "edge"}},
            "spec": {"containers": [{"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}]},
            "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
        });
        for (key, value) in extra.as_object().into_iter().flatten() {
            pod["metadata"][key] = value.clone();
        }
        Box::new(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn a_listener_leads_to_the_ready_pods_that_its_service_selects() {
        let cloud = Cloud::new("m1c1", &["m1c1".into()]);
        let owner = crate::Owner {
            cluster: "m1c1".into(),
            namespace: "istio-system".into(),
            name: "s".into(),
            uid: "u".into(),
        };
        let lb = cloud.make(LoadBalancerKind::Clb, Some(owner), BTreeMap::new(), None);
        cloud.change(&lb.id, |lb| lb.listeners = ["80/TCP".to_owned()].into());
        let service = json!({
            "metadata": {"name": "s", "namespace": "istio-system", "uid": "u"},
            "spec": {"selector": {"istio": "edge"}, "ports": [
                {"name": "http", "port": 80, "targetPort": "web"}, {"name": "new", "port": 81},
            ]},
        });
        let services = [Box::new(serde_json::from_value::<Service>(service).unwrap())];
        let pods = [
            pod("a", "10.244.1.2", true, json!({})),
            pod("b", "10.244.1.3", false, json!({})),
            pod("c", "10.244.1.4", true, json!({"labels": {"istio": "other"}})),
            pod("d", "10.244.1.5", true, json!({"namespace": "default"})),
            pod("e", "10.244.1.6", true, json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})),
        ];
        let made = wanted(&cloud.load_balancers(), services.iter(), pods.iter());
        let backend: SocketAddr = "10.244.1.2:8080".parse().unwrap();
        assert_eq!(made, Wanted::from([("203.0.113.1".parse().unwrap(), BTreeMap::from([(80, vec![backend])]))]));
        cloud.remove(&lb.id, "test");
        assert!(wanted(&cloud.load_balancers(), services.iter(), pods.iter()).is_empty());
    }
}
