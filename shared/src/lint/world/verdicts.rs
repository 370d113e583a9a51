//! What the schemas say of every object, judged once: the clusters of a group share their objects.

use crate::fleet::{FleetState, Manifest};
use crate::schema::{Verdict, judge};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Verdicts by object; made when the first rule asks.
#[derive(Default)]
pub(in crate::lint) struct Verdicts {
    by_object: OnceLock<HashMap<*const Value, Verdict>>,
}

impl Verdicts {
    /// What the schema of its kind says of a manifest.
    pub(super) fn of(&self, state: &FleetState, manifest: &Manifest) -> &Verdict {
        let all = self.by_object.get_or_init(|| {
            let mut all = HashMap::new();
            for manifest in &state.manifests {
                // The state keeps the objects where they are for as long as this lives.
                all.entry(Arc::as_ptr(&manifest.object)).or_insert_with(|| judge(&manifest.object));
            }
            all
        });
        all.get(&Arc::as_ptr(&manifest.object)).unwrap_or(&Verdict::UnknownKind)
    }
}
