//! What a feature needs: editions and versions, as far as fleet.yaml names them.

use super::Subject;
use crate::asm::features::{self, Lack};

impl Subject<'_> {
    pub(super) fn needs(&mut self) {
        let clusters = self.clusters();
        for lack in features::lacking(self.object, &self.fleet.spec.mesh, clusters.iter().copied()) {
            self.warning("/spec", told(&lack));
        }
        if let Some(allowed) = features::drain_timeout_fault(self.object) {
            self.error("/metadata/annotations", format!("the time to shut down has to be {allowed}"), &[]);
        }
    }
}

fn told(lack: &Lack) -> String {
    let Lack { feature, place, .. } = lack;
    let needs = lack.needed(&lack.cluster.as_ref().map(|cluster| format!(" in {cluster}")).unwrap_or_default());
    match &lack.found {
        None => format!("{feature} needs {needs}; fleet.yaml does not say which this is ({place})"),
        Some(said) if lack.unreadable => {
            format!("{feature} needs {needs}; fleet.yaml says `{said}`, which is no version")
        }
        Some(said) => format!("{feature} needs {needs}, and fleet.yaml says {said}"),
    }
}
