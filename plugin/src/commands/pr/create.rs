//! `kubectl asm pr create`.

use super::publish::{self, Way};
use super::report::{Action, Outcome};
use super::survey::{self, Survey};
use crate::commands::diff::Comparison;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::forge::http::{Api, Rehearsal};
use crate::forge::secret::Redactor;
use crate::forge::{self, Draft, Kind, PullRequest, State, token};
use crate::git::{Git, Network};
use crate::kubeconfig::request_timeout;
use crate::output::OutputFormat;
use crate::write::DryRun;
use asm_shared::pull_request::{MINIMAL_BUDGET, Page};
use std::sync::Arc;

/// The part of the body that what lint finds may take: one in so many.
const LINT_SHARE: usize = 4;

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

/// Runs it.
pub fn run(context: &Context, args: &CreateArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Json, OutputFormat::Yaml])?;
    let root = context.repo_root()?;
    let redactor = Arc::new(Redactor::default());
    let run = Run {
        context,
        args,
        git: Git::new(&root),
        root: &root,
        redactor: redactor.clone(),
        timeout: request_timeout(&context.globals.request_timeout)?,
    };
    // Whatever Git, a hook or a forge says: no secret that is known here gets out.
    let outcome = run.go().map_err(|error| cleaned(error, &redactor))?;
    outcome.show(context, format)?;
    Ok(Exit::Clean)
}

fn cleaned(mut error: CommandError, redactor: &Redactor) -> CommandError {
    error.message = redactor.clean(&error.message);
    for text in error.causes.iter_mut().chain(&mut error.hints) {
        *text = redactor.clean(text);
    }
    error
}

/// One run of the command.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) args: &'a CreateArgs,
    pub(super) git: Git<'a>,
    pub(super) root: &'a std::path::Path,
    pub(super) redactor: Arc<Redactor>,
    pub(super) timeout: Option<std::time::Duration>,
}

impl Run<'_> {
    pub(super) fn network<'n>(&'n self, remote: &'n str) -> Network<'n> {
        let may_ask = !self.context.globals.no_input;
        Network { remote, redactor: &self.redactor, timeout: self.timeout, may_ask }
    }

    fn go(&self) -> Result<Outcome, CommandError> {
        let survey = survey::look(self)?;
        let kind = survey.remotes.place.kind;
        if self.args.draft && kind.about().draft == Draft::Never {
            return Err(CommandError::usage(format!("{} has no drafts: leave --draft out", kind.about().name)));
        }
        for note in &survey.notes {
            self.context.ui().status(note);
        }
        if survey.set.files().is_empty() {
            return Ok(Outcome::of(&survey, Action::Nothing));
        }
        survey::check(self, &survey)?;
        if self.args.is_dry_run() { self.rehearse(&survey) } else { self.propose(&survey) }
    }

    /// A token, if there is one. A dry run asks no helper.
    fn token(&self, survey: &Survey) -> Option<token::Token> {
        let environment = |name: &str| std::env::var(name).ok();
        let ask = |web: &str| if self.args.is_dry_run() { None } else { self.git.credential(web) };
        token::find(&survey.remotes.place, &survey.remotes.address, survey.remotes.is_place_given, &environment, &ask)
    }

    fn propose(&self, survey: &Survey) -> Result<Outcome, CommandError> {
        let Some(token) = self.token(survey) else { return self.without_token(survey) };
        let authorization = token.authorization(survey.remotes.place.kind, &self.redactor);
        let api = Api::new(&survey.remotes.place.api, Some(authorization), self.timeout, self.redactor.clone());
        let forge = forge::client(&survey.remotes.place, &api);
        // Asked before anything is pushed: a token that is not good for reading is good for nothing.
        let found = forge
            .find(survey.head(), &survey.base)
            .map_err(|error| forge::explain(&survey.remotes.place, "look for the pull request", error))?;
        let found = found.filter(|found| found.state != State::Merged);
        if let Some(closed) = found.as_ref().filter(|found| found.state == State::Closed && !self.args.reopen) {
            return Err(closed_already(survey, closed));
        }
        publish::publish(self, survey, &Way::Api { forge: &*forge, found })
    }

    fn without_token(&self, survey: &Survey) -> Result<Outcome, CommandError> {
        let kind = survey.remotes.place.kind;
        if !matches!(kind, Kind::GitLab | Kind::Gitea) {
            return Err(token::missing(&survey.remotes.place, survey.remotes.is_place_given)
                .hinted("or only look: kubectl asm pr create --dry-run"));
        }
        let ui = self.context.ui();
        ui.status(&format!("no token for {}: the push alone opens the {}", kind.about().name, kind.about().request));
        if !self.args.reviewers.is_empty() || self.args.reopen {
            ui.warning("without a token nobody is asked to review, and nothing is opened again");
        }
        publish::publish(self, survey, &Way::Push)
    }

    fn rehearse(&self, survey: &Survey) -> Result<Outcome, CommandError> {
        let rehearsal = Rehearsal::default();
        let forge = forge::client(&survey.remotes.place, &rehearsal);
        let has_token =
            self.token(survey).is_some() || !matches!(survey.remotes.place.kind, Kind::GitLab | Kind::Gitea);
        publish::rehearse(self, survey, &*forge, &rehearsal, has_token)
    }

    /// The body, as long as the forge lets it be.
    pub(super) fn body(
        &self,
        survey: &Survey,
        commit: &str,
        page: &Page,
        limit: usize,
    ) -> Result<Option<String>, CommandError> {
        let id = survey.set.id();
        let Some(mut budget) = page.budget(limit, &id) else { return Ok(None) };
        let comparison = Comparison::of_git(self.root, &survey.merge_base, Some(commit))?;
        let lint = comparison.lint_markdown(budget / LINT_SHARE);
        loop {
            let diff = comparison.markdown(budget.saturating_sub(lint.len() + 1));
            let body = page.with(&self.redactor.clean(&format!("{diff}\n{lint}")), &id);
            // Characters may be counted, where the forge counts bytes.
            let over = body.len().saturating_sub(limit);
            if over == 0 {
                return Ok(Some(body));
            }
            budget = match budget.checked_sub(over) {
                Some(less) if less >= MINIMAL_BUDGET => less,
                _ => return Ok(Some(page.with("", &id))),
            };
        }
    }
}

fn closed_already(survey: &Survey, closed: &PullRequest) -> CommandError {
    let request = survey.remotes.place.kind.about().request;
    let number = closed.number;
    CommandError::input(format!(
        "{request} {number} for {} was closed without being merged: {}",
        survey.branch, closed.url
    ))
    .hinted("open it again with: kubectl asm pr create --reopen")
    .hinted("or propose the change anew with --branch NAME")
}
