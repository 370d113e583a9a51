//! Lint: what is wrong with a fleet although every file can be read, found without a cluster.
//!
//! * `rules/` – one rule, one file; its module comment is its documentation page.
//! * [`RULES`] – the list of them, in the order of the documentation. `upkeep/` – what is said of the files themselves and
//!   of what is ignored.
//! * `world/` – what rules ask: pods, Services, hosts, who is bound to whom. Built once; a rule walks it and keeps no copy.
//! * [`Finding`] – one fault: rule, severity, place, message, next step, related places, clusters, fixes.
//! * [`lint`] – rules, then what `fleet.yaml` and comments say about their findings; [`Selection`] – what of it is wanted;
//!   [`fix`] – rounds of both until nothing is left to mend; [`compare`] – what is new since a base.
//!
//! A rule looks at every target; what holds for several clusters alike is folded into one finding that names them.

mod assumptions;
mod compare;
mod excerpt;
mod finding;
mod fix;
mod hold_back;
mod ignore;
mod judging;
mod memory;
mod registry;
mod rounds;
mod rule;
mod rules;
mod select;
mod sink;
mod upkeep;
mod world;

pub use assumptions::Assumptions;
pub use compare::{Compared, compare};
pub use excerpt::{Excerpt, SourceText};
pub use finding::{Edit, EditOp, Finding, Fix, Place, Related, Severity};
pub use fix::{Mended, mend};
pub use hold_back::{errors, hold_back};
pub use judging::{Findings, Look, lint, lint_again, run, run_since};
pub use memory::Memory;
pub use registry::{RULES, all, find};
pub use rounds::{Fixed, Made, fix};
pub use rule::{Rule, Status};
pub use select::{Selection, UnknownRule, rules_of};
pub use upkeep::UPKEEP;
