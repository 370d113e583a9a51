//! What is said of a rule besides what it does.

use super::finding::Severity;
use super::sink::{Sink, Speaker};
use super::world::World;

/// Is it on by default?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// On since this version.
    Stable(&'static str),
    /// Must be asked for, since this version.
    Preview(&'static str),
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Kebab case; also the name of its file, its page and its fixtures.
    pub id: &'static str,
    /// The most severe finding that it gives.
    pub severity: Severity,
    /// What it finds, in a few words, as one reads it in a list.
    pub summary: &'static str,
    /// Codes of `istioctl analyze` that mean the same.
    pub istio: &'static [&'static str],
    /// Codes of Kiali that mean the same.
    pub kiali: &'static [&'static str],
    /// Since when.
    pub status: Status,
    /// Can some of its findings be mended by `lint --fix`?
    pub fixes: bool,
    /// The text of its file, which begins with its documentation.
    pub(super) source: &'static str,
    /// Looks for it.
    pub(super) check: for<'a> fn(&World<'a>, &mut Sink<'a>),
}

impl Rule {
    /// What its findings say of it.
    pub(super) fn speaker(&self) -> Speaker {
        let code = match self.istio {
            [only] => Some(*only),
            _ => None,
        };
        Speaker { id: self.id, severity: self.severity, code }
    }

    /// Its documentation: the module comment of its file, Markdown.
    pub fn page(&self) -> String {
        let comment = self.source.lines().map_while(|line| line.strip_prefix("//!"));
        let lines: Vec<&str> = comment.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        lines.join("\n") + "\n"
    }

    /// Its page with what else is known of it below the title.
    pub fn markdown(&self) -> String {
        let page = self.page();
        let (title, rest) = page.split_once('\n').unwrap_or((&page, ""));
        format!("{title}\n\n{}\n{rest}", self.facts())
    }

    /// Severity, since when, fixes, codes of others, on one line.
    fn facts(&self) -> String {
        let mut facts = vec![self.severity.word().to_owned()];
        facts.push(match self.status {
            Status::Stable(since) => format!("since {since}"),
            Status::Preview(since) => format!("preview since {since}: only with --rule {}", self.id),
        });
        if self.fixes {
            facts.push("`lint --fix` mends some of it".to_owned());
        }
        for (whose, codes) in [("istioctl", self.istio), ("Kiali", self.kiali)] {
            if !codes.is_empty() {
                facts.push(format!("{whose}: {}", codes.join(", ")));
            }
        }
        format!("*{}*", facts.join(" · "))
    }
}
