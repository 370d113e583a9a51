//! Signals by which somebody ends a program. Once one is asked for here, it ends nothing by itself any more.

use std::io;

/// Ctrl-C, and what ends a program from outside.
#[derive(Debug)]
pub(crate) struct Ends {
    interrupt: imp::Interrupt,
    terminate: imp::Terminate,
}

impl Ends {
    /// Begins to listen. Needs a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: imp::interrupt()?, terminate: imp::terminate()? })
    }

    /// Waits for one of them; one that came since [`Self::listen`] counts.
    pub(crate) async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C alone. Needs a runtime.
pub(crate) use imp::interrupt;

#[cfg(unix)]
mod imp {
    use std::io;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(super) type Interrupt = Signal;
    pub(super) type Terminate = Signal;

    pub(crate) fn interrupt() -> io::Result<Signal> {
        signal(SignalKind::interrupt())
    }

    pub(super) fn terminate() -> io::Result<Signal> {
        signal(SignalKind::terminate())
    }
}

#[cfg(windows)]
mod imp {
    use std::io;
    use tokio::signal::windows::{CtrlBreak, CtrlC, ctrl_break, ctrl_c};

    pub(super) type Interrupt = CtrlC;
    pub(super) type Terminate = CtrlBreak;

    pub(crate) fn interrupt() -> io::Result<CtrlC> {
        ctrl_c()
    }

    pub(super) fn terminate() -> io::Result<CtrlBreak> {
        ctrl_break()
    }
}
