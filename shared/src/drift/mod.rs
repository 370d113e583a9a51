//! Drift: what is live differs from what Git says, which field, who, and when.
//!
//! The API server's `managedFields` tell it: a field that we applied and that our entry no longer lists has been taken
//! by someone, and that someone's entry names manager, operation and time. So a metadata-only watch is enough to
//! *suspect* drift ([`Fingerprint`]); only then the object is fetched and compared ([`judge`]). What the API server does
//! not record (who removed a field, who deleted an object) is said, not guessed.

mod fields_v1;
mod fights;
mod fingerprint;
mod frozen;
mod kept;
mod ledger;
mod managers;
mod recreate;
mod sighting;
mod take_over;
mod verdict;

pub use fields_v1::{Author, author_of, owners, owns};
pub use fights::{Contest, Fights};
pub use fingerprint::{Fingerprint, Mark, desired_hash};
pub use frozen::{frozen, thawed};
pub use kept::{Keep, Kept, is_same_field, place_of};
pub use ledger::{HISTORY_BYTES, remember};
pub use managers::{ManagerClass, author_kind, class_of};
pub use recreate::loses_address;
pub use sighting::{Seen, Sighting, Sightings};
pub use take_over::without_people;
pub use verdict::{Verdict, judge};
