//! A running mesh and its clusters as files of a fleet: live objects in, edits and what was left out and why out.
//!
//! [`Harvest`] takes the objects of one API server as they are read; [`ImportFleet::plan`] makes the edits. What a file
//! does not say, server-side apply leaves alone: the agent takes such objects over without changing more than their labels.

mod authored;
mod defaults;
mod files;
mod fleet_file;
mod harvest;
mod names;
mod pods;
mod reason;
mod report;

pub use fleet_file::{ImportFleet, Member};
pub use harvest::{ChosenPods, Harvest};
pub use reason::{Generated, Reason};
pub use report::{Import, ImportReport, Imported, LeftOut, NotRead, TargetReport};

#[cfg(test)]
mod tests;
