//! # traffic-policy-local
//!
//! ## What it finds
//!
//! `externalTrafficPolicy: Local` on a LoadBalancer Service in front of a gateway's pods, or on a gateway in clusters, where a
//! workload of the same cluster is told to call the load balancer: an environment variable, an argument or a ConfigMap of the
//! cluster holds its fixed address, its `loadbalancer-hostname`, or a URL with a host that only this gateway serves. Without such evidence
//! it is information, as is `Local` together with ENI back ends (needless) and `Local` with a scheduler other than `wrr`.
//!
//! ## Why it is bad
//!
//! kube-proxy takes the address of a load balancer for a local one. Under `Local` a node without a gateway pod drops the packet,
//! depending on proxy mode and version: always for host network clients under IPVS. Only nodes with a gateway pod are back ends.
//!
//! ## How to mend it
//!
//! In this order: call `istio-NAME.istio-system` inside of the cluster; `externalTrafficPolicy: Cluster` (the source IP is
//! lost); `Cluster` with `service.beta.kubernetes.io/backend-type: eni` on Terway, which keeps it.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World};
use crate::asm::annotations::BACKEND_TYPE;
use crate::fleet::{Manifest, Target};
use crate::object::At as _;
use serde_json::Value;
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "traffic-policy-local",
    severity: Severity::Warning,
    summary: "externalTrafficPolicy: Local with clients inside of the cluster",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("traffic_policy_local.rs"),
    check,
};

/// A text in the manifests of a cluster that holds a host or an address, with its place.
type Mentions<'a> = HashMap<(&'a Target, &'a str), (&'a Manifest, String)>;

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let local = |front: &&Front<'a>| {
        front.is_load_balancer() && front.policy.as_ref().is_some_and(|(policy, _)| *policy == "Local")
    };
    let fronts: Vec<&Front<'a>> = world.fronts().iter().filter(local).filter(|front| !front.serverless).collect();
    if fronts.is_empty() {
        return;
    }
    let mentions = mentions(world);
    let hosts = hosts(world);
    for front in fronts {
        let Some((_, at)) = &front.policy else { continue };
        let report = |message: &str| Report::at(front.manifest, &**at, message).targets([front.target.clone()]);
        let fixed = [front.text("loadbalancer-ip"), front.text("loadbalancer-hostname")];
        let served = hosts.get(&std::ptr::from_ref(front.manifest)).into_iter().flatten();
        let told =
            fixed.into_iter().flatten().chain(served.copied()).find_map(|host| mentions.get(&(&front.target, host)));
        let edit = || vec![(front.manifest, EditOp::Set((*at).clone(), Value::from("Cluster")))];
        if front.text(BACKEND_TYPE) == Some("eni") {
            let report =
                report("with ENI back ends Local is needless: they keep the source IP anyway").severity(Severity::Info);
            sink.push(report.fix("use Cluster", false, edit()));
            continue;
        }
        sink.push(match told {
            Some((client, place)) => {
                let message = "clients in the cluster call this load balancer: under Local they fail on nodes without one of its pods";
                let report = report(message).related(client, place, "a client");
                let report = report.hint("Call the Service by its DNS name inside of the cluster, or use Cluster");
                report.fix("use Cluster (the source IP of clients is lost)", false, edit())
            }
            None => report("only nodes with one of its pods answer, and pods elsewhere may not reach the address from inside").severity(Severity::Info),
        });
        let scheduler = front
            .setting("loadbalancer-scheduler")
            .filter(|setting| setting.value.as_str().is_some_and(|word| word.eq_ignore_ascii_case("rr")));
        if let Some(scheduler) = scheduler {
            let message = "under Local the controller weighs nodes by their pods, and rr does not look at weights";
            let report = Report::at(front.manifest, &*scheduler.pointer, message).targets([front.target.clone()]);
            let edit = EditOp::Set(scheduler.pointer.clone(), Value::from("wrr"));
            sink.push(report.severity(Severity::Info).fix("use wrr", false, vec![(front.manifest, edit)]));
        }
    }
}

/// Hosts that Gateways serve on each gateway and on no other, without wildcards.
fn hosts<'w, 'a>(world: &'w World<'a>) -> HashMap<*const Manifest, Vec<&'w str>> {
    let mut doors: HashMap<&'w str, Vec<&'a Manifest>> = HashMap::new();
    for gateway in world.gateways() {
        let hosts = gateway.gateway.servers.iter().flat_map(|server| &server.hosts);
        let hosts: Vec<&str> = hosts
            .map(|host| host.split_once('/').map_or(host.as_str(), |(_, host)| host))
            .filter(|host| !host.contains('*'))
            .collect();
        let pods =
            gateway.pods.iter().filter_map(|index| world.pods().get(*index)).filter(|pod| pod.is_istio_gateway());
        for pod in pods {
            for host in &hosts {
                let doors = doors.entry(host).or_default();
                if !doors.iter().any(|door| std::ptr::eq(*door, pod.manifest)) {
                    doors.push(pod.manifest);
                }
            }
        }
    }
    let mut own: HashMap<*const Manifest, Vec<&'w str>> = HashMap::new();
    for (host, doors) in doors {
        if let [only] = doors.as_slice() {
            own.entry(std::ptr::from_ref(*only)).or_default().push(host);
        }
    }
    own
}

/// What environment variables, arguments and ConfigMaps of each cluster name: hosts of URLs, and whole words.
fn mentions<'a>(world: &World<'a>) -> Mentions<'a> {
    let mut found: Mentions<'a> = HashMap::new();
    for pod in world.pods() {
        let Some(spec) = pod.spec else { continue };
        let base = if pod.manifest.object.at("/spec/template").is_some() { "/spec/template/spec" } else { "/spec" };
        for list in ["containers", "initContainers"] {
            for (index, container) in spec.get(list).and_then(Value::as_array).into_iter().flatten().enumerate() {
                let pointer = format!("{base}/{list}/{index}");
                for (at, entry) in container.get("env").and_then(Value::as_array).into_iter().flatten().enumerate() {
                    note(&mut found, pod.manifest, entry.get("value"), || format!("{pointer}/env/{at}/value"));
                }
                for field in ["args", "command"] {
                    for (at, word) in container.get(field).and_then(Value::as_array).into_iter().flatten().enumerate() {
                        note(&mut found, pod.manifest, Some(word), || format!("{pointer}/{field}/{at}"));
                    }
                }
            }
        }
    }
    for manifest in world.of_kind("", "ConfigMap") {
        for (key, value) in manifest.object.get("data").and_then(Value::as_object).into_iter().flatten() {
            note(&mut found, manifest, Some(value), || format!("/data/{}", super::super::world::escape(key)));
        }
    }
    found
}

fn note<'a>(found: &mut Mentions<'a>, manifest: &'a Manifest, value: Option<&'a Value>, pointer: impl Fn() -> String) {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    // A host has a dot; what has none is no host of a load balancer.
    for word in text.split(|c| !is_part(c)).filter(|word| word.contains('.')) {
        found.entry((&manifest.target, word)).or_insert_with(|| (manifest, pointer()));
    }
}
