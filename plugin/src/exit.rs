//! Exit codes. They are a contract and the same in every output format:
//! 0 clean, 1 findings, differences or drift, 2 usage or input error, 3 something could not be reached; 130 broken off by who was
//! asked, as a shell says it of Ctrl-C.

use std::process::ExitCode;

/// How a command that did its work ended. What keeps a command from doing its work is a
/// [`CommandError`](crate::error::CommandError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Nothing to report.
    Clean,
    /// There are findings, differences or drift.
    Findings,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Clean => Self::from(0),
            Exit::Findings => Self::from(1),
        }
    }
}
