//! Commit, push, open or update: in this order, so that whatever stops it leaves something that the next run goes on from.

use super::report::{Action, Outcome};
use super::run::Run;
use super::survey::{Survey, change_set};
use crate::error::CommandError;
use crate::forge::http::{Api, ApiError, Rehearsal, Request, Transport as _};
use crate::forge::options::{self, OptionPush};
use crate::forge::{self, Edit, Forge, Kind, New, PullRequest, State};
use asm_shared::pull_request::Page;

/// Most bytes of a description that goes through a push option: Git sends no longer ones.
const OPTION: usize = 30_000;

/// How the pull request is opened.
pub(super) enum Way<'a> {
    /// By calls; what was found there.
    Api { forge: &'a dyn Forge, found: Option<PullRequest> },
    /// By the push alone.
    Push,
}

/// Does it all.
pub(super) fn publish(run: &Run<'_>, survey: &Survey, way: &Way<'_>) -> Result<Outcome, CommandError> {
    let commit = if survey.paths.is_empty() {
        survey.commit.clone()
    } else {
        let message = survey.own.message(title(run));
        run.git.commit_beside(&survey.stand, &survey.paths, &message.commit)?
    };
    let mut outcome = Outcome::of(survey, Action::Unchanged);
    outcome.commit = Some(commit.clone());
    match way {
        Way::Api { forge, found } => by_api(run, survey, &commit, *forge, found.as_ref(), &mut outcome)?,
        Way::Push => by_push(run, survey, &commit, &mut outcome)?,
    }
    Ok(outcome)
}

fn title<'a>(run: &'a Run<'_>) -> Option<&'a str> {
    run.args.title.as_deref()
}

/// Moves the user to the branch, once it is pushed.
fn arrive(run: &Run<'_>, survey: &Survey, commit: &str) -> Result<(), CommandError> {
    if survey.is_elsewhere {
        return Ok(());
    }
    run.git.go_to(&survey.stand, &survey.branch, commit, &survey.paths).map_err(|error| {
        error
            .because(format!(
                "the commit {} is pushed to {} as {}",
                run.git.short(commit),
                survey.remotes.head,
                survey.branch
            ))
            .hinted(format!("get it: git fetch {} {}", survey.remotes.head, survey.branch))
    })
}

fn by_api(
    run: &Run<'_>,
    survey: &Survey,
    commit: &str,
    forge: &dyn Forge,
    found: Option<&PullRequest>,
    outcome: &mut Outcome,
) -> Result<(), CommandError> {
    if survey.refs.branch(&survey.branch) != Some(commit) {
        let target = format!("refs/heads/{}", survey.branch);
        let progress = run.context.ui().progress(&format!("pushing to {}", survey.remotes.head));
        let pushed = run.git.push(&run.network(&survey.remotes.head), commit, &target, &[]);
        drop(progress);
        pushed?;
        outcome.pushed = true;
    }
    arrive(run, survey, commit)?;
    if !survey.is_elsewhere && outcome.pushed {
        let base = survey.remotes.fork.is_some().then_some(survey.remotes.base.as_str());
        run.git.track(&survey.branch, &survey.remotes.head, base);
    }
    let request = match found {
        Some(found) => bring_up_to_date(run, survey, commit, forge, found, outcome),
        None => open(run, survey, commit, forge, outcome),
    };
    let request = request.map_err(|error| goes_on(survey, error))?;
    outcome.number = Some(request.number);
    outcome.url = Some(run.redactor.clean(&request.url));
    Ok(())
}

/// The branch is there; the next run finds it so.
fn goes_on(survey: &Survey, error: CommandError) -> CommandError {
    let request = survey.remotes.place.kind.about().request;
    error
        .because(format!(
            "the commits are pushed to {} as {}; only the {request} is not as it should be",
            survey.remotes.head, survey.branch
        ))
        .hinted("then run the same command again: it goes on from there")
}

fn open(
    run: &Run<'_>,
    survey: &Survey,
    commit: &str,
    forge: &dyn Forge,
    outcome: &mut Outcome,
) -> Result<PullRequest, CommandError> {
    let place = &survey.remotes.place;
    let doing = format!("open the {}", place.kind.about().request);
    let title = survey.set.message(title(run)).title;
    let body = run.body(survey, commit, &Page::default(), place.kind.about().body)?.unwrap_or_default();
    let new = New {
        head: survey.head(),
        base: &survey.base,
        title: &title,
        body: &body,
        draft: run.args.draft,
        reviewers: &run.args.reviewers,
    };
    let request = match forge.create(&new) {
        Ok(request) if request.number == 0 => {
            let why = "there is no number in its answer".to_owned();
            return Err(forge::explain(place, &doing, ApiError::Unreadable(why)));
        }
        Ok(request) => request,
        // Somebody was faster, or an earlier call of ours was heard although it seemed not to be.
        Err(error @ ApiError::Status { code: 409 | 422 | 400, .. }) => {
            let again = forge.find(survey.head(), &survey.base).ok().flatten();
            let Some(found) = again.filter(|found| found.state == State::Open) else {
                return Err(forge::explain(place, &doing, error));
            };
            return bring_up_to_date(run, survey, commit, forge, &found, outcome);
        }
        Err(error) => return Err(forge::explain(place, &doing, error)),
    };
    outcome.action = Action::Opened;
    if !forge.asks_when_created() {
        ask(run, survey, forge, &request);
    }
    Ok(request)
}

fn bring_up_to_date(
    run: &Run<'_>,
    survey: &Survey,
    commit: &str,
    forge: &dyn Forge,
    found: &PullRequest,
    outcome: &mut Outcome,
) -> Result<PullRequest, CommandError> {
    let about = survey.remotes.place.kind.about();
    let page = Page::around(&found.body);
    let body = run.body(survey, commit, &page, about.body)?;
    if body.is_none() {
        run.context.ui().warning(&format!("the text of the {} leaves no room for what changes", about.request));
    }
    let edit = Edit {
        title: title(run).filter(|title| !found.title.ends_with(&asm_shared::pull_request::cut(title, about.title))),
        body: body.as_deref().filter(|body| !Page::is_same(body, &found.body)),
        reopen: found.state != State::Open,
    };
    if edit.title.is_some() || edit.body.is_some() || edit.reopen {
        let doing = if edit.reopen { "open again the" } else { "update the" };
        forge.edit(found.number, edit).map_err(|error| {
            forge::explain(&survey.remotes.place, &format!("{doing} {} {}", about.request, found.number), error)
        })?;
    }
    outcome.action = if edit.reopen {
        Action::Reopened
    } else if outcome.pushed || edit.title.is_some() || edit.body.is_some() {
        Action::Updated
    } else {
        Action::Unchanged
    };
    ask(run, survey, forge, found);
    Ok(found.clone())
}

/// A reviewer who cannot be asked does not undo the pull request.
fn ask(run: &Run<'_>, survey: &Survey, forge: &dyn Forge, request: &PullRequest) {
    if run.args.reviewers.is_empty() {
        return;
    }
    if let Err(error) = forge.ask(request.number, &run.args.reviewers, &request.reviewers) {
        let error =
            forge::explain(&survey.remotes.place, &format!("ask {} to review", run.args.reviewers.join(", ")), error);
        run.context.ui().warning(&run.redactor.clean(&error.to_string()));
    }
}

fn by_push(run: &Run<'_>, survey: &Survey, commit: &str, outcome: &mut Outcome) -> Result<(), CommandError> {
    let place = &survey.remotes.place;
    let Some(push) = option_push(run, survey, commit)? else { return Ok(()) };
    let is_there = survey.base_refs.request_of(push.heads, commit);
    if let Some(number) = is_there {
        arrive(run, survey, commit)?;
        outcome.number = Some(number);
        outcome.url = Some(place.page(number));
        return still_open(run, survey, number);
    }
    if push.target == format!("refs/heads/{}", survey.branch) && survey.refs.branch(&survey.branch) == Some(commit) {
        let about = place.kind.about();
        return Err(CommandError::input(format!(
            "{} is pushed already, and without a token {} opens a {} only with a push that changes something",
            survey.branch, about.name, about.request
        ))
        .hinted(format!("export {}=… and run this again", about.tokens[0]))
        .hinted(format!("or open it at {}/{}/-/merge_requests/new", place.web, place.path)));
    }
    let remote = if push.is_of_base { &survey.remotes.base } else { &survey.remotes.head };
    let progress = run.context.ui().progress(&format!("pushing to {remote}"));
    let pushed = run.git.push(&run.network(remote), commit, &push.target, &push.options);
    drop(progress);
    let pushed = pushed.map_err(|error| {
        error.hinted(format!("with a token it goes another way: export {}=…", place.kind.about().tokens[0]))
    })?;
    outcome.pushed = true;
    outcome.action = if survey.refs.branch(&survey.branch).is_some() { Action::Updated } else { Action::Opened };
    outcome.url = options::url(&pushed.told);
    outcome.number = outcome.url.as_ref().and_then(|url| url.rsplit('/').next()?.parse().ok());
    // A number that was there before this push: the pull request has only got another commit.
    let known = |number: &u64| survey.base_refs.refs.contains_key(&push.heads.replace('*', &number.to_string()));
    if outcome.number.as_ref().is_some_and(known) {
        outcome.action = Action::Updated;
    }
    arrive(run, survey, commit)
}

/// Without a token a public repository still answers whether the pull request was closed.
fn still_open(run: &Run<'_>, survey: &Survey, number: u64) -> Result<(), CommandError> {
    if survey.remotes.place.kind != Kind::Gitea {
        return Ok(());
    }
    let api = Api::new(&survey.remotes.place.api, None, run.timeout, run.redactor.clone());
    let path = format!("/repos/{}/pulls/{number}", survey.remotes.place.encoded_path());
    match api.send(&Request::get(path)) {
        Ok(answer) if answer["state"] == "closed" && answer["merged"] != true => {
            let url = survey.remotes.place.page(number);
            Err(CommandError::input(format!(
                "pull request {number} with this very commit was closed without being merged: {url}"
            ))
            .hinted("open it again on its page, or with a token: kubectl asm pr create --reopen"))
        }
        _ => Ok(()),
    }
}

fn option_push(run: &Run<'_>, survey: &Survey, commit: &str) -> Result<Option<OptionPush>, CommandError> {
    let kind = survey.remotes.place.kind;
    let title = survey.set.message(title(run)).title;
    let limit = kind.about().body.min(OPTION);
    let body = run.body(survey, commit, &Page::default(), limit)?.unwrap_or_default();
    let new = New {
        head: survey.head(),
        base: &survey.base,
        title: &title,
        body: &body,
        draft: run.args.draft,
        reviewers: &[],
    };
    Ok(options::push(&survey.remotes.place, &new))
}

/// Everything that would be done, and nothing of it.
pub(super) fn rehearse(
    run: &Run<'_>,
    survey: &Survey,
    forge: &dyn Forge,
    rehearsal: &Rehearsal,
    has_token: bool,
) -> Result<Outcome, CommandError> {
    let mut outcome = Outcome::of(survey, Action::Opened);
    outcome.dry_run = true;
    let title = survey.set.message(title(run)).title;
    let body =
        run.body(survey, &survey.commit, &Page::default(), survey.remotes.place.kind.about().body)?.unwrap_or_default();
    if !survey.paths.is_empty() {
        let set = change_set(run, &survey.stand.head, &survey.commit)?;
        outcome.message = Some(set.message(run.args.title.as_deref()).commit);
    }
    let target = format!("refs/heads/{}", survey.branch);
    if has_token {
        outcome.calls.push(format!("git push {} COMMIT:{target}", survey.remotes.head));
        let new = New {
            head: survey.head(),
            base: &survey.base,
            title: &title,
            body: &body,
            draft: run.args.draft,
            reviewers: &run.args.reviewers,
        };
        let doing = "rehearse";
        let explained = |error| forge::explain(&survey.remotes.place, doing, error);
        forge.find(survey.head(), &survey.base).map_err(explained)?;
        let request = forge.create(&new).map_err(explained)?;
        if !forge.asks_when_created() && !run.args.reviewers.is_empty() {
            forge.ask(request.number, &run.args.reviewers, &[]).map_err(explained)?;
        }
        let calls = rehearsal.calls.lock().map(|calls| calls.clone()).unwrap_or_default();
        outcome.calls.extend(calls.iter().map(|call| told(&survey.remotes.place.api, call, &body)));
    } else if let Some(push) = option_push(run, survey, &survey.commit)? {
        let options: Vec<_> = push.options.iter().map(|option| format!(" -o {}", quoted(option))).collect();
        let remote = if push.is_of_base { &survey.remotes.base } else { &survey.remotes.head };
        outcome.calls.push(format!("git push{} {remote} COMMIT:{}", options.concat(), push.target));
    }
    outcome.title = Some(title);
    outcome.body = Some(body);
    Ok(outcome)
}

/// A call on one line; the body of the pull request, which stands above, is not repeated.
fn told(api: &str, call: &Request, page: &str) -> String {
    let Some(body) = &call.body else { return format!("{} {api}{}", call.method, call.path) };
    let mut body = body.clone();
    for field in ["body", "description"] {
        if body[field] == page {
            body[field] = "(the body)".into();
        }
    }
    format!("{} {api}{} {body}", call.method, call.path)
}

fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
