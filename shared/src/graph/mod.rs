//! The way of a request through a fleet as a picture: host → load balancer → Service → pods of the gateway → server of a
//! Gateway → VirtualService → rule → destination → endpoints per cluster.
//!
//! * `model` – [`Graph`]: nodes and edges, each with what it is, where it is written, what is wrong with it.
//! * `build` – makes it out of the route tables ([`crate::route`]) and what lint finds. It simulates nothing by itself: what a
//!   table says is shown, and what no table has (a Gateway that selects no pod) is shown without a way to it.
//! * `filter` – a part of it; `compare` – two of them as one; `walk` – the ways through it that are possible: ports and hosts
//!   of the edges fit.
//! * one file per form: `tree`, `table`, `mermaid`, `dot`, `svg` (with `layout`).
//!
//! Everything is in a fixed order: the same files give the same bytes.

mod build;
mod compare;
mod dot;
mod filter;
mod findings;
mod layout;
mod mermaid;
mod model;
mod svg;
mod table;
mod text;
mod tree;
mod walk;

pub use build::build;
pub use compare::compare;
pub use dot::dot;
pub use filter::Filter;
pub use mermaid::mermaid;
pub use model::{Change, Edge, Graph, Kind, Node, Note, Place, Role, State};
pub use svg::svg;
pub use table::{HEADERS, rows};
pub use tree::{Line, Tone, tree};
