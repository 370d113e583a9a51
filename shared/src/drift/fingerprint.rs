//! What an object's metadata look like after our own apply, in 24 bytes: enough to see that nobody touched our fields.

use super::fields_v1::own_entry;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Generations that are marked as kept are below this one, those that are marked as frozen above.
const KEPT: i64 = i64::MIN / 2;

/// Why an object is not altogether as Git wants it, though it was applied or accepted as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It differs in fields that are left alone, and in nothing else.
    Frozen,
    /// What others changed was kept: it is theirs also after a restart.
    Kept,
}

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

    /// The same, marked so that it equals nothing that is read from an object: such an object is judged anew whenever the
    /// reason may have gone, also by an agent that was not there when it went. A mark takes the place of another one.
    #[must_use]
    pub fn marked(self, mark: Mark) -> Self {
        let generation = self.seen_generation();
        let generation = match mark {
            Mark::Frozen => -1 - generation,
            Mark::Kept => i64::MIN + generation,
        };
        Self { generation, ..self }
    }

    /// How it is marked.
    pub fn mark(self) -> Option<Mark> {
        match self.generation {
            0.. => None,
            KEPT..0 => Some(Mark::Frozen),
            _ => Some(Mark::Kept),
        }
    }

    /// The generation without a mark.
    fn seen_generation(self) -> i64 {
        match self.mark() {
            None => self.generation,
            Some(Mark::Frozen) => -1 - self.generation,
            Some(Mark::Kept) => self.generation - i64::MIN,
        }
    }

    /// Does an object that looks like this hold what is somebody else's, since it looked like `applied`? `left_alone`: fields
    /// of it are (still) left alone, and need no keeping.
    pub fn is_touched_since(self, applied: Self, left_alone: bool) -> bool {
        match applied.mark() {
            Some(Mark::Frozen) if left_alone => self.marked(Mark::Frozen) != applied,
            Some(_) => true,
            None => self != applied,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_from_each_other_and_equal_nothing_that_is_live() {
        for generation in [0, 1, 7, 1 << 40] {
            let live = Fingerprint { entry: 5, generation };
            let (frozen, kept) = (live.marked(Mark::Frozen), live.marked(Mark::Kept));
            assert_eq!((live.mark(), frozen.mark(), kept.mark()), (None, Some(Mark::Frozen), Some(Mark::Kept)));
            assert!(live != frozen && live != kept && frozen != kept);
            assert_eq!((frozen.marked(Mark::Kept), kept.marked(Mark::Frozen)), (kept, frozen));
            assert_eq!((frozen.marked(Mark::Frozen), kept.marked(Mark::Kept)), (frozen, kept));
        }
    }

    #[test]
    fn only_frozen_fields_excuse_what_differs() {
        let live = Fingerprint { entry: 5, generation: 3 };
        let later = Fingerprint { entry: 5, generation: 4 };
        for (applied, now, touched, touched_without) in [
            (live, live, false, false),
            (live, later, true, true),
            (live.marked(Mark::Frozen), live, false, true),
            (live.marked(Mark::Frozen), later, true, true),
            (live.marked(Mark::Kept), live, true, true),
            (live.marked(Mark::Kept), later, true, true),
        ] {
            let found = (now.is_touched_since(applied, true), now.is_touched_since(applied, false));
            assert_eq!(found, (touched, touched_without), "{applied:?}, {now:?}");
        }
    }
}
