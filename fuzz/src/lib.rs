//! Fuzzing on stable Rust: mutations of a corpus, led by what the readers answer, with bounds on time and memory.
//!
//! cargo-fuzz asks for a nightly compiler and instruments the program. This does neither: a target gives back the *shape* of
//! its answer (which error, how much was read), and an input with a shape that was not seen before is mutated further. That
//! finds less than coverage does and needs nothing but cargo; the same seed makes the same run.

mod memory;
mod mutate;
mod run;
mod targets;

pub use run::{Failure, Found, corpus, run};
pub use targets::{TARGETS, Target};

/// Of every run of this program: what one input allocates is measured.
#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;
