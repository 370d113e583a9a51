//! Settings of the Git library that hold for the whole process: that no configuration file of the machine is read, and
//! that this agent brings its own way to servers. The only unsafe code of the agent.

use std::sync::Once;

/// Sets them, once. `main` calls it before any thread is started.
#[allow(
    unsafe_code,
    reason = "git2 marks these unsafe because they write process-wide variables of C without a lock; they are written \
              once, behind `Once`, before this process has opened any repository"
)]
pub fn prepare() {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        // SAFETY: see above; nothing in this process writes them elsewhere.
        let outcomes = unsafe {
            use git2::ConfigLevel::{Global, ProgramData, System, XDG};
            // `url.*.insteadOf`, `http.extraHeader` or a proxy from the image or a home folder must not redirect us.
            let files = [System, Global, XDG, ProgramData].map(|level| git2::opts::set_search_path(level, ""));
            let schemes =
                ["https", "http", "ssh"].map(|scheme| git2::transport::register(scheme, super::transport::connect));
            files.into_iter().chain(schemes)
        };
        for error in outcomes.filter_map(Result::err) {
            tracing::error!(%error, "a setting of the Git library could not be made");
        }
    });
}
