//! `kubectl asm pr create`.

use super::args::CreateArgs;
use super::publish::{self, Way};
use super::report::{Action, Outcome};
use super::run::Run;
use super::survey::{self, Survey};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::forge::http::{Api, Rehearsal};
use crate::forge::secret::Redactor;
use crate::forge::{self, Draft, Kind, PullRequest, State, token};
use crate::git::Git;
use crate::kubeconfig::request_timeout;
use crate::output::OutputFormat;
use std::sync::Arc;

/// Runs it.
pub(super) fn run(context: &Context, args: &CreateArgs) -> Result<Exit, CommandError> {
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

impl Run<'_> {
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
        if kind == Kind::Gitea && survey.remotes.fork.is_some() {
            ui.status(&format!("it goes to {} for review: the fork is not needed", survey.remotes.base));
        }
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

    /// A token, if there is one. A dry run asks no helper.
    fn token(&self, survey: &Survey) -> Option<token::Token> {
        let environment = |name: &str| std::env::var(name).ok();
        let ask = |web: &str| if self.args.is_dry_run() { None } else { self.git.credential(web) };
        token::find(&survey.remotes.place, &survey.remotes.address, survey.remotes.is_place_given, &environment, &ask)
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
