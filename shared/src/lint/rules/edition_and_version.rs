//! # edition-and-version
//!
//! ## What it finds
//!
//! Scaling between `minReplicas` and `maxReplicas` and graceful shutdown outside of the Enterprise and Ultimate editions; the
//! drain timeout before ASM 1.26, `replicas-managed-by-asm` before 1.19, NLBs before ASM 1.18, Kubernetes 1.24 or cloud
//! controller 2.5.0. Judged only where `fleet.yaml` says which it is (`spec.mesh.edition`, `spec.mesh.version`,
//! `kubernetesVersion`, `cloudControllerVersion`).
//!
//! ## Why it is bad
//!
//! An older mesh ignores the field, or refuses the gateway.
//!
//! ## How to mend it
//!
//! Do without, upgrade, or correct `fleet.yaml`.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::asm::features;
use crate::asm::gateway;
use crate::fleet::Target;
use crate::object::kinds::ASM;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "edition-and-version",
    severity: Severity::Warning,
    summary: "a gateway uses what the mesh's edition or version does not have",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("edition_and_version.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let Some(fleet) = world.fleet() else { return };
    for manifest in world.of_kind(ASM, "IstioGateway") {
        let ids = gateway::cluster_ids(&manifest.object);
        let clusters = fleet.spec.clusters.iter();
        let clusters: Vec<_> =
            clusters.filter(|cluster| cluster.id.as_deref().is_some_and(|id| ids.contains(&id))).collect();
        for lack in features::lacking(&manifest.object, &fleet.spec.mesh, clusters) {
            let Some(found) = lack.found.as_deref().filter(|_| !lack.unreadable) else { continue };
            let message = format!("{} needs {}, and fleet.yaml says {found}", lack.feature, lack.needed(""));
            let target = lack.cluster.as_deref().map_or(Target::Mesh, |name| Target::Cluster(name.into()));
            let report = Report::at(manifest, &*lack.pointer, message).targets([target]);
            sink.push(report.hint(format!("See {} in fleet.yaml", lack.place)));
        }
    }
}
