//! The body of a pull request: a part that is ours, between two marks, and around it whatever people wrote.

use super::TRAILER;

const BEGIN: &str = "<!-- kubectl-asm:begin -->";
const END: &str = "<!-- kubectl-asm:end -->";

/// With less room than this, a page that says what changes cannot be written.
pub const MINIMAL_BUDGET: usize = 400;

/// What stands around our part of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    before: String,
    after: String,
}

impl Page {
    /// The surroundings in a body that a forge gave back. A body without our marks is kept as it is, above our part.
    pub fn around(body: &str) -> Self {
        let body = body.replace("\r\n", "\n");
        let found = body.split_once(BEGIN).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(END)?;
            Some(Self { before: before.to_owned(), after: after.to_owned() })
        });
        found.unwrap_or_else(|| {
            let before = body.trim_end();
            let before = if before.is_empty() { String::new() } else { format!("{before}\n\n") };
            Self { before, after: String::new() }
        })
    }

    /// Bytes that are left for the Markdown when the whole body may have `limit`. `None` when people's text leaves too
    /// little.
    pub fn budget(&self, limit: usize, id: &str) -> Option<usize> {
        let budget = limit.checked_sub(self.with("", id).len())?;
        (budget >= MINIMAL_BUDGET).then_some(budget)
    }

    /// The whole body.
    pub fn with(&self, markdown: &str, id: &str) -> String {
        let markdown = markdown.trim_end().replace(BEGIN, "").replace(END, "");
        format!("{}{BEGIN}\n{markdown}\n\n{TRAILER}: {id}\n{END}{}", self.before, self.after)
    }

    /// Does a body that a forge gave back say this? Forges change line ends and trim.
    pub fn is_same(one: &str, other: &str) -> bool {
        let normal = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
        normal(one) == normal(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays() {
        let first = Page::default().with("### diff\n", "1234");
        assert_eq!(first, "<!-- kubectl-asm:begin -->\n### diff\n\nAsm-Change-Id: 1234\n<!-- kubectl-asm:end -->");
        let edited = format!("See JIRA-1\r\n\r\n{}\r\n- [x] tried", first.replace('\n', "\r\n"));
        let again = Page::around(&edited).with("### other", "5678");
        assert_eq!(
            again,
            "See JIRA-1\n\n<!-- kubectl-asm:begin -->\n### other\n\nAsm-Change-Id: 5678\n<!-- kubectl-asm:end -->\n- [x] tried"
        );
        assert_eq!(Page::around(&again).with("### other", "5678"), again);
        // Somebody's own text, without the marks.
        assert!(Page::around("mine").with("x", "1").starts_with("mine\n\n<!-- kubectl-asm:begin -->"));
        assert!(Page::is_same(&first, &format!("{}\r\n", first.replace('\n', "\r\n"))));
    }

    #[test]
    fn the_limit_holds_for_the_whole() {
        let page = Page::around(&"x".repeat(9_000));
        let budget = page.budget(10_000, "1234").unwrap();
        assert_eq!(page.with(&"m".repeat(budget), "1234").len(), 10_000);
        assert_eq!(page.budget(9_200, "1234"), None);
        assert_eq!(page.budget(10, "1234"), None);
    }

    #[test]
    fn our_marks_in_the_markdown_do_not_end_our_part() {
        let body = Page::default().with("a <!-- kubectl-asm:end --> b", "1");
        assert_eq!(Page::around(&body), Page::default());
    }
}
