//! Which Gateways apply to the pods of a gateway: those whose selector chooses them, in any namespace, oldest first.

use super::front::Front;
use super::model::Model;
use super::ports::{self, ServicePort};
use crate::fleet::Manifest;

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
    // Whatever selects something is found by its labels; what selects everything, or is bound to Services, is looked at.
    let mut near = model.gateway_selectors.choosing(&front.labels);
    near.extend(&model.gateways_apart);
    near.sort_unstable();
    near.dedup();
    let applies = |manifest: &&'s Manifest| ports::applies(manifest, ports).unwrap_or(true);
    let gateways = near.into_iter().filter_map(|at| model.gateways.get(at).copied());
    let mut found: Vec<_> = gateways.filter(applies).map(|manifest| Selected { manifest }).collect();
    // A stable sort: the others keep their order.
    found.sort_by_key(|it| first.is_none_or(|first| it.manifest.id != first.id));
    found
}
