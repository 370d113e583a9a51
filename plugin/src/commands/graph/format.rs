//! The formats of this verb: the usual ones, and pictures.

use crate::error::CommandError;
use crate::output;

/// A format of `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The tree.
    Human,
    /// A row per way.
    Wide,
    Json,
    Yaml,
    /// A flowchart of Mermaid.
    Mermaid,
    /// A digraph of Graphviz.
    Dot,
    /// A picture.
    Svg,
}

/// The words after `-o`.
pub(crate) const WORDS: [&str; 6] = ["wide", "json", "yaml", "mermaid", "dot", "svg"];

impl Format {
    pub(super) fn choose(word: Option<&str>) -> Result<Self, CommandError> {
        Ok(match word {
            None | Some("human") => Self::Human,
            Some("wide") => Self::Wide,
            Some("json") => Self::Json,
            Some("yaml") => Self::Yaml,
            Some("mermaid") => Self::Mermaid,
            Some("dot") => Self::Dot,
            Some("svg") => Self::Svg,
            Some(word) => return Err(output::unknown(word, &WORDS)),
        })
    }
}
