//! Pull requests without a token: what `git push` alone can do on GitLab (push options) and on Gitea (AGit).

use super::{Draft, Kind, New};

/// A push that also opens or updates a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OptionPush {
    /// The ref that is pushed to.
    pub(crate) target: String,
    /// `-o`.
    pub(crate) options: Vec<String>,
    /// The refs under which the forge keeps heads of pull requests: `refs/pull/*/head`.
    pub(crate) heads: &'static str,
}

/// The push, where the forge has one. Options are one line each.
pub(crate) fn push(kind: Kind, new: &New<'_>) -> Option<OptionPush> {
    let title = super::titled(kind, new.title, new.draft && matches!(kind.about().draft, Draft::Title(_)));
    match kind {
        Kind::GitLab => Some(OptionPush {
            target: format!("refs/heads/{}", new.head),
            options: vec![
                "merge_request.create".to_owned(),
                format!("merge_request.target={}", new.base),
                format!("merge_request.title={title}"),
                // GitLab turns \n into line breaks, since 15.0.
                format!("merge_request.description={}", new.body.replace('\n', "\\n")),
            ],
            heads: "refs/merge-requests/*/head",
        }),
        Kind::Gitea => Some(OptionPush {
            target: format!("refs/for/{}", new.base),
            // The description is what the commit says below its first line: an option could not hold several lines.
            options: vec![format!("topic={}", new.head), format!("title={title}")],
            heads: "refs/pull/*/head",
        }),
        Kind::GitHub | Kind::Gitee | Kind::Codeup => None,
    }
}

/// The address of the pull request in what the forge said to the push.
pub(crate) fn url(told: &str) -> Option<String> {
    let words = told.lines().filter_map(|line| line.trim().strip_prefix("remote:")).flat_map(str::split_whitespace);
    let mut urls = words.filter(|word| word.starts_with("https://") || word.starts_with("http://"));
    urls.find(|url| {
        let mut tail = url.trim_end_matches('/').rsplit('/');
        let is_number = tail.next().is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
        is_number && matches!(tail.next(), Some("pulls" | "merge_requests"))
    })
    .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_in_what_the_forge_says() {
        let gitea = "remote: \nremote: Visit the existing pull request:        \nremote:   http://127.0.0.1:3000/a/b/pulls/1 merges into main        \nTo http://x";
        assert_eq!(url(gitea).as_deref(), Some("http://127.0.0.1:3000/a/b/pulls/1"));
        let gitlab = "remote: View merge request for x:\nremote:   https://gitlab.com/a/b/-/merge_requests/12\n";
        assert_eq!(url(gitlab).as_deref(), Some("https://gitlab.com/a/b/-/merge_requests/12"));
        let new = "remote: To create a merge request for x, visit:\nremote:   https://gitlab.com/a/b/-/merge_requests/new?x=1\n";
        assert_eq!(url(new), None);
    }
}
