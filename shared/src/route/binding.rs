//! Which VirtualServices a Gateway takes, in the order of istiod: those private to the namespace of the pods, those exported
//! to it, those for all; each oldest first (`VirtualServicesForGateway`).

use super::model::{Export, Model};
use crate::fleet::Manifest;

/// Those bound to a Gateway that the namespace of its pods sees: rank and index. `first` comes before all others of its rank.
pub(super) fn bound(model: &Model<'_, '_>, gateway: &str, pods: &str, first: Option<&Manifest>) -> Vec<(u8, usize)> {
    let all = model.by_gateway.get(gateway).into_iter().flatten();
    let mut found: Vec<(u8, bool, usize)> = all
        .filter_map(|index| {
            let route = model.routes.get(*index)?;
            let rank = match &route.exported {
                Export::All => 2,
                exported if !exported.has(pods) => return None,
                _ => u8::from(route.namespace != pods),
            };
            Some((rank, first.is_none_or(|first| route.manifest.id != first.id), *index))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(rank, _, index)| (rank, index)).collect()
}
