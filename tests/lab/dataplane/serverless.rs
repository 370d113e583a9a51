//! Serverless gateways: ASM runs them outside the member clusters, so no kubelet does. One Envoy each.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use kube::{Api, Client, ResourceExt as _, api::DynamicObject, runtime::watcher};
use serde_json::Value;
use tokio::sync::mpsc::unbounded_channel;

use super::{
    balancer::{Forwarders, Wanted},
    bootstrap::{Node, Role},
    pods::{Pods, Running},
};
use crate::{
    MESH,
    controllers::{
        Cloud, asm,
        follow::{Change, follow},
    },
};

struct Gateway {
    ip: Ipv4Addr,
    labels: BTreeMap<String, String>,
    ports: BTreeMap<u16, u16>,
    _running: Running,
}

/// Works for ever. `client` is the mesh's.
pub(super) async fn run(client: Client, cloud: Cloud, pods: Arc<Pods>) {
    let (to, mut messages) = unbounded_channel();
    let gateways = Api::<DynamicObject>::all_with(client, &asm::Asm::resource());
    let watch = follow(gateways, watcher::Config::default(), to, |change| change);
    let work = async {
        let mut changes = cloud.changes();
        let (mut running, mut forwarders) = (HashMap::<String, Gateway>::new(), Forwarders::default());
        let mut given = 0;
        loop {
            if let Err(error) = forwarders.set(wanted(&cloud, &running)).await {
                tracing::warn!(%error, "serverless gateways' addresses");
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                message = messages.recv() => {
                    let Some(change) = message else { return };
                    if let Err(error) = take(&pods, &mut running, &mut given, change).await {
                        tracing::warn!(%error, "serverless gateway");
                    }
                }
            }
        }
    };
    tokio::join!(watch, work);
}

fn wanted(cloud: &Cloud, running: &HashMap<String, Gateway>) -> Wanted {
    let address = |uid: &String| cloud.made_for(uid)?.address.parse::<Ipv4Addr>().ok();
    let all = running.iter().filter_map(|(uid, gateway)| {
        let ports = gateway.ports.iter().map(|(port, target)| (*port, vec![SocketAddr::from((gateway.ip, *target))]));
        Some((address(uid)?, ports.collect()))
    });
    all.collect()
}

async fn take(
    pods: &Pods,
    running: &mut HashMap<String, Gateway>,
    given: &mut u8,
    change: Change<DynamicObject>,
) -> Result<()> {
    let (gateway, is_there) = match change {
        Change::Set(gateway) => (gateway, true),
        Change::Gone(gateway) => (gateway, false),
    };
    let uid = gateway.uid().context("an IstioGateway without UID")?;
    if !is_there || !asm::is_serverless(&gateway) {
        running.remove(&uid);
        return Ok(());
    }
    let (labels, ports) = (labels(&gateway), ports(&gateway));
    if running.get(&uid).is_some_and(|now| now.labels == labels && now.ports == ports) {
        return Ok(());
    }
    *given += 1;
    // Beyond the addresses of any cluster's pods.
    let ip = Ipv4Addr::new(10, 244, 255, *given);
    let full = format!("istio-{}", gateway.name_any());
    let node = Node {
        role: Role::Router,
        ip,
        name: format!("{full}-serverless-{given}"),
        namespace: gateway.namespace().unwrap_or_default(),
        cluster: MESH.to_owned(),
        service_account: full,
        labels: labels.clone(),
    };
    let envoy = pods.envoy(node).await?;
    running.insert(uid, Gateway { ip, labels, ports, _running: envoy });
    Ok(())
}

fn labels(gateway: &DynamicObject) -> BTreeMap<String, String> {
    let own = gateway.data.pointer("/spec/podLabels").and_then(Value::as_object).into_iter().flatten();
    let own = own.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    own.chain(asm::reserved_labels(&gateway.name_any())).collect()
}

/// Port → target port.
fn ports(gateway: &DynamicObject) -> BTreeMap<u16, u16> {
    let number = |port: &Value, key: &str| port.get(key).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
    let ports = gateway.data.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let pair = |port: &Value| {
        let from = number(port, "port")?;
        Some((from, number(port, "targetPort").filter(|to| *to != 0).unwrap_or(from)))
    };
    ports.filter_map(pair).collect()
}
