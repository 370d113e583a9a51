//! Work that does not depend on each other, side by side.

use std::panic::resume_unwind;
use std::thread;

/// Both at the same time. A panic of the other thread goes on in this one, as it would have without threads.
pub(crate) fn both<A, B: Send>(here: impl FnOnce() -> A, there: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let there = scope.spawn(there);
        let here = here();
        (here, there.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
