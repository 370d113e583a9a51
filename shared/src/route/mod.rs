//! What a gateway of the fleet does with a request, as istiod and Envoy would: [`compile`] makes the route table of one
//! gateway out of the files, [`Table::lookup`] answers a request, [`Table::explain`] says every step of the way and where it
//! is written.
//!
//! The steps are those of istiod, one per module, in their order: which Gateways apply (`select`), which ports they open
//! (`ports`), how their servers are joined (`merge`), which VirtualServices they take (`binding`, `hosts`), what the rules
//! become (`delegate`, `rules`, `action`), where they lead (`destination`, `subset`, `endpoints`, `locality`); and what
//! Envoy does with the result: `front`, `chain`, `virtual_host`, `matching`.
//!
//! A workload of the mesh has a table too: what its sidecar does with the requests that it sends (`outbound`).
//! [`sidecars`] has the rules between workloads, whoever calls, to be shown.
//!
//! Git does not say which of two objects is older, and istiod lets the older one win. Where that decides, an outcome has
//! [`Outcome::alternatives`]: everything else that may come of the request, with the objects concerned.

mod action;
mod binding;
mod chain;
mod compiled;
mod delegate;
mod destination;
mod endpoints;
mod explain;
mod front;
mod hosts;
mod locality;
mod lookup;
mod matching;
mod merge;
mod model;
mod names;
mod order;
mod outbound;
mod outcome;
mod path;
mod ports;
mod refuse;
mod request;
mod rules;
mod rules_of;
mod select;
mod selectors;
mod services;
mod sidecars;
mod table;
mod trace;
mod view;

pub use front::{Door, DoorPort, Front, Listener, gateways};
pub use outcome::{
    Alternative, Answer, Closed, ClusterEndpoints, Destination, Entry, Fault, Forward, HeaderChanges, Mirror,
    NoCluster, NoEndpoint, Outcome, Place, Retries, Rule, State,
};
pub use request::{Request, RequestError, Sni};
pub use sidecars::{SidecarView, Sidecars, sidecars};
pub use table::{Endpoints, Missing, Options, Refusal, Table, compile};
pub use trace::{Stage, Step, Trace};
pub use view::{ActionView, ChainView, HostView, PartView, PortView, RouteView, ToView, compile_all, compile_each};
