//! # serverless-gateway-field
//!
//! ## What it finds
//!
//! `secretVolumes`, `configVolumes`, `nodeSelector`, `tolerations`, `affinity` or `hostNetwork: true` of a serverless gateway, and
//! the setting `loadbalancer-address-type` in its `serviceAnnotations`.
//!
//! ## Why it is bad
//!
//! ASM runs the pods of a serverless gateway outside of the member clusters: Secrets, ConfigMaps and nodes that these fields
//! name do not exist there, and what ASM does with the fields is not documented.
//!
//! ## How to mend it
//!
//! Take the field away, or use a gateway in clusters.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, removal};
use crate::asm::gateway::{MANAGED_BY_ASM, OF_A_CLUSTER};
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "serverless-gateway-field",
    severity: Severity::Warning,
    summary: "a serverless gateway has a field that needs a cluster",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("serverless_gateway_field.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for front in world.fronts().iter().filter(|front| front.generated && front.serverless) {
        let manifest = front.manifest;
        let is_set = |field: &&&str| match manifest.object.at(&format!("/spec/{field}")) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
            Some(_) => true,
        };
        let fields = OF_A_CLUSTER.iter().filter(is_set).map(|field| ((*field).to_owned(), format!("/spec/{field}")));
        let address = front.setting("loadbalancer-address-type");
        let address = address.map(|setting| ("loadbalancer-address-type".to_owned(), setting.pointer.clone()));
        for (field, pointer) in fields.chain(address) {
            let message = format!("{field} of a serverless gateway: what ASM does with it is not documented");
            let at = format!("/metadata/annotations/{}", escape(MANAGED_BY_ASM));
            let report = Report::at(manifest, &*pointer, message).related(manifest, &at, "this makes it serverless");
            sink.push(report.fix(format!("take {field} away"), false, vec![(manifest, removal(manifest, &pointer))]));
        }
    }
}
