//! The way of a request, step by step.

use super::{Outcome, Place};

/// The way of a request.
#[derive(Clone, Debug)]
pub struct Trace<'a> {
    /// The steps, up to the first that fails.
    pub steps: Vec<Step<'a>>,
    /// What comes of it; the same as [`super::Table::lookup`] says.
    pub outcome: Outcome<'a>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// Which one.
    pub stage: Stage,
    /// Did the request pass it?
    pub passed: bool,
    /// What was found, and why, in words.
    pub text: String,
    /// What it was found in; resolved to file and line by [`Place::position`].
    pub places: Vec<Place<'a>>,
    /// What else was looked at, and why it was not taken.
    pub considered: Vec<(Place<'a>, String)>,
    /// What to change, when it failed.
    pub fix: Option<String>,
}

/// The steps of the way, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Load balancer or Service: is there a port, and where on the pods does it lead?
    Front,
    /// Which Gateways select the pods.
    Gateways,
    /// Which servers open the port, and how they are joined.
    Listener,
    /// Which of them takes the connection: TLS, server name, client certificate.
    FilterChain,
    /// Which hosts are known there, and which one the request meets.
    VirtualHost,
    /// Which VirtualServices have rules for it, in which order.
    Binding,
    /// Which rule takes it.
    Route,
    /// Whose rules those are, when the VirtualService delegates.
    Delegate,
    /// What the rule does: redirect, answer, forward, rewrite.
    Action,
    /// How the weights split.
    Weights,
    /// Which Service a destination means.
    Destination,
    /// Which DestinationRules apply, and what the subset is.
    Subset,
    /// Which pods there are, in which clusters.
    Endpoints,
    /// How they are chosen by locality.
    Locality,
}

impl Stage {
    /// Its name: `front`, `gateways`, `listener`, `filter-chain`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Gateways => "gateways",
            Self::Listener => "listener",
            Self::FilterChain => "filter-chain",
            Self::VirtualHost => "virtual-host",
            Self::Binding => "binding",
            Self::Route => "route",
            Self::Delegate => "delegate",
            Self::Action => "action",
            Self::Weights => "weights",
            Self::Destination => "destination",
            Self::Subset => "subset",
            Self::Endpoints => "endpoints",
            Self::Locality => "locality",
        }
    }
}
