//! Fields that the fleet leaves alone differ from Git by intent: a comparison with what runs leaves them out.

use asm_shared::diff::LiveTarget;
use asm_shared::drift::thawed;
use asm_shared::fleet::FleetState;
use jiff::Timestamp;
use std::sync::Arc;

/// Gives the fields that are left alone Git's values, on the live side.
pub fn leave_out(live: &mut [LiveTarget], state: &FleetState, now: Timestamp) {
    for side in live {
        for manifest in state.manifests_of(&side.target) {
            let paths = state.frozen_paths(manifest, now);
            if let (false, Some(live)) = (paths.is_empty(), side.objects.get_mut(&manifest.id)) {
                live.object = Arc::new(thawed(&live.object, &manifest.object, &paths));
            }
        }
    }
}
