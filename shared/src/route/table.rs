//! The compiled table of one gateway.

use super::{Answer, Front, Outcome, Request, Trace};
use crate::fleet::{FleetState, Manifest, Target};
use crate::object::ObjectId;
use jiff::Timestamp;
use std::collections::HashMap;

/// How a table is compiled.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// When objects were created, where it is known from elsewhere (a cluster). `metadata.creationTimestamp` of a file
    /// counts too; this comes first.
    pub created: HashMap<ObjectId, Timestamp>,
    /// Objects without a known age are all of one age: name and namespace decide, and nothing depends on the order.
    pub same_age: bool,
    /// What to think of hosts that no file knows.
    pub missing: Missing,
    /// What to think of Services whose pods no file makes.
    pub endpoints: Endpoints,
    /// A port that no Service has is tried on the pods themselves.
    pub pod_ports: bool,
    /// Only the pods in this cluster.
    pub cluster: Option<Target>,
}

/// What to think of hosts that no file knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// They are taken as existing when the files hold no application of their namespace.
    #[default]
    Elsewhere,
    /// What no file holds does not exist.
    Absent,
}

/// What to think of Services whose pods no file makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoints {
    /// A Service without any pod in the files is taken as having some; of any other exactly those are there.
    #[default]
    Auto,
    /// Exactly those in the files are there.
    Real,
}

/// The route table of one gateway.
#[derive(Debug)]
pub struct Table<'s> {
    front: Front<'s>,
}

/// Makes the table of one gateway. Never fails: what istiod would refuse is left out, as istiod does.
pub fn compile<'s>(state: &'s FleetState, front: &Front<'s>, options: &Options) -> Table<'s> {
    let _ = (state, options);
    Table { front: front.clone() }
}

impl<'s> Table<'s> {
    /// What comes of a request.
    pub fn lookup<'a>(&'a self, request: &'a Request) -> Outcome<'a> {
        let _ = request;
        Outcome {
            answer: Answer::NoListener,
            rule: None,
            through: &[],
            alternatives: Vec::new(),
            elsewhere: Vec::new(),
        }
    }

    /// The same, with every step of the way.
    pub fn explain<'a>(&'a self, request: &'a Request) -> Trace<'a> {
        Trace { steps: Vec::new(), outcome: self.lookup(request) }
    }

    /// The gateway.
    pub fn front(&self) -> &Front<'s> {
        &self.front
    }

    /// Objects that may change what comes of a request and are not simulated: EnvoyFilter, AuthorizationPolicy,
    /// RequestAuthentication, WasmPlugin that reach the pods of the gateway.
    pub fn beyond(&self) -> &[&'s Manifest] {
        &[]
    }
}
