//! What an object's metadata look like after our own apply, in 24 bytes: enough to see that nobody touched our fields.

use super::fields_v1::own_entry;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Our managedFields entry (fields, time, version) and the generation, as they came back from our own apply.
///
/// The entry's time is part of it: another client that applies under our name changes nothing but the time. The
/// generation is part of it: a keyed list put in another order leaves every entry as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// First eight bytes of the SHA-256 of our entry; 0 when there is none.
    pub entry: u64,
    /// `metadata.generation`; 0 for kinds without one.
    pub generation: i64,
}

impl Fingerprint {
    /// Reads it out of an object's metadata.
    pub fn of(metadata: &ObjectMeta) -> Self {
        let entries = metadata.managed_fields.as_deref().unwrap_or_default();
        let entry = own_entry(entries).map_or(0, |entry| {
            let mut hash = Sha256::new();
            hash.update(entry.api_version.as_deref().unwrap_or_default());
            hash.update([0]);
            hash.update(entry.time.as_ref().map(|time| time.0.to_string()).unwrap_or_default());
            hash.update([0]);
            if let Some(fields) = &entry.fields_v1 {
                hash.update(fields.0.to_string());
            }
            short(&hash.finalize())
        });
        Self { entry, generation: metadata.generation.unwrap_or_default() }
    }

    /// The same, marked so that it equals nothing that is read from an object. An object that is as Git wants it only
    /// because fields of it are left alone is remembered so: it is judged anew whenever the reason may have gone, also by
    /// an agent that was not there when it went.
    #[must_use]
    pub fn provisional(self) -> Self {
        Self { generation: if self.generation < 0 { self.generation } else { -1 - self.generation }, ..self }
    }

    /// Do we have an entry at all? Without one the object was made anew or its managedFields were reset.
    pub fn is_owned(&self) -> bool {
        self.entry != 0
    }
}

fn short(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte)).max(1)
}

/// A hash of an object as Git wants it. serde_json keeps maps sorted, so equal objects have equal text.
pub fn desired_hash(object: &serde_json::Value) -> u64 {
    short(&Sha256::digest(object.to_string().as_bytes()))
}
