//! The formats of this verb: the usual ones, and those of the tools that show findings.

use crate::error::CommandError;
use crate::output;

/// A format of `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Human,
    Json,
    Yaml,
    Name,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, for test reports.
    Junit,
    /// Workflow commands of GitHub Actions.
    Github,
    /// Code Quality report of GitLab.
    Gitlab,
    /// A comment for a pull request.
    Markdown,
}

/// The words after `-o`.
pub(crate) const WORDS: [&str; 8] = ["json", "yaml", "name", "sarif", "junit", "github", "gitlab", "markdown"];

impl Format {
    pub(super) fn choose(word: Option<&str>) -> Result<Self, CommandError> {
        Ok(match word {
            None | Some("human" | "text") => Self::Human,
            Some("json") => Self::Json,
            Some("yaml") => Self::Yaml,
            Some("name") => Self::Name,
            Some("sarif") => Self::Sarif,
            Some("junit") => Self::Junit,
            Some("github") => Self::Github,
            Some("gitlab") => Self::Gitlab,
            Some("markdown") => Self::Markdown,
            Some(word) => return Err(output::unknown(word, &WORDS)),
        })
    }
}
