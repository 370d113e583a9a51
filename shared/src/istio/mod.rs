//! What the Istio objects of a fleet mean: read-only views of `networking.istio.io` objects, and which match covers which.
//!
//! A view takes what routing needs and leaves the rest. Nothing here refuses: what the schema of Istio would refuse (or what
//! this version does not know) reads as a condition that only an equal one satisfies.

mod annotations;
mod cover;
mod delegate;
mod destination_rule;
mod gateway;
mod hosts;
mod virtual_service;

pub use annotations::{Annotation, is_istios, is_written_for_us};
pub use cover::{Coverage, covered_by, covers};
pub(crate) use delegate::{contradiction, left_out};
pub use destination_rule::{DestinationRule, Subset};
pub use gateway::{Credential, Gateway, Server, credentials, secret_of};
pub use hosts::{by_specificity, full_host, gateway_name, is_subset, meet, narrower, server_host};
pub use virtual_service::{HttpAction, HttpMatch, HttpRule, RouteDestination, StringMatch, VirtualService};

use crate::object::At as _;
use serde_json::Value;

/// The text at a pointer.
fn text(value: &Value, pointer: &str) -> Option<String> {
    value.at(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// The texts of the list at a pointer.
fn texts(value: &Value, pointer: &str) -> Vec<String> {
    let items = value.at(pointer).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The items of the list at a pointer.
fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.at(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The port number at a pointer.
fn port(value: &Value, pointer: &str) -> Option<u16> {
    value.at(pointer).and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok())
}
