//! Pull requests without a token: what `git push` alone can do on GitLab (push options) and on Gitea (AGit).

use super::{Draft, Kind, New, Place};

/// A push that also opens or updates a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OptionPush {
    /// The ref that is pushed to.
    pub(crate) target: String,
    /// Is that a ref of the repository that the change is for, and never of a fork?
    pub(crate) is_of_base: bool,
    /// `-o`.
    pub(crate) options: Vec<String>,
    /// The refs under which the forge keeps heads of pull requests: `refs/pull/*/head`.
    pub(crate) heads: &'static str,
}

/// The push, where the forge has one. Options are one line each.
pub(crate) fn push(place: &Place, new: &New<'_>) -> Option<OptionPush> {
    let kind = place.kind;
    let title = super::titled(kind, new.title, new.draft && matches!(kind.about().draft, Draft::Title(_)));
    match kind {
        Kind::GitLab => Some(OptionPush {
            target: format!("refs/heads/{}", new.head.branch),
            is_of_base: false,
            options: [
                Some("merge_request.create".to_owned()),
                // Since 16.6; before, and without it, a fork's merge request is for what it was forked from.
                new.head.fork.map(|_| format!("merge_request.target_project={}", place.path)),
                Some(format!("merge_request.target={}", new.base)),
                Some(format!("merge_request.title={title}")),
                // GitLab turns \n into line breaks, since 15.0.
                Some(format!("merge_request.description={}", new.body.replace('\n', "\\n"))),
            ]
            .into_iter()
            .flatten()
            .collect(),
            heads: "refs/merge-requests/*/head",
        }),
        Kind::Gitea => Some(OptionPush {
            // No fork is needed: whoever may read the repository may push there.
            target: format!("refs/for/{}", new.base),
            is_of_base: true,
            // The description is what the commit says below its first line: an option could not hold several lines.
            options: vec![format!("topic={}", new.head.branch), format!("title={title}")],
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
