//! What has to be there in a cluster so that requests arrive, besides what Git has for it: read off the whole of a commit.

use super::certificate::Parts;
use super::ways::{self, Origin, Way};
use crate::asm::gateway::{RESERVED_LABELS, generated_name};
use crate::fleet::{FleetState, Manifest, Target};
use crate::istio::{Gateway, credentials};
use crate::object::ObjectId;
use crate::object::kinds::ISTIO_NETWORKING;
use crate::route::{Front, gateways};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What istiod appends to a name when it looks for what clients' certificates are checked with.
pub const AUTHORITY_SUFFIX: &str = "-cacert";

/// A Secret that Gateways name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What is wanted of it.
    pub parts: Parts,
    /// The Gateways.
    pub used_by: Vec<Origin>,
}

impl Credential {
    /// What is wrong, where, what comes of it and what to do, as the rest of a sentence about the Secret.
    pub fn fault(&self, fault: &str, secret: &ObjectId) -> String {
        let (namespace, name) = (secret.namespace.as_deref().unwrap_or_default(), &secret.name);
        format!(
            "{fault}; {} needs it in this cluster, and TLS fails without it. Put the right one there (kubectl -n {namespace} \
             create secret tls {name} --cert=FILE --key=FILE --dry-run=client -o yaml | kubectl apply -f -), or let what \
             makes it (ASMCredential in the mesh, cert-manager, ExternalSecret) do so",
            self.whose()
        )
    }

    /// The Gateways that need it, in words.
    pub fn whose(&self) -> String {
        let more =
            if self.used_by.len() > 1 { format!(" (and {} more)", self.used_by.len() - 1) } else { String::new() };
        let first = self.used_by.first().map(|origin| format!("{} ({})", origin.object, origin.position));
        format!("{}{more}", first.unwrap_or_else(|| "a Gateway".to_owned()))
    }
}

/// Pods of a gateway that a Gateway asks for by labels that ASM does not give by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The gateway's Service.
    pub service: ObjectId,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The Gateway.
    pub used_by: Origin,
}

impl Choice {
    /// What is wrong when no such pod is ready, as the rest of a sentence about the Gateway.
    pub fn fault(&self) -> String {
        format!(
            "chooses no ready pod of {} in this cluster (labels {}, {}): its ports answer nobody there. ASM gives the pods \
             spec.podLabels of the IstioGateway; see which they have: kubectl -n {} get pods --show-labels",
            self.service.name,
            ways::listed(&self.labels),
            self.used_by.position,
            self.service.namespace.as_deref().unwrap_or_default()
        )
    }
}

/// What one cluster has to have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrival {
    /// Secrets with certificates.
    pub credentials: BTreeMap<ObjectId, Credential>,
    /// Ports that Gateways open on the pods behind a Service that ASM makes.
    pub listeners: BTreeMap<ObjectId, BTreeMap<u16, Origin>>,
    /// Pods that Gateways choose.
    pub choices: Vec<Choice>,
    /// Where the routes of the mesh lead, in this cluster or in others.
    pub ways: Arc<[Way]>,
}

impl Arrival {
    /// Services whose pods count.
    pub fn services(&self) -> BTreeSet<(Arc<str>, Arc<str>)> {
        let ways = self.ways.iter().map(|way| (way.namespace.clone(), way.service.clone()));
        let chosen =
            self.choices.iter().filter_map(|it| Some((it.service.namespace.clone()?, it.service.name.clone())));
        ways.chain(chosen).collect()
    }

    /// Namespaces in which pods are told apart by their labels.
    pub fn labelled(&self) -> BTreeSet<Arc<str>> {
        let ways = self.ways.iter().filter(|way| !way.labels.is_empty()).map(|way| way.namespace.clone());
        ways.chain(self.choices.iter().filter_map(|choice| choice.service.namespace.clone())).collect()
    }

    /// Namespaces with Secrets that count.
    pub fn secret_namespaces(&self) -> BTreeSet<Arc<str>> {
        self.credentials.keys().filter_map(|id| id.namespace.clone()).collect()
    }
}

/// The same for all clusters of a fleet.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Where the routes of the mesh lead.
    pub ways: Arc<[Way]>,
    clusters: BTreeMap<Target, Arrival>,
}

impl Arrivals {
    /// Of a commit.
    pub fn of(state: &FleetState) -> Self {
        let mut all = Self { ways: ways::all(state), clusters: BTreeMap::new() };
        let fronts = gateways(state);
        let of_kind = state.manifests.iter().filter(|it| it.group_kind().is(ISTIO_NETWORKING, "Gateway"));
        for manifest in of_kind {
            let gateway = Gateway::read(&manifest.object);
            let is_chosen = |front: &&Front<'_>| !front.serverless && front.has(&gateway.selector);
            for front in fronts.iter().filter(is_chosen) {
                for target in front.clusters.iter().filter(|target| **target != Target::Mesh) {
                    let own = all.clusters.entry(target.clone()).or_default();
                    own.take(manifest, &gateway, front);
                }
            }
        }
        all
    }

    /// Of one target; nothing but the mesh's own work is the mesh's.
    pub fn at(&self, target: &Target) -> Arrival {
        if *target == Target::Mesh {
            return Arrival::default();
        }
        let own = self.clusters.get(target).cloned().unwrap_or_default();
        Arrival { ways: self.ways.clone(), ..own }
    }
}

impl Arrival {
    /// Takes in what a Gateway needs of a gateway's pods here.
    fn take(&mut self, manifest: &Manifest, gateway: &Gateway, front: &Front<'_>) {
        let origin = |pointer: &str| Origin { object: manifest.id.clone(), position: manifest.position_of(pointer) };
        for named in credentials(&manifest.object) {
            let id = ObjectId::new("", "Secret", Some(&front.namespace), &named.secret);
            let entry = self.credentials.entry(id);
            let known = entry.or_insert_with(|| Credential { parts: Parts::default(), used_by: Vec::new() });
            known.parts.pair |= named.pair;
            known.parts.authority |= named.authority;
            let origin = origin(&named.pointer);
            if known.used_by.iter().all(|known| known.object != origin.object) {
                known.used_by.push(origin);
            }
        }
        // Of a Service that somebody else makes, nobody knows whether it is meant for all ports.
        if front.doors.iter().all(|door| !door.generated) {
            return;
        }
        let service = ObjectId::new("", "Service", Some(&front.namespace), &generated_name(&front.name));
        let listeners = self.listeners.entry(service.clone()).or_default();
        for (index, server) in gateway.servers.iter().enumerate() {
            if let Some(port) = server.port {
                listeners.entry(port).or_insert_with(|| origin(&format!("/spec/servers/{index}/port/number")));
            }
        }
        let labels = beyond(&gateway.selector);
        if !labels.is_empty() && self.choices.iter().all(|it| it.service != service || it.labels != labels) {
            self.choices.push(Choice { service, labels, used_by: origin("/spec/selector") });
        }
    }
}

/// The labels of a selector, if it has others than those that ASM gives every pod.
fn beyond(selector: &Map<String, Value>) -> BTreeMap<String, String> {
    if selector.keys().all(|key| RESERVED_LABELS.contains(&key.as_str())) {
        return BTreeMap::new();
    }
    selector.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::MemoryTree;
    use std::fmt::Write as _;

    const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec: {mesh: {}, clusters: \
                         [{name: m1c1, id: c0123456789abcdef0123456789abcdef}, {name: m1c2, id: \
                         cfedcba9876543210fedcba9876543210}]}\n";
    const ONE: &str = "c0123456789abcdef0123456789abcdef";
    const BOTH: &str = "c0123456789abcdef0123456789abcdef, cfedcba9876543210fedcba9876543210";

    fn gateway(name: &str, ids: &str, more: &str) -> String {
        format!(
            "apiVersion: istio.alibabacloud.com/v1beta1\nkind: IstioGateway\nmetadata: {{name: {name}, namespace: \
             istio-system{more}}}\nspec: {{clusterIds: [{ids}], podLabels: {{team: {name}}}, ports: [{{name: https, port: 443, \
             targetPort: 8443}}]}}\n---\n"
        )
    }

    fn server(name: &str, selector: &str, tls: &str) -> String {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: default}}\nspec:\n  \
             selector: {{{selector}}}\n  servers:\n  - port: {{number: 443, name: https, protocol: HTTPS}}\n    hosts: ['*']\n    \
             tls: {{{tls}}}\n---\n"
        )
    }

    fn of(mesh: &str) -> BTreeMap<String, String> {
        let tree: MemoryTree = [("fleet.yaml", FLEET), ("mesh/all.yaml", mesh)].into_iter().collect();
        let state = FleetState::read(&tree);
        assert!(state.problems.is_empty(), "{:?}", state.problems);
        let arrivals = Arrivals::of(&state);
        let told = |target: &str| {
            let arrival = arrivals.at(&Target::Cluster(target.into()));
            let mut text = String::new();
            for (id, it) in &arrival.credentials {
                let Parts { pair, authority } = it.parts;
                write!(text, "{id} {pair}/{authority} for {}; ", it.used_by.len()).expect("a string");
            }
            for (id, ports) in &arrival.listeners {
                write!(text, "{id} {:?}; ", ports.keys().collect::<Vec<_>>()).expect("a string");
            }
            for it in &arrival.choices {
                write!(text, "{} [{}]; ", it.service, ways::listed(&it.labels)).expect("a string");
            }
            (target.to_owned(), text)
        };
        ["m1c1", "m1c2"].into_iter().map(told).collect()
    }

    #[test]
    fn each_cluster_needs_what_the_gateways_that_run_there_need() {
        let simple = "mode: SIMPLE, credentialName: shop-tls";
        let all = gateway("one", ONE, "") + &gateway("two", BOTH, "") + &server("shop", "istio: two", simple);
        let here = "Secret istio-system/shop-tls true/false for 1; Service istio-system/istio-two [443]; ";
        assert_eq!(of(&all), BTreeMap::from([("m1c1".into(), here.into()), ("m1c2".into(), here.into())]));

        let all = gateway("one", ONE, "") + &server("shop", "istio: one", simple);
        let here = here.replace("two", "one");
        assert_eq!(of(&all), BTreeMap::from([("m1c1".into(), here), ("m1c2".into(), String::new())]));

        // Two Gateways that name one Secret; one of them asks clients for certificates, and for a label of the pods.
        let mutual = "mode: MUTUAL, credentialName: shop-tls";
        let all = gateway("one", ONE, "") + &server("a", "istio: one", simple) + &server("b", "team: one", mutual);
        let here = "Secret istio-system/shop-tls true/true for 2; Service istio-system/istio-one [443]; Service \
                    istio-system/istio-one [team=one]; ";
        assert_eq!(of(&all)["m1c1"], here);
    }

    #[test]
    fn the_pods_of_a_serverless_gateway_and_their_secrets_are_asms() {
        let serverless = ", annotations: {asm.alibabacloud.com/managed-by-asm: 'true'}";
        let one = gateway("one", "", serverless).replace("clusterIds: [], ", "");
        let all = one + &server("shop", "istio: one", "mode: SIMPLE, credentialName: shop-tls");
        assert!(of(&all).values().all(String::is_empty), "{:?}", of(&all));
    }
}
