//! Settings of the Git library that hold for the whole process: how long a silent server is waited for, and that no
//! configuration file of the machine is read. The only unsafe code of the agent.

use std::sync::Once;

/// Milliseconds until a connection must stand.
const CONNECT: i32 = 15_000;
/// Milliseconds that a server may be silent. Callers wait less (`source.timeoutSeconds`); this ends the thread.
const SILENCE: i32 = 60_000;

/// Sets them, once. `main` calls it before any thread is started.
#[allow(
    unsafe_code,
    reason = "git2 marks the setters unsafe because they write process-wide variables of C without a lock; they are \
              written once, behind `Once`, before this process has opened any repository"
)]
pub fn prepare() {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        // SAFETY: see above; nothing in this process writes them elsewhere.
        let outcomes = unsafe {
            use git2::ConfigLevel::{Global, ProgramData, System, XDG};
            let timeouts = [
                git2::opts::set_server_connect_timeout_in_milliseconds(CONNECT),
                git2::opts::set_server_timeout_in_milliseconds(SILENCE),
            ];
            // `url.*.insteadOf`, `http.extraHeader` or a proxy from the image or a home folder must not redirect us.
            let files = [System, Global, XDG, ProgramData].map(|level| git2::opts::set_search_path(level, ""));
            timeouts.into_iter().chain(files)
        };
        for error in outcomes.filter_map(Result::err) {
            tracing::error!(%error, "a setting of the Git library could not be made");
        }
    });
}
