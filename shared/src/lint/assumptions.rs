//! What is assumed of what the files do not say.

/// What is assumed of what the files do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assumptions {
    /// Everything that exists stands in the files. Otherwise a namespace of which the files hold no Service and no workload
    /// is taken to be somebody else's, and nothing is said of hosts in it.
    pub complete: bool,
    /// What time it is, for what ends some day; without it nothing is said of that.
    pub now: Option<jiff::Timestamp>,
}
