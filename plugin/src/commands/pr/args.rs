//! What `kubectl asm pr create` is told.

use crate::forge::Kind;
use crate::write::DryRun;

/// Proposes the fleet's changes as a pull request, or brings the one that there is up to date.
///
/// From a working tree with changes, the fleet's files are committed and pushed; everything else, staged or not, stays as
/// it is. On the base branch a branch of its own is made first, named after the change: the same change always gets the
/// same branch and the same pull request. On any other branch its commits are proposed, with the changes on top.
///
/// Git is yours: identity, signing, hooks and credentials. The forge is told by the remote's address; its token comes from
/// GH_TOKEN, GITLAB_TOKEN, GITEA_TOKEN, GITEE_TOKEN or YUNXIAO_TOKEN, or from Git's credential helpers. Without a token,
/// GitLab (push options) and Gitea (AGit) open pull requests from the push alone.
///
/// With a fork, the branch is pushed there and proposed to the repository that it was made from: with remotes named origin and
/// upstream without a word, else with --remote and --base-remote. Both are on one forge.
///
/// Codeup can name reviewers only when it opens a change request, and documents updating and reopening for its central
/// edition only.
///
/// The address of the pull request is all that goes to stdout. Running it again without a change does nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # propose what the working tree changes
  kubectl asm pr create

  # look at everything first; nothing is pushed and nobody is asked
  kubectl asm pr create --dry-run

  # a draft against another branch, with somebody to look at it
  kubectl asm pr create --base release --draft --reviewer alice

  # from a fork to where it was made from
  kubectl asm pr create --remote my-fork --base-remote origin

  # a forge whose name does not say what it is
  kubectl asm pr create --forge gitlab --forge-url https://git.example.com")]
pub struct CreateArgs {
    /// Branch that the change is for [default: git config asm.base, else the remote's default branch]
    #[arg(long, value_name = "BRANCH")]
    pub base: Option<String>,

    /// Branch that holds the change [default: the current one; on the base branch asm/TOPIC-ID]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,

    /// Remote to push to [default: git config asm.remote, else the branch's, else the only one]
    #[arg(long, value_name = "NAME")]
    pub remote: Option<String>,

    /// Remote of the repository that the change is for, when the one to push to is a fork [default: git config
    /// asm.base-remote, else what gh or glab were told, else upstream, else --remote]
    #[arg(long, value_name = "NAME")]
    pub base_remote: Option<String>,

    /// Title [default: what changes]; of a pull request that is there, replaces the title
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,

    /// Open it as a draft
    #[arg(long)]
    pub draft: bool,

    /// Who is asked to review: a user name (Codeup: a user ID; GitHub also ORG/TEAM); may be repeated
    #[arg(long = "reviewer", value_name = "NAME")]
    pub reviewers: Vec<String>,

    /// Open a pull request again that was closed without being merged
    #[arg(long)]
    pub reopen: bool,

    /// Propose only what is committed; leave the working tree alone
    #[arg(long)]
    pub no_commit: bool,

    /// Kind of forge [default: git config asm.forge, else what the remote's address says]
    #[arg(long, value_name = "KIND", value_enum, hide_possible_values = false)]
    pub forge: Option<Kind>,

    /// Address of the forge, for example https://git.example.com [default: git config asm.forge-url, else the remote's]
    #[arg(long, value_name = "URL")]
    pub forge_url: Option<String>,

    /// Print branch, commit message, title, body and calls; commit, push and ask nothing
    #[arg(long, value_name = "client", num_args = 0..=1, require_equals = true, default_value = "none",
          default_missing_value = "client", hide_default_value = true, hide_possible_values = true)]
    pub dry_run: DryRun,
}

impl CreateArgs {
    /// Is nothing to be done?
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run == DryRun::Client
    }
}
