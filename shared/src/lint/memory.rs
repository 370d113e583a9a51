//! What was judged the last time, for whoever lints a fleet again and again.

#[cfg(feature = "schema")]
use super::world::Known;

/// What the schemas said of objects, by object. It helps where the objects are the very same as the last time
/// (`FleetState::read_again`); what is gone is forgotten.
#[derive(Debug, Default)]
pub struct Memory {
    #[cfg(feature = "schema")]
    pub(super) verdicts: Known,
}
