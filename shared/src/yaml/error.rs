//! Why a text is not YAML that kubectl and this tool agree on.

/// What is wrong with a YAML text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The limit that was exceeded, when that is what is wrong.
    pub limit: Option<Limit>,
}

impl YamlError {
    pub(super) fn new(line: u32, column: u32, message: impl Into<String>) -> Self {
        Self { line, column, message: message.into(), hint: None, limit: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of a file.
    Bytes,
    /// Documents of a file.
    Documents,
    /// Values of a file.
    Nodes,
    /// Nesting.
    Depth,
    /// Values that aliases stand for.
    Aliases,
}

/// How much of a file is read before it is refused. A file beyond these is not a manifest but an accident or an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a file.
    pub bytes: usize,
    /// Documents of a file, empty ones included.
    pub documents: usize,
    /// Values of a file (every scalar, list and map; what aliases stand for counts).
    pub nodes: usize,
    /// Nesting of lists and maps.
    pub depth: usize,
    /// Values that all aliases of a file together stand for ("billion laughs").
    pub aliases: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 * 1024 * 1024, documents: 10_000, nodes: 250_000, depth: 64, aliases: 20_000 }
    }
}
