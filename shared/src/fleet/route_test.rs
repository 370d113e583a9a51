//! `tests/**.yaml`: requests and where they must go.

use super::{Position, file::Metadata};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A list of requests with their expected outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteTest {
    /// `kubectl-asm.io/v1alpha1`.
    pub api_version: String,
    /// `RouteTest`.
    pub kind: String,
    /// Name of this test.
    pub metadata: Metadata,
    /// The cases.
    pub spec: RouteTestSpec,
}

/// The cases of one test file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteTestSpec {
    /// Requests and where they must go.
    pub cases: Vec<RouteTestCase>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteTestCase {
    /// What this case is about.
    pub name: String,
    /// The request.
    pub request: RouteTestRequest,
    /// What must come of it.
    pub expect: RouteTestExpectation,
    /// Where the case stands in its file.
    #[serde(skip)]
    pub position: Option<Position>,
}

/// A request as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteTestRequest {
    /// Absolute URL, for example `http://shop.example.com/cart?x=1`.
    pub url: String,
    /// `GET` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Request headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Name of the gateway (IstioGateway) that receives it; when absent, every one that knows the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Address of the load balancer that it is sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Name of the Service in front of the gateway that it is sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The workload that sends it, as `NAMESPACE/NAME`: its sidecar is asked, and no gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only the pods in this member cluster, of the gateway or of the workload that sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The server name that the client asks for in TLS; the URL's host when absent, none when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// The client shows a certificate when asked.
    #[serde(default, skip_serializing_if = "is_false")]
    pub client_certificate: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// Where a request must go. Absent fields are not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteTestExpectation {
    /// In one word, what comes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = OUTCOMES))]
    pub outcome: Option<String>,
    /// Destinations as `host[:port][/subset]` with their weights in percent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub destinations: BTreeMap<String, u32>,
    /// HTTP status given by the gateway itself (redirect, direct response, 404).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Location of a redirect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Path with query as the destination sees it, after rewriting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Host as the destination sees it, after rewriting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Body that the gateway itself answers with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Who gets copies, as `host[:port][/subset]`, of how many percent of the requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mirrors: BTreeMap<String, u32>,
    /// Injected error: the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<u16>,
    /// Injected delay, for example `5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// How long the destination may take, for example `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Headers that the gateway sets on the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub request_headers: BTreeMap<String, String>,
    /// Headers that the gateway sets on the response.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
    /// The member clusters whose pods get it, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// The VirtualService that decides, as `[namespace/]name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_service: Option<String>,
}

/// What may come of a request, in one word.
pub const OUTCOMES: [&str; 14] = [
    "forward",
    "tcp",
    "redirect",
    "direct",
    "abort",
    "no-listener",
    "closed",
    "no-virtual-host",
    "no-route",
    "bad-request",
    "no-cluster",
    "no-endpoint",
    "passthrough",
    "refused",
];
