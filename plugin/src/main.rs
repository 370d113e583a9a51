//! The binary `kubectl-asm`: everything happens in the library of the same name.

use std::process::ExitCode;

/// Reading a fleet is mostly small pieces of memory, taken by two threads at once: glibc takes a third longer over that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kubectl_asm::run(std::env::args_os())
}
