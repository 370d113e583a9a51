//! Names of Leases, and what stands in them.

use asm_shared::api::labels;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::ResourceExt as _;
use rand::Rng as _;
use sha2::{Digest as _, Sha256};

/// The Lease of who writes the status of FleetSyncs.
pub(super) const LEADER: &str = "asm-agent";
/// Longest part of a name that comes from somewhere else.
const LONGEST: usize = 100;

/// A name that no other member has, nor this one's earlier life.
pub(super) fn identity(process: &str) -> String {
    format!("{process}_{:08x}", rand::rng().random::<u32>())
}

/// Name of a member's Lease.
pub(super) fn of_member(identity: &str) -> String {
    plain(identity)
}

/// Name of a target's Lease: its own, and a hash of the whole, because names end somewhere and FleetSyncs have namespaces.
pub(super) fn of_target(full_name: &str, target: &str) -> String {
    format!("{LEADER}-{}-{}", plain(target), hash(&format!("{full_name}/{target}"), 5))
}

/// Name of the Lease of a cluster that a FleetSync has as some target. Longer than that of a target of this name.
pub(super) fn of_cluster(full_name: &str, uid: &str) -> String {
    format!("{LEADER}-cluster-{}", hash(&format!("{full_name}/{uid}"), 8))
}

fn hash(text: &str, bytes: usize) -> String {
    Sha256::digest(text.as_bytes()).iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// What may stand in the name of an object, of any text.
fn plain(text: &str) -> String {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        fine if fine.is_ascii_lowercase() || fine.is_ascii_digit() || fine == '.' => fine,
        _ => '-',
    };
    // The end is what differs between names of one beginning.
    let skipped = text.chars().count().saturating_sub(LONGEST);
    let name: String = text.chars().skip(skipped).map(letter).collect();
    let name = name.trim_matches(['-', '.']).replace("..", "--").replace(".-", "--").replace("-.", "--");
    if name.is_empty() { "x".to_owned() } else { name }
}

/// A Lease without a holder.
pub(super) fn new(name: &str, kind: &str) -> Lease {
    let labels = [(labels::LEASE, kind), ("app.kubernetes.io/managed-by", labels::FIELD_MANAGER)];
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        ..ObjectMeta::default()
    };
    Lease { metadata, spec: Some(LeaseSpec::default()) }
}

/// Who holds it.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// The same Lease in this one's hands. It is not renewed, so it says no duration.
pub(super) fn taken(mut lease: Lease, identity: &str) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(identity.to_owned());
    spec.acquire_time = Some(now());
    spec.renew_time = None;
    spec.lease_duration_seconds = None;
    spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
    lease
}

/// The same Lease in nobody's hands.
pub(super) fn vacant(mut lease: Lease) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = None;
    spec.acquire_time = None;
    spec.renew_time = None;
    lease
}

/// The same Lease with an annotation, or without it.
pub(super) fn annotated(mut lease: Lease, name: &str, value: Option<&str>) -> Lease {
    match value {
        Some(value) => {
            lease.annotations_mut().insert(name.to_owned(), value.to_owned());
        }
        None => {
            lease.annotations_mut().remove(name);
        }
    }
    lease
}

pub(super) fn annotation<'a>(lease: &'a Lease, name: &str) -> Option<&'a str> {
    lease.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

pub(super) fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::{of_cluster, of_member, of_target};

    #[test]
    fn names_are_names_of_objects_and_differ() {
        assert_eq!(of_member("asm-agent-7d9f_0a1b2c3d"), "asm-agent-7d9f-0a1b2c3d");
        assert_eq!(of_member("Host.Example._ff"), "host.example--ff");
        let long = of_member(&format!("{}_0a1b2c3d", "x".repeat(300)));
        assert!(long.len() == 100 && long.ends_with("-0a1b2c3d"), "{long}");
        let one = of_target("asm-system/shop", "m1c1");
        assert!(one.starts_with("asm-agent-m1c1-") && one.len() == "asm-agent-m1c1-".len() + 10, "{one}");
        assert_ne!(one, of_target("other/shop", "m1c1"));
        // One cluster may be in two FleetSyncs; its Lease is no target's.
        assert_ne!(of_cluster("asm-system/shop", "uid"), of_cluster("other/shop", "uid"));
        assert_ne!(of_cluster("asm-system/shop", "x"), of_target("asm-system/shop", "cluster"));
        // The leader's Lease is no target's.
        assert_ne!(of_target("", ""), super::LEADER);
    }
}
