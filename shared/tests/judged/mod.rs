//! Cases of the judge of routes, and whether the simulator says the same: what a gateway of a real Istio answers, in the
//! words of `tests/lab/meshplane/judge.go`. The differential test of the lab includes this file too.

mod compare;

use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::route::{Endpoints, Front, Missing, Options, Request, Sni, Table, compile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) use compare::differences;

/// Objects and questions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Case {
    /// What it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) about: String,
    /// The mesh's objects.
    pub(crate) yaml: String,
    /// Objects of the member clusters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) clusters: BTreeMap<String, String>,
    /// Regions of the member clusters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) regions: BTreeMap<String, String>,
    /// `auto` or `real`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) endpoints: String,
    /// What is asked, with the judge's answers.
    pub(crate) requests: Vec<Question>,
}

/// One question.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Question {
    /// Labels of the gateway's pod.
    pub(crate) gateway: BTreeMap<String, String>,
    /// Its namespace.
    pub(crate) namespace: String,
    /// The pod is no gateway's: what its sidecar does with what it sends.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) sidecar: bool,
    /// Port that the request is sent to.
    pub(crate) port: u16,
    /// Host, as sent.
    pub(crate) host: String,
    /// Path with query, as sent.
    pub(crate) path: String,
    /// Method.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) method: String,
    /// Headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    /// The client speaks TLS.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) tls: bool,
    /// The server name that it asks for; the host when absent, none when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sni: Option<String>,
    /// The client shows a certificate.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) mtls: bool,
    /// How often it is sent.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) times: u32,
    /// What the judge said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<Answer>,
}

/// What Envoy did; `tests/lab/meshplane/ask.go` says what each field means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Answer {
    pub(crate) outcome: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) virtual_host: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) route: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) cluster: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) upstream_path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) upstream_host: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) upstream_headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) removed_headers: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) response_headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) timeout_ms: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) location: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) body: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) details: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) clusters: BTreeMap<String, u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) endpoints: BTreeMap<String, u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) mirrors: BTreeMap<String, u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) error: String,
}

/// Takes every type of number, for serde.
fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Case {
    /// The same as files of a fleet.
    pub(crate) fn state(&self) -> FleetState {
        let clusters = (1..).zip(self.clusters.keys());
        let region = |name: &String| self.regions.get(name).map(|it| format!(", region: {it}")).unwrap_or_default();
        let clusters = clusters.map(|(n, name)| format!("{{name: {name}, id: c{n:032}{}}}", region(name)));
        let clusters = clusters.collect::<Vec<_>>().join(", ");
        let fleet = format!(
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {{name: judged}}\nspec:\n  mesh: {{}}\n  \
             clusters: [{clusters}]\n"
        );
        let mut tree: MemoryTree = [("fleet.yaml", fleet)].into_iter().collect();
        tree.insert("mesh/objects.yaml", &self.yaml);
        for (name, yaml) in &self.clusters {
            tree.insert(&format!("clusters/{name}/objects.yaml"), yaml);
        }
        FleetState::read(&tree)
    }

    /// How the simulator sees what the judge sees: objects without a date are of one age, and what is not there is not.
    pub(crate) fn options(&self) -> Options {
        let endpoints = if self.endpoints == "real" { Endpoints::Real } else { Endpoints::Auto };
        Options { same_age: true, missing: Missing::Absent, endpoints, pod_ports: true, ..Options::default() }
    }

    /// Where the simulator says something else than the judge: number of the request, and what differs. The tables of
    /// gateways are compiled once.
    pub(crate) fn differences<'c>(
        &self,
        answered: impl IntoIterator<Item = (&'c Question, &'c Answer)>,
    ) -> Vec<(usize, Vec<String>)> {
        let state = self.state();
        let options = self.options();
        let mut tables: BTreeMap<(&BTreeMap<String, String>, &str, bool), Table<'_>> = BTreeMap::new();
        let mut found = Vec::new();
        for (number, (question, answer)) in answered.into_iter().enumerate() {
            let key = (&question.gateway, question.namespace.as_str(), question.sidecar);
            let table = tables.entry(key).or_insert_with(|| compile(&state, &question.front(&state), &options));
            let request = question.request();
            let differences = differences(question, answer, &table.lookup(&request));
            if !differences.is_empty() {
                found.push((number, differences));
            }
        }
        found
    }
}

impl Question {
    /// The pod that is asked.
    fn front<'s>(&self, state: &'s FleetState) -> Front<'s> {
        let front = Front::of_pod(state, &self.gateway, &self.namespace);
        if self.sidecar { front.calling() } else { front }
    }

    /// The same for the simulator.
    pub(crate) fn request(&self) -> Request {
        let headers = self.headers.iter();
        Request {
            port: if self.port == 0 { 80 } else { self.port },
            tls: self.tls,
            sni: match &self.sni {
                None => Sni::Host,
                Some(name) if name.is_empty() => Sni::Absent,
                Some(name) => Sni::Name(name.clone()),
            },
            client_certificate: self.mtls,
            host: self.host.clone(),
            method: if self.method.is_empty() { "GET".to_owned() } else { self.method.clone() },
            path: if self.path.is_empty() { "/".to_owned() } else { self.path.clone() },
            headers: headers.flat_map(|(name, values)| values.iter().map(|v| (name.clone(), v.clone()))).collect(),
        }
    }
}
