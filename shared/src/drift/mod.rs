//! Drift: what is live differs from what Git says, which field, who, and when.
//!
//! The API server's `managedFields` tell it: a field that we applied and that our entry no longer lists has been taken
//! by someone, and that someone's entry names manager, operation and time. So a metadata-only watch is enough to
//! *suspect* drift ([`Fingerprint`]); only then the object is fetched and compared ([`judge`]). What the API server does
//! not record (who removed a field, who deleted an object) is said, not guessed.

mod fields_v1;
mod fingerprint;
mod frozen;
mod managers;
mod take_over;
mod verdict;

pub use fields_v1::{Author, author_of, owners, owns};
pub use fingerprint::{Fingerprint, desired_hash};
pub use frozen::{frozen, thawed};
pub use managers::{ManagerClass, class_of};
pub use take_over::without_people;
pub use verdict::{Verdict, judge};
