//! Which Gateways apply to the pods of a gateway: those whose selector chooses them, in any namespace, oldest first.

use super::front::Front;
use super::model::Model;
use super::ports::{self, ServicePort};
use crate::fleet::Manifest;
use serde_json::Value;

/// A Gateway that applies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selected<'s> {
    pub(super) manifest: &'s Manifest,
}

/// Those that apply. `first` comes before all others, as if it were the oldest.
pub(super) fn gateways<'s>(
    model: &Model<'s, '_>,
    front: &Front<'s>,
    ports: &[ServicePort],
    first: Option<&Manifest>,
) -> Vec<Selected<'s>> {
    let applies = |manifest: &&&'s Manifest| {
        ports::applies(manifest, ports).unwrap_or_else(|| {
            match manifest.object.pointer("/spec/selector").and_then(Value::as_object) {
                Some(selector) => front.has(selector),
                None => true,
            }
        })
    };
    let mut found: Vec<_> = model.gateways.iter().filter(applies).map(|manifest| Selected { manifest }).collect();
    // A stable sort: the others keep their order.
    found.sort_by_key(|it| first.is_none_or(|first| it.manifest.id != first.id));
    found
}
