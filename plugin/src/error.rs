//! What keeps a command from doing its work: a kind, a message, its causes, and hints what to do next.
//!
//! Messages are lower-case, without a full stop, and say what failed, where and why. [`CommandError::print`] is the one
//! place where errors are shown.

use crate::ui::Ui;
use asm_shared::authoring::AuthoringError;
use std::fmt::{self, Write as _};
use std::process::ExitCode;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line is wrong.
    Usage,
    /// A file, an object or a name is wrong.
    Input,
    /// A cluster, a Git server or a forge could not be reached or did not let us in.
    Unreachable,
    /// The person at the terminal broke it off.
    Interrupted,
    /// A bug of this program.
    Internal,
}

/// An error of a command.
#[derive(Debug)]
pub struct CommandError {
    /// Who has to act.
    pub kind: ErrorKind,
    /// What failed.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
}

impl CommandError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// A file, an object or a name is wrong.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// Something could not be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unreachable, message)
    }

    /// The person at the terminal broke it off, before anything was written.
    pub fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, "broken off: nothing was written")
    }

    /// A bug of this program.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what to do next, if there is something.
    #[must_use]
    pub fn hinted_with(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hints.extend(hint.map(Into::into));
        self
    }

    /// Adds why it failed.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds an error and everything behind it as causes. A cause whose text stands in the one before it is not repeated.
    #[must_use]
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if !self.causes.last().is_some_and(|last| last.contains(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Shows the error on stderr.
    pub fn print(&self, ui: &Ui) {
        let mut text = self.message.clone();
        for cause in &self.causes {
            // Writing to a string does not fail.
            let _ = write!(text, "\n  caused by: {}", cause.replace('\n', "\n    "));
        }
        ui.error(&text);
        for hint in &self.hints {
            ui.hint(hint);
        }
        if self.kind == ErrorKind::Internal {
            ui.hint("this is a bug in kubectl asm: please report it with the command line and what it printed");
        }
    }

    /// The exit code of its kind.
    pub fn exit_code(&self) -> ExitCode {
        match self.kind {
            ErrorKind::Usage | ErrorKind::Input | ErrorKind::Internal => ExitCode::from(2),
            ErrorKind::Unreachable => ExitCode::from(3),
            // What a shell says of a command that Ctrl-C ended.
            ErrorKind::Interrupted => ExitCode::from(130),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for CommandError {}

impl From<AuthoringError> for CommandError {
    fn from(error: AuthoringError) -> Self {
        let message = error.to_string();
        error.hints.into_iter().fold(Self::input(message), Self::hinted)
    }
}
