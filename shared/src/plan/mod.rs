//! The plan for one target: what to apply in which order, what to remove, and what must wait for consent.
//!
//! Everything here is a function of values: Git's objects, the inventory of what was applied, and what the watches saw.

mod approval;
mod approval_file;
mod danger;
mod depends;
mod keep;
mod order;
mod prepare;
mod reference;
mod removal;
mod target;
mod union;

pub use approval::consent;
pub use approval_file::approval_file;
pub use danger::{CLASSES, Danger, DangerClass, Needs, of_change, of_delete, wants_look};
pub use depends::needs;
pub use keep::{Keep, keep};
pub use order::{Stage, removal_order, stage_of};
pub use reference::{DestinationRefs, relies_on_more, subsets_of};
pub use removal::{Stuck, waits_for};
pub use target::{
    Applied, Desired, DesiredObject, FrozenField, Hold, Inventory, Observed, Prune, PruneLimits, Reason, TargetPlan,
    is_elsewhere,
};
pub use union::union_subsets;
