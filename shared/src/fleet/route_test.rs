//! `tests/**.yaml`: requests and where they must go.

use super::file::Metadata;
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
}

/// A request as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Name of the IstioGateway that receives it; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// Where a request must go. Absent fields are not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteTestExpectation {
    /// Destinations as `host[:port][/subset]` with their weights in percent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub destinations: BTreeMap<String, u32>,
    /// HTTP status given by the gateway itself (redirect, direct response, 404).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Location of a redirect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Path after rewriting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}
