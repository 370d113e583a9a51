//! `asm-agent`: see the library.

use std::process::ExitCode;

use asm_agent::args::Args;
use asm_agent::run::Ending;

/// What is parsed of a commit is large and short-lived: glibc keeps such memory in its arenas, this gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One provider for the process. If another was there already, two halves of the agent would use different ones.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        asm_agent::log::last_words("another TLS provider is installed already: this build is broken");
        return Ending::Usage.into();
    }
    // Process-wide settings of the Git library: before any thread is started.
    asm_agent::source::prepare();
    Args::parse_and_run()
}
